"""Whether the files beside the ledger have changed: imported calls, and revenue.

Layer: dashboard, I/O (looks, and reads nothing).  Above: dashboard.figures, margins, live.
"""

from __future__ import annotations

from pathlib import Path


def changed_ns(path: Path) -> int | None:
    """When a database was last written to, with its log, which holds what was written last.

    None where there is none.  A file that goes away while it is looked at was never there.
    """
    found: list[int] = []
    for one in (path, path.with_name(path.name + "-wal")):
        try:
            found.append(one.stat().st_mtime_ns)
        except FileNotFoundError:
            continue
    return max(found) if path.exists() and found else None
