"""Defects, planted one at a time: the simulation is worth what it finds of them.

Each is a way in which a daemon like this one has been, or could be, wrong.  `python -m
tests.simulation --mutant NAME` looks for the first seed that finds one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

import apsw

from noburn_cli.client import retry
from noburn_daemon import ending, opening, reserving, restore, server, sqlite
from noburn_daemon.book import Book
from noburn_daemon.calls import CallMemory
from noburn_daemon.clock import Clock
from noburn_daemon.commits import Commits
from noburn_daemon.peer import PeerConnection
from noburn_daemon.server import Daemon
from noburn_daemon.sqlite import SqliteLedger
from tests.simulation import disk

Mutant = Callable[[], AbstractContextManager[Any]]


def answer_before_commit() -> AbstractContextManager[Any]:
    """Replies leave, and then their rows are written."""
    commit = Commits._commit

    def hasty(self: Commits, book: Book) -> None:
        self.replies.extend(book.outbox)  # type: ignore[arg-type]
        book.outbox.clear()
        self._deliver()
        commit(self, book)

    return mock.patch.object(Commits, "_commit", hasty)


def skip_sync() -> AbstractContextManager[Any]:
    """`power` durability that never syncs."""
    return mock.patch.dict(sqlite.DURABILITIES, power="OFF")


def no_rebuild() -> AbstractContextManager[Any]:
    """After a failed commit the memory is trusted."""

    def trust(self: Commits) -> bool:
        self.book.events.clear()
        return True

    return mock.patch.object(Commits, "_rebuild", trust)


def release_twice() -> AbstractContextManager[Any]:
    """A void gives its money back twice."""
    close_call = Book.close_call

    def twice(self: Book, call: Any, event: Any) -> None:
        was_held = call.state == "held"
        close_call(self, call, event)
        if event.kind == "void" and was_held:
            for account in call.accounts:
                account.held -= call.hold[account.unit_index]

    return mock.patch.object(Book, "close_call", twice)


def void_orphans() -> AbstractContextManager[Any]:
    """What a dead process held is released instead of charged."""

    def release(book: Book, owner: str, now_ms: int) -> int:
        orphans = [call for call in book.calls.open.values() if call.owner == owner]
        for call in orphans:
            ending._end(book, call, ending.Event(0, now_ms, "void", call=call.id))
        return len(orphans)

    return mock.patch.object(ending, "owner_gone", release)


def orphan_on_disconnect() -> AbstractContextManager[Any]:
    """A lost connection is taken for a dead process."""
    lost = Daemon.lost

    def hasty(self: Daemon, peer: PeerConnection) -> None:
        lost(self, peer)
        if peer.owner:
            self._deaths.gone(peer.owner)

    return mock.patch.object(Daemon, "lost", hasty)


def forget_newer_rows() -> AbstractContextManager[Any]:
    """A restart reads the snapshot, and not what came after it."""
    return mock.patch.object(restore, "_replay", return_value=None)


def check_then_act() -> AbstractContextManager[Any]:
    """Holds of others are not looked at."""
    admit = reserving.admit

    def careless(quote: Any, accounts: Any) -> int:
        accounts = list(accounts)
        with contextlib.ExitStack() as stack:
            for account in accounts:
                stack.callback(setattr, account, "held", account.held)
                account.held = 0
            return admit(quote, accounts)

    return mock.patch.object(reserving, "admit", careless)


def forget_ids() -> AbstractContextManager[Any]:
    """An id is known while its call is open, and no longer."""
    return mock.patch.object(CallMemory, "get", lambda self, call: self.open.get(call))


def no_tombstones() -> AbstractContextManager[Any]:
    """A void of an unknown id leaves nothing behind."""
    void = ending.void

    def forgetful(book: Book, frame: Any, now_ms: int) -> Any:
        known = book.calls.get(frame.call)
        reply = void(book, frame, now_ms)
        if known is None:
            book.events = [e for e in book.events if e.kind != "tombstone"]
            book.calls._recent.pop(frame.call, None)
        return reply

    return mock.patch.object(server.ending, "void", forgetful)


def forget_waiters() -> AbstractContextManager[Any]:
    """Nobody looks at the queue when a call has ended."""
    close_call = Book.close_call

    def quiet(self: Book, call: Any, event: Any) -> None:
        before = self.stirred
        close_call(self, call, event)
        self.stirred = before

    return mock.patch.object(Book, "close_call", quiet)


def silent_failure() -> AbstractContextManager[Any]:
    """Who waited when a commit failed hears nothing."""
    fall_sick = Commits.fall_sick

    def silent(self: Commits, error: Any) -> None:
        for waiter in self.book.waiting:
            self.book.waiting.remove(waiter)
        fall_sick(self, error)

    return mock.patch.object(Commits, "fall_sick", silent)


def follow_the_wall() -> AbstractContextManager[Any]:
    """The ledger's time is the wall clock's."""
    return mock.patch.object(Clock, "now_ms", lambda self: self._wall())


def snapshot_ahead() -> AbstractContextManager[Any]:
    """A snapshot says that it knows a row more than it does."""
    write = SqliteLedger._write_snapshot
    return mock.patch.object(
        SqliteLedger, "_write_snapshot", lambda self, snapshot, seq: write(self, snapshot, seq + 1)
    )


def keep_the_log() -> AbstractContextManager[Any]:
    """A daemon goes on behind what a failed sync may have left in the log."""
    return mock.patch.object(opening, "_write_log_again", return_value=None)


def answer_twice() -> AbstractContextManager[Any]:
    """Waiters stay in a book that could not be made anew."""

    @contextlib.contextmanager
    def planted() -> Iterator[None]:
        fall_sick = Commits.fall_sick

        def kept(self: Commits, error: Any) -> None:
            waiters = list(self.book.waiting)
            book = self.book
            fall_sick(self, error)
            if self.book is book:
                for waiter in waiters:
                    book.waiting.add(waiter)

        with mock.patch.object(Commits, "fall_sick", kept):
            yield

    return planted()


def give_up_silently() -> AbstractContextManager[Any]:
    """A client does not void what `unknown` may have hidden."""
    return mock.patch.object(retry.Patience, "may_be_held", return_value=False)


def pass_the_queue() -> AbstractContextManager[Any]:
    """Whoever comes with room for itself passes all who wait."""
    decide = reserving._decide

    def pushing(book: Book, waiter: Any, now_ms: int, *, ahead: Any) -> Any:
        return decide(book, waiter, now_ms, ahead=set() if ahead is None else ahead)

    return mock.patch.object(reserving, "_decide", pushing)


def half_a_commit() -> AbstractContextManager[Any]:
    """Each row is a transaction of its own."""
    append = SqliteLedger.append

    def piecewise(self: SqliteLedger, events: Any, snapshot: Any) -> None:
        for event in events[:-1]:
            append(self, [event], None)
        append(self, events[-1:], snapshot)

    return mock.patch.object(SqliteLedger, "append", piecewise)


def torn_checkpoint() -> AbstractContextManager[Any]:
    """The file is written without the log's being synced first."""
    sync = apsw.VFSFile.xSync

    def skipping(self: Any, flags: int) -> None:
        if self._path.endswith("-wal"):
            sync(self, flags)
            return
        right(self, flags)

    right = disk._File.xSync
    return mock.patch.object(disk._File, "xSync", skipping)


_SICK = {"sick": 6, "locked": 0, "leave": 4, "errors": 0.02, "patient": 1, "every_us": 100_000}
_DARK = {"durability": "power", "power": 3, "kill in a write": 6, "sick": 3, "errors": 0.05,
         "every_us": 100_000}  # fmt: skip

#: By name: the defect, and the mixture of faults in which it is to be found soon.
MUTANTS: dict[str, tuple[Mutant, dict[str, Any]]] = {
    "answer before commit": (answer_before_commit, {}),
    "answer twice": (answer_twice, _SICK),
    "check then act": (check_then_act, {}),
    "follow the wall": (follow_the_wall, {"wall": 3}),
    "forget ids": (forget_ids, {}),
    "forget newer rows": (forget_newer_rows, {}),
    "forget waiters": (forget_waiters, {}),
    "give up silently": (give_up_silently, _SICK),
    "half a commit": (half_a_commit, {"kill in a write": 6, "sick": 3}),
    "keep the log": (keep_the_log, _DARK),
    "no rebuild": (no_rebuild, _SICK),
    "no tombstones": (no_tombstones, {"cut": 3}),
    "orphan on disconnect": (orphan_on_disconnect, {"cut": 3}),
    "pass the queue": (pass_the_queue, {}),
    "release twice": (release_twice, {}),
    "silent failure": (silent_failure, _SICK),
    "skip sync": (skip_sync, _DARK),
    "snapshot ahead": (snapshot_ahead, {}),
    "torn checkpoint": (torn_checkpoint, _DARK),
    "void orphans": (void_orphans, {"program dies": 3}),
}

#: Found once in some fifty to some hundred seeds.
RARE = {"answer twice", "keep the log", "silent failure", "give up silently"}
