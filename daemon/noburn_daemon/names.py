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
        self._numbers: dict[tuple[str, str], int] = {}
        self._texts: dict[int, str] = {}

    def forget_cache(self) -> None:
        self._numbers.clear()
        self._texts.clear()

    def intern(self, event: Event, born: list[Event]) -> None:
        """Replace the event's texts by numbers; `born` gets a `name` row for each new one."""
        numbers = self._numbers
        context, model, owner = event.context, event.model, event.owner
        if context is not None:
            number = numbers.get(("context", context))  # type: ignore[arg-type]
            event.context = number or self._number("context", str(context), event.at_ms, born)
        if model is not None:
            number = numbers.get(("model", model))  # type: ignore[arg-type]
            event.model = number or self._number("model", str(model), event.at_ms, born)
        if owner is not None:
            number = numbers.get(("owner", owner))  # type: ignore[arg-type]
            event.owner = number or self._number("owner", str(owner), event.at_ms, born)
        if event.note is not None:
            number = numbers.get(("note", event.note))  # type: ignore[arg-type]
            event.note = number or self._number("note", str(event.note), event.at_ms, born)
        if event.book is not None:
            number = numbers.get(("book", event.book))  # type: ignore[arg-type]
            event.book = number or self._number("book", str(event.book), event.at_ms, born)

    def resolve(self, event: Event) -> Event:
        """Replace an event's numbers by texts; a forgotten text becomes an empty one."""
        for name in FIELDS:
            number = getattr(event, name)
            if number is not None:
                setattr(event, name, self._text(number))
        return event

    def _number(self, kind: str, text: str, at_ms: int, born: list[Event]) -> int:
        if len(self._numbers) >= _KNOWN_MAX:
            self.forget_cache()
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
        self._numbers[kind, text] = number
        return number

    def _text(self, number: int) -> str:
        text = self._texts.get(number)
        if text is None:
            row = self._connection.execute(
                "SELECT text FROM names WHERE id = ?", (number,)
            ).fetchone()
            text = self._texts[number] = "" if row is None or row[0] is None else str(row[0])
        return text
