"""From the text of price files to models: the grammar, its rules, and how files add up.

Layer: core (pure: text in, objects out).  Below: core.models, core.money, core.usage, errors.
Above: core.pricebook.  docs/price-book.md describes the grammar for people.

A later file adds models and changes earlier ones: for a model of the same name, each key it gives
replaces ours, and its rows replace all our rows of the variants that they name.
Every broken rule raises PriceBookInvalid with the file, the model, the row and the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import tomllib

from noburn_cli.core.free_models import FreeProvider, read_free
from noburn_cli.core.modelnames import FINE_TUNE
from noburn_cli.core.models import (
    MEDIA,
    MEDIA_PRICED,
    NO_OUTPUT,
    NOT_RETIRED,
    VARIANTS,
    WRITES_PRICED,
    Model,
    RateRow,
    Tier,
    Uplift,
)
from noburn_cli.core.plain_toml import plain_document
from noburn_cli.core.pricebook_fields import (
    FIELDS,
    Refuse,
    count_of,
    date_of,
    fee_per_unit,
    is_name,
    one_of,
    only,
    pico_per_token,
    refuser,
    region_of,
    start_ms,
    url_of,
)
from noburn_cli.core.pricebook_uplifts import uplifts_of
from noburn_cli.core.pricebook_windows import check_windows, windows_of
from noburn_cli.core.usage import EXTRA_TOKEN_KINDS, FEE_PRICES, INPUT, OUTPUT, PRICED_KINDS
from noburn_cli.core.variants import order_of, with_region

FORMAT = 1


@dataclass(frozen=True)
class Draft:
    """What the files so far say about one model; complete only when they have all been read."""

    origin: str
    fields: Mapping[str, Any]
    rows: tuple[RateRow, ...]
    uplifts: tuple[Uplift, ...] = ()


class Book:
    """The drafts, prefixes and free providers of the files read so far; `add` reads one more."""

    def __init__(self) -> None:
        self.drafts: dict[str, Draft] = {}
        self.prefixes: dict[str, str] = {}
        self.free: dict[str, FreeProvider] = {}
        #: Which files speak of a model, in their order.
        self.origins: dict[str, list[str]] = {}

    def add(self, origin: str, text: str) -> None:
        """Read one file over the earlier ones.  Raises PriceBookInvalid."""
        document = _document(origin, text)
        refuse = refuser(origin)
        only(document, {"format", "generated", "prefixes", "model", "free"}, refuse)
        if document.get("format") != FORMAT:
            raise refuse(f"`format = {FORMAT}` is missing or another number")
        if not isinstance(document.get("generated", {}), dict):
            raise refuse("`generated` is not a table")
        for prefix, provider in _table(document, "prefixes", refuse).items():
            if not (prefix and isinstance(provider, str) and provider):
                raise refuse(f"prefix {prefix!r} does not name a provider")
            self.prefixes[prefix] = provider
        self.free.update(read_free(document.get("free", []), origin))
        entries = document.get("model", [])
        if not isinstance(entries, list):
            raise refuse("`model` is not a list: write [[model]]")
        self._add_models(origin, entries)

    def _add_models(self, origin: str, entries: Sequence[Any]) -> None:
        seen: set[str] = set()
        earlier = [n for n, draft in self.drafts.items() if draft.fields.get("aliases")]
        for index, entry in enumerate(entries, start=1):
            name = _model_name(entry, refuser(origin, f"model {index}"))
            refuse = refuser(origin, f"model `{name}`")
            if name in seen:
                raise refuse("it is in this file twice")
            seen.add(name)
            base = self._base(entry, name, refuse)
            self.drafts[name] = _merged(base, _draft(origin, entry, refuse))
            self.origins.setdefault(name, []).append(origin)
            self._yield_aliases(origin, self.drafts[name], name, earlier)

    def _base(self, entry: dict[str, Any], name: str, refuse: Refuse) -> Draft | None:
        like = entry.get("like")
        if like is None:
            return self.drafts.get(name)
        base = self.drafts.get(like) if isinstance(like, str) else None
        if base is None or like == name:
            raise refuse(f"`like` names no other model before it: {like!r}")
        fields = {key: value for key, value in base.fields.items() if key != "aliases"}
        # A fine-tune costs more than what it was made from, in every variant.
        tuned = name.startswith(FINE_TUNE) and not like.startswith(FINE_TUNE)
        return replace(base, fields=fields, rows=() if tuned else base.rows)

    def _yield_aliases(self, origin: str, newer: Draft, name: str, earlier: Sequence[str]) -> None:
        """A later file may take an alias from an earlier one's model; its own word counts."""
        taken = {name, *newer.fields.get("aliases", ())}
        for other in earlier:
            draft = self.drafts[other]
            aliases = draft.fields.get("aliases", ())
            if other != name and draft.origin != origin and taken.intersection(aliases):
                kept = tuple(alias for alias in aliases if alias not in taken)
                self.drafts[other] = replace(draft, fields={**draft.fields, "aliases": kept})


def generated_of(text: str) -> Mapping[str, Any]:
    """What a price file says of its making, read from its head alone.

    Empty for a file that says nothing, or that is no TOML: who reads it whole says why.
    """
    head = text.partition("\n[[")[0]
    try:
        made = tomllib.loads(head).get("generated", {})
    except (ValueError, RecursionError):
        return {}
    return made if isinstance(made, dict) else {}


def models_of(book: Book) -> tuple[dict[str, Model], dict[str, Model]]:
    """(models by name, models by name or alias), complete and without clashes.

    Raises PriceBookInvalid.
    """
    models = {name: _model(name, draft) for name, draft in book.drafts.items()}
    by_name = dict(models)
    for name, model in models.items():
        for alias in model.aliases:
            if alias in by_name:
                refuse = refuser(book.drafts[name].origin, f"model `{name}`")
                raise refuse(f"its alias `{alias}` already means `{by_name[alias].name}`")
            by_name[alias] = model
    return models, by_name


def _document(origin: str, text: str) -> dict[str, Any]:
    plain = plain_document(text)
    if plain is not None:
        return plain
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise refuser(origin)(f"it is not TOML: {error}") from error


def _model_name(entry: Any, refuse: Refuse) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    if not is_name(name):
        raise refuse("it has no usable `name`")
    return str(name)


def _draft(origin: str, entry: dict[str, Any], refuse: Refuse) -> Draft:
    only(entry, {"name", "like", "rate", "uplift", *FIELDS}, refuse)
    fields = {key: FIELDS[key](entry[key], key, refuse) for key in FIELDS if key in entry}
    given = entry.get("rate", [])
    if not isinstance(given, list):
        raise refuse("`rate` is not a list: write [[model.rate]]")
    rows = tuple(_row(row, origin, entry["name"], n) for n, row in enumerate(given, start=1))
    check_windows(rows, refuse)
    return Draft(origin, fields, rows, uplifts_of(entry.get("uplift", []), origin, entry["name"]))


def _row(given: Any, origin: str, name: str, number: int) -> RateRow:
    refuse = refuser(origin, f"model `{name}`", f"rate {number}")
    if not isinstance(given, dict):
        raise refuse("it is not a table")
    only(given, _ROW_KEYS, refuse)
    variant = one_of(VARIANTS)(given.get("variant"), "variant", refuse)
    starts_on = date_of(given.get("starts_on"), "starts_on", refuse)
    region = region_of(given["region"], "region", refuse) if "region" in given else ""
    return RateRow(
        variant=with_region(variant, region),
        starts_on=starts_on,
        starts_at_ms=start_ms(starts_on),
        tiers=_tiers(given, refuse),
        url=url_of(given, refuse),
        checked_on=date_of(given.get("checked_on"), "checked_on", refuse),
        extra=_extra(given, refuse),
        windows=windows_of(given, refuse),
    )


_ROW_KEYS = {
    *("variant", "region", "starts_on", "hours", "days", "checked_on", "url", "above"),
    *PRICED_KINDS,
    *EXTRA_TOKEN_KINDS,
    *(key for key, _ in FEE_PRICES.values()),
}


def _extra(given: dict[str, Any], refuse: Refuse) -> dict[str, int]:
    """Rates of the further kinds: tokens by the million, fees by the units in their key."""
    found = {
        kind: pico_per_token(given[kind], kind, refuse)
        for kind in EXTRA_TOKEN_KINDS
        if kind in given
    }
    for kind, (key, _) in FEE_PRICES.items():
        if key in given:
            found[kind] = fee_per_unit(given[key], kind, refuse)
    return found


def _tiers(given: dict[str, Any], refuse: Refuse) -> tuple[Tier, ...]:
    base = Tier(0, _rates(given, refuse))
    tiers = [base]
    above = given.get("above", [])
    if not isinstance(above, list):
        raise refuse("`above` is not a list")
    for one in above:
        if not isinstance(one, dict):
            raise refuse("an entry of `above` is not a table")
        only(one, {"input_tokens", *PRICED_KINDS}, refuse)
        threshold = count_of(one.get("input_tokens"), "above.input_tokens", refuse)
        if threshold <= tiers[-1].above_input_tokens:
            raise refuse("`above` is not in ascending order of input_tokens")
        tier = Tier(threshold, _rates(one, refuse))
        if tier.rates.keys() != base.rates.keys():
            raise refuse(f"above {threshold} input tokens it does not rate the same kinds")
        tiers.append(tier)
    return tuple(tiers)


def _rates(given: dict[str, Any], refuse: Refuse) -> dict[str, int]:
    return {
        kind: pico_per_token(given[kind], kind, refuse) for kind in PRICED_KINDS if kind in given
    }


def _merged(base: Draft | None, newer: Draft) -> Draft:
    if base is None:
        return newer
    replaced = {row.variant for row in newer.rows}
    kept = tuple(row for row in base.rows if row.variant not in replaced)
    fields = {**base.fields, **newer.fields}
    return Draft(newer.origin, fields, (*kept, *newer.rows), newer.uplifts or base.uplifts)


def _model(name: str, draft: Draft) -> Model:
    refuse = refuser(draft.origin, f"model `{name}`")
    fields = draft.fields
    for key in ("provider", "family", "tokenizer", "context_window"):
        if key not in fields:
            raise refuse(f"`{key}` is missing")
    _check_output(fields, refuse)
    _check_rows(draft.rows, fields["family"], refuse)
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
        rows=tuple(sorted(draft.rows, key=_order)),
        sources=fields.get("sources", ()),
        retires_on=None if fields.get("retires_on") == NOT_RETIRED else fields.get("retires_on"),
        note=fields.get("note", ""),
        uplifts=draft.uplifts,
        media_input=fields.get("media_input", MEDIA_PRICED),
    )


def _order(row: RateRow) -> tuple[tuple[int, str], date, bool]:
    return order_of(row.variant), row.starts_on, bool(row.windows)


def _check_output(fields: Mapping[str, Any], refuse: Refuse) -> None:
    output_max = fields.get("output_max")
    if (fields["family"] in NO_OUTPUT) != (output_max is None):
        raise refuse("`output_max` belongs to every model but embeddings and media")
    if output_max is not None and output_max < fields.get("output_min", 1):
        raise refuse("`output_min` is above `output_max`")


def _check_rows(rows: Sequence[RateRow], family: str, refuse: Refuse) -> None:
    if not rows:
        raise refuse("it has no rate")
    for row in rows:
        rates = row.tiers[0].rates
        place = f"its {row.variant} row from {row.starts_on}"
        if INPUT not in rates and not (family == MEDIA and row.extra):
            raise refuse(f"{place} has no input rate")
        if (family in NO_OUTPUT) == (OUTPUT in rates):
            raise refuse(f"{place}: an output rate belongs to every model but embeddings and media")


def _table(document: dict[str, Any], key: str, refuse: Refuse) -> dict[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, dict):
        raise refuse(f"`{key}` is not a table")
    return table
