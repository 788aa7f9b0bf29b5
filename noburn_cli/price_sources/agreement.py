"""Providers whose models are taken by agreement: listed by both sources at the same rates.

`[[auto]]` in tools/prices_manual.toml names them.  A model joins the book when the second source
(litellm's JSON) lists it for text or embeddings, the first (genai-prices) matches its name, and
both give the same tiers and rates for every kind that both rate.  Names of one model with the same
limits and rates become one model with aliases.  What is in one source alone is left out, unless the
group's `second_alone` names the variant; then `sources` of the model names that source only.

Layer: pure, but for what genai-prices does.  Below: core, price_sources.genai, litellm_json,
merging, rows.  Above: price_sources.making.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from noburn_cli.core.modelnames import without_date
from noburn_cli.core.models import (
    BYTES_TOKENIZER,
    EMBEDDING,
    MEDIA_PRICED,
    STANDARD,
    VARIANTS,
    WINDOW_TOKENIZER,
    WRITES_AS_INPUT,
    WRITES_PRICED,
    Model,
    RateRow,
    Tier,
)
from noburn_cli.core.usage import CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT, OUTPUT
from noburn_cli.core.variants import order_of
from noburn_cli.price_sources.genai import first_rows
from noburn_cli.price_sources.litellm_json import SecondModel
from noburn_cli.price_sources.merging import Findings, Inputs, differences, released_rows
from noburn_cli.price_sources.regions import regions_by_key, with_uplifts
from noburn_cli.price_sources.rows import FROM_THE_FIRST_DAY, row_of

#: Which tokenizer a name has; the first pattern that is found decides, and none means `unknown`.
#: A vocabulary is named where it is published with the model (docs/tokens.md); others of Mistral's
#: are byte-level BPE, which bounds them.  A distilled model has the vocabulary of its base.
_TOKENIZERS = (
    (re.compile(r"claude"), "claude"),
    (re.compile(r"distill"), WINDOW_TOKENIZER),
    (re.compile(r"gpt-oss"), "o200k_harmony"),
    (re.compile(r"llama-?3"), "llama3"),
    (re.compile(r"llama-?4"), "llama4"),
    (re.compile(r"deepseek"), "deepseek_v3"),
    (re.compile(r"qwen-?3\.[56]"), "qwen3_5"),
    (re.compile(r"qwen-?(2(\.5)?|3)-"), "qwen2"),
    (re.compile(r"ministral-(3-)?\d+b|magistral-small|devstral-(small|2)|mistral-nemo"), "tekken"),
    (re.compile(r"mistral-(large-(3|2512)|small-(3|25))"), "tekken"),
    (re.compile(r"ministral|magistral|devstral"), BYTES_TOKENIZER),
    (re.compile(r"mistral-(nemo|small|medium|large)-(3|4|2[5-9]|latest)"), BYTES_TOKENIZER),
    (re.compile(r"gpt-(4o|4\.1|[56])|(^|/)(o[134]|chat-latest)(-|$)"), "o200k_base"),
    (re.compile(r"gpt-(4|3\.5)|text-embedding-(3|ada)"), "cl100k_base"),
)


@dataclass(frozen=True)
class Candidate:
    """One name in the second source that may join the book."""

    name: str
    plain: str
    entry: SecondModel
    first: Any


def auto_models(inputs: Inputs, findings: Findings) -> list[Model]:
    """The models of every `[[auto]]` group; without the second source, those of the book."""
    made: list[Model] = []
    for group in inputs.manual["auto"]:
        if inputs.second is None:
            made += [m for m in inputs.committed.values() if is_of(m, group, inputs)]
        else:
            made += _group_models(group, inputs, findings)
    return made


def is_of(model: Model, group: dict[str, Any], inputs: Inputs) -> bool:
    """Whether a model of the book came in by this group."""
    by_hand = model.name in inputs.manual["by_hand"]
    only = re.compile(group.get("only", ""))
    return (
        model.provider == group["provider"]
        and bool(only.search(model.name.removeprefix(group["prefix"])))
        and not by_hand
    )


def _group_models(group: dict[str, Any], inputs: Inputs, findings: Findings) -> list[Model]:
    alike: dict[Any, list[tuple[Candidate, list[RateRow]]]] = {}
    left_out: list[Candidate] = []
    for one in _candidates(group, inputs):
        rows = _rows(one, group, inputs)
        if rows is None:
            left_out.append(one)
            continue
        tiers = tuple(
            (tier.above_input_tokens, *sorted(tier.rates.items())) for tier in rows[0].tiers
        )
        limits = (one.entry.input_max, one.entry.output_max, one.entry.reasons, one.entry.embeds)
        undated = without_date(one.plain) or one.plain
        first_id = one.first.id if one.first is not None else undated
        alike.setdefault((first_id, tiers, limits, tokenizer_of(one.plain)), []).append((one, rows))
    findings.left_out.append(
        f"{group['provider']}: {len(left_out)} names on which the sources do not agree"
    )
    made = [_model(group, names, inputs, findings) for names in alike.values()]
    findings.between_sources += _mistaken(made, left_out)
    return sorted(made, key=lambda model: model.name)


def _mistaken(made: list[Model], left_out: list[Candidate]) -> Iterator[str]:
    """Names with a date that were left out, and would mean another price without it."""
    by_name = {name: model for model in made for name in (model.name, *model.aliases)}
    for one in left_out:
        model = by_name.get(without_date(one.name) or "")
        tiers = one.entry.tiers(STANDARD, "text")
        if model is None:
            continue
        now = model.rows[0]
        if tiers is None or differences("", now, _aligned(tiers, now.tiers)):
            yield f"{one.name}: left out, and it would be priced as {model.name}"


def _candidates(group: dict[str, Any], inputs: Inputs) -> Iterator[Candidate]:
    assert inputs.second is not None
    prefix = group["second_prefix"]
    skip = re.compile(group.get("skip", r"(?!)"))
    only = re.compile(group.get("only", ""))
    firsts = [
        model
        for owner in group["first"]
        for (provider, _), model in inputs.first.items()
        if provider == owner
    ]
    for key, entry in inputs.second.items():
        plain = key.removeprefix(prefix)
        if entry.provider not in group["second"] or not key.startswith(prefix) or not entry.texts:
            continue
        retired = entry.retires_on is not None and entry.retires_on <= inputs.today
        if retired or skip.search(plain) or any(c.isspace() for c in plain):
            continue
        if not only.search(plain):
            continue
        first = next((m for m in firsts if m.id == plain), None) or next(
            (m for m in firsts if m.is_match(plain)), None
        )
        yield Candidate(group["prefix"] + plain, plain, entry, first)


def _rows(one: Candidate, group: dict[str, Any], inputs: Inputs) -> list[RateRow] | None:
    """The standard rows on which the sources agree; None where they don't, or limits lack."""
    family = EMBEDDING if one.entry.embeds else "text"
    tiers = one.entry.tiers(STANDARD, family)
    if tiers is None or one.entry.input_max is None or not any(tiers[0].rates.values()):
        return None
    url = group["url"]
    if one.first is None:
        if STANDARD not in group.get("second_alone", ()):
            return None
        rows = [row_of(STANDARD, inputs.today, tiers, url=url, checked_on=inputs.today)]
        return [*rows, *_further(one, [], family, group, inputs)]
    try:
        rows = first_rows(one.first, family, url=url, checked_on=inputs.today)
    except (KeyError, ValueError):
        return None  # Priced by something else than tokens, or by the hour.
    standard = [row for row in rows if row.variant == STANDARD]
    now = [row for row in standard if row.starts_on <= inputs.today]
    needed = {INPUT} if family == EMBEDDING else {INPUT, OUTPUT}
    if not now or not needed <= now[-1].tiers[0].rates.keys():
        return None
    if differences(one.name, now[-1], _aligned(tiers, now[-1].tiers)):
        return None
    later = [row for row in standard if row.starts_on > inputs.today]
    if group.get("completed"):
        now[-1] = _completed(now[-1], tiers)
    return [now[-1], *later, *_further(one, rows, family, group, inputs)]


def _further(
    one: Candidate, first: list[RateRow], family: str, group: dict[str, Any], inputs: Inputs
) -> Iterator[RateRow]:
    """Rows of the other variants: by agreement, of the first source alone, or, where the group
    says so, of the second alone.  A variant on which they differ is left out.
    """
    changes_later = any(row.starts_on > inputs.today for row in first)
    alone = group.get("second_alone", ())
    for variant in VARIANTS[1:]:
        rows = [row for row in first if row.variant == variant]
        now = [row for row in rows if row.starts_on <= inputs.today]
        tiers = one.entry.tiers(variant, family)
        if now and tiers is not None and group.get("completed"):
            now[-1] = _completed(now[-1], tiers)
        if now and (tiers is None or not differences("", now[-1], _aligned(tiers, now[-1].tiers))):
            yield now[-1]
            yield from (row for row in rows if row.starts_on > inputs.today)
        elif tiers is not None and not rows and not changes_later and variant in alone:
            yield row_of(variant, inputs.today, tiers, url=group["url"], checked_on=inputs.today)


def _completed(row: RateRow, second: tuple[Tier, ...]) -> RateRow:
    """The row with the kinds that only the second source rates."""
    theirs = {tier.above_input_tokens: tier.rates for tier in second}
    tiers = tuple(
        replace(tier, rates={**theirs.get(tier.above_input_tokens, {}), **tier.rates})
        for tier in row.tiers
    )
    return replace(row, tiers=tiers)


def _aligned(second: tuple[Tier, ...], first: tuple[Tier, ...]) -> tuple[Tier, ...]:
    """`from 200,000 tokens` and `above 200,000` are one threshold, and the lower one is taken."""
    lower = {tier.above_input_tokens + 1: tier.above_input_tokens for tier in first}
    return tuple(
        replace(tier, above_input_tokens=lower.get(above, above))
        for tier in second
        for above in [tier.above_input_tokens]
    )


def _model(
    group: dict[str, Any],
    names: list[tuple[Candidate, list[RateRow]]],
    inputs: Inputs,
    findings: Findings,
) -> Model:
    known = {one.name for one, _ in names}
    first = names[0][0].first
    committed = [name for name in sorted(known) if name in inputs.committed]
    name = min(committed or known, key=lambda n: (not _is_plain(n, group, first), len(n), n))
    one, rows = next(pair for pair in names if pair[0].name == name)
    twin = inputs.committed.get(one.plain) if group["provider"] == "azure" else None
    writes = any(k in row.tiers[0].rates for row in rows for k in (CACHE_WRITE_5M, CACHE_WRITE_1H))
    window = max(w for w in (first and first.context_window, one.entry.input_max) if w)
    family = EMBEDDING if one.entry.embeds else "reasoning" if one.entry.reasons else "text"
    output_max = None if one.entry.embeds else min(one.entry.output_max or window, window)
    rows = [replace(row, starts_on=FROM_THE_FIRST_DAY, starts_at_ms=0) if n == 0 else row
            for n, row in enumerate(rows)]  # fmt: skip
    before = inputs.committed.get(name)
    regional, alike = regions_by_key(
        group, [one.plain for one, _ in names], rows[0], before, inputs
    )
    rows += regional
    released = released_rows(name, before, rows, inputs, findings)
    made = Model(
        name=name,
        provider=group["provider"],
        family=family,
        tokenizer=tokenizer_of(one.plain),
        context_window=window,
        input_max=min(one.entry.input_max or window, window),
        output_max=output_max,
        output_min=twin.output_min if twin else 1,
        cache_writes=WRITES_PRICED if writes else WRITES_AS_INPUT,
        # A name with a date behind it needs no alias.
        aliases=tuple(sorted(one for one in known - {name} if without_date(one) not in known)),
        rows=tuple(sorted(released, key=lambda row: (order_of(row.variant), row.starts_on))),
        sources=("litellm",) if first is None else ("genai-prices", "litellm"),
        retires_on=one.entry.retires_on,
        note=group.get("note", ""),
        media_input=group.get("media_input", MEDIA_PRICED),
    )
    entry = replace(one.entry, regions={**one.entry.regions, **alike})
    return with_uplifts(made, entry, inputs, findings)


def _is_plain(name: str, group: dict[str, Any], first: Any) -> bool:
    """Whether people write this name: the first source's own, or Bedrock's for the US."""
    plain = name.removeprefix(group["prefix"])
    return plain.startswith("us.") or (first is not None and plain == first.id)


def tokenizer_of(plain: str) -> str:
    """The tokenizer that a name is known to have; WINDOW_TOKENIZER for none."""
    found = (word for pattern, word in _TOKENIZERS if pattern.search(plain.lower()))
    return next(found, WINDOW_TOKENIZER)
