"""The group commit: what one turn of the loop decided is durable before anybody hears of it.

Layer: daemon, event loop.  Below: peer, book, reserving, restore, ledger, clock, watching.
Above: server.
Owns: the replies that wait for their commit, the flush, and what happens when it fails: every
caller of the batch hears `unknown`, waiters too, the memory is rebuilt from disk, and nothing is
granted until the disk can be written again.
Not here: what a request does (server), SQL (sqlite).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

from noburn_cli import protocol
from noburn_cli.errors import LedgerUnavailable
from noburn_daemon import alerts, reserving
from noburn_daemon.book import Book
from noburn_daemon.clock import Clock
from noburn_daemon.metrics import Meter
from noburn_daemon.peer import PeerConnection
from noburn_daemon.pricing import Pricing
from noburn_daemon.replies import refusal
from noburn_daemon.restore import restore, take_snapshot
from noburn_daemon.sqlite import SqliteLedger
from noburn_daemon.watching import Watchers

SNAPSHOT_MS = 100
PROBE_S = 0.1

_log = logging.getLogger("noburn.commits")


class Commits:
    """The book, and its way to the disk.

    rebuilt: called when the book was made anew from the disk.
    """

    def __init__(
        self, *, ledger: SqliteLedger, pricing: Pricing, clock: Clock, watchers: Watchers,
        loop: asyncio.AbstractEventLoop, rebuilt: Callable[[], None],
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._pricing = pricing
        self._clock = clock
        self._watchers = watchers
        self._loop = loop
        self._rebuilt = rebuilt
        #: Why the ledger cannot be written, or None.
        self.sick: str | None = None
        self.replies: list[tuple[PeerConnection, Any]] = []
        self.is_scheduled = False
        #: Whether the next flush writes a snapshot, whenever the last one was.
        self.force_snapshot = True
        #: What counts, where somebody wants to know.
        self.meter: Meter | None = None
        #: The channels that hear of the daemon's own troubles.
        self.operators: tuple[str, ...] = ()
        #: Called when messages were put into the outbox.
        self.told: Callable[[], object] = lambda: None
        self.turn_ms = 0
        self.busy_at = loop.time()
        self._snapshot_at_ms = 0
        self._probed_at = 0.0
        self.book: Book = restore(ledger, pricing, clock.now_ms())
        self._keep_book()

    # One turn.

    def now(self) -> int:
        """The ledger's time, which is from now on the turn's: rows are in the order of time."""
        self.turn_ms = now_ms = self._clock.now_ms()
        return now_ms

    def reply(self, peer: PeerConnection, reply: Any) -> None:
        """Let a reply leave with the next flush."""
        self.replies.append((peer, reply))
        if not self.is_scheduled:
            self.schedule()

    def write_soon(self) -> None:
        """Write a snapshot when this turn of the loop is over."""
        self.force_snapshot = True
        if not self.is_scheduled:
            self.schedule()

    def schedule(self) -> None:
        """Flush when this turn of the loop is over."""
        self.is_scheduled = True
        self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Make this turn's events durable, then answer."""
        self.is_scheduled = False
        book = self.book
        self.busy_at = self._loop.time()
        try:
            if book.stirred and len(book.waiting):
                now_ms = self.now()
                if now_ms < book.schedule.next_ms:  # else budgets are changed first
                    reserving.look_at_waiters(book, now_ms)
            if book.outbox:
                self.replies.extend(book.outbox)  # type: ignore[arg-type]
                book.outbox.clear()
            if self.sick is None and (
                book.accounts.crossed or book.happened or self.force_snapshot
            ):
                self._tell(book)
            if self.sick is None and (book.events or self.force_snapshot):
                self._commit(book)
            elif book.events:  # decided although nothing can be written: it did not happen
                raise LedgerUnavailable(str(self.sick))
        except LedgerUnavailable as error:
            self.fall_sick(error)
            return
        except Exception as error:  # noqa: BLE001 - see distrust_memory
            self.distrust_memory(error)
            return
        self._deliver()
        if book.blocks or book.stops or book.warnings:
            self._watchers.tell(book)
        book.calls.forget_old()
        book.runs.forget_old()

    def _tell(self, book: Book) -> None:
        """Add what somebody is to hear of to the very transaction that it happens in."""
        for account in book.accounts.dirty if self.force_snapshot else ():
            book.accounts.look_for_alert(account)  # changed by something else than a call
        if (book.accounts.crossed or book.happened) and alerts.tell(
            book, self.now(), self.operators
        ):
            self.force_snapshot = True

    def _commit(self, book: Book) -> None:
        events, book.events = book.events, []
        now_ms = events[-1].at_ms if events else self.now()
        snapshot = None
        if self.force_snapshot or now_ms - self._snapshot_at_ms >= SNAPSHOT_MS:
            snapshot = take_snapshot(book)
            self._snapshot_at_ms = now_ms
        if self.meter is None:
            self._ledger.append(events, snapshot)
        else:
            began = time.perf_counter()
            self._ledger.append(events, snapshot)
            self.meter.committed(events, len(events), time.perf_counter() - began)
        self.force_snapshot = False
        if snapshot is not None and snapshot.notices:
            self.told()

    def _deliver(self) -> None:
        replies, self.replies = self.replies, []
        touched = []
        for peer, reply in replies:
            if not peer.out:
                touched.append(peer)
            peer.send(reply)
        for peer in touched:
            peer.deliver()

    def distrust_memory(self, error: Exception) -> None:
        """A bug of ours may have left the memory half changed: the disk alone is trusted."""
        _log.error("the daemon itself failed", exc_info=error)
        self.fall_sick(LedgerUnavailable(f"the daemon itself failed: {error!r}"))

    def fall_sick(self, error: LedgerUnavailable) -> None:
        """A commit failed: nobody of the batch is told anything but `unknown`."""
        _log.error("%s", error.message)
        if self.meter is not None:
            self.meter.failed_commits += 1
        self.sick = error.message
        self._probed_at = self._loop.time()
        self._turn_away(error.message, error.why)
        self._rebuild()

    def begin_anew(self, message: str) -> None:
        """Read the book from the disk again: its texts are others now.  Waiters ask again."""
        self._turn_away(message, "")
        self._rebuild()

    def _turn_away(self, message: str, why: str) -> None:
        """Answer `unknown` to all who have no answer yet."""
        replies, self.replies = self.replies, []
        replies.extend(self.book.outbox)  # type: ignore[arg-type]
        self.book.outbox.clear()
        self.book.events.clear()
        for waiter in self.book.waiting:
            replies.extend((peer, {"n": n}) for peer, n in waiter.callers)  # type: ignore[misc]
            # Where the disk cannot even be read this book stays: nobody is answered twice from it.
            self.book.waiting.remove(waiter)
        for peer, reply in replies:
            n = reply["n"] if isinstance(reply, dict) else reply.n
            self.replies.append((peer, refusal(n, protocol.UNKNOWN, message, why=why)))
        self._deliver()

    def _rebuild(self) -> bool:
        try:
            self.book = restore(self._ledger, self._pricing, self.now())
            self.force_snapshot = True
            self._keep_book()
        except LedgerUnavailable as error:
            self.sick = error.message
            # Not one decision is made on this book: everything is refused while sick.
            return False
        self._rebuilt()  # a death that was noticed may have been lost with the commit
        return True

    def recovered(self) -> bool:
        """Try whether the ledger can be written again, but not all the time."""
        if self._loop.time() - self._probed_at < PROBE_S:
            return False
        self._probed_at = self._loop.time()
        try:
            self._ledger.probe()
        except LedgerUnavailable as error:
            self.sick = error.message
            return False
        if not self._rebuild():
            return False
        _log.info("the ledger can be written again")
        self.sick = None
        return True

    def _keep_book(self) -> None:
        book = self._pricing.book
        self._ledger.store_book(book.version, list(book.texts))
