"""OpenAI's and Anthropic's own exports of usage and costs: days, not calls.

Layer: importing.  Below: reconcile (which reads the exports), reading.  Above: job.
Owns: what a row of a bill becomes among calls: one record a day, model, key, project and kind,
which a later export of the same days replaces.  Formats, sources and dates:
reconcile.openai_bill, reconcile.anthropic_bill.

A day's records stand at the day's first millisecond in UTC.  An export of usage has tokens and no
money; one of costs has money and no tokens.  Where both are there, the money counts (batches).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path

from noburn_cli.core.imported import ImportedCall
from noburn_cli.core.money import NANO_PER_DOLLAR
from noburn_cli.errors import InputRefused
from noburn_cli.importing.mapping import Mapped
from noburn_cli.reconcile.bill import BillRow
from noburn_cli.reconcile.formats import read_file

#: How the id of a record begins that has money, and of one that has tokens.
MONEY, USAGE = "cost:", "usage:"
_FIELDS = ("project", "key")


@dataclass
class _Sum:
    """What the rows of one place come to."""

    tokens: Counter[str] = field(default_factory=Counter)
    dollars: Fraction | None = None
    requests: int = 0

    def add(self, row: BillRow) -> None:
        self.tokens.update(row.tokens)
        self.requests += row.requests or 0
        if row.dollars is not None:
            self.dollars = (self.dollars or Fraction(0)) + row.dollars


def read_bill(path: Path, provider: str, mapped: Mapped) -> Iterator[ImportedCall]:
    """The records of an export.  Raises InputRefused; UsageError when it is another provider's."""
    _check_fields(mapped)
    try:
        bill = read_file(path, mapping=None, provider=provider)
    except InputRefused as error:  # Its advice is reconcile's, which has a --map.
        raise InputRefused(
            error.message, why=error.why,
            next_step=f"`noburn import {provider}` reads usage and costs as {provider}'s console "
            "(CSV) and its API (JSON) export them; any other table: `noburn import csv`",
        ) from error  # fmt: skip
    sums: dict[tuple[bool, str, str, str, str, str], _Sum] = {}
    for row in bill.rows:
        money = row.dollars is not None
        place = (money, row.day, row.model, row.key, row.project, row.kind or row.fee)
        sums.setdefault(place, _Sum()).add(row)
    for (money, day, model, key, project, kind), found in sorted(sums.items()):
        record = {"project": project, "key": key}
        attributes = mapped.attributes(record, {"project": ("project",), "tag.key": ("key",)})
        yield ImportedCall(
            f"{MONEY if money else USAGE}{day}:{_place_id(model, key, project, kind)}",
            _first_ms(day), model or "(no model)", dict(found.tokens),
            said_nano=None if found.dollars is None else round(found.dollars * NANO_PER_DOLLAR),
            attributes=attributes, maker=provider, requests=0 if money else found.requests,
        )  # fmt: skip


def _check_fields(mapped: Mapped) -> None:
    """Raises InputRefused for a field that no bill has."""
    for name, path in mapped.chosen.items():
        if path and path not in _FIELDS:
            raise InputRefused(
                f"{name} cannot be taken from {path!r}", why=f"a bill has {' and '.join(_FIELDS)}"
            )


def _place_id(*place: str) -> str:
    """A digest: an id that says no name has none to be forgotten."""
    return hashlib.sha256(json.dumps(place).encode()).hexdigest()[:24]


def _first_ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp() * 1000)
