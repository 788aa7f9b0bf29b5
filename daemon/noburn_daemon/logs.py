"""The daemon's log: what happened to the daemon, never what a call said.

Layer: daemon.  Above: __main__.  One file, and the one before it.
"""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

LOG_BYTES_MAX = 1024 * 1024


def set_up(path: Path) -> None:
    """Write records of level INFO and above to `path`.  Raises OSError."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES_MAX, backupCount=1, encoding="utf-8", delay=False
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    logger = logging.getLogger("noburn")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
