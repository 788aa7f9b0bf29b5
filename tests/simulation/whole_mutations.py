"""Defects of what stands around the ledger, planted one at a time; see mutations."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any
from unittest import mock

from noburn_daemon import alerts, delivering, queries, rewriting, sqlite
from noburn_daemon.commits import Commits
from noburn_daemon.outbox import Outbox
from noburn_daemon.sqlite import SqliteLedger
from tests.simulation.names import SYNC_FOLDER

Mutant = Callable[[], AbstractContextManager[Any]]


def remember_the_name() -> AbstractContextManager[Any]:
    """The file has forgotten a customer, and the memory has not."""
    return mock.patch.object(Commits, "begin_anew", return_value=None)


def rename_unsynced() -> AbstractContextManager[Any]:
    """The new file gets the old one's name before it is on the disk."""
    return mock.patch.object(rewriting.NewFile, "_sync", return_value=None)


def compact_too_much() -> AbstractContextManager[Any]:
    """Compacting takes calls of the month that was to stay."""
    return mock.patch.object(SqliteLedger, "last_before", lambda self, _at_ms: self._seq)


def forget_compacted_ids() -> AbstractContextManager[Any]:
    """An id whose rows are gone is taken for a new one."""

    @contextlib.contextmanager
    def planted() -> Iterator[None]:
        with (
            mock.patch.object(sqlite, "was_compacted", return_value=False),
            mock.patch.object(queries, "greatest_closed", return_value=[]),
        ):
            yield

    return planted()


def keep_old_sums() -> AbstractContextManager[Any]:
    """What ended while the new file was made is in its rows, and not in its sums."""
    return mock.patch.object(rewriting, "_NEWER_SUMS", "SELECT :after")


def leave_rows_behind() -> AbstractContextManager[Any]:
    """What was written while the new file was made is not copied."""
    return mock.patch.object(rewriting.NewFile, "_head_seq", lambda self: self._copied)


def lose_failed_messages() -> AbstractContextManager[Any]:
    """A message that was refused counts as delivered."""

    def delivered(self: Outbox, message: Any, _failure: str, *, next_at_ms: int) -> None:
        self.delivered(message, next_at_ms)

    return mock.patch.object(Outbox, "failed", delivered)


def tell_without_row() -> AbstractContextManager[Any]:
    """A message goes out at once, whatever becomes of its transaction."""
    tell = alerts._tell_account

    def hasty(book: Any, account: Any, now_ms: int) -> bool:
        told = tell(book, account, now_ms)
        book.changed.notices = []
        return told

    return mock.patch.object(alerts, "_tell_account", hasty)


def tell_of_removed() -> AbstractContextManager[Any]:
    """A budget that was removed tells of its thresholds as long as its calls end."""

    def any_account(book: Any, now_ms: int, _operators: Any) -> bool:
        crossed, book.accounts.crossed = book.accounts.crossed, {}
        book.happened = []
        return [alerts._tell_account(book, account, now_ms) for account in crossed].count(True) > 0

    return mock.patch.object(alerts, "tell", any_account)


def keep_durability() -> AbstractContextManager[Any]:
    """Settings are read again, and commits are as durable as before."""
    return mock.patch.object(SqliteLedger, "set_durability", return_value=None)


def deliver_by_memory() -> AbstractContextManager[Any]:
    """A daemon delivers what it has put down itself, and not what the one before it left."""
    start = delivering.Dispatcher.use

    def forgetful(self: Any, channels: Any) -> None:
        start(self, channels)
        self._wake_at_ms = 0

    def quiet(self: Any) -> None:
        self._rests.clear()

    @contextlib.contextmanager
    def planted() -> Iterator[None]:
        with (
            mock.patch.object(delivering.Dispatcher, "use", forgetful),
            mock.patch.object(delivering.Dispatcher, "try_anew", quiet),
        ):
            yield

    return planted()


_NEW_FILES = {"months": 2, "compact": 3, "forget": 3}
_NO_POWER = {"forget": 6, "settings": 0, "deaths": (SYNC_FOLDER,), "darkness": 1.0}

#: By name: the defect, and the mixture in which it is to be found soon.
WHOLE_MUTANTS: dict[str, tuple[Mutant, dict[str, Any]]] = {
    "compact too much": (compact_too_much, _NEW_FILES),
    "deliver by memory": (deliver_by_memory, {"kill": 3}),
    "forget compacted ids": (forget_compacted_ids, {**_NEW_FILES, "again": 8, "kill": 3}),
    "keep durability": (keep_durability, {"settings": 3}),
    "keep old sums": (keep_old_sums, _NEW_FILES),
    "leave rows behind": (leave_rows_behind, _NEW_FILES),
    "lose failed messages": (lose_failed_messages, {}),
    "remember the name": (remember_the_name, {"forget": 3}),
    "rename unsynced": (rename_unsynced, _NO_POWER),
    "tell of removed": (tell_of_removed, {"policy": 3}),
    "tell without row": (tell_without_row, {}),
}

#: Found once in some ten to some hundred seeds.
WHOLE_RARE = {
    "forget compacted ids", "keep durability", "tell of removed",
}  # fmt: skip
