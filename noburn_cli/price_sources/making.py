"""The models of a book, made of the hand-kept part, the two sources and the book before.

Rates come from genai-prices; limits, retirement dates and what it lacks from litellm's JSON; which
models, which tokenizer and the like from the hand-kept part (resources.MANUAL_FILE).
Layer: pure, but for what genai-prices does.  Below: core, price_sources.genai, litellm_json,
merging, agreement.  Above: tools/refresh_prices.py, commands.prices.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from noburn_cli.core.models import (
    EMBEDDING,
    MEDIA_PRICED,
    WRITES_AS_INPUT,
    WRITES_PRICED,
    Model,
)
from noburn_cli.core.usage import CACHE_WRITE_1H, CACHE_WRITE_5M
from noburn_cli.core.variants import order_of
from noburn_cli.price_sources import genai
from noburn_cli.price_sources.agreement import auto_models
from noburn_cli.price_sources.hours import hour_differences
from noburn_cli.price_sources.merging import (
    Findings,
    Inputs,
    completed_rows,
    released_rows,
    with_fees,
)
from noburn_cli.price_sources.regions import with_uplifts


class SourceGap(ValueError):
    """A model of the hand-kept part for which the sources lack a fact that it needs."""

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"{model}: {reason}")
        self.model = model


def new_models(inputs: Inputs, findings: Findings) -> list[Model]:
    """All models of the book, in the order of the hand-kept part.  Raises SourceGap."""
    made = [
        _model(name, group, inputs, findings)
        for group in inputs.manual["group"]
        for name in group["names"]
    ]
    made += auto_models(inputs, findings)
    for name in inputs.manual["hourly"]:
        findings.between_sources += hour_differences(inputs.committed[name], inputs)
    names = {model.name for model in made}
    gone = [name for name in inputs.committed if name not in names]
    findings.changes += [
        f"{name}: in pricing.toml, but not in prices_manual.toml"
        for name in gone
        if name not in inputs.manual["by_hand"]
    ]
    return made + [inputs.committed[name] for name in gone]


def _model(name: str, group: dict[str, Any], inputs: Inputs, findings: Findings) -> Model:
    extra = inputs.manual["model"].get(name, {})
    provider, family = group["provider"], group["family"]
    first = inputs.first.get((provider, extra.get("first", name)))
    before = inputs.committed.get(name)
    if first is None:
        raise SourceGap(name, "genai-prices does not know it; mend tools/prices_manual.toml")
    url = inputs.manual["urls"][provider]
    rows = genai.first_rows(first, family, url=url, checked_on=inputs.today)
    second = None
    if inputs.second is None:
        facts = _committed_facts(name, before)
        rows = [row for row in rows if row.variant not in extra.get("second_rates", ())]
    else:
        second = inputs.second.get(extra.get("second", _second_key(name, provider)))
        facts = _facts(name, extra, group, inputs, findings)
        rows = completed_rows(name, rows, second, family, inputs, findings)
        rows = with_fees(name, rows, second, provider, findings)
    rows = released_rows(name, before, rows, inputs, findings)
    writes = any(
        kind in row.tiers[0].rates for row in rows for kind in (CACHE_WRITE_5M, CACHE_WRITE_1H)
    )
    made = replace(
        facts,
        provider=provider,
        family=family,
        tokenizer=group["tokenizer"],
        cache_writes=WRITES_PRICED if writes else WRITES_AS_INPUT,
        media_input=group.get("media_input", MEDIA_PRICED),
        rows=tuple(sorted(rows, key=lambda row: (order_of(row.variant), row.starts_on))),
    )
    return with_uplifts(made, second, inputs, findings)


def _committed_facts(name: str, before: Model | None) -> Model:
    if before is None:
        raise SourceGap(name, "a new model needs the second source; give --second FILE")
    return before


def _second_key(name: str, provider: str) -> str:
    return f"gemini/{name}" if provider == "google" else name


def _facts(
    name: str, extra: dict[str, Any], group: dict[str, Any], inputs: Inputs, findings: Findings
) -> Model:
    """Limits, names and dates: the second source's, the first's, and those given by hand."""
    assert inputs.second is not None
    first = inputs.first[group["provider"], extra.get("first", name)]
    second = inputs.second.get(extra.get("second", _second_key(name, group["provider"])))
    windows = [first.context_window, second and second.input_max, extra.get("context_window")]
    window = extra.get("context_window") or max((w for w in windows if w), default=None)
    output_max = extra.get("output_max") or (second.output_max if second else None)
    if window is None or (output_max is None and group["family"] != EMBEDDING):
        raise SourceGap(name, "no source gives its window and output; put them in the manual")
    if first.context_window and window != first.context_window:
        findings.windows.append(
            f"{name}: {first.context_window} in the first source, {window} here"
        )
    if second is None:
        findings.left_out.append(f"{name}: not in the second source, nothing to compare with")
    input_max = (second.input_max if second else None) or window
    return Model(
        name=name, provider="", family="", tokenizer="", cache_writes="", rows=(),
        context_window=window,
        input_max=min(input_max, window),
        output_max=None if group["family"] == EMBEDDING else output_max,
        output_min=group.get("output_min", 1),
        aliases=_aliases(name, extra, group["provider"], first, inputs, findings),
        sources=("genai-prices", *(["litellm"] if second else []), *extra.get("cite", ())),
        retires_on=second.retires_on if second else None,
        note=extra.get("note", ""),
    )  # fmt: skip


def _aliases(
    name: str, extra: dict[str, Any], provider: str, first: Any, inputs: Inputs, findings: Findings
) -> tuple[str, ...]:
    """Names that the first source gives, or that the second lists and the first matches."""
    second = inputs.second or {}
    prefix = _second_key("", provider)
    mine = second.get(extra.get("second", prefix + name))
    found = set() if "first" in extra else genai.first_aliases(first)
    siblings = [model for (owner, _), model in inputs.first.items() if owner == provider]
    for key, entry in second.items() if "first" not in extra else ():
        plain = key.removeprefix(prefix)
        matched = next((m for m in siblings if m.is_match(plain)), None)
        same = mine is not None and entry.rates.items() <= mine.rates.items() and entry.rates
        if key.startswith(prefix) and "/" not in plain and matched is first and same:
            found.add(plain)
    drop = inputs.manual["drop_aliases"]
    kept = {
        a for a in found if not any(_dropped(a, word) for word in drop) and not _dashed(a, found)
    }
    # A name given by hand, or a model's own, beats one found in a source.
    kept -= _names_by_hand(inputs.manual) - set(extra.get("aliases", ()))
    for alias in sorted(kept):
        other = second.get(prefix + alias)
        if other and mine and other.output_max != mine.output_max:
            limits = f"output_max {other.output_max}, not {mine.output_max}"
            findings.between_sources.append(f"{name}: its other name {alias} has {limits}")
    return tuple(sorted((kept | set(extra.get("aliases", ()))) - {name}))


def _names_by_hand(manual: dict[str, Any]) -> set[str]:
    names = {name for group in manual["group"] for name in group["names"]}
    return names.union(*(extra.get("aliases", ()) for extra in manual["model"].values()))


def _dropped(alias: str, word: str) -> bool:
    return alias.endswith(word[:-1]) if word.endswith("$") else word in alias


def _dashed(alias: str, others: set[str]) -> bool:
    """`gpt-5-4` beside `gpt-5.4`: a spelling of other gateways, not the provider's."""
    return any("." in other and other.replace(".", "-") == alias for other in others)
