"""Are the texts and price books the ones that the journal bound?

Layer: reports, I/O (looks texts up).  Below: core.chain.  Above: reports.verify.
Owns: comparing `names` and `books` with the `name` and `book` rows.
A number may be bound again, when a name in its text is forgotten: its last binding counts.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from noburn_cli.core.chain import name_digest

if TYPE_CHECKING:
    import apsw

_NAME = "SELECT kind, text, salt FROM names WHERE id = ?"
_UNBOUND = """
    SELECT min(id) FROM names WHERE id NOT IN
      (SELECT json_extract(detail, '$.name') FROM journal WHERE kind = 'name')
"""


class Names:
    """Takes the details of `name` rows in order."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._bad: set[int] = set()
        self._greatest = 0
        self._bound = 0

    def add(self, detail: str | None) -> None:
        """One binding."""
        row = json.loads(detail or "{}")
        number, digest = row.get("name", 0), row.get("digest")
        if number > self._greatest:  # numbers are given in order, and bound as they are given
            self._greatest = number
            self._bound += 1
        kind, text, salt = next(iter(self._connection.execute(_NAME, (number,))), ("", None, None))
        if text is not None and salt is not None and digest == name_digest(kind, text, salt):
            self._bad.discard(number)
        else:
            self._bad.add(number)

    def first_bad(self, *, whole: bool) -> int | None:
        """The first number whose text is not what it was bound to.

        whole: whether every binding was given, so that a text without one is wrong as well.
        """
        if whole and not self._bad:
            there = next(iter(self._connection.execute("SELECT count(*) FROM names")))[0]
            if there != self._bound:
                found = next(iter(self._connection.execute(_UNBOUND)))[0]
                return int(found or 0)
        return min(self._bad, default=None)


class Books:
    """Takes the details of `book` rows."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._bound: dict[str, str] = {}

    def add(self, detail: str | None) -> None:
        row = json.loads(detail or "{}")
        self._bound[str(row.get("version"))] = str(row.get("digest"))

    def first_bad(self, *, whole: bool) -> str | None:
        """The first price book whose texts are not what the journal says they are."""
        stored: dict[str, str] = {}
        for version, texts in self._connection.execute("SELECT version, texts FROM books"):
            if whole or version in self._bound:
                stored[version] = hashlib.sha256(texts.encode()).hexdigest()
        versions = sorted({*stored, *self._bound})
        return next((v for v in versions if stored.get(v) != self._bound.get(v)), None)
