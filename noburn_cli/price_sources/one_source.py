"""What genai-prices alone can tell: new rates of models that are known, and models that are new.

Layer: pure, but for what genai-prices does.  Below: core, price_sources.genai, agreement, merging.
Above: price_sources.newer.
Not here: models on which two sources agree (price_sources.agreement).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from noburn_cli.core.modelnames import without_date
from noburn_cli.core.models import WRITES_AS_INPUT, WRITES_PRICED, Model, RateRow
from noburn_cli.core.usage import CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT, OUTPUT
from noburn_cli.core.variants import order_of
from noburn_cli.price_sources.agreement import is_of, tokenizer_of
from noburn_cli.price_sources.genai import first_aliases, first_rows
from noburn_cli.price_sources.merging import Findings, Inputs, released_rows

#: Thoughts are billed as output and may come by default: the careful family for what is new.
_NEW_FAMILY = "reasoning"


def repriced(model: Model, inputs: Inputs, findings: Findings) -> Model:
    """A model that came by agreement of two sources, with what the first says of it now.

    Only variants that it has, and only of models that were compared with the first source.
    """
    group = next((one for one in inputs.manual["auto"] if is_of(model, one, inputs)), None)
    if group is None or "genai-prices" not in model.sources:
        return model
    first = _find(model, group, inputs)
    if first is None:
        return model
    try:
        rows = first_rows(first, model.family, url=group["url"], checked_on=inputs.today)
    except (KeyError, ValueError):  # Priced by something else than tokens, or by the hour.
        return model
    known = {row.variant for row in model.rows}
    fresh = [row for row in rows if row.variant in known and INPUT in row.tiers[0].rates]
    if any(row.windows for row in model.rows) or not fresh:
        return model
    kept = [row for row in model.rows if row.variant not in {one.variant for one in fresh}]
    merged = released_rows(model.name, model, fresh, inputs, findings)
    merged += [row for row in kept if row not in merged]
    return replace(model, rows=_sorted(merged))


def _find(model: Model, group: dict[str, Any], inputs: Inputs) -> Any:
    """The first source's model of one of our names."""
    plain = [name.removeprefix(group["prefix"]) for name in (model.name, *model.aliases)]
    ours = [
        one
        for owner in group["first"]
        for (provider, _), one in inputs.first.items()
        if provider == owner
    ]
    by_id = next((one for one in ours if one.id in plain), None)
    return by_id or next((one for one in ours if one.is_match(plain[0])), None)


def unlisted_models(
    models: Iterable[Model], inputs: Inputs, findings: Findings
) -> Iterator[Model]:  # fmt: skip
    """Models of the providers listed by hand that the book has not, and that nobody passed over.

    One without a known window is left out.  The tokenizer is one that its name is known to have,
    else unknown: then the window bounds its input, which is dear, and never too little.
    """
    names = {name for model in models for name in (model.name, *model.aliases)}
    passed_over = set(inputs.manual["passed_over"])
    for (provider, name), first in inputs.first.items():
        if provider not in inputs.manual["urls"] or f"{provider}/{name}" in passed_over:
            continue
        if name in names or (without_date(name) or name) in names:
            continue
        made = _unlisted(provider, name, first, inputs)
        if made is None:
            findings.left_out.append(f"{name}: new in genai-prices, which does not say enough")
            continue
        aliases = (one for one in first_aliases(first) if one not in names and one != name)
        yield replace(made, aliases=tuple(sorted(aliases)))


def _unlisted(provider: str, name: str, first: Any, inputs: Inputs) -> Model | None:
    """The model as far as the sources say; None where they lack its window or its rates."""
    key = f"gemini/{name}" if provider == "google" else name
    second = (inputs.second or {}).get(key)
    windows = [first.context_window, second.input_max if second else None]
    window = max((one for one in windows if one), default=None)
    url = inputs.manual["urls"][provider]
    try:
        rows = first_rows(first, _NEW_FAMILY, url=url, checked_on=inputs.today)
    except (KeyError, ValueError):
        return None
    whole = all({INPUT, OUTPUT} <= row.tiers[0].rates.keys() for row in rows)
    if window is None or not rows or not whole or not any(rows[0].tiers[0].rates.values()):
        return None
    writes = any(k in row.tiers[0].rates for row in rows for k in (CACHE_WRITE_5M, CACHE_WRITE_1H))
    reasons = second is None or second.reasons
    return Model(
        name=name,
        provider=provider,
        family=_NEW_FAMILY if reasons else "text",
        tokenizer=tokenizer_of(name),
        context_window=window,
        input_max=min((second.input_max if second else None) or window, window),
        output_max=min((second.output_max if second else None) or window, window),
        output_min=1,
        cache_writes=WRITES_PRICED if writes else WRITES_AS_INPUT,
        aliases=(),
        rows=_sorted(rows),
        sources=("genai-prices", *(["litellm"] if second else [])),
        retires_on=second.retires_on if second else None,
    )


def _sorted(rows: Iterable[RateRow]) -> tuple[RateRow, ...]:
    return tuple(sorted(rows, key=lambda row: (order_of(row.variant), row.starts_on)))
