"""Task queues: a worker's calls are for whom the job was published for.

Layer: the public face of attributes that go along with jobs (standard library, and Celery or RQ
where the program has it; Python 3.10).  Below: enforce.context.

    from noburn_cli.queues import celery_attributes
    celery_attributes(app)

in the module that both publisher and worker import; for RQ `rq_attributes()` in both.  A job
carries the attributes that are in force where it is published: those of `attribute(…)` blocks over
those of the environment, but not the run, which is the worker's own.
Written for Celery 5.7.0 and RQ 3.0.0 (checked 2026-11-27).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.enforce import context

#: Under this name they travel in a Celery task's headers and in an RQ job's meta.
KEY = "noburn_attributes"
_PUSHED = "noburn_pushed"


def celery_attributes(app: Any) -> None:
    """Send the attributes with every task of a Celery app, and use them in its workers.

    Any pool (prefork, threads, gevent, solo); also for retries, chains, groups and chords, which
    publish from within a task or from where they are called.  Again is harmless.
    """
    from celery import signals

    def publish(headers: Any = None, **_: object) -> None:
        if isinstance(headers, dict):
            headers.setdefault(KEY, _published())

    def begin(task: Any = None, **_: object) -> None:
        changes = _received(task.request.get(KEY))
        if changes and task.app == app:  # Either may be a proxy.
            context.push(changes)
            task.request.update({_PUSHED: changes})

    def end(task: Any = None, **_: object) -> None:
        changes = task.request.get(_PUSHED)
        if changes is not None:
            context.pop(changes)

    # Strong references: the functions end with this call otherwise.
    told: dict[str, Any] = {"weak": False, "dispatch_uid": f"noburn-{id(app)}"}
    signals.before_task_publish.connect(publish, **told)
    signals.task_prerun.connect(begin, **told)
    signals.task_postrun.connect(end, **told)


def rq_attributes() -> None:
    """Send the attributes with every RQ job, and use them where it is performed; again is harmless.

    Call it where jobs are enqueued, and in the module that the worker's `-c` names.
    """
    from rq.job import Job

    if hasattr(Job, "_noburn_create"):
        return
    create, perform = Job.create, Job.perform
    Job._noburn_create = create

    def created(cls: Any, *args: Any, **more: Any) -> Any:
        job = create.__func__(cls, *args, **more)
        job.meta = {KEY: _published(), **(job.meta or {})}
        return job

    def performed(job: Any) -> Any:
        changes = _received((job.meta or {}).get(KEY))
        context.push(changes)
        try:
            return perform(job)
        finally:
            context.pop(changes)

    Job.create = classmethod(created)
    Job.perform = performed


def _published() -> dict[str, str]:
    found = context.attributes()
    found.pop("run", None)
    return found


def _received(attributes: object) -> dict[str, str]:
    """What a job brought.  A value that cannot be used is refused with the call, not here."""
    if not isinstance(attributes, Mapping):
        return {}
    return {str(name): str(value) for name, value in attributes.items() if name != "run"}
