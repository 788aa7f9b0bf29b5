"""Forgetting a customer or feature in the revenue file, as `noburn ledger forget` does elsewhere.

Layer: revenue, I/O.  Below: store, paths.  Above: commands.ledger.
Owns: what says a name there: facts, a person's own mapping, the metadata and names of what a source
told.  Amounts stay, under the stand-in that the ledger's calls have as well, and a payer of a
forgotten customer stays theirs: a later import maps it to the stand-in again, whatever the metadata
say.  What the source itself says of the payer is the source's.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noburn_cli import paths
from noburn_cli.revenue.store import FORGOTTEN, RevenueStore, is_there, writing

KEYS = ("customer", "feature")
_LOCK_WAIT_S = 30.0


def forget(home: Path, key: str, value: str, *, stand_in: str, dry_run: bool) -> int:
    """Put `stand_in` in the place of a customer or feature; how many facts say it.

    Raises LedgerUnavailable, NoburnError while an import goes on.
    """
    path = paths.revenue_path(home)
    if key not in KEYS or not is_there(path):
        return 0
    with writing(path, wait_s=_LOCK_WAIT_S) as store:
        payers = _payers(store, value) if key == "customer" else []
        said = _facts(store, key, value)
        if dry_run:
            return said
        store.connection.execute("PRAGMA secure_delete = ON")
        with store.change():
            store.connection.execute(
                f"UPDATE facts SET {key} = ? WHERE {key} = ?",  # noqa: S608 -- one of KEYS
                (stand_in, value),
            )
            if value in payers:  # A file's line without a payer has its customer for one.
                _rename_payer(store, value, stand_in)
            _forget_payers(store, [one for one in payers if one != value], stand_in)
            _forget_objects(store, value, stand_in, payers)
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return said


def _payers(store: RevenueStore, customer: str) -> list[str]:
    return [
        payer
        for (payer,) in store.rows(
            "SELECT payer FROM facts LEFT JOIN identities USING (payer) "
            "WHERE coalesce(identities.customer, facts.customer) = ? AND payer <> '' "
            "UNION SELECT payer FROM identities WHERE customer = ?",
            customer, customer,
        )
    ]  # fmt: skip


def _facts(store: RevenueStore, key: str, value: str) -> int:
    sql = f"SELECT count(*) FROM facts LEFT JOIN identities USING (payer) WHERE facts.{key} = ?"  # noqa: S608 -- one of KEYS
    if key == "customer":
        return int(store.rows(sql + " OR identities.customer = ?", value, value)[0][0])
    return int(store.rows(sql, value)[0][0])


def _forget_payers(store: RevenueStore, payers: list[str], stand_in: str) -> None:
    store.connection.executemany(
        "INSERT INTO identities VALUES (?, ?, ?) ON CONFLICT DO UPDATE "
        "SET customer = excluded.customer, origin = excluded.origin",
        [(payer, stand_in, FORGOTTEN) for payer in payers],
    )
    store.connection.executemany(
        "UPDATE facts SET payer_name = '' WHERE payer = ?", [(payer,) for payer in payers]
    )


def _rename_payer(store: RevenueStore, value: str, stand_in: str) -> None:
    for table in ("facts", "identities"):
        store.connection.execute(
            f"UPDATE {table} SET payer = ?, customer = ? WHERE payer = ?",  # noqa: S608 -- our own
            (stand_in, stand_in, value),
        )
    store.connection.execute("UPDATE facts SET payer_name = '' WHERE payer = ?", (stand_in,))


def _forget_objects(store: RevenueStore, value: str, stand_in: str, payers: list[str]) -> None:
    theirs = set(payers)
    changed = []
    for source, number, customer, text in store.rows(
        "SELECT source, id, customer, data FROM objects"
    ):
        data = json.loads(text)
        kept = _without(data, value, stand_in)
        if customer in theirs and "name" in kept:
            kept["name"] = ""
        if kept != data:
            changed.append((json.dumps(kept), source, number))
    store.connection.executemany("UPDATE objects SET data = ? WHERE source = ? AND id = ?", changed)


def _without(data: Any, value: str, stand_in: str) -> Any:
    """The same, with the value replaced where metadata say it, at any depth."""
    if isinstance(data, list):
        return [_without(one, value, stand_in) for one in data]
    if not isinstance(data, dict):
        return data
    return {
        key: {k: stand_in if v == value else v for k, v in one.items()}
        if key == "metadata" and isinstance(one, dict)
        else _without(one, value, stand_in)
        for key, one in data.items()
    }
