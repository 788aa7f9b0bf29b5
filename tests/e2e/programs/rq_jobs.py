"""RQ jobs for two customers, enqueued in their blocks and performed by a worker outside of any."""

from __future__ import annotations

import json
import os

import openai
import redis
import rq

import noburn_cli
from noburn_cli.enforce import context
from noburn_cli.queues import rq_attributes

rq_attributes()
rq_attributes()


def job() -> dict[str, str]:
    with openai.OpenAI(max_retries=0) as client:
        client.chat.completions.create(
            model="gpt-6-luna",
            messages=[{"role": "user", "content": "hi"}],
            max_completion_tokens=20,
        )
    return context.attributes()


if __name__ == "__main__":
    connection = redis.Redis(unix_socket_path=os.environ["REDIS_SOCKET"])
    queue = rq.Queue(connection=connection)
    jobs = []
    for customer in ("first", "second"):
        with noburn_cli.attribute(customer=customer):
            jobs.append(queue.enqueue("rq_jobs.job", meta={"own": "kept"}))
    rq.SimpleWorker([queue], connection=connection).work(burst=True)
    print(json.dumps([job.get_meta() for job in jobs]))
