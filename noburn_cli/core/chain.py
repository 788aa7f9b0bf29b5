"""The hash chain over the journal: what a row is worth to somebody who doubts the file.

Layer: core (pure, standard library).  Below: nothing.  Above: the daemon's writer and `ledger
verify`.
Owns: the journal's column order, the canonical encoding of a row, the links, and their
verification.
Not here: the SQL (noburn_daemon.schema), reading the file (whoever verifies).

Each row's link is sha256(previous link + canonical row).  A row refers to texts (contexts, models,
owners, notes, books) by number; a `name` row binds each number to a salted digest of its text,
so that an edited text is found, and a text can be erased (`ledger forget`) without breaking the
chain.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

Value = int | str | None

#: The journal's columns in canonical order, without its `chain`.
COLUMNS = (
    "seq", "at_ms", "kind", "call", "run", "context", "model", "owner", "note", "book", "digest",
    "hold_nano", "hold_tokens", "input_bound", "bound", "factor", "wanted", "granted", "clamped",
    "write_cap", "waited_ms", "cost_nano", "cost_tokens", "input", "cache_read", "cache_write_5m",
    "cache_write_1h", "output", "reasoning", "variant", "latency_ms", "status", "failure",
    "provider_id", "served_model", "detail",
    "extra", "ceiling_nano",
)  # fmt: skip
#: How many of them the first schema had.  Later columns are not part of a row that has none of
#: them, so that rows written before they existed keep their links.
FIRST_COLUMNS = 36

GENESIS = hashlib.sha256(b"noburn ledger 1").digest()


def canonical(row: Sequence[Value]) -> bytes:
    """A row's values in COLUMNS' order as compact JSON in UTF-8, without later columns if empty.

    The daemon writes the same bytes with msgspec; a test holds the two equal over all characters.
    """
    values = list(row)
    if all(value is None for value in values[FIRST_COLUMNS:]):
        del values[FIRST_COLUMNS:]
    return json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode("utf-8")


def link(previous: bytes, encoded: bytes) -> bytes:
    """The link after `previous` for one canonically encoded row."""
    return hashlib.sha256(previous + encoded).digest()


def name_digest(kind: str, text: str, salt: str) -> str:
    """What a `name` row says about a text: hex of a salted digest."""
    return hashlib.sha256("\x00".join((salt, kind, text)).encode("utf-8")).hexdigest()


def verify(
    rows: Iterable[tuple[Sequence[Value], bytes]], *, head: bytes | None = None
) -> int | None:
    """The first bad seq, or None when every link holds.

    rows: (values in COLUMNS' order, stored link), ordered by seq, from the very first row.
    head: the last link as kept elsewhere; if no row carries it, the row after the last is bad (rows
    were cut from the end, or the whole chain was made anew).
    """
    previous = GENESIS
    expected_seq = 1
    head_seen = head is None
    for values, stored in rows:
        if values[0] != expected_seq or link(previous, canonical(values)) != stored:
            return expected_seq
        previous = stored
        head_seen = head_seen or stored == head
        expected_seq += 1
    return None if head_seen or head == GENESIS else expected_seq
