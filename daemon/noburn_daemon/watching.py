"""Who watches which run, and what they are told without asking.

Layer: daemon, event loop.  Below: peer, book (its `stops`, `blocks` and `warnings`).
Above: commits, server.
"""

from __future__ import annotations

import asyncio

from noburn_cli import protocol
from noburn_daemon.book import Book
from noburn_daemon.peer import PeerConnection
from noburn_daemon.runs import is_within


class Watchers:
    """Connections by the runs that they watch."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._by_run: dict[str, set[PeerConnection]] = {}
        self._told_paused_at = 0.0

    def add(self, peer: PeerConnection, path: str) -> None:
        """A connection watches a run from now on."""
        run = path.rsplit("/", 1)[-1]
        self._by_run.setdefault(run, set()).add(peer)
        peer.watching[run] = path

    def remove(self, peer: PeerConnection) -> None:
        """A connection has ended."""
        for run in peer.watching:
            self._by_run[run].discard(peer)
            if not self._by_run[run]:
                del self._by_run[run]

    def tell(self, book: Book) -> None:
        """Push what happened to runs since the last time."""
        stops, book.stops = book.stops, []
        for path, message in stops:
            for peer in {peer for peers in self._by_run.values() for peer in peers}:
                for run in peer.watching.values():
                    if is_within(run, path):
                        peer.push({"event": protocol.STOPPED, "run": run, "stopped": path,
                                   "message": message})  # fmt: skip
                        peer.deliver()
        blocks, book.blocks = book.blocks, []
        for runs, call, message in blocks:
            for run in runs:
                self._push(run, protocol.BLOCKED, call, message)
        warnings, book.warnings = book.warnings, []
        for runs, call, message in warnings:
            self._push(runs[-1], protocol.WARNED, call, message)  # whoever is nearest says it

    def _push(self, run: str, event: str, call: str, message: str) -> None:
        for peer in self._by_run.get(run, ()):
            peer.push({"event": event, "run": peer.watching[run], "call": call, "message": message})
            peer.deliver()

    def tell_paused(self, book: Book) -> None:
        """Let those who wait for a paused run know that they are not forgotten."""
        if self._loop.time() - self._told_paused_at < protocol.PAUSED_EVERY_S:
            return
        self._told_paused_at = self._loop.time()
        for waiter in book.waiting:
            if waiter.paused_at_ms is not None:
                for caller, n in waiter.callers:
                    assert isinstance(caller, PeerConnection)
                    caller.push({"n": n, "event": protocol.PAUSED, "call": waiter.frame.call})
                    caller.deliver()
