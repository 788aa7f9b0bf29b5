"""Processes that are gone: their last frames are read, then their holds are charged.

Layer: daemon, event loop.  Below: reaper, ending, running, commits, peer.  Above: server.
Owns: who has died and is not buried yet, and for how long one waits for what lies in their sockets.
Not here: how a death is noticed (reaper), what an orphan is charged (ending).
"""

from __future__ import annotations

import asyncio

from noburn_cli.errors import LedgerUnavailable
from noburn_daemon import ending, running
from noburn_daemon.commits import Commits
from noburn_daemon.owners import Processes
from noburn_daemon.peer import PeerConnection
from noburn_daemon.reaper import Reaper

#: A dead process's last frames may still lie in its socket: they are read first, for this long.
LAST_WORDS_S = 1.0


class Deaths:
    """The dead, until nobody waits for them.

    peers: the connections that are open, as the daemon keeps them.
    """

    def __init__(
        self, *, loop: asyncio.AbstractEventLoop, commits: Commits, processes: Processes,
        peers: set[PeerConnection],
    ) -> None:  # fmt: skip
        self._loop = loop
        self._commits = commits
        self._peers = peers
        self._reaper = Reaper(loop, self.gone, processes=processes)
        #: Owners that are gone, with the moment until which their sockets are read.
        self._gone: dict[str, float] = {}

    def watch(self, owner: str) -> None:
        """Notice when that process is gone."""
        self._reaper.watch(owner)

    def watch_restored(self) -> None:
        """Notice it of everybody whom the book knows."""
        book = self._commits.book
        owners = [call.owner for call in book.calls.open.values()]
        for owner in dict.fromkeys([*owners, *book.runs.owners.values()]):
            self._reaper.watch(owner)

    def gone(self, owner: str) -> None:
        """A process has died."""
        self._gone[owner] = self._loop.time() + LAST_WORDS_S
        self.bury(self._commits.now())

    def disconnected(self, owner: str) -> None:
        """One of a process's connections has ended: of a dead one, it has been read."""
        if owner in self._gone:
            self.bury(self._commits.now())

    def bury(self, now_ms: int) -> None:
        """Charge the holds of dead processes, once their last frames have been read."""
        if not self._gone:
            return
        talking = {peer.owner for peer in self._peers}
        for owner, until in list(self._gone.items()):
            if owner in talking and self._loop.time() < until:
                continue
            if self._commits.sick is not None and not self._commits.recovered():
                return
            del self._gone[owner]
            try:
                self._end(owner, now_ms)
            except LedgerUnavailable as error:
                self._gone[owner] = until
                self._commits.fall_sick(error)
                return
            for peer in [peer for peer in self._peers if peer.owner == owner]:
                peer.close()  # nobody would ever end what it asks for from now on
            if self._commits.book.events and not self._commits.is_scheduled:
                self._commits.schedule()

    def _end(self, owner: str, now_ms: int) -> None:
        """Charge what a process held, and end its runs.  Raises LedgerUnavailable."""
        book = self._commits.book
        ending.owner_gone(book, owner, now_ms)
        for run in [run for run, by in book.runs.owners.items() if by == owner]:
            running.end_run(book, run, None, now_ms)
            self._commits.force_snapshot = True

    def close(self) -> None:
        """Notice nothing more."""
        self._reaper.close()
