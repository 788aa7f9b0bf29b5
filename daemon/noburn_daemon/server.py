"""The daemon: each request to the code that answers it; keys, processes and time beside them.

Layer: daemon, event loop.  Below: commits, peer, reserving, ending, policy, stopping, keys, exact,
pricefollowing, watching, deaths, clock.  Above: __main__.
Owns: which code answers which request, what waits for a key or for a count of its text, and when
the daemon leaves.
Not here: when an answer leaves, and what a failing disk does (commits), rules (reserving, ending,
policy), lines (peer), whose processes are gone (deaths).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from noburn_cli import protocol
from noburn_cli.errors import LedgerUnavailable, NoburnError, UsageError
from noburn_cli.providers.credentials import is_login
from noburn_daemon import (
    applying,
    correcting,
    ending,
    frames,
    policy,
    reserving,
    running,
    scheduling,
    showing,
    stopping,
)
from noburn_daemon.book import Book
from noburn_daemon.clock import Clock
from noburn_daemon.commits import Commits
from noburn_daemon.deaths import Deaths
from noburn_daemon.exact import count_input
from noburn_daemon.history import History
from noburn_daemon.keyless import Keyless
from noburn_daemon.keys import Keys
from noburn_daemon.owners import Processes
from noburn_daemon.peer import PeerConnection
from noburn_daemon.pricefile import PriceFile
from noburn_daemon.pricefollowing import PriceFollower
from noburn_daemon.pricing import Pricing
from noburn_daemon.replies import Reply, from_error, refusal
from noburn_daemon.restore import forget_ended
from noburn_daemon.service import Service
from noburn_daemon.sqlite import SqliteLedger
from noburn_daemon.telling import Teller
from noburn_daemon.undelivered import Undelivered
from noburn_daemon.watching import Watchers

TICK_S = 0.25
#: How often limits of runs that ended long ago are looked for.
FORGET_MS = 3_600_000
#: Requests that change no money, and are answered whatever the disk does.
_READING = (
    frames.Status, frames.BudgetList, frames.Remaining, frames.RunWatch, frames.RunList,
    frames.Hello, frames.Shutdown, frames.KeysLend, frames.KeyFor,
    frames.Reload, frames.NotifyList,
)  # fmt: skip

#: Rare ones, which find everything before them on the disk, and are written with a snapshot.
_ADMINISTRATIVE = frozenset(
    (frames.RunStart, frames.RunEnd, frames.RunLimit, frames.BudgetSet, frames.BudgetRm,
     frames.BudgetTopup, frames.BudgetUnschedule, frames.BudgetApply, frames.LedgerCorrect,
     frames.LedgerUndo)
)  # fmt: skip

_log = logging.getLogger("noburn.daemon")


class Daemon:
    """Everything that one daemon process has, and its one writer."""

    def __init__(
        self, *, ledger: SqliteLedger, pricing: Pricing, prices: PriceFile, clock: Clock,
        idle_exit_s: float, loop: asyncio.AbstractEventLoop, processes: Processes | None = None,
        service: Service | None = None, undelivered: Path | None = None,
    ) -> None:  # fmt: skip
        """processes: who asks and who has died; by default those of this machine.

        service: what stands around the ledger; by default nothing does.
        undelivered: the folder of endings that clients could not deliver; by default none is read.
        """
        self.clock = clock
        self.processes = processes or Processes(clock.boot)
        self.peers: set[PeerConnection] = set()
        self.keys = Keys()
        self.done = loop.create_future()
        self._ledger = ledger
        self._pricing = pricing
        #: Changes of budgets that our own failure broke off, with what it was.
        self._broken_changes: dict[int, str] = {}
        self._loop = loop
        self.idle_exit_s = idle_exit_s
        self._service = service
        self.is_draining = False
        self._forget_at_ms = 0
        self._counter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokens")
        self._watchers = Watchers(loop)
        self._prices = PriceFollower(
            prices, pricing, ledger, thread=self._counter, loop=loop, replaced=self._look_again
        )
        self._commits = Commits(
            ledger=ledger, pricing=pricing, clock=clock, watchers=self._watchers, loop=loop,
            rebuilt=lambda: self._deaths.watch_restored(),
        )  # fmt: skip
        self._deaths = Deaths(
            loop=loop, commits=self._commits, processes=self.processes, peers=self.peers
        )
        self._history = History(ledger=ledger, commits=self._commits, loop=loop, failed=self.drain)
        self._keyless = Keyless(self.keys, loop, answer=self._commits.reply, again=self._ask_again)
        self._teller = Teller(
            ledger=ledger, commits=self._commits, pricing=pricing, prices=self._prices, clock=clock,
            more=service.warnings if service is not None else list,
        )  # fmt: skip
        self._undelivered: Undelivered | None = None
        if undelivered is not None:
            self._undelivered = Undelivered(undelivered, self._commits, loop)
            self._undelivered.start()
        self._deaths.watch_restored()
        if self._commits.now() >= self.book.schedule.next_ms:
            self._change_what_is_due()
        self._timer = loop.call_later(TICK_S, self._tick)
        self._handlers = self._handlers_by_kind()
        if service is not None:
            service.attach(
                self, ledger=ledger, commits=self._commits, thread=self._counter, loop=loop
            )
            self._handlers.update(service.handlers())
            for kind in (frames.BudgetSet, frames.BudgetApply):
                self._handlers[kind] = service.knowing_channels(self._handlers[kind])

    @property
    def book(self) -> Book:
        """The book of now: after a failed commit it is another one."""
        return self._commits.book

    def _handlers_by_kind(self) -> dict[type, Callable[[PeerConnection, Any, int], Any]]:
        return {
            frames.Hello: lambda _peer, frame, _now: refusal(
                frame.n, protocol.BAD_FRAME, "hello comes once"
            ),
            frames.Reserve: self._reserve,
            frames.Settle: lambda _peer, frame, now: ending.settle(self.book, frame, now),
            frames.Lose: lambda _peer, frame, now: ending.lose(self.book, frame, now),
            frames.Void: lambda _peer, frame, now: ending.void(self.book, frame, now),
            frames.Refused: lambda _peer, frame, now: reserving.refused(self.book, frame, now),
            frames.RunStart: self._run_start,
            frames.RunEnd: self._run_end,
            frames.RunWatch: self._run_watch,
            frames.RunNote: lambda _peer, frame, now: running.note(self.book, frame, now),
            frames.KeysLend: self._keyless.lend,
            frames.KeyFor: self._keyless.key,
            frames.RunStop: lambda _peer, frame, now: stopping.stop_run(self.book, frame, now),
            frames.RunPause: lambda _peer, frame, now: stopping.pause_run(self.book, frame, now),
            frames.RunResume: self._run_resume,
            frames.RunLimit: lambda _peer, frame, now: stopping.limit_run(self.book, frame, now),
            frames.RunList: self._run_list,
            frames.BudgetSet: lambda _peer, frame, now: scheduling.set_budget(
                self.book, frame, now
            ),
            frames.BudgetRm: lambda _peer, frame, now: scheduling.remove_budget(
                self.book, frame, now
            ),
            frames.LedgerCorrect: lambda _peer, frame, now: correcting.correct(
                self.book, frame, now
            ),
            frames.LedgerUndo: lambda _peer, frame, now: correcting.undo(self.book, frame, now),
            frames.LedgerCompact: lambda _peer, frame, now: self._history.compact(frame, now),
            frames.LedgerForget: lambda _peer, frame, _now: self._history.forget(frame),
            frames.BudgetTopup: lambda _peer, frame, now: policy.top_up(self.book, frame, now),
            frames.BudgetUnschedule: lambda _peer, frame, now: scheduling.unschedule(
                self.book, frame, now
            ),
            frames.BudgetApply: lambda _peer, frame, now: applying.apply(self.book, frame, now),
            frames.BudgetList: lambda _peer, frame, now: showing.list_budgets(
                self.book, frame, now
            ),
            frames.Remaining: lambda _peer, frame, now: showing.remaining(self.book, frame, now),
            frames.Status: self._status,
            frames.Shutdown: self._shutdown,
            frames.Reload: _alone,
            frames.NotifyList: _alone,
            frames.NotifyTest: _alone,
            frames.NotifyRetry: _alone,
        }

    # Requests.

    def handle(self, peer: PeerConnection, request: frames.Request) -> None:
        """Do what a request asks; its reply leaves with the next flush, or later for a waiter.

        The requests of one turn have one time.
        """
        commits = self._commits
        if not commits.is_scheduled:
            commits.schedule()
            commits.now()
        kind = type(request)
        if commits.sick is not None and not commits.recovered() and kind not in _READING:
            commits.reply(peer, refusal(request.n, protocol.LEDGER, commits.sick or ""))
            return
        if commits.turn_ms >= commits.book.schedule.next_ms:
            self._change_what_is_due()
            if commits.sick is not None and kind not in _READING:
                commits.reply(peer, refusal(request.n, protocol.LEDGER, commits.sick))
                return
        if kind in _ADMINISTRATIVE:
            commits.flush()  # so that the disk tells what the memory knows
            if commits.sick is not None:  # It could not: there is nothing to build on.
                commits.reply(peer, refusal(request.n, protocol.LEDGER, commits.sick))
                return
            commits.force_snapshot = True
        try:
            reply = self._handlers[kind](peer, request, commits.turn_ms)
        except Exception as error:  # noqa: BLE001 - see Commits.distrust_memory
            reply = self._failed(request.n, error)
        if reply is not None:
            commits.replies.append((peer, reply))
        if not commits.is_scheduled:
            commits.schedule()

    def _failed(self, n: int, error: Exception) -> Reply:
        """The reply to a request that raised; after a failure of disk or code, what that means."""
        if isinstance(error, frames.BadFrame):
            return refusal(n, protocol.BAD_FRAME, error.why)
        if isinstance(error, UsageError):
            return from_error(n, protocol.BAD_FRAME, error)
        if isinstance(error, LedgerUnavailable):
            self._commits.fall_sick(error)
            return refusal(n, protocol.UNKNOWN, error.message, why=error.why)
        self._commits.distrust_memory(error)
        return refusal(n, protocol.UNKNOWN, "the daemon itself failed; see its log")

    def _change_what_is_due(self) -> None:
        """Do the changes of budgets whose moment has come."""
        commits = self._commits
        if commits.sick is None:
            commits.flush()
        if commits.sick is not None:
            return  # Nothing is granted either, and the disk comes back before anything is.
        commits.force_snapshot = True
        try:
            scheduling.apply_due(commits.book, commits.now(), self._broken_changes)
        except LedgerUnavailable as error:
            commits.fall_sick(error)
        except Exception as error:  # noqa: BLE001 - see Commits.distrust_memory
            commits.distrust_memory(error)
        if not commits.is_scheduled:
            commits.schedule()

    def _reserve(self, peer: PeerConnection, frame: frames.Reserve, now_ms: int) -> Any:
        if self.is_draining:
            return refusal(frame.n, protocol.DRAINING, "the daemon is leaving: connect again")
        if frame.key is not None:
            real = self.keys.real(frame.key)
            if real is None:
                return self._keyless.put_off(peer, frame)
            # Only here can a subscription's token be told from a key.
            frame.notional = frame.notional or is_login(real)
            peer.keyed[frame.n] = frame.key
        if frame.texts is not None:
            return self._reserve_exactly(peer, frame)
        return self._decide(peer, frame, now_ms, None)

    def _decide(
        self, peer: PeerConnection, frame: frames.Reserve, now_ms: int, exact_tokens: int | None
    ) -> Any:
        reply = reserving.reserve(
            self.book, frame, owner=peer.owner, caller=peer, now_ms=now_ms,
            exact_tokens=exact_tokens,
        )  # fmt: skip
        if reply is None:
            self._loop.call_later(frame.wait_ms / 1000 + 0.005, self._look_again)
        return reply

    def _reserve_exactly(self, peer: PeerConnection, frame: frames.Reserve) -> Any:
        texts, frame.texts = frame.texts, None
        assert texts is not None
        try:
            tokenizer = self._pricing.tokenizer(frame.model)
        except NoburnError:
            return self._decide(peer, frame, self._commits.now(), None)  # which says why
        counting = self._loop.run_in_executor(
            self._counter, lambda: count_input(texts, frame.input, tokenizer=tokenizer)
        )
        counting.add_done_callback(lambda done: self._counted(peer, frame, done))
        return None

    def _counted(
        self, peer: PeerConnection, frame: frames.Reserve, done: asyncio.Future[int]
    ) -> None:
        if done.cancelled() or not peer.is_open:
            return
        exact_tokens: int | None = None
        if done.exception() is None:
            exact_tokens = done.result()
        else:
            _log.error("counting failed: %s", type(done.exception()).__name__)
            frame.refined = True  # decide on the cheap bound, and don't ask for the text again
        if self._commits.sick is not None and not self._commits.recovered():
            self._commits.reply(peer, refusal(frame.n, protocol.LEDGER, self._commits.sick or ""))
            return
        now_ms = self._commits.now()
        if now_ms >= self.book.schedule.next_ms:
            self._change_what_is_due()
            if self._commits.sick is not None:
                self._commits.reply(peer, refusal(frame.n, protocol.LEDGER, self._commits.sick))
                return
        try:
            reply = self._decide(peer, frame, now_ms, exact_tokens)
        except Exception as error:  # noqa: BLE001 - see Commits.distrust_memory
            reply = self._failed(frame.n, error)
        if reply is not None:
            self._commits.reply(peer, reply)
        elif not self._commits.is_scheduled:
            self._commits.schedule()

    def _ask_again(self, peer: PeerConnection, frame: Any) -> None:
        if peer.is_open:
            self.handle(peer, frame)

    def _run_start(self, peer: PeerConnection, frame: frames.RunStart, now_ms: int) -> Reply | None:
        if self._prices.changed():
            # The run was started with endpoints that its calls are to be priced by.
            self._prices.read(lambda: self._ask_again(peer, frame))
            return None
        return running.start_run(self.book, frame, peer.owner, now_ms)

    def _run_end(self, _peer: PeerConnection, frame: frames.RunEnd, now_ms: int) -> Reply:
        if running.end_run(self.book, frame.run, frame.exit_code, now_ms):
            stopped = stopping.stopped_message(self.book, frame.run)
            return {"n": frame.n, "ok": True, "stopped": stopped}
        return refusal(frame.n, protocol.NOT_FOUND, f"there is no open run {frame.run}")

    def _run_watch(self, peer: PeerConnection, frame: frames.RunWatch, _now_ms: int) -> Reply:
        self._watchers.add(peer, frame.run)
        return {"n": frame.n, "ok": True, **stopping.state_of(self.book, frame.run)}

    def _run_resume(self, _peer: PeerConnection, frame: frames.RunResume, now_ms: int) -> Reply:
        reply = stopping.resume_run(self.book, frame, now_ms)
        reserving.look_at_waiters(self.book, now_ms)
        for waiter in self.book.waiting:  # their time for money goes on now
            self._loop.call_later(
                max(0, waiter.deadline_ms - now_ms) / 1000 + 0.005, self._look_again
            )
        return reply

    def _run_list(self, _peer: PeerConnection, frame: frames.RunList, now_ms: int) -> Reply:
        if self._commits.sick is None:
            self._commits.flush()  # what is summed is read from the journal
        return stopping.list_runs(self.book, frame, now_ms)

    def _status(self, _peer: PeerConnection, frame: frames.Status, now_ms: int) -> Reply:
        more = self._service.status() if self._service is not None else {}
        return {**self._teller.status(frame, now_ms, connections=len(self.peers)), **more}

    def _shutdown(self, _peer: PeerConnection, frame: frames.Shutdown, _now_ms: int) -> Reply:
        self._loop.call_soon(self.drain)
        return {"n": frame.n, "ok": True}

    # Time and processes.

    def _look_again(self) -> None:
        self.book.stirred = True
        if not self._commits.is_scheduled:
            self._commits.schedule()

    def _tick(self) -> None:
        self._timer = self._loop.call_later(TICK_S, self._tick)
        now_ms = self._commits.now()
        if now_ms >= self.book.schedule.next_ms:
            self._change_what_is_due()
        if now_ms >= self.book.accounts.next_ms:
            self.book.advance(now_ms)
            self._look_again()
        if now_ms >= self._forget_at_ms:
            self._forget_at_ms = now_ms + FORGET_MS
            forget_ended(self.book, now_ms)
        self._deaths.bury(now_ms)
        if not self.is_draining:
            self._prices.look()
            if self._undelivered is not None:
                self._undelivered.look()
        if self._service is not None:
            self._service.tick()
        self._watchers.tell_paused(self.book)
        book = self.book
        if (
            self.peers
            or book.calls.open
            or book.runs.owners
            or len(book.waiting)
            or (self._service is not None and self._service.is_busy)
        ):
            self._commits.busy_at = self._loop.time()
        elif self._loop.time() - self._commits.busy_at >= self.idle_exit_s:
            _log.info("idle: leaving")
            self.drain()

    def watch(self, owner: str) -> None:
        """Notice when that process is gone."""
        self._deaths.watch(owner)

    def lost(self, peer: PeerConnection) -> None:
        """A connection has ended: what waits for it alone is cancelled; holds stay."""
        self.peers.discard(peer)
        self.keys.take_back(peer)
        self._keyless.forget(peer)
        self._watchers.remove(peer)
        for waiter in self.book.waiting:
            waiter.callers = [pair for pair in waiter.callers if pair[0] is not peer]
            if not waiter.callers:
                self.book.waiting.remove(waiter)
                self._look_again()
        self._deaths.disconnected(peer.owner)

    # The end.

    def drain(self) -> None:
        """Refuse waiters, commit, answer, close, leave.  Holds stay."""
        if self.is_draining:
            return
        self.is_draining = True
        if self._service is not None:
            self._service.leaving()
        reply = refusal(None, protocol.DRAINING, "the daemon is leaving: connect again")
        for waiter in self.book.waiting:
            self.book.dismiss(waiter, reply)
        self._commits.replies.extend((peer, {**reply, "n": n}) for peer, n in self._keyless.drain())
        self._commits.force_snapshot = True
        self._commits.flush()
        self._history.close()
        for peer in list(self.peers):
            peer.close()
        self._timer.cancel()
        if self._undelivered is not None:
            self._undelivered.close()
        self._deaths.close()
        self._counter.shutdown(wait=False, cancel_futures=True)
        if not self.done.done():
            self.done.set_result(None)


def _alone(_peer: PeerConnection, frame: Any, _now_ms: int) -> Reply:
    return refusal(frame.n, protocol.NOT_FOUND, "this daemon runs without settings")
