"""Up to when the ledger's calls were compacted.

Layer: reports, I/O.  Above: those who need every call by itself (calls, recorded).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import apsw

_BEFORE = "SELECT value FROM meta WHERE key = 'compacted_before_ms'"


def compacted_before_ms(connection: apsw.Connection) -> int:
    """Calls reserved before then are known as sums by month alone; 0 when all are known."""
    row = next(iter(connection.execute(_BEFORE)), None)
    return 0 if row is None else int(row[0])
