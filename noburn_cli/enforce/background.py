"""Threads that end calls when nobody waits for them any more.

Layer: enforce, injected (standard library, Python 3.10).  Below: nothing.
Above: drivers, http_client_answers, httpx_streams.
They may be started in a finalizer, in the middle of any line of a thread, so nothing here takes a
lock that the line may hold: not those of `threading` either.
"""

from __future__ import annotations

import _thread
import atexit
import os
import time
from collections.abc import Callable
from typing import Any

#: The end of the process waits for these, so long, in seconds.
WAIT_S_MAX = 120.0
_STEP_S = 0.005
_running: set[object] = set()


def start(work: Callable[..., Any], *arguments: Any) -> bool:
    """Do it in a thread; false when there can be none (the interpreter is ending)."""
    errand = object()
    _running.add(errand)
    try:
        _thread.start_new_thread(_run, (errand, work, arguments))
    except RuntimeError:
        _running.discard(errand)
        return False
    return True


def _run(errand: object, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    try:
        work(*arguments)
    finally:
        _running.discard(errand)


def wait() -> None:
    """Until all of it is done, or WAIT_S_MAX is over."""
    deadline = time.monotonic() + WAIT_S_MAX
    while _running and time.monotonic() < deadline:
        time.sleep(_STEP_S)


atexit.register(wait)
os.register_at_fork(after_in_child=_running.clear)  # Their threads are the parent's.
