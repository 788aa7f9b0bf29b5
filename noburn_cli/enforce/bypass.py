"""Processes of a run that have no guard, and whom they talk to.

Layer: enforce, the supervisor's side.  Below: processes (Linux: /proc; elsewhere: ps).
Above: host_run.
A hooked Python or Node says that it is there by a file named after its number; an interpreter that
doesn't (`python -I`, a cleared environment) is named, with the connections to other machines that
are seen on it.  It is looked now and then: what lives shorter than that is not seen here, and has
no key either way.
"""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

from noburn_cli.enforce.processes import connections_of, processes_below

#: Seconds between two looks; and how long a process was seen before it counts as one without a
#: guard.  A slow start that is taken for one is forgiven at the end, when its file is there.
LOOK_S = 0.4
SETTLED_S = 0.4
#: Names of interpreters that a guard could have been in.
_HOOKABLE = ("python", "pypy", "node")
NOTES_MAX = 50
_CONNECTIONS_MAX = 8

Note = tuple[str, dict[str, Any]]


class ProcessWatch:
    """Looks at a run's processes from a thread, until it is closed."""

    def __init__(self, presence: Path) -> None:
        self._presence = presence
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._root = 0
        #: By process, when it was first seen and what it is called.
        self._seen: dict[int, tuple[float, str]] = {}
        self._unguarded: dict[int, set[str]] = {}

    def start(self, root: int) -> None:
        """root: the run's first process."""
        self._root = root
        self._thread = threading.Thread(target=self._follow, name="noburn-processes", daemon=True)
        self._thread.start()

    def close(self) -> list[Note]:
        """Stop looking; what was seen, as notes."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        notes: list[Note] = []
        for pid, remote in sorted(self._unguarded.items()):
            if (self._presence / str(pid)).exists():
                continue
            detail: dict[str, Any] = {"pid": pid, "name": self._seen[pid][1]}
            if remote:
                detail["connections"] = ", ".join(sorted(remote)[:_CONNECTIONS_MAX])
            notes.append(("process", detail))
        return notes[:NOTES_MAX]

    def _follow(self) -> None:
        # Signals are the main thread's.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        while not self._closing.wait(LOOK_S):
            self._look(time.monotonic())

    def _look(self, now: float) -> None:
        for pid, name in processes_below(self._root):
            first, known = self._seen.setdefault(pid, (now, name))
            if known != name:  # It has become another program.
                self._seen[pid] = first, _ = (now, name)
                self._unguarded.pop(pid, None)
            if now - first < SETTLED_S or (self._presence / str(pid)).exists():
                continue
            remote = connections_of(pid)
            if remote or name.startswith(_HOOKABLE):
                self._unguarded.setdefault(pid, set()).update(remote)
