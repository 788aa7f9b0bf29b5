"""The tables of the snapshot: budgets, accounts, factors and open runs, as of one row.

Layer: daemon, storage.  Below: apsw, ledger (Snapshot).  Above: sqlite.
Not here: which holds are open, which follows from the journal itself (sqlite).
Every function raises apsw.Error when the file cannot be read or written.
"""

from __future__ import annotations

import apsw

from noburn_daemon.ledger import AccountRow, BudgetRow, Snapshot


def write_tables(connection: apsw.Connection, snapshot: Snapshot) -> None:
    """Write what changed, inside the caller's transaction."""
    many = connection.executemany
    many(
        "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?, ?)",
        [(a.budget, a.key, a.window_start_ms, a.topup, a.settled) for a in snapshot.accounts],
    )
    many(
        "DELETE FROM accounts WHERE budget = ? AND key = ? AND window_start_ms = ?",
        snapshot.dropped_accounts,
    )
    many(
        "INSERT OR REPLACE INTO budgets VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (b.id, b.scope, b.per, b.unit, b.amount, int(b.override), b.run, b.ended_at_ms,
             b.removed_at_ms, b.action)
            for b in snapshot.budgets
        ],
    )  # fmt: skip
    many("INSERT OR REPLACE INTO factors VALUES (?, ?)", list(snapshot.factors.items()))
    if snapshot.runs is not None:
        connection.execute("DELETE FROM open_runs")
        many("INSERT INTO open_runs VALUES (?, ?)", list(snapshot.runs.items()))


def read_tables(connection: apsw.Connection) -> Snapshot:
    """Read everything."""
    execute = connection.execute
    return Snapshot(
        budgets=[
            BudgetRow(i, s, p, u, a, bool(o), r, e, x, k)
            for i, s, p, u, a, o, r, e, x, k in execute("SELECT * FROM budgets ORDER BY id")
        ],
        accounts=[AccountRow(*row) for row in execute("SELECT * FROM accounts")],
        factors=dict(execute("SELECT * FROM factors")),
        runs=dict(execute("SELECT * FROM open_runs")),
    )
