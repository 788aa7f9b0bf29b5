"""The daemon's log: what happened to the daemon, never what a call said.

Layer: daemon.  Above: __main__, server (the level).
Owns: the file and the three before it, and the form of a line:
`2026-11-27T12:00:00.123Z WARNING commits 4711 the message`: time (UTC), level, component, process.
One record is one line; the lines of a traceback that follow it are indented.
"""

from __future__ import annotations

import logging
import logging.handlers
import time
from pathlib import Path

LOG_BYTES_MAX = 1024 * 1024
_KEPT = 3
_ROOT = "noburn"


class _Lines(logging.Formatter):
    """The form of a line."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        component = record.name.removeprefix(f"{_ROOT}.")
        at = f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03}Z"
        # A name out of a file or a frame must not begin a line of its own.
        said = record.getMessage().replace("\n", "\\n").replace("\r", "\\r")
        line = f"{at} {record.levelname} {component} {record.process} {said}"
        if record.exc_info:
            trace = self.formatException(record.exc_info).replace("\n", "\n    ")
            line = f"{line}\n    {trace}"
        return line


def set_up(path: Path, level: str = "info") -> None:
    """Write records of that level and above to `path`.  Raises OSError."""
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=LOG_BYTES_MAX, backupCount=_KEPT, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(_Lines())
    logger = logging.getLogger(_ROOT)
    logger.addHandler(handler)
    logger.propagate = False
    logging.raiseExceptions = False  # a full disk is not told to a standard error that is nothing
    set_level(level)


def set_level(level: str) -> None:
    """Log that level (a word of core.service_keys.LOG_LEVELS) and above from now on."""
    logging.getLogger(_ROOT).setLevel(level.upper())
