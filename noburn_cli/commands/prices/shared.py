"""What the commands of `noburn prices` have in common: options, moments, and books by name.

Layer: commands.  Below: prices, price_sources, core.pricebook.
"""

from __future__ import annotations

import os
import subprocess
import time
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.core.variants import VARIANTS, without_region
from noburn_cli.errors import PriceBookInvalid, UsageError

if TYPE_CHECKING:
    from noburn_cli.core.models import Model

JSON_VERSION = 1
TABLE, JSON, CSV = "table", "json", "csv"
#: Names of books that are no files.
SHIPPED, CURRENT, GENAI = "shipped", "current", "genai-prices"
ALL = "all"
VARIANT_HELP = f"{', '.join(VARIANTS)}, one of them in a region (standard@eu), or all."
_GIT_S = 30

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
At = Annotated[
    str | None,
    typer.Option("--at", help="Prices of that day: 2026-12-01 (UTC); today unless given.",
                 metavar="DATE"),
]  # fmt: skip


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def today() -> date:
    """The day in UTC."""
    return datetime.now(tz=timezone.utc).date()


def at_ms(at: str | None) -> int:
    """The moment that `--at` names: now, or the noon (UTC) of a day.  Raises UsageError."""
    if at is None:
        return now_ms()
    try:
        day = date.fromisoformat(at)
    except ValueError as error:
        raise UsageError(f"--at is no day: {at!r}", next_step="write it like 2026-12-01") from error
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc).timestamp()) * 1000


def format_of(given: str | None, *, as_json: bool, known: tuple[str, ...]) -> str:
    """The form of the output.  Raises UsageError."""
    if as_json:
        if given not in (None, JSON):
            raise UsageError("--json and --format name two forms of one output")
        return JSON
    if given is not None and given not in known:
        raise UsageError(f"--format is {given!r}, not one of {', '.join(known)}")
    return given or TABLE


def check_variant(variant: str) -> None:
    """Raises UsageError for a word that is none."""
    if variant != ALL and without_region(variant)[0] not in VARIANTS:
        raise UsageError(f"--variant is {variant!r}, not one of {', '.join((*VARIANTS, ALL))}")


def note_passed_over() -> None:
    """Say on standard error that the book that was taken prices nothing any more."""
    from noburn_cli.prices import passed_over

    note = passed_over(os.environ)
    if note is not None:
        typer.echo(f"note: {note}", err=True)


def named_models(name: str) -> tuple[Model, ...]:
    """The models of a book: `shipped`, `current`, `genai-prices`, REVISION:FILE, or a file.

    Raises PriceBookInvalid, UsageError, SourceMissing.
    """
    from noburn_cli import prices, resources
    from noburn_cli.core.pricebook import PriceBook

    if name == CURRENT:
        return prices.load_book(os.environ).models()
    if name == SHIPPED:
        return PriceBook.from_texts([resources.shipped_prices()]).models()
    if name == GENAI:
        from noburn_cli.price_sources.newer import from_genai

        base = PriceBook.from_texts([resources.shipped_prices()]).models()
        return from_genai(base, today=today()).models
    return PriceBook.from_texts([(name, _text_of(name))]).models()


def _text_of(name: str) -> str:
    from noburn_cli.prices import read_price_file

    next_step = f"name a file, REVISION:FILE, {SHIPPED}, {CURRENT} or {GENAI}"
    text = read_price_file(Path(name), next_step=next_step)
    if text is not None:
        return text
    revision, colon, path = name.partition(":")
    if not (revision and colon and path) or revision.startswith("-"):
        raise UsageError(f"there is no price file {name}", next_step=next_step)
    command = ["git", "show", f"{revision}:{path}"]
    try:
        ran = subprocess.run(command, capture_output=True, timeout=_GIT_S, check=False)
    except (OSError, subprocess.SubprocessError) as error:
        raise PriceBookInvalid(f"git cannot show {name}: {error}") from error
    if ran.returncode:
        said = ran.stderr.decode("utf-8", "replace").strip().removeprefix("fatal: ")
        raise PriceBookInvalid(f"git cannot show {name}: {said}", next_step=next_step)
    return ran.stdout.decode("utf-8", "replace")
