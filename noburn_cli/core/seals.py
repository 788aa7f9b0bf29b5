"""Seals: what a `compact` or `forget` row vouches for that links alone no longer prove.

Layer: core (pure, standard library).  Below: chain.  Above: the daemon's rewriting of the file,
`ledger verify`.
Owns: what a seal covers and how its digests are made.
Not here: which rows are taken (noburn_daemon.compacting), which texts (noburn_daemon.forgetting).

Compacting takes rows out of the chain's beginning, forgetting changes texts inside rows.  Each
writes one row at the chain's end that carries a seal: the rows up to `through` are no longer linked
one by one, and what stayed of them has the digest `kept`; the sums that stand for the others have
the digest `rollups`.  Rows after `through` keep their links; one whose text was changed keeps the
link it had, and the digest of what it says now is in a table of its own, which is sealed as well.
Only the newest seal counts: it covers what those before it covered.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields

from noburn_cli.core.chain import GENESIS

#: Kinds of rows that carry a seal, as `seal` in their detail.
KINDS = ("compact", "forget")
#: Tables that a seal covers, with the columns that make a row's place and content, in order.
TABLES: Mapping[str, tuple[str, ...]] = {
    "rollups": (
        "month", "context", "model", "state", "notional", "calls", "cost_nano", "cost_tokens",
        "hold_nano", "clamped", "input", "cache_read", "cache_write_5m", "cache_write_1h",
        "output", "reasoning", "extra",
    ),
    "closed_ids": ("call",),
    "redactions": ("seq", "digest"),
}  # fmt: skip
#: How many of them are its key, by which its rows are ordered.
KEY_LENGTHS: Mapping[str, int] = {"rollups": 5, "closed_ids": 1, "redactions": 1}


@dataclass(frozen=True)
class Seal:
    """What one row vouches for.  Digests and the link in hex.

    through: the last row that compacting may have taken; 0 when none was ever taken.
    link: the link that row `through` had, on which the rows after it build.
    kept: of the rows up to `through` that stayed, each with its link.
    rollups, closed_ids, redactions: of the tables of those names.
    """

    through: int = 0
    link: str = GENESIS.hex()
    kept: str = hashlib.sha256().hexdigest()
    rollups: str = hashlib.sha256().hexdigest()
    closed_ids: str = hashlib.sha256().hexdigest()
    redactions: str = hashlib.sha256().hexdigest()

    def as_detail(self) -> dict[str, int | str]:
        return asdict(self)

    def table(self, name: str) -> str:
        """The digest of one of TABLES."""
        return str(getattr(self, name))


def read_seal(detail: str | None) -> Seal:
    """The seal in a row's detail.  Raises ValueError when there is none that can be read."""
    try:
        found = json.loads(detail or "")["seal"]
        return Seal(**{field.name: found[field.name] for field in fields(Seal)})
    except (TypeError, KeyError) as error:
        raise ValueError(f"no seal in {detail!r}") from error


class Digest:
    """Adds up rows into one digest, in the order given."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, encoded: bytes, link: bytes = b"") -> None:
        """One row in its canonical form, ended by LF, which no such row contains; and its link."""
        self._sum.update(encoded + b"\n" + link)

    @property
    def hex(self) -> str:
        return self._sum.hexdigest()


def table_digest(rows: Iterable[Sequence[int | str | None]]) -> str:
    """The digest of a sealed table's rows, ordered by their key."""
    digest = Digest()
    for row in rows:
        digest.add(json.dumps(list(row), separators=(",", ":"), ensure_ascii=False).encode())
    return digest.hex


def row_digest(encoded: bytes) -> str:
    """What `redactions` says of a changed row: the digest of its canonical form, in hex."""
    return hashlib.sha256(encoded).hexdigest()
