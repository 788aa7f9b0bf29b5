"""Batches: what one `noburn import` brought in, to be listed and taken back.

Layer: importing, I/O.  Below: store.  Above: job, commands.
Owns: a batch's record, undoing one, and which of a provider's two exports of one day counts.

Taking a batch back takes out the calls that it brought in or replaced.  What it replaced comes back
when the earlier file is imported again: what was read of the source's files is forgotten with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noburn_cli.core.imported import WITHOUT_TOKENS
from noburn_cli.errors import UsageError
from noburn_cli.importing.outcome import Money
from noburn_cli.importing.sources.bills import MONEY
from noburn_cli.importing.sources.registry import BILLS, SOURCES
from noburn_cli.importing.store import Store, open_store, read_store

_DAY_MS = 86_400_000
_STANDING = """
    SELECT b.id, b.source, b.at_ms, b.ended_at_ms, b.summary, count(i.seq),
      coalesce(sum(i.requests), 0),
      coalesce(sum(i.cost_nano) FILTER (WHERE NOT i.notional), 0),
      coalesce(sum(i.cost_nano) FILTER (WHERE i.notional), 0),
      count(i.seq) FILTER (WHERE i.counts = 'unpriced'), min(i.at_ms), max(i.at_ms)
    FROM batches AS b LEFT JOIN imported AS i ON i.batch = b.id
    GROUP BY b.id ORDER BY b.id
"""


@dataclass(frozen=True)
class Batch:
    """One import as it stands now; amounts in nano-dollars.

    records, calls: those that it brought in and that no later one replaced.
    """

    id: int
    source: str
    at_ms: int
    ended_at_ms: int | None
    summary: Mapping[str, Any]
    records: int
    calls: int
    cost_nano: int
    notional_nano: int
    unpriced: int
    first_ms: int | None
    last_ms: int | None

    @property
    def name(self) -> str:
        return f"{self.source}/{self.id}"


def begin(store: Store, source: str, at_ms: int) -> int:
    """A new batch's number."""
    with store.step():
        sql = "INSERT INTO batches (source, at_ms, summary) VALUES (?, ?, '{}') RETURNING id"
        return int(next(store.execute(sql, (source, at_ms)))[0])


def end(
    store: Store, batch: int, source: str, at_ms: int, *, summary: Mapping[str, Any]
) -> None:  # fmt: skip
    """Note that a batch is complete; one that brought nothing in is not kept.

    One that was taken back while it was under way stands again, with what came after.
    """
    with store.step():
        (count,) = next(store.execute("SELECT count(*) FROM imported WHERE batch = ?", (batch,)))
        if not count:
            store.execute("DELETE FROM batches WHERE id = ?", (batch,))
            return
        store.execute(
            "INSERT INTO batches (id, source, at_ms, ended_at_ms, summary) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET ended_at_ms = excluded.ended_at_ms, "
            "summary = excluded.summary",
            (batch, source, at_ms, at_ms, json.dumps(summary)),
        )


def settle_bills(store: Store, source: str) -> int:
    """Where a provider's export of costs has a day, its usage of that day has no cost of its own.

    How many records count as part of a day's bill.
    """
    if source not in BILLS:
        return 0
    with store.step():
        days = f"(SELECT at_ms FROM imported WHERE source = ? AND id LIKE '{MONEY}%')"  # noqa: S608
        store.execute(
            "UPDATE imported SET counts = 'bill', cost_nano = 0 WHERE source = ? AND id LIKE "  # noqa: S608
            f"'usage:%' AND counts <> 'bill' AND at_ms IN {days}", (source, source),
        )  # fmt: skip
        store.execute(
            "UPDATE imported SET cost_nano = list_nano, "  # noqa: S608
            "counts = CASE WHEN list_nano IS NULL THEN 'unpriced' ELSE 'list' END "
            f"WHERE source = ? AND counts = 'bill' AND at_ms NOT IN {days}", (source, source),
        )  # fmt: skip
        found = store.execute(
            "SELECT count(*) FROM imported WHERE source = ? AND counts = 'bill'", (source,)
        )
        return int(next(found)[0])


_MONEY = """
    SELECT count(*) AS records, coalesce(sum(requests), 0) AS calls, min(at_ms) AS first_ms,
      max(at_ms) AS last_ms, count(said_nano) AS said, coalesce(sum(said_nano), 0) AS said_nano,
      count(list_nano) AS listed, coalesce(sum(list_nano), 0) AS list_nano,
      count(*) FILTER (WHERE said_nano AND list_nano IS NOT NULL) AS both,
      coalesce(sum(said_nano) FILTER (WHERE said_nano AND list_nano IS NOT NULL), 0)
        AS both_said_nano,
      coalesce(sum(list_nano) FILTER (WHERE said_nano AND list_nano IS NOT NULL), 0)
        AS both_list_nano,
      coalesce(sum(cost_nano) FILTER (WHERE NOT notional), 0) AS cost_nano,
      count(*) FILTER (WHERE notional) AS notional,
      coalesce(sum(cost_nano) FILTER (WHERE notional), 0) AS notional_nano,
      count(*) FILTER (WHERE said_nano = 0 AND counts <> 'source') AS zero_said,
      count(*) FILTER (WHERE shadowed) AS shadowed
    FROM imported WHERE batch = ?
"""


def money_of(store: Store, batch: int, source: str) -> Money:
    """What the calls of a source's batch cost."""
    cursor = store.connection.execute(_MONEY, (batch,))
    names = [str(column[0]) for column in cursor.get_description()]
    sums = dict(zip(names, next(iter(cursor)), strict=True))

    def by(column: str, where: str = "1") -> dict[str, int]:
        sql = (
            f"SELECT {column}, count(*) FROM imported AS i JOIN models AS m ON m.id = i.model "  # noqa: S608
            f"WHERE batch = ? AND {where} GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        return {str(name): int(count) for name, count in store.execute(sql, (batch,))}

    # Of the others a price file would change nothing.
    priceable = f"coalesce(note, '') <> '{WITHOUT_TOKENS}'"
    return Money(
        **sums, by=by("counts"), unpriced=by("m.model", f"counts = 'unpriced' AND {priceable}"),
        unlisted=by(
            "m.model",
            f"list_nano IS NULL AND cost_nano IS NOT NULL AND requests > 0 AND {priceable}",
        ),
        notes=by("note", "note IS NOT NULL"),
        beside=_beside(store, source, sums["first_ms"], sums["last_ms"]),
    )  # fmt: skip


def _beside(
    store: Store, source: str, first_ms: int | None, last_ms: int | None
) -> tuple[str, ...]:
    """Other sources of the same days, which may tell of the same calls without a common id."""
    if first_ms is None or last_ms is None:
        return ()
    sql = "SELECT DISTINCT source FROM imported WHERE at_ms BETWEEN ? AND ? AND source <> ?"
    days = (first_ms // _DAY_MS * _DAY_MS, last_ms // _DAY_MS * _DAY_MS + _DAY_MS - 1)
    found = [name for (name,) in store.execute(sql, (*days, source))]
    return tuple(sorted(name for name in found if not _is_agent(name) and not _is_agent(source)))


def _is_agent(source: str) -> bool:
    return source in SOURCES and SOURCES[source].agent


def listed(home: Path) -> list[Batch]:
    """Every batch, the oldest first.  Raises LedgerUnavailable."""
    with read_store(home) as connection:
        if connection is None:
            return []
        rows = list(connection.execute(_STANDING))
    return [_batch(*row) for row in rows]


def _batch(number: int, source: str, at_ms: int, ended_at_ms: int | None, summary: str,
           *standing: Any) -> Batch:  # fmt: skip
    return Batch(number, source, at_ms, ended_at_ms, json.loads(summary), *standing)


def chosen(home: Path, name: str) -> list[Batch]:
    """The batches that `claude-code/3`, or `claude-code` for all of a source, names.

    Raises UsageError when there is none.
    """
    source, slash, number = name.partition("/")
    found = [
        batch for batch in listed(home)
        if batch.source == source and (not slash or f"{batch.id}" == number)
    ]  # fmt: skip
    if not found:
        raise UsageError(
            f"nothing was imported as {name!r}", next_step="`noburn import list` shows what was"
        )
    return found


def undo(home: Path, batches: list[Batch]) -> int:
    """Take batches back; how many calls went.  Raises LedgerUnavailable, NoburnError."""
    gone = 0
    with open_store(home) as store:
        for batch in batches:
            with store.step():
                gone += _take_out(store, batch.id)
                store.execute("DELETE FROM batches WHERE id = ?", (batch.id,))
                store.execute("DELETE FROM files WHERE source = ?", (batch.source,))
                _sweep(store)
            settle_bills(store, batch.source)
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return gone


def _take_out(store: Store, batch: int) -> int:
    """Delete a batch's calls; those of other sources that waited behind them count again."""
    store.execute("CREATE TEMP TABLE gone (provider_id TEXT PRIMARY KEY)")
    store.execute(
        "INSERT OR IGNORE INTO gone SELECT provider_id FROM imported "
        "WHERE batch = ? AND provider_id NOTNULL", (batch,),
    )  # fmt: skip
    store.execute("DELETE FROM imported WHERE batch = ?", (batch,))
    count = int(store.connection.changes())
    store.execute(
        "UPDATE imported AS i SET shadowed = EXISTS (SELECT 1 FROM imported AS o WHERE "
        "o.provider_id = i.provider_id AND o.source <> i.source AND o.seq < i.seq) "
        "WHERE provider_id IN (SELECT provider_id FROM gone)"
    )
    store.execute("DROP TABLE gone")
    return count


def _sweep(store: Store) -> None:
    """Names that no call has any more."""
    for table, column in (("contexts", "context"), ("models", "model")):
        store.execute(
            f"DELETE FROM {table} WHERE id NOT IN (SELECT {column} FROM imported)"  # noqa: S608
        )
