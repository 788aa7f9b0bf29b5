"""Messages that wait to be delivered, in the ledger's file.

Layer: daemon, storage.  Below: apsw, ledger (Notice).  Above: sqlite (as
`SqliteLedger.outbox`), snapshots (put), delivering.
Owns: the table `outbox`.  A message is put in the transaction of what it tells of, and stays until
it was delivered, or was given up and then deleted after a month.
Not here: how one is delivered (webhook, hook_command), when (delivering).
Every method raises LedgerUnavailable when the file cannot be read or written.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import apsw

from noburn_daemon.ledger import Notice

DELIVERED_KEPT_MS = 7 * 24 * 3_600_000
GIVEN_UP_KEPT_MS = 30 * 24 * 3_600_000

_WAITS = "delivered_at_ms IS NULL AND given_up_at_ms IS NULL"
_PUT = (
    "INSERT INTO outbox (key, at_ms, channel, kind, payload, next_at_ms) VALUES (?, ?, ?, ?, ?, ?)"
)
_FIELDS = "id, key, at_ms, channel, kind, payload, attempts, next_at_ms"


@dataclass(frozen=True)
class Message:
    """One that waits."""

    id: int
    key: str
    at_ms: int
    channel: str
    kind: str
    payload: str
    attempts: int
    next_at_ms: int


@dataclass(frozen=True)
class Counts:
    """How many messages wait (of these so many after a failure), and how many were given up."""

    waiting: int
    failing: int
    given_up: int


def put(connection: apsw.Connection, notices: Iterable[Notice]) -> None:
    """Add messages, inside the caller's transaction.  Raises apsw.Error."""
    connection.executemany(
        _PUT, [(n.key, n.at_ms, n.channel, n.kind, n.payload, n.at_ms) for n in notices]
    )


class Outbox:
    """The table, over the ledger's one writing connection."""

    def __init__(
        self, connection: apsw.Connection, guarded: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._connection = connection
        self._guarded = guarded

    def _rows(self, statement: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        with self._guarded():
            return self._connection.execute(statement, values).fetchall()

    def channels(self) -> dict[str, int]:
        """The channels that messages wait for, with the moment when the first is to be tried."""
        return dict(
            self._rows(
                f"SELECT channel, min(next_at_ms) FROM outbox WHERE {_WAITS}"  # noqa: S608
                " GROUP BY channel"
            )
        )

    def first(self, channel: str) -> Message | None:
        """The message of a channel that is to be tried next, or None."""
        rows = self._rows(
            f"SELECT {_FIELDS} FROM outbox WHERE {_WAITS} AND channel = ?"  # noqa: S608
            " ORDER BY next_at_ms, id LIMIT 1",
            (channel,),
        )
        return Message(*rows[0]) if rows else None

    def delivered(self, message: Message, now_ms: int) -> None:
        """Keep that it went out; what it said, which may name a customer, is not kept."""
        self._rows(
            "UPDATE outbox SET attempts = attempts + 1, delivered_at_ms = ?, failure = NULL,"
            " payload = '' WHERE id = ?",
            (now_ms, message.id),
        )

    def failed(self, message: Message, failure: str, *, next_at_ms: int) -> None:
        """Keep why, and when to try again."""
        self._rows(
            "UPDATE outbox SET attempts = attempts + 1, failure = ?, next_at_ms = ? WHERE id = ?",
            (failure, next_at_ms, message.id),
        )

    def given_up(self, message: Message, failure: str, now_ms: int) -> None:
        """Try it no more; it is listed until somebody has it tried anew."""
        self._rows(
            "UPDATE outbox SET attempts = attempts + 1, failure = ?, given_up_at_ms = ?"
            " WHERE id = ?",
            (failure, now_ms, message.id),
        )

    def try_anew(self, now_ms: int, channels: Collection[str] = ()) -> int:
        """Have everything that waits or was given up tried now; how many there are.

        channels: only those; empty for all.
        """
        marks = ", ".join("?" * len(channels))
        only = f" AND channel IN ({marks})" if channels else ""
        self._rows(
            "UPDATE outbox SET attempts = 0, given_up_at_ms = NULL, next_at_ms = ?"  # noqa: S608
            f" WHERE delivered_at_ms IS NULL{only}",
            (now_ms, *channels),
        )
        return int(self._connection.changes())

    def prune(self, now_ms: int) -> None:
        """Delete what was delivered a week ago, or given up a month ago."""
        self._rows(
            "DELETE FROM outbox WHERE delivered_at_ms < ? OR given_up_at_ms < ?",
            (now_ms - DELIVERED_KEPT_MS, now_ms - GIVEN_UP_KEPT_MS),
        )

    def counts(self) -> Counts:
        rows = self._rows(
            f"SELECT coalesce(sum({_WAITS}), 0),"  # noqa: S608 - a constant
            f" coalesce(sum({_WAITS} AND attempts > 0), 0), count(given_up_at_ms)"
            " FROM outbox WHERE delivered_at_ms IS NULL"
        )
        return Counts(*rows[0])

    def listed(self, limit: int) -> list[dict[str, Any]]:
        """The newest messages with what became of them, as `notify.list` shows them."""
        names = (
            "key", "at_ms", "channel", "kind", "payload", "attempts", "next_at_ms",
            "delivered_at_ms", "given_up_at_ms", "failure",
        )  # fmt: skip
        rows = self._rows(
            f"SELECT {', '.join(names)} FROM outbox"  # noqa: S608 - our own constants
            " ORDER BY id DESC LIMIT ?",
            (limit,),
        )
        return [dict(zip(names, row, strict=True)) for row in rows]
