"""Notices that a process is gone.

Layer: daemon, event loop.  Below: owners.  Above: deaths.
Owns: one watch per owner: a pidfd where the system has them, a look every half second elsewhere.
Not here: what happens to its holds (ending.owner_gone).

An orphan is never made because time passed: a stopped laptop is not a dead process.  Nor because
nobody could look: a process that cannot be looked at is looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from noburn_daemon.owners import Processes

POLL_S = 0.5


class Reaper:
    """Calls `gone(owner)` once for each watched owner that has died."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        gone: Callable[[str], None],
        *,
        processes: Processes,
    ) -> None:
        self._loop = loop
        self._gone = gone
        self._processes = processes
        self._pidfds: dict[str, int] = {}
        #: In the order of their coming, as a set of texts would have none.
        self._polled: dict[str, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, owner: str) -> None:
        """Watch a process; one that has died already is told soon."""
        if owner in self._pidfds or owner in self._polled:
            return
        pidfd = self._processes.open_exit(owner)
        # Alive after the pidfd was opened: so the pidfd is this process's, not a successor's.
        is_alive = self._is_alive(owner)
        if is_alive and pidfd is not None:
            self._pidfds[owner] = pidfd
            self._loop.add_reader(pidfd, self._on_exit, owner)
            return
        if pidfd is not None:
            self._processes.close_exit(pidfd)
        if is_alive is False:
            self._loop.call_soon(self._gone, owner)
        else:
            self._polled[owner] = None
            self._schedule()

    def _is_alive(self, owner: str) -> bool | None:
        """Whether that very process lives; None when it cannot be looked at now."""
        try:
            return self._processes.is_alive(owner)
        except OSError:
            return None

    def close(self) -> None:
        for pidfd in self._pidfds.values():
            self._loop.remove_reader(pidfd)
            self._processes.close_exit(pidfd)
        self._pidfds.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _on_exit(self, owner: str) -> None:
        pidfd = self._pidfds.pop(owner)
        self._loop.remove_reader(pidfd)
        self._processes.close_exit(pidfd)
        self._gone(owner)

    def _schedule(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(POLL_S, self._poll)

    def _poll(self) -> None:
        self._timer = None
        for owner in [o for o in self._polled if self._is_alive(o) is False]:
            del self._polled[owner]
            self._gone(owner)
        if self._polled:
            self._schedule()
