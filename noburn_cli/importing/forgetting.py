"""Forgetting a name in imported calls, as `noburn ledger forget` does in the ledger.

Layer: importing, I/O.  Below: store, mapping.  Above: commands.ledger.
Owns: which rows say a name: those whose attribute of that very key has the value.  Sums stay; calls
of the name keep together under its stand-in.  The files that were imported are somebody else's and
are not changed: importing them again brings the name back.
"""

from __future__ import annotations

import json
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core.budgets import TAG_PREFIX
from noburn_cli.importing.store import Store, open_store


def forget(home: Path, key: str, value: str, *, stand_in: str, dry_run: bool) -> int:
    """Put `stand_in` in the place of an attribute's value; how many records say it.

    Raises LedgerUnavailable, NoburnError when the file cannot be written.
    """
    if not paths.imports_path(home).exists():
        return 0
    with open_store(home) as store:
        contexts = [
            (number, attributes)
            for number, text in store.execute("SELECT id, key FROM contexts")
            if (attributes := json.loads(text)).get(key) == value
        ]
        ids = [number for number, _ in contexts]
        said = _records(store, ids)
        if dry_run or not contexts:
            return said
        with store.step():
            for number, attributes in contexts:
                _rename(store, number, {**attributes, key: stand_in})
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return said


def _records(store: Store, contexts: list[int]) -> int:
    sql = "SELECT count(*) FROM imported WHERE context IN (SELECT value FROM json_each(?))"
    return int(next(store.execute(sql, (json.dumps(contexts),)))[0])


def _rename(store: Store, number: int, attributes: dict[str, str]) -> None:
    key = json.dumps(attributes, sort_keys=True)
    there = next(iter(store.execute("SELECT id FROM contexts WHERE key = ?", (key,))), None)
    if there is not None:
        store.execute("UPDATE imported SET context = ? WHERE context = ?", (there[0], number))
        store.execute("DELETE FROM contexts WHERE id = ?", (number,))
        return
    tags = {
        k.removeprefix(TAG_PREFIX): v for k, v in attributes.items() if k.startswith(TAG_PREFIX)
    }
    names = ("project", "customer", "feature", "user", "job", "run", "step")
    store.execute(
        'UPDATE contexts SET project = ?, customer = ?, feature = ?, "user" = ?, job = ?, run = ?, '
        "step = ?, tags = ?, key = ? WHERE id = ?",
        (*(attributes.get(name) for name in names), json.dumps(tags, sort_keys=True), key, number),
    )
