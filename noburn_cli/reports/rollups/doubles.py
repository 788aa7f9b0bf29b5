"""Which imported calls the ledger has itself, kept so that the journal is not searched every time.

Layer: reports, I/O.  Below: files.  Above: reports.imported.
Owns: the table `doubled`, bound to how many changes the import file has seen and to the journal's
row up to which it was looked; it lies in the cache, and goes with it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from noburn_cli.reports.recorded import stretch
from noburn_cli.reports.rollups.files import Unusable, open_cache

if TYPE_CHECKING:
    import apsw

#: How far the clocks of a program and of whoever recorded its calls may differ, and how long a call
#: may take: a call's provider id is looked for that far around it.
AROUND_MS = 2 * 86_400_000
_BUSY_MS = 2_000

_CHANGES = "SELECT value FROM imports.meta WHERE key = 'changes'"
_BORDERS = "SELECT min(at_ms), max(at_ms) FROM imports.imported WHERE provider_id NOTNULL"
_HEAD = "SELECT coalesce(max(seq), 0) FROM ledger.journal"
_FIND = """
    INSERT OR IGNORE INTO main.doubled SELECT provider_id FROM ledger.journal
    WHERE seq > ? AND seq < ? AND provider_id NOTNULL AND provider_id IN (
      SELECT provider_id FROM imports.imported WHERE provider_id NOTNULL)
"""


def doubled_ids(cache_path: Path, ledger_path: Path, imports_path: Path) -> list[str] | None:
    """The provider's ids that both files have; None where they cannot be kept here."""
    import apsw

    if not cache_path.exists():
        return None
    try:
        connection, _ = open_cache(cache_path, ledger_path)
        try:
            name = f"file:{quote(str(imports_path))}?mode=ro"
            connection.execute("ATTACH ? AS imports", (name,))
            connection.set_busy_timeout(_BUSY_MS)
            connection.execute("BEGIN IMMEDIATE")
            found = _find(connection, imports_path.stat().st_ino)
            connection.execute("COMMIT")
        finally:
            connection.close()
    except (apsw.Error, OSError, Unusable):
        return None
    return found


def _find(connection: apsw.Connection, inode: int) -> list[str]:
    """Look at what is new in either file, inside the caller's transaction."""
    (count,) = connection.execute(_CHANGES).fetchone() or (0,)
    changes = f"{count} of {inode}"
    (head,) = connection.execute(_HEAD).fetchone() or (0,)
    kept = dict(connection.execute("SELECT key, value FROM main.meta"))
    looked = int(kept.get("imports_upto", 0))
    first_ms, last_ms = connection.execute(_BORDERS).fetchone() or (None, None)
    if kept.get("imports_changes") != changes:
        connection.execute("DELETE FROM main.doubled")
        looked = 0
    if first_ms is not None and last_ms is not None:
        part = stretch(connection, since_ms=first_ms - AROUND_MS, until_ms=last_ms + AROUND_MS)
        connection.execute(_FIND, (max(looked, part.first - 1), part.end))
    connection.executemany(
        "REPLACE INTO main.meta VALUES (?, ?)",
        [("imports_changes", changes), ("imports_upto", str(head))],
    )
    return [str(one) for (one,) in connection.execute("SELECT provider_id FROM main.doubled")]
