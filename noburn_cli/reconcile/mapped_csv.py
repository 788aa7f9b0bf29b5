"""A CSV file of anybody's, read by a mapping from our words to its columns.

Layer: reconcile, pure.  Below: bill.  Above: formats.
Owns: the words of `--map` and of a `[reconcile.NAME]` table, and what each of them means.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from fractions import Fraction

from noburn_cli.core.usage import EXTRA_KINDS, PRICED_KINDS
from noburn_cli.errors import InputRefused, UsageError
from noburn_cli.reconcile.bill import BillRow, count, day_of_text, exact

#: What a column may be, besides a kind of usage.
WORDS = {
    "day": "the day, or a time in RFC 3339 or in seconds since the epoch, in UTC unless it says",
    "model": "the model's name",
    "cost": "dollars",
    "cost_cents": "cents",
    "requests": "how many requests the row stands for",
    "key": "the API key's id",
    "project": "the project or workspace",
    "request": "the provider's id of the request, or noburn's own of the call",
}
KINDS = (*PRICED_KINDS, *EXTRA_KINDS)


def check_map(mapping: Mapping[str, str]) -> dict[str, str]:
    """Column by word.  Raises UsageError for an unknown word, and without a day or a model."""
    for word, column in mapping.items():
        if word not in WORDS and word not in KINDS:
            raise UsageError(
                f"a column cannot be mapped to {word!r}",
                why=f"known are {', '.join((*WORDS, *PRICED_KINDS))} and further kinds of usage",
            )
        if not column:
            raise UsageError(f"{word} is mapped to no column")
    for needed in ("day", "model"):
        if needed not in mapping:
            raise UsageError(
                f"the mapping names no column for the {needed}",
                why="calls are matched by day and model",
                next_step=f"add {needed}=COLUMN to --map",
            )
    return dict(mapping)


def parse_map(text: str) -> dict[str, str]:
    """Read `day=date,model=model_name,cost=usd`.  Raises UsageError."""
    mapping: dict[str, str] = {}
    for pair in text.split(","):
        word, equals, column = pair.partition("=")
        if not equals:
            raise UsageError(
                f"--map cannot be read from {pair!r}",
                next_step="write it like day=date,model=model_name,cost=usd",
            )
        mapping[word.strip()] = column.strip()
    return check_map(mapping)


def own_words(heading: Iterable[str]) -> dict[str, str]:
    """The mapping of columns that have the words' own names; empty when they tell too little.

    A day, a model and something to compare are needed; further columns are left out, as with --map.
    """
    found = {name: name for name in heading if name in WORDS or name in KINDS}
    compared = {"cost", "cost_cents", "requests", *KINDS} & found.keys()
    return found if compared and {"day", "model"} <= found.keys() else {}


def read_rows(
    rows: Iterable[Mapping[str, str]], mapping: Mapping[str, str], source: str
) -> list[BillRow]:
    """The rows of a file.  Raises InputRefused for a column that is not there, or no number."""
    found = []
    for row in rows:
        for column in mapping.values():
            if row.get(column) is None:
                raise InputRefused(
                    f"{source} has no column {column!r}", why=f"it has {', '.join(row)}"
                )
        said = {word: row[column].strip() for word, column in mapping.items()}
        found.append(_row(said, source))
    return found


def _row(said: Mapping[str, str], source: str) -> BillRow:
    counts = {kind: count(said.get(kind), f"{source}: {kind}") for kind in KINDS if kind in said}
    dollars: Fraction | None = None
    if said.get("cost"):
        dollars = exact(said["cost"], f"{source}: cost")
    elif said.get("cost_cents"):
        dollars = exact(said["cost_cents"], f"{source}: cost_cents") / 100
    request = said.get("request", "")
    requests = count(said["requests"], f"{source}: requests") if said.get("requests") else None
    return BillRow(
        _day(said["day"], source), said["model"],
        requests=1 if request and requests is None else requests,
        tokens={kind: number for kind, number in counts.items() if number}, dollars=dollars,
        key=said.get("key", ""), project=said.get("project", ""), request=request,
    )  # fmt: skip


def _day(text: str, source: str) -> str:
    if text.isdecimal() and len(text) >= 9:
        seconds = int(text) if len(text) < 12 else int(text) // 1000
        return f"{datetime.fromtimestamp(seconds, tz=timezone.utc):%Y-%m-%d}"
    return day_of_text(text, None, source) if len(text) == 10 else day_of_text(text, text, source)
