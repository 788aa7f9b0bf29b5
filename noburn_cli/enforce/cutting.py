"""Hearing inside a program that its run was stopped, so that its streams end at once.

Layer: enforce, injected (standard library, Python 3.10).  Below: client.  Above: outcome.
Owns: one thread for each process that has had a stream, subscribed to its run.
Not here: what a cut stream looks like (outcome), how the processes are ended (the supervisor).
"""

from __future__ import annotations

import os
import threading
import time

from noburn_cli import protocol
from noburn_cli.client import Client
from noburn_cli.errors import NoburnError

#: How long the watch waits before it asks a daemon that is not there again, in seconds.
_RETRY_S = 0.5

#: Runs that this process watches, and of those that were stopped, why.
_watched: set[str] = set()
_stopped: dict[str, str] = {}


def watch() -> None:
    """See to it that this process hears when its run is stopped; without a run, nothing.

    Called with each stream that begins; the first one starts the thread.  Never an error in the
    program: a stream that nobody can cut ends with its process.
    """
    run = os.environ.get("NOBURN_RUN", "")
    if not run or run in _watched:
        return
    _watched.add(run)
    try:
        threading.Thread(target=_listen, args=(run,), name="noburn-cut", daemon=True).start()
    except RuntimeError:
        _watched.discard(run)  # No thread can be had, as while the interpreter ends.


def cut_by() -> str | None:
    """Why the streams of this process are to end, or None."""
    return next(iter(_stopped.values())) if _stopped else None


def _listen(run: str) -> None:
    client = Client(start_daemon=False)
    while run not in _stopped:
        try:
            for event in client.run_watch(run=run):
                if event.get("event") == protocol.STOPPED:
                    _stopped[run] = str(event.get("message") or f"run {run} was stopped")
                    break
        except NoburnError:
            time.sleep(_RETRY_S)
        except Exception:  # noqa: BLE001 - whatever fails here is not the program's
            return


# A forked child has none of its parent's threads; what was stopped stays so.
os.register_at_fork(after_in_child=_watched.clear)
