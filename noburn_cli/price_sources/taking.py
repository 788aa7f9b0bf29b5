"""An update of the price book, planned in full before anything is written.

Layer: I/O (reads books).  Below: price_sources.newer, fetching, keeping, core.book_update.
Above: commands.prices.updating.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli import prices, resources
from noburn_cli.core.book_diff import CHANGED
from noburn_cli.core.book_update import ANNOUNCED, PRICE, UpdatePlan, plan_update
from noburn_cli.core.models import Model
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.pricebook_file import Book, generated_of
from noburn_cli.errors import NoburnError
from noburn_cli.price_sources import keeping

if TYPE_CHECKING:
    from noburn_cli.price_sources.merging import Inputs

GENAI = "genai-prices"


@dataclass(frozen=True)
class Update:
    """What an update would do.

    source: in words.  text: what `book.toml` is to say; over: what it says now, if it is there.
    before, after: the whole book that prices calls, now and then.
    overridden: changed models on which the user's own prices have the last word.
    not_taken: models of which the sources say something else that nobody has decided about, and
        that an update does not take: prices by the hour, fine-tunes, what the sources disagree on.
    """

    source: str
    plan: UpdatePlan
    text: str
    over: str | None
    before: PriceBook
    after: PriceBook
    overridden: tuple[str, ...]
    not_taken: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Newer:
    """A newer book: where from in words, of which day, and what the file is to say of that."""

    source: str
    models: Sequence[Model]
    prefixes: Mapping[str, str]
    made_on: date
    generated: dict[str, Any]
    inputs: Inputs | None = None


def plan_from(
    environment: Mapping[str, str],
    source: str,
    *,
    sha256: str | None,
    litellm: Path | None,
    today: date,
    corrections: bool,
) -> Update:
    """Read a newer book, check it in full, and plan what taking it does.  Nothing is written.

    source: `genai-prices`, a file or an address.
    Raises NoburnError and its like for a book that cannot be had, breaks a rule, or is older than
    the one in force.
    """
    base_texts = keeping.base_texts(environment)
    base = PriceBook.from_texts(base_texts).models()
    if source == GENAI:
        newer = _from_genai(base, today=today, litellm=litellm)
    else:
        newer = _from_elsewhere(source, sha256)
    _check_day(newer, base_texts, today)
    plan = plan_update(
        base, newer.models, today=today, corrections=corrections,
        prefixes=_new_prefixes(base_texts, newer.prefixes),
    )  # fmt: skip
    generated = {"checked_on": newer.made_on, "taken_on": today, **newer.generated}
    prefixes = _further_prefixes(base_texts, newer.prefixes)
    text = keeping.overlay_text(plan.result, prefixes, generated)
    over = prices.updated_text(environment)
    before, after = prices.load_book(environment), keeping.check_whole(environment, text)
    return Update(
        source=newer.source,
        plan=plan,
        text=text,
        over=None if over is None else over[1],
        before=before,
        after=after,
        overridden=_overridden(plan, before, after),
        not_taken=_not_taken(plan, newer.inputs, today),
    )


def _not_taken(plan: UpdatePlan, inputs: Inputs | None, today: date) -> tuple[str, ...]:
    if inputs is None:
        return ()
    from noburn_cli.price_sources.comparing import compare_book

    noon = datetime(today.year, today.month, today.day, 12, tzinfo=timezone.utc)
    found = compare_book(plan.result, inputs, at=noon).disagreements
    # A row that begins tomorrow has been taken.
    taken = {one.name for one, row in plan.rows(PRICE, ANNOUNCED) if row.starts_on > today}
    names = dict.fromkeys(one.model for one in found if one.known is None)
    return tuple(name for name in names if name not in taken)


def _from_genai(base: Sequence[Model], *, today: date, litellm: Path | None) -> _Newer:
    from noburn_cli.price_sources.newer import INSTALL, from_genai

    made = from_genai(base, today=today, litellm=litellm)
    version = made.versions["genai_prices"]
    shipped = str(generated_of(resources.shipped_prices()[1]).get("genai_prices", ""))
    if _numbers(version) < _numbers(shipped):
        raise NoburnError(
            f"the installed genai-prices {version} is older than {shipped}, of which noburn's own "
            "book was made",
            next_step=INSTALL,
        )
    generated = {"source": GENAI, **made.versions}
    return _Newer(f"genai-prices {version}", made.models, {}, today, generated, made.inputs)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _from_elsewhere(source: str, sha256: str | None) -> _Newer:
    from noburn_cli.price_sources.fetching import fetch_book

    found = fetch_book(source, sha256)
    generated = {"source": source, "sha256": found.sha256}
    words = f"{source}, of {found.made_on},"
    return _Newer(words, found.models, found.prefixes, found.made_on, generated)


def _check_day(newer: _Newer, base: Sequence[tuple[str, str]], today: date) -> None:
    days = [day for _, text in base if (day := prices.made_on(text)) is not None]
    if days and newer.made_on < max(days):
        raise NoburnError(
            f"{newer.source} is older than the book in force, of {max(days)}: nothing was changed",
            why="an older book would take back prices that hold",
            next_step="`noburn prices update --undo` goes back to the book before",
        )
    if newer.made_on > today + timedelta(days=1):  # It is tomorrow somewhere.
        raise NoburnError(
            f"{newer.source} is of a day that has not come: nothing was changed",
            why="it would hold against every newer book until then",
            next_step="look at its `checked_on`, and at this machine's clock",
        )


def _prefixes_of(texts: Sequence[tuple[str, str]]) -> dict[str, str]:
    book = Book()
    for origin, text in texts:
        book.add(origin, text)
    return book.prefixes


def _new_prefixes(base: Sequence[tuple[str, str]], newer: Mapping[str, str]) -> dict[str, str]:
    """The prefixes that the book in force has not, or has for another provider."""
    known = _prefixes_of(base)
    return {prefix: owner for prefix, owner in newer.items() if known.get(prefix) != owner}


def _further_prefixes(base: Sequence[tuple[str, str]], newer: Mapping[str, str]) -> dict[str, str]:
    """The prefixes that the shipped book has not."""
    shipped = _prefixes_of(base[:1])
    found = {**_prefixes_of(base), **newer}
    return {prefix: owner for prefix, owner in found.items() if shipped.get(prefix) != owner}


def _overridden(plan: UpdatePlan, before: PriceBook, after: PriceBook) -> tuple[str, ...]:
    then = {model.name: model for model in after.models()}
    return tuple(
        model.name
        for model in before.models()
        if then.get(model.name) == model
        and any(one.name == model.name and one.kind == CHANGED for one in plan.models)
    )
