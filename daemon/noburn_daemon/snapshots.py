"""The tables of the snapshot: budgets and what is to become of them, accounts, factors and open
runs, as of one row.

Layer: daemon, storage.  Below: apsw, ledger (Snapshot).  Above: sqlite.
Not here: which holds are open, which follows from the journal itself (sqlite).
Every function raises apsw.Error when the file cannot be read or written.
"""

from __future__ import annotations

import json
from typing import Any

import apsw

from noburn_daemon import outbox
from noburn_daemon.ledger import AccountRow, BudgetRow, ScheduledRow, Snapshot, json_text

_BUDGET_COLUMNS = (
    "id", "scope", "per", "unit", "amount", "override", "run", "ended_at_ms", "removed_at_ms",
    "action", "zone", "anchor", "carry", "downgrade", "thresholds", "notify",
)  # fmt: skip
#: The last of them, which are stored as JSON.
_AS_JSON = _BUDGET_COLUMNS[-3:]
_ACCOUNT_COLUMNS = (
    "budget", "key", "window_start_ms", "topup", "settled", "carried", "notified", "buckets",
    "overage", "capacity",
)  # fmt: skip


def _put(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    names = ", ".join(columns)
    return f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"  # noqa: S608 - constants


_PUT_BUDGET = _put("budgets", _BUDGET_COLUMNS)
_PUT_ACCOUNT = _put("accounts", _ACCOUNT_COLUMNS)
_BUDGETS = f"SELECT {', '.join(_BUDGET_COLUMNS)} FROM budgets ORDER BY id"  # noqa: S608
_ACCOUNTS = f"SELECT {', '.join(_ACCOUNT_COLUMNS)} FROM accounts"  # noqa: S608
#: Those whose windows have passed are found one by one.
_STANDING = f"{_ACCOUNTS} WHERE capacity IS NULL"
_PASSED = f"{_ACCOUNTS} WHERE budget = ? AND key = ? AND window_start_ms = ?"


#: A context's row is there: it was born with its first call, in an earlier row of the journal.
_ADD_SUMS = (
    "INSERT INTO sums (slot, context, nano, tokens, requests)"
    " SELECT ?, id, ?, ?, ? FROM names WHERE kind = 'context' AND text = ?"
    " ON CONFLICT (slot, context) DO UPDATE SET nano = nano + excluded.nano,"
    " tokens = tokens + excluded.tokens, requests = requests + excluded.requests"
)


def write_tables(connection: apsw.Connection, snapshot: Snapshot) -> None:
    """Write what changed, inside the caller's transaction."""
    many = connection.executemany
    many(
        _PUT_ACCOUNT,
        [
            (a.budget, a.key, a.window_start_ms, a.topup, a.settled, a.carried, a.notified,
             a.buckets, a.overage, a.capacity)
            for a in snapshot.accounts
        ],
    )  # fmt: skip
    many(
        "DELETE FROM accounts WHERE budget = ? AND key = ? AND window_start_ms = ?",
        snapshot.dropped_accounts,
    )
    many(_PUT_BUDGET, [_stored(budget) for budget in snapshot.budgets])
    many(
        "INSERT OR REPLACE INTO scheduled (id, at_ms, spec, ended_at_ms) VALUES (?, ?, ?, ?)",
        [(s.id, s.at_ms, s.spec, s.ended_at_ms) for s in snapshot.scheduled],
    )
    outbox.put(connection, snapshot.notices)
    many(
        _ADD_SUMS,
        [(slot, *sums, text) for (text, slot), sums in snapshot.sums.items() if any(sums)],
    )
    many("INSERT OR REPLACE INTO factors VALUES (?, ?)", list(snapshot.factors.items()))
    if snapshot.runs is not None:
        connection.execute("DELETE FROM open_runs")
        many("INSERT INTO open_runs VALUES (?, ?)", list(snapshot.runs.items()))


def read_tables(connection: apsw.Connection) -> Snapshot:
    """Read everything."""
    execute = connection.execute
    return Snapshot(
        budgets=[_budget(row) for row in execute(_BUDGETS)],
        accounts=[AccountRow(*row) for row in execute(_STANDING)],
        scheduled=[
            ScheduledRow(*row)
            for row in execute("SELECT id, at_ms, spec, ended_at_ms FROM scheduled ORDER BY id")
        ],
        factors=dict(execute("SELECT * FROM factors")),
        runs=dict(execute("SELECT * FROM open_runs")),
    )


def read_passed(
    connection: apsw.Connection, budget: int, key: str, window_start_ms: int
) -> AccountRow | None:
    """One account, also of a window that has passed, or None."""
    row = connection.execute(_PASSED, (budget, key, window_start_ms)).fetchone()
    return None if row is None else AccountRow(*row)


def _stored(b: BudgetRow) -> tuple[int | str | None, ...]:
    return (
        b.id, b.scope, b.per, b.unit, b.amount, int(b.override), b.run, b.ended_at_ms,
        b.removed_at_ms, b.action, b.zone, b.anchor, b.carry, json_text(b.downgrade),
        json_text(b.thresholds), json_text(b.notify),
    )  # fmt: skip


def _budget(row: tuple[Any, ...]) -> BudgetRow:
    plain = row[: -len(_AS_JSON)]
    budget = BudgetRow(*plain, *(json.loads(text) for text in row[-len(_AS_JSON) :]))
    budget.override = bool(budget.override)
    return budget
