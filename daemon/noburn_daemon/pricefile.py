"""The price book's files, watched: has the user's own one changed, and what does it say now?

Layer: daemon, I/O.  Below: noburn_cli.prices.  Above: server, __main__.
Owns: what was seen of the file when it was last read.
Not here: which book prices what (pricing), when one looks (server).
"""

from __future__ import annotations

from collections.abc import Mapping

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.prices import load_book, user_file

#: (inode, modification time in ns, bytes); None when there is no file.
_Seen = tuple[int, int, int] | None


class PriceFile:
    """The user's price file over the shipped one."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._path = user_file(environment)
        self._seen: _Seen = None

    def changed(self) -> bool:
        """Whether the file is another than when it was last read; one look at its inode."""
        return self._look() != self._seen

    def read(self) -> PriceBook:
        """The book that holds now.  Raises PriceBookInvalid; then it is read again when it changes.

        Some ten milliseconds of parsing: not for the event loop's thread.
        """
        self._seen = self._look()  # before reading: a later change is seen as one
        return load_book(self._environment)

    def _look(self) -> _Seen:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
