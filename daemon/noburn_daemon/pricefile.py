"""The price book's files, watched: has one changed, and what do they say now?

Layer: daemon, I/O.  Below: noburn_cli.prices.  Above: server, __main__.
Owns: what was seen of the files when they were last read.
Not here: which book prices what (pricing), when one looks (server).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.prices import load_book, watched_files

#: (inode, modification time in ns, bytes); None when there is no file.
_Seen = tuple[int, int, int] | None


class PriceFile:
    """The user's price file over the shipped one, and the endpoints of the configurations."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._paths = watched_files(environment)
        self._seen: list[_Seen] = []

    def changed(self) -> bool:
        """Whether a file is another than when it was last read; one look at each inode."""
        return self._look() != self._seen

    def read(self) -> PriceBook:
        """The book that holds now.

        Raises PriceBookInvalid or UsageError; then it is read again when a file changes.

        Some ten milliseconds of parsing: not for the event loop's thread.
        """
        self._seen = self._look()  # before reading: a later change is seen as one
        return load_book(self._environment)

    def _look(self) -> list[_Seen]:
        return [_look_at(path) for path in self._paths]


def _look_at(path: Path) -> _Seen:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
