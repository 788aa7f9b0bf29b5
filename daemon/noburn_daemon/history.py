"""Requests that make the ledger's file anew: `ledger.compact` and `ledger.forget`.

Layer: daemon, event loop.  Below: compacting, forgetting, rewriting, commits, sqlite.
Above: server.
Owns: the one piece of such work under way, in a thread; the moment at which the new file takes the
old one's place; and what is refused beforehand.
Not here: what is taken or changed (compacting, forgetting), how (rewriting).

The work takes seconds or minutes.  A request for it is answered at once: how far it is, or, asked
again when it is done, what came of it.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from noburn_cli import protocol
from noburn_cli.core.budgets import check_name
from noburn_cli.core.months import check_month, month_start_ms
from noburn_cli.core.seals import Seal
from noburn_cli.core.windows import RUN, TOTAL, bucket_ms, rolling_ms
from noburn_cli.errors import LedgerUnavailable, UsageError
from noburn_daemon import compacting, frames
from noburn_daemon.account import Budget
from noburn_daemon.commits import Commits
from noburn_daemon.compacting import Compaction
from noburn_daemon.forgetting import Forgetting
from noburn_daemon.pseudonyms import Pseudonym
from noburn_daemon.replies import Reply, refusal
from noburn_daemon.rewriting import LAST_ROWS, Change, NewFile, remove_leftovers
from noburn_daemon.sqlite import SqliteLedger

#: A call that waits in a paused run may still be granted under an id of the day before.
_AFTER_MONTH_MS = 24 * 3_600_000
#: How often a reader may keep the new file from taking the place, and how long between the tries.
_TRIES = 40
_TRY_AGAIN_S = 0.25
#: How long what came of it is kept for whoever asked.
_KEPT_S = 300.0

_log = logging.getLogger("noburn.history")


@dataclass
class _Work:
    """One request, until whoever made it has heard what came of it."""

    key: tuple[Any, ...]
    done: int = 0
    total: int = 0
    result: Reply | None = None
    tries: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    bytes_before: int = 0


class History:
    """The work under way, if any.

    failed: called when neither file can be opened any more.
    """

    def __init__(
        self, *, ledger: SqliteLedger, commits: Commits, loop: asyncio.AbstractEventLoop,
        failed: Callable[[], None],
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._commits = commits
        self._loop = loop
        self._failed = failed
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="history")
        self._work: _Work | None = None
        remove_leftovers(ledger.path)

    def close(self) -> None:
        """Give up what is under way; the file stays as it is."""
        if self._work is not None:
            self._work.stop.set()
        self._thread.shutdown(wait=True)

    # Requests.

    def compact(self, frame: frames.LedgerCompact, now_ms: int) -> Reply:
        """Take the calls of the months before one.  Raises UsageError."""
        key = ("compact", frame.before, frame.dry_run)
        if self._work is None or self._work.key != key:
            before = check_month(frame.before)
            self._check_budgets(before, now_ms)
            through = self._ledger.last_before(month_start_ms(before))
            if frame.dry_run:
                path = self._ledger.path
                return self._begin(frame.n, key, lambda _: _count(path, before, through))
            change = Compaction(before, through)
            return self._begin(frame.n, key, lambda work: self._rewrite(work, change))
        return self._state(frame.n, self._work)

    def forget(self, frame: frames.LedgerForget) -> Reply:
        """Put a pseudonym where a name stands.  Raises UsageError."""
        key = ("forget", frame.key, frame.value, frame.dry_run)
        if self._work is None or self._work.key != key:
            value = check_name(frame.key, frame.value)
            self._check_runs(frame.key, value)
            stand_in = f"(forgotten {secrets.token_hex(4)})"
            change = Forgetting(Pseudonym(frame.key, value, stand_in), self._ledger.sealed())
            return self._begin(
                frame.n, key, lambda work: self._rewrite(work, change, dry_run=frame.dry_run)
            )
        return self._state(frame.n, self._work)

    def _begin(self, n: int, key: tuple[Any, ...], run: Callable[[_Work], Reply | None]) -> Reply:
        if self._work is not None and self._work.result is None:
            return refusal(
                n, protocol.LEDGER, "the ledger's file is being made anew already",
                why=f"`{self._work.key[0]}` is under way", next_step="wait until it is done",
            )  # fmt: skip
        work = self._work = _Work(key)
        self._loop.run_in_executor(self._thread, self._guarded, work, run)
        return self._state(n, work)

    def _state(self, n: int, work: _Work) -> Reply:
        """How far it is; or, once, what came of it."""
        if work.result is None:
            return {"n": n, "ok": True, "state": "working", "done": work.done, "total": work.total}
        self._work = None
        return {"n": n, **work.result}

    def _check_budgets(self, before: str, now_ms: int) -> None:
        """Whether every window that counts now began after what is to be compacted."""
        start_ms = month_start_ms(before)
        if now_ms < start_ms + _AFTER_MONTH_MS:
            raise UsageError(
                f"{before} began less than a day ago, or has not begun",
                why="calls of the month before it may still be waiting for their answer",
                next_step="compact up to an earlier month",
            )
        for budget in self._commits.book.accounts.budgets.values():
            if _counts_from_ms(budget, now_ms) < start_ms:
                raise UsageError(
                    f"budget `{budget.name}` counts calls from before {before}",
                    why="its window began earlier, and sums by month cannot be cut at that moment",
                    next_step="compact up to an earlier month",
                )

    def _check_runs(self, key: str, value: str) -> None:
        if key == "run" and any(value in run.split("/") for run in self._commits.book.runs.owners):
            raise UsageError(f"run {value} is open", next_step="forget it when it has ended")

    # The thread.

    def _guarded(self, work: _Work, run: Callable[[_Work], Reply | None]) -> None:
        try:
            result = run(work)
        except Exception as error:  # noqa: BLE001 - logged; whoever asked hears of it
            _log.exception("%s failed", work.key[0])
            result = _failure(error)
        if result is not None:
            self._loop.call_soon_threadsafe(self._conclude, work, result)

    def _rewrite(self, work: _Work, change: Change, *, dry_run: bool = False) -> Reply | None:
        """Make the new file up to the last few rows; None when the loop is to do the rest."""
        work.bytes_before = self._ledger.path.stat().st_size
        new = NewFile(self._ledger.path, change)
        try:
            while True:
                work.done, work.total = new.copy_some()
                if work.total - work.done <= LAST_ROWS:
                    break
                if work.stop.is_set():
                    new.give_up()
                    return refusal(None, protocol.DRAINING, "the daemon is leaving: ask again")
            if dry_run:
                new.copy_tables()
                new.give_up()
                return {"ok": True, "state": "done", **change.detail()}
            seal = new.seal()
        except BaseException:
            new.give_up()
            raise
        self._loop.call_soon_threadsafe(self._put_in_place, work, new, seal)
        return None

    # The loop.

    def _put_in_place(self, work: _Work, new: NewFile, seal: Seal) -> None:
        """Let the new file take the old one's place, with nothing written in between."""
        since = self._loop.time()
        commits = self._commits
        commits.force_snapshot = True
        commits.flush()
        if commits.sick is not None or work.stop.is_set():
            new.give_up()
            self._conclude(work, _failure(LedgerUnavailable(commits.sick or "draining")))
            return
        try:
            if not self._ledger.is_checkpointed():
                work.tries += 1
                if work.tries > _TRIES:
                    raise LedgerUnavailable("somebody reads the ledger and does not stop")
                self._loop.call_later(_TRY_AGAIN_S, self._put_in_place, work, new, seal)
                return
            before = self._ledger.head
            new.finish(seal, commits.now())
            if not new.change.is_needed():
                new.give_up()
                self._conclude(work, self._done(work, new.change, before))
                return
        except Exception as error:  # noqa: BLE001 - as above
            if not isinstance(error, LedgerUnavailable):
                _log.exception("%s failed", work.key[0])
            new.give_up()
            self._conclude(work, _failure(error))
            return
        self._replace(work, new, before, since)

    def _replace(self, work: _Work, new: NewFile, before: tuple[int, str], since: float) -> None:
        """since: when the loop began to do nothing else."""
        commits = self._commits
        try:
            self._ledger.go_on_with(new.path)
        except LedgerUnavailable as error:
            # Neither file is open: a new daemon begins with the one that has the name.
            _log.error("the new file could not be opened: %s", error.message)
            commits.fall_sick(error)
            self._conclude(work, _failure(error))
            self._failed()
            return
        if new.change.kind == "forget":
            commits.begin_anew("a name was forgotten: ask again with the same id")
        head = self._ledger.head
        _log.info(
            "%s: the file was made anew up to row %d, everybody waited for %.0f ms",
            new.change.kind, head[0], 1000 * (self._loop.time() - since),
        )  # fmt: skip
        self._conclude(work, self._done(work, new.change, before))

    def _done(self, work: _Work, change: Change, before: tuple[int, str]) -> Reply:
        head = self._ledger.head
        return {
            "ok": True, "state": "done", **change.detail(),
            "head_before": before[1], "head_seq": head[0], "head": head[1],
            "bytes_before": work.bytes_before, "bytes": self._ledger.path.stat().st_size,
        }  # fmt: skip

    def _conclude(self, work: _Work, result: Reply) -> None:
        work.result = {key: value for key, value in result.items() if key != "n"}
        self._loop.call_later(_KEPT_S, self._drop, work)

    def _drop(self, work: _Work) -> None:
        if self._work is work:
            self._work = None


def _counts_from_ms(budget: Budget, now_ms: int) -> int:
    """From when on a budget counts calls; all of them count where sums by month do as well."""
    length_ms = rolling_ms(budget.row.per)
    if length_ms is not None:
        # The oldest call that may still count: one whose bucket is about to expire.
        return now_ms - length_ms - bucket_ms(length_ms)
    if budget.row.per in (TOTAL, RUN):
        return 2**62
    start_ms, end_ms = budget.window.bounds(now_ms)
    return 2**62 if end_ms is None else start_ms


def _count(path: Path, before: str, through: int) -> Reply:
    """The dry run: what would be taken."""
    connection = apsw.Connection(":memory:")
    try:
        connection.execute("ATTACH ? AS old", (str(path),))
        found = compacting.count(connection, before, through)
    finally:
        connection.close()
    return {"ok": True, "state": "done", "before": before, "through": through, **found}


def _said(error: Exception) -> str:
    """What an error says; of those that are a defect of ours only the class."""
    expected = isinstance(error, (apsw.Error, OSError, ValueError))
    return str(error) if expected else type(error).__name__


def _failure(error: Exception) -> Reply:
    message = error.message if isinstance(error, LedgerUnavailable) else _said(error)
    return refusal(
        None, protocol.LEDGER, f"the ledger's file could not be made anew: {message}",
        why="it is as it was", next_step="see `noburn daemon logs`, free space, and try again",
    )  # fmt: skip
