"""From the text of price files to models: the grammar, its rules, and how files add up.

Layer: core (pure: text in, objects out).  Below: core.models, core.money, core.usage, errors.
Above: core.pricebook.  docs/price-book.md describes the grammar for people.

A later file adds models and changes earlier ones: for a model of the same name, each key it gives
replaces ours, and its rows replace all our rows of the variants that they name.
Every broken rule raises PriceBookInvalid with the file, the model, the row and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import tomllib

from noburn_cli.core.models import (
    EMBEDDING,
    FAMILIES,
    TOKENIZERS,
    VARIANTS,
    WRITES_AS_INPUT,
    WRITES_PRICED,
    Model,
    RateRow,
    Tier,
)
from noburn_cli.core.money import PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION
from noburn_cli.core.usage import INPUT, OUTPUT, PRICED_KINDS
from noburn_cli.errors import PriceBookInvalid

FORMAT = 1
#: More digits than any real rate has, and few enough for an exact fraction.
_DIGITS_MAX = 30
_TOKENS_MAX = 1_000_000_000
_NAME_CHARS_MAX = 200


@dataclass(frozen=True)
class Draft:
    """What the files so far say about one model; complete only when they have all been read."""

    origin: str
    fields: Mapping[str, Any]
    rows: tuple[RateRow, ...]


class Book:
    """The drafts and prefixes of the files read so far; `add` reads one more."""

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self.prefixes: dict[str, str] = {}

    def add(self, origin: str, text: str) -> None:
        """Read one file over the earlier ones.  Raises PriceBookInvalid."""
        document = _document(origin, text)
        refuse = _refuser(origin)
        _only(document, {"format", "generated", "prefixes", "model"}, refuse)
        if document.get("format") != FORMAT:
            raise refuse(f"`format = {FORMAT}` is missing or another number")
        if not isinstance(document.get("generated", {}), dict):
            raise refuse("`generated` is not a table")
        for prefix, provider in _table(document, "prefixes", refuse).items():
            if not (prefix and isinstance(provider, str) and provider):
                raise refuse(f"prefix {prefix!r} does not name a provider")
            self.prefixes[prefix] = provider
        entries = document.get("model", [])
        if not isinstance(entries, list):
            raise refuse("`model` is not a list: write [[model]]")
        self._add_models(origin, entries)

    def _add_models(self, origin: str, entries: Sequence[Any]) -> None:
        seen: set[str] = set()
        for index, entry in enumerate(entries, start=1):
            name = _model_name(entry, _refuser(origin, f"model {index}"))
            refuse = _refuser(origin, f"model `{name}`")
            if name in seen:
                raise refuse("it is in this file twice")
            seen.add(name)
            base = self._base(entry, name, refuse)
            self.drafts[name] = _merged(base, _draft(origin, entry, refuse))
            self._yield_names(origin, self.drafts[name], name)

    def _base(self, entry: dict[str, Any], name: str, refuse: _Refuse) -> Draft | None:
        like = entry.get("like")
        if like is None:
            return self.drafts.get(name)
        base = self.drafts.get(like) if isinstance(like, str) else None
        if base is None or like == name:
            raise refuse(f"`like` names no other model before it: {like!r}")
        return replace(base, fields={k: v for k, v in base.fields.items() if k != "aliases"})

    def _yield_names(self, origin: str, newer: Draft, name: str) -> None:
        """A later file may take an alias from an earlier one's model; its own word counts."""
        taken = {name, *newer.fields.get("aliases", ())}
        for other, draft in self.drafts.items():
            aliases = draft.fields.get("aliases", ())
            if other != name and draft.origin != origin and taken.intersection(aliases):
                kept = tuple(alias for alias in aliases if alias not in taken)
                self.drafts[other] = replace(draft, fields={**draft.fields, "aliases": kept})


def models_of(book: Book) -> tuple[dict[str, Model], dict[str, Model]]:
    """(models by name, models by name or alias), complete and without clashes.

    Raises PriceBookInvalid.
    """
    models = {name: _model(name, draft) for name, draft in book.drafts.items()}
    by_name = dict(models)
    for name, model in models.items():
        for alias in model.aliases:
            if alias in by_name:
                refuse = _refuser(book.drafts[name].origin, f"model `{name}`")
                raise refuse(f"its alias `{alias}` already means `{by_name[alias].name}`")
            by_name[alias] = model
    return models, by_name


_Refuse = Callable[[str], PriceBookInvalid]


def _refuser(origin: str, *where: str) -> _Refuse:
    def refuse(reason: str) -> PriceBookInvalid:
        place = ", ".join((origin, *where))
        return PriceBookInvalid(
            f"price file {place}: {reason}",
            why="a price that cannot be trusted is not used, and no call is priced without one",
            next_step="mend the file, then run `noburn prices check`",
        )

    return refuse


def _document(origin: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise _refuser(origin)(f"it is not TOML: {error}") from error


def _model_name(entry: Any, refuse: _Refuse) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not _is_name(name):
        raise refuse("it has no usable `name`")
    return str(name)


def _draft(origin: str, entry: dict[str, Any], refuse: _Refuse) -> Draft:
    _only(entry, {"name", "like", "rate", *_FIELDS}, refuse)
    fields = {key: _FIELDS[key](entry[key], key, refuse) for key in _FIELDS if key in entry}
    given = entry.get("rate", [])
    if not isinstance(given, list):
        raise refuse("`rate` is not a list: write [[model.rate]]")
    rows = tuple(_row(row, origin, entry["name"], n) for n, row in enumerate(given, start=1))
    dated = [(row.variant, row.starts_on) for row in rows]
    for variant, starts_on in dated:
        if dated.count((variant, starts_on)) > 1:
            raise refuse(f"two {variant} rows start on {starts_on}")
    return Draft(origin, fields, rows)


def _row(given: Any, origin: str, name: str, number: int) -> RateRow:
    refuse = _refuser(origin, f"model `{name}`", f"rate {number}")
    if not isinstance(given, dict):
        raise refuse("it is not a table")
    _only(given, {"variant", "starts_on", "checked_on", "url", "above", *PRICED_KINDS}, refuse)
    variant = _one_of(VARIANTS)(given.get("variant"), "variant", refuse)
    starts_on = _date(given.get("starts_on"), "starts_on", refuse)
    url = _text(given.get("url"), "url", refuse)
    if not url.startswith(("https://", "http://", "file:")):
        raise refuse("`url` is not an address (https://…, file:…)")
    return RateRow(
        variant=variant,
        starts_on=starts_on,
        starts_at_ms=_start_ms(starts_on),
        tiers=_tiers(given, refuse),
        url=url,
        checked_on=_date(given.get("checked_on"), "checked_on", refuse),
    )


def _tiers(given: dict[str, Any], refuse: _Refuse) -> tuple[Tier, ...]:
    base = Tier(0, _rates(given, refuse))
    tiers = [base]
    above = given.get("above", [])
    if not isinstance(above, list):
        raise refuse("`above` is not a list")
    for one in above:
        if not isinstance(one, dict):
            raise refuse("an entry of `above` is not a table")
        _only(one, {"input_tokens", *PRICED_KINDS}, refuse)
        threshold = _count(one.get("input_tokens"), "above.input_tokens", refuse)
        if threshold <= tiers[-1].above_input_tokens:
            raise refuse("`above` is not in ascending order of input_tokens")
        tier = Tier(threshold, _rates(one, refuse))
        if tier.rates.keys() != base.rates.keys():
            raise refuse(f"above {threshold} input tokens it does not rate the same kinds")
        tiers.append(tier)
    return tuple(tiers)


def _rates(given: dict[str, Any], refuse: _Refuse) -> dict[str, int]:
    return {kind: _pico(given[kind], kind, refuse) for kind in PRICED_KINDS if kind in given}


def _pico(dollars: Any, kind: str, refuse: _Refuse) -> int:
    """Pico-dollars per token of exact dollars per million tokens."""
    if type(dollars) is int:
        dollars = Decimal(dollars)
    if not isinstance(dollars, Decimal) or not dollars.is_finite():
        raise refuse(f"{kind} is not a number of dollars per million tokens: {dollars!r}")
    if dollars.is_signed() and dollars:
        raise refuse(f"{kind} is negative: {dollars}")
    if not dollars:
        return 0
    # The size first: an exact fraction of 1e999999999 would fill the memory.
    size = dollars.adjusted()
    if not -12 <= size <= 6 or len(dollars.as_tuple().digits) > _DIGITS_MAX:
        raise refuse(f"{kind} is out of range: {dollars} dollars per million tokens")
    pico = Fraction(dollars) * PICO_PER_TOKEN_PER_DOLLAR_PER_MILLION
    if pico.denominator != 1:
        raise refuse(f"{kind} is finer than a pico-dollar per token: {dollars}")
    return int(pico)


def _merged(base: Draft | None, newer: Draft) -> Draft:
    if base is None:
        return newer
    replaced = {row.variant for row in newer.rows}
    kept = tuple(row for row in base.rows if row.variant not in replaced)
    return Draft(newer.origin, {**base.fields, **newer.fields}, (*kept, *newer.rows))


def _model(name: str, draft: Draft) -> Model:
    refuse = _refuser(draft.origin, f"model `{name}`")
    fields = draft.fields
    for key in ("provider", "family", "tokenizer", "context_window"):
        if key not in fields:
            raise refuse(f"`{key}` is missing")
    _check_output(fields, refuse)
    _check_rows(draft.rows, fields["family"], refuse)
    order = {variant: place for place, variant in enumerate(VARIANTS)}
    window = fields["context_window"]
    if fields.get("input_max", window) > window:
        raise refuse("`input_max` is above the context window")
    return Model(
        name=name,
        provider=fields["provider"],
        family=fields["family"],
        tokenizer=fields["tokenizer"],
        context_window=window,
        input_max=fields.get("input_max", window),
        output_max=fields.get("output_max"),
        output_min=fields.get("output_min", 1),
        cache_writes=fields.get("cache_writes", WRITES_PRICED),
        aliases=fields.get("aliases", ()),
        rows=tuple(sorted(draft.rows, key=lambda row: (order[row.variant], row.starts_on))),
        sources=fields.get("sources", ()),
        retires_on=fields.get("retires_on"),
        note=fields.get("note", ""),
    )


def _check_output(fields: Mapping[str, Any], refuse: _Refuse) -> None:
    output_max = fields.get("output_max")
    if (fields["family"] == EMBEDDING) != (output_max is None):
        raise refuse("`output_max` belongs to every model but an embedding")
    if output_max is not None and output_max < fields.get("output_min", 1):
        raise refuse("`output_min` is above `output_max`")


def _check_rows(rows: Sequence[RateRow], family: str, refuse: _Refuse) -> None:
    if not rows:
        raise refuse("it has no rate")
    for row in rows:
        rates = row.tiers[0].rates
        place = f"its {row.variant} row from {row.starts_on}"
        if INPUT not in rates:
            raise refuse(f"{place} has no input rate")
        if (family == EMBEDDING) == (OUTPUT in rates):
            raise refuse(f"{place}: an output rate belongs to every model but an embedding")


def _start_ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=timezone.utc).timestamp()) * 1000


def _only(table: Mapping[str, Any], known: set[str], refuse: _Refuse) -> None:
    for key in table:
        if key not in known:
            raise refuse(f"unknown key {key!r}")


def _table(document: dict[str, Any], key: str, refuse: _Refuse) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise refuse(f"`{key}` is not a table")
    return table


def _is_name(text: Any) -> bool:
    return (
        isinstance(text, str)
        and 0 < len(text) <= _NAME_CHARS_MAX
        and text.isprintable()
        and not any(c.isspace() for c in text)
    )


def _text(value: Any, key: str, refuse: _Refuse) -> str:
    if not isinstance(value, str) or not value.strip():
        raise refuse(f"`{key}` is missing or not a text")
    return value


def _one_of(words: tuple[str, ...]) -> Callable[[Any, str, _Refuse], str]:
    def read(value: Any, key: str, refuse: _Refuse) -> str:
        if not isinstance(value, str) or value not in words:
            raise refuse(f"`{key}` is {value!r}, not one of {', '.join(words)}")
        return value

    return read


def _count(value: Any, key: str, refuse: _Refuse) -> int:
    if type(value) is not int or not 0 < value <= _TOKENS_MAX:
        raise refuse(f"`{key}` is not a whole number of tokens above 0: {value!r}")
    return value


def _date(value: Any, key: str, refuse: _Refuse) -> date:
    if type(value) is not date:  # A datetime is a date too, hence `type`.
        raise refuse(f"`{key}` is not a date like 2026-11-23: {value!r}")
    return value


def _names(value: Any, key: str, refuse: _Refuse) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(_is_name(one) for one in value):
        raise refuse(f"`{key}` is not a list of names without spaces")
    if len(set(value)) != len(value):
        raise refuse(f"`{key}` names something twice")
    return tuple(value)


_FIELDS: Mapping[str, Callable[[Any, str, _Refuse], Any]] = {
    "provider": _text,
    "family": _one_of(FAMILIES),
    "tokenizer": _one_of(TOKENIZERS),
    "context_window": _count,
    "input_max": _count,
    "output_max": _count,
    "output_min": _count,
    "cache_writes": _one_of((WRITES_PRICED, WRITES_AS_INPUT)),
    "aliases": _names,
    "sources": _names,
    "retires_on": _date,
    "note": _text,
}
