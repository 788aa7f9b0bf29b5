"""`python -m noburn_daemon.migrating FILE`: bring one ledger's file up to our schema, and leave.

Layer: daemon, a top beside __main__.  Below: sqlite, clock.
Whoever starts it has seen to it that no daemon has the file open.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from noburn_cli.errors import LedgerUnavailable
from noburn_daemon.clock import wall_ms
from noburn_daemon.sqlite import SqliteLedger


def main() -> int:
    """Open the file as a daemon would, which migrates it, and close it again."""
    os.umask(0o077)
    try:
        SqliteLedger(Path(sys.argv[1]), now_ms=wall_ms()).close()
    except LedgerUnavailable as error:
        sys.stderr.write(f"{error.message}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
