"""A Celery app whose task makes one call, and a publisher of jobs for many customers.

The broker is Redis, at the socket $REDIS_SOCKET.  `python celery_jobs.py CUSTOMERS JOBS` publishes,
waits, and prints what came of each job as JSON.
"""

from __future__ import annotations

import json
import os
import sys

import openai
from celery import Celery

import noburn_cli
from noburn_cli.queues import celery_attributes

REDIS = "redis+socket://" + os.environ["REDIS_SOCKET"]
app = Celery("celery_jobs", broker=REDIS, backend=REDIS)
app.conf.update(worker_prefetch_multiplier=1, worker_enable_remote_control=False)
celery_attributes(app)


@app.task(bind=True)
def digest(self, number: int) -> list[object]:  # type: ignore[no-untyped-def]
    """One call; once more, by a retry that publishes itself, for every second job."""
    with openai.OpenAI() as client:
        try:
            client.chat.completions.create(
                model="gpt-6-luna",
                messages=[{"role": "user", "content": "digest"}],
                max_completion_tokens=100,
            )
        except openai.APIStatusError as error:
            return [number, error.status_code]
    if number % 2 == 1 and self.request.retries == 0:
        raise self.retry(countdown=0)
    return [number, 200]


def publish(customers: int, jobs: int) -> None:
    results = []
    for number in range(jobs):
        for customer in range(customers):
            name = f"c{customer:02d}"
            with noburn_cli.attribute(customer=name, feature="digest", step="nightly"):
                results.append((name, digest.delay(number)))
    done: dict[str, list[object]] = {}
    for name, result in results:
        done.setdefault(name, []).append(result.get(timeout=90, interval=0.05))
    print(json.dumps(done))


if __name__ == "__main__":
    # Under its module's name, which the worker knows.
    __import__("celery_jobs").publish(int(sys.argv[1]), int(sys.argv[2]))
