"""Attributes that go along with work: to child processes, and to the workers of pools.

Layer: enforce, injected (standard library, Python 3.10).  Below: inheritance; context, loaded only
once the program uses attributes.  Above: the injected hooks, which call `hook_…` as each module is
loaded.
Owns: what is put into subprocess and multiprocessing for it.

A child's environment names whom it is for as of the moment it starts.  A worker of a pool serves
many: each task has the attributes of where it was submitted, and none of where the worker was
started.  Nothing here may fail a program: without it calls are still guarded, in the run's name.
"""

from __future__ import annotations

import os
import sys

from noburn_cli.enforce.inheritance import environment_for

TYPE_CHECKING = False  # `typing` would cost every start some milliseconds.
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType
    from typing import Any

#: On a function that is ours.
_OURS = "_noburn_children"
#: On a process that is about to start: what its code is for.
_CARRIED = "_noburn_attributes"
#: Where `env` stands among the arguments of subprocess.Popen, `self` not counted.
_ENV_PLACE = 10


def hook_subprocess(module: ModuleType, **_: object) -> None:
    """Children by subprocess (and asyncio's) know whom they are for, and are guarded."""

    def make(original: Any) -> Any:
        def __init__(self: Any, *args: Any, **more: Any) -> None:  # noqa: N807
            if len(args) > _ENV_PLACE:
                env = environment_for(environment(args[_ENV_PLACE]))
                args = (*args[:_ENV_PLACE], env, *args[_ENV_PLACE + 1 :])
            elif (env := environment_for(environment(more.get("env")))) is not None:
                more["env"] = env
            original(self, *args, **more)

        return __init__

    _replace(module.Popen, "__init__", make)


def environment(given: Any) -> Any:
    """A child's environment with the attributes of here and now; `given` when nothing changes.

    given: as for subprocess, None for this process's own.  One from which our variables were taken
    away, or in which the program names somebody itself, is left as it is.
    """
    variables = _told("variables")
    if not variables:
        return given
    base = os.environ if given is None else given
    if not hasattr(base, "keys") or "NOBURN_GUARD" not in base:
        return given
    news = {
        name: value
        for name, value in variables.items()
        if base.get(name) == os.environ.get(name)  # Otherwise the program has set it on purpose.
    }
    return {**base, **news} if news else given


def hook_process(module: ModuleType, **_: object) -> None:
    """Children by multiprocessing, however they are started."""

    def make_start(original: Any) -> Any:
        def start(self: Any) -> None:
            if changes := _told("carried"):
                setattr(self, _CARRIED, changes)
            original(self)

        return start

    def make_bootstrap(original: Any) -> Any:
        def _bootstrap(self: Any, *args: Any, **more: Any) -> Any:
            changes = self.__dict__.pop(_CARRIED, None)
            if changes:
                from noburn_cli.enforce import context

                if not context.is_in_block():  # After a fork it is there already.
                    context.push(changes)
            return original(self, *args, **more)

        return _bootstrap

    _replace(module.BaseProcess, "start", make_start)
    _replace(module.BaseProcess, "_bootstrap", make_bootstrap)


def hook_executor(module: ModuleType, **_: object) -> None:
    """Tasks of concurrent.futures.ProcessPoolExecutor."""

    def make(original: Any) -> Any:
        def submit(self: Any, fn: Any, /, *args: Any, **more: Any) -> Any:
            return original(self, _carrying(fn), *args, **more)

        return submit

    _replace(module.ProcessPoolExecutor, "submit", make)


def hook_threads(module: ModuleType, **_: object) -> None:
    """Tasks of concurrent.futures.ThreadPoolExecutor, whose threads take no context along."""

    def make(original: Any) -> Any:
        def submit(self: Any, fn: Any, /, *args: Any, **more: Any) -> Any:
            changes = _told("carried")
            return original(self, Carried(fn, changes) if changes else fn, *args, **more)

        return submit

    _replace(module.ThreadPoolExecutor, "submit", make)


def hook_pool(module: ModuleType, **_: object) -> None:
    """Tasks of multiprocessing.Pool; its pool of threads shares the code."""

    def make_apply(original: Any) -> Any:
        def apply_async(self: Any, func: Any, *args: Any, **more: Any) -> Any:
            return original(self, _carrying(func), *args, **more)

        return apply_async

    def make_generation(original: Any) -> Any:
        def _guarded_task_generation(self: Any, result_job: Any, func: Any, iterable: Any) -> Any:
            return original(self, result_job, _carrying(func), iterable)

        return _guarded_task_generation

    _replace(module.Pool, "apply_async", make_apply)
    _replace(module.Pool, "_guarded_task_generation", make_generation)


class Carried:
    """A task, and whom it is for.  It pickles as what it is made of."""

    def __init__(self, task: Callable[..., Any], changes: Mapping[str, str]) -> None:
        self.task = task
        self.changes = changes

    def __call__(self, *args: Any, **more: Any) -> Any:
        from noburn_cli.enforce import context

        with context.only(self.changes):
            return self.task(*args, **more)


def _carrying(task: Any) -> Any:
    # Once attributes were used, also a task for nobody says so: the worker may have been started
    # in a block.
    changes = _told("carried")
    return task if changes is None else Carried(task, changes)


def _told(what: str) -> Any:
    """What the context answers; None in a program that has never used attributes, or on failure."""
    context = sys.modules.get("noburn_cli.enforce.context")
    if context is None:
        return None
    try:
        return getattr(context, what)()
    except Exception:  # noqa: BLE001 - a child without attributes is better than none
        return None


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = owner.__dict__.get(name)
    if original is None or hasattr(original, _OURS):
        return
    ours = make(original)
    for attribute in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(ours, attribute, getattr(original, attribute))
    ours.__wrapped__ = original
    setattr(ours, _OURS, True)
    setattr(owner, name, ours)
