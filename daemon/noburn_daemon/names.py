"""Texts as numbers: contexts, models, owners, notes and books, interned in the ledger.

Layer: daemon, storage.  Below: apsw, core.chain.  Above: sqlite.
Owns: the `names` table.  Each new number comes with a `name` row in the journal, which binds it
to a salted digest of its text.
"""

from __future__ import annotations

import json
import secrets

import apsw

from noburn_cli.core.chain import name_digest
from noburn_daemon.ledger import Event

FIELDS = ("context", "model", "owner", "note", "book")
_KNOWN_MAX = 50_000


class Names:
    """Numbers for texts and back; caches both, and forgets the caches after a rollback."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._contexts: dict[str | int, int] = {}
        self._models: dict[str | int, int] = {}
        self._owners: dict[str | int, int] = {}
        self._notes: dict[str | int, int] = {}
        self._books: dict[str | int, int] = {}
        self._numbers = {
            "context": self._contexts,
            "model": self._models,
            "owner": self._owners,
            "note": self._notes,
            "book": self._books,
        }
        self._texts: dict[int, str] = {}

    def forget_cache(self) -> None:
        for known in self._numbers.values():
            known.clear()
        self._texts.clear()

    def intern(self, event: Event, born: list[Event]) -> None:
        """Replace the event's texts by numbers; `born` gets a `name` row for each new one."""
        at_ms = event.at_ms
        text = event.context
        if text is not None:
            number = self._contexts.get(text)
            event.context = number or self._number("context", str(text), at_ms, born)
        text = event.model
        if text is not None:
            event.model = self._models.get(text) or self._number("model", str(text), at_ms, born)
        text = event.owner
        if text is not None:
            event.owner = self._owners.get(text) or self._number("owner", str(text), at_ms, born)
        text = event.note
        if text is not None:
            event.note = self._notes.get(text) or self._number("note", str(text), at_ms, born)
        text = event.book
        if text is not None:
            event.book = self._books.get(text) or self._number("book", str(text), at_ms, born)

    def resolve(self, event: Event) -> Event:
        """Replace an event's numbers by texts; a forgotten text becomes an empty one."""
        for name in FIELDS:
            number = getattr(event, name)
            if number is not None:
                setattr(event, name, self._text(number))
        return event

    def _number(self, kind: str, text: str, at_ms: int, born: list[Event]) -> int:
        known = self._numbers[kind]
        if len(known) >= _KNOWN_MAX:
            known.clear()
        row = self._connection.execute(
            "SELECT id FROM names WHERE kind = ? AND text = ?", (kind, text)
        ).fetchone()
        if row is None:
            salt = secrets.token_hex(16)
            self._connection.execute(
                "INSERT INTO names (kind, text, salt) VALUES (?, ?, ?)", (kind, text, salt)
            )
            number = self._connection.last_insert_rowid()
            digest = name_digest(kind, text, salt)
            detail = json.dumps({"name": number, "of": kind, "digest": digest})
            born.append(Event(0, at_ms, "name", detail=detail))
        else:
            number = int(row[0])
        known[text] = number
        return number

    def _text(self, number: int) -> str:
        text = self._texts.get(number)
        if text is None:
            if len(self._texts) >= _KNOWN_MAX:
                self._texts.clear()
            row = self._connection.execute(
                "SELECT text FROM names WHERE id = ?", (number,)
            ).fetchone()
            text = self._texts[number] = "" if row is None or row[0] is None else str(row[0])
        return text
