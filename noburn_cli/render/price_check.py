"""How the comparison of the price book with its sources looks.

Layer: render, pure.  Below: price_sources.disagreements, core.price_notices, render.table.
Above: commands.prices.checking.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.price_notices import PriceNotice
from noburn_cli.core.rate_changes import kind_words, rate_unit
from noburn_cli.core.usage import EXTRA_KINDS, PRICED_KINDS
from noburn_cli.price_sources.disagreements import NO_TIER, Comparison, Disagreement, Known
from noburn_cli.render.table import safe_text, wrap_line


@dataclass(frozen=True)
class Check:
    """All that a check found.

    sources: what was compared with, in words.  new: models that genai-prices has and the book not.
    notices: announced prices, retirements, and rows that nobody compared for long.
    """

    sources: str
    comparison: Comparison
    notices: Sequence[PriceNotice]
    new: Sequence[str]

    @property
    def unexplained(self) -> list[Disagreement]:
        return [one for one in self.comparison.disagreements if one.known is None]


def render_check(check: Check, *, width: int | None) -> list[str]:
    """Unexplained differences first, then known ones by their reason, then what is ahead."""
    lines = []
    if check.unexplained:
        lines += ["Nobody has decided about:"]
        lines += [f"  {_words(one)}" for one in check.unexplained]
        lines.append("")
    for known, group in _by_reason(check.comparison.disagreements):
        text = f"Known since {known.decided_on}: {known.reason} ({known.source})"
        lines += wrap_line(safe_text(text), width=width)
        lines += [f"  {_words(one)}" for one in group]
        lines.append("")
    for notice in check.notices:
        lines += wrap_line(f"{notice.kind}: {safe_text(notice.text)}", width=width)
    if check.new:
        lines.append(f"new: {_few(check.new)}; `noburn prices update` takes them")
    if check.notices or check.new:
        lines.append("")
    return [*lines, *wrap_line(_summary(check), width=width)]


def _summary(check: Check) -> str:
    found = len(check.comparison.disagreements)
    alone = len(check.comparison.alone)
    said = [f"{_models(len(check.comparison.compared))} compared with {check.sources}"]
    said.append(
        f"{found:,} difference{'' if found == 1 else 's'}, {len(check.unexplained):,} unexplained"
        if found
        else "no difference"
    )
    if alone:
        said.append(f"{_models(alone)} in no source at hand")
    return "; ".join(said) + "."


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count:,} models"


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(safe_text(name) for name in names[:8])
    return shown if len(names) <= 8 else f"{shown} and {len(names) - 8:,} more"


def _by_reason(found: Sequence[Disagreement]) -> Iterator[tuple[Known, list[Disagreement]]]:
    groups: dict[Known, list[Disagreement]] = {}
    for one in found:
        if one.known is not None:
            groups.setdefault(one.known, []).append(one)
    yield from groups.items()


def _words(one: Disagreement) -> str:
    """`m batch input above 272,000: $30 / M here (checked 2026-11-23), litellm $31 / M`."""
    above = f" above {one.above:,}" if one.above else ""
    variant = f" {one.variant}" if one.variant else ""
    theirs = ", ".join(f"{name} {_value(one.what, said)}" for name, said in one.theirs.items())
    place = safe_text(f"{one.model}{variant} {kind_words(one.what)}{above}")
    return f"{place}: {_value(one.what, one.ours)} here (checked {one.checked_on}), {theirs}"


def _value(what: str, text: str) -> str:
    if what in (*PRICED_KINDS, *EXTRA_KINDS) and text != NO_TIER:
        return f"${text} / {rate_unit(what)}"
    return f"{int(text):,}" if text.isdecimal() else text


def check_data(check: Check) -> dict[str, Any]:
    """The same as data."""
    return {
        "sources": check.sources,
        "disagreements": [_data(one) for one in check.comparison.disagreements],
        "unexplained": len(check.unexplained),
        "compared": len(check.comparison.compared),
        "not_in_any_source": list(check.comparison.alone),
        "notices": [
            {"kind": one.kind, "model": one.model, "on": one.on.isoformat(), "days": one.days,
             "text": one.text}
            for one in check.notices
        ],
        "new_models": list(check.new),
    }  # fmt: skip


def _data(one: Disagreement) -> dict[str, Any]:
    known = one.known
    return {
        "model": one.model,
        "what": one.what,
        "variant": one.variant or None,
        "above_input_tokens": one.above,
        "ours": one.ours,
        "theirs": dict(one.theirs),
        "checked_on": one.checked_on.isoformat(),
        "url": one.url,
        "known": None
        if known is None
        else {
            "reason": known.reason,
            "decided_on": known.decided_on.isoformat(),
            "source": known.source,
        },
    }
