"""Why a prompt costs what it does beyond its base: one part after another becomes what it is now.

Layer: I/O (it counts what neither side has: the text of now on the base's model).
Below: gating.costing, core.gate_costs.  Above: gating.comparing.
Owns: the order (core.gate_model.CAUSES) and the words.
A step that cannot be priced (a text that does not fit the base's model) is told with the next one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from noburn_cli.core.estimates import Span
from noburn_cli.core.gate_costs import Step, Terms, rates_of
from noburn_cli.core.gate_model import (
    CACHE,
    CALLS,
    CAP,
    MODEL,
    OUTPUT_EXPECTED,
    PRICE,
    TOKENS,
)
from noburn_cli.core.money import show_count, show_dollars, show_percent
from noburn_cli.core.plurals import counted
from noburn_cli.errors import NoburnError
from noburn_cli.gating.costing import Coster, Ways
from noburn_cli.gating.prompts import Prompt

_PICO_PER_MILLION_TO_NANO = 1_000  # pico a token times a million tokens, in nano-dollars


@dataclass(frozen=True)
class Measured:
    """One side of a prompt, measured."""

    prompt: Prompt
    ways: Ways
    terms: Terms


#: A part of the way: its cause, how the terms become what they are after it, and what is said.
_Part = tuple[str, Callable[[Terms], Terms], Callable[[Terms, Terms], str]]


def steps(before: Measured, after: Measured, now: Coster, *, at_ms: int) -> list[Step]:
    """The way from one side to the other; the last step ends at `after` exactly.

    now: measures with the price book of now.
    """
    found: list[Step] = []
    missed: list[str] = []
    last = before.terms
    for kind, become, told in _parts(before, after, now, at_ms=at_ms):
        try:
            terms = become(last)
        except NoburnError:
            missed.append(kind)
            continue
        texts = [*(_missed(one, before, after) for one in missed), told(last, terms)]
        found.append(Step(kind, ", ".join(text for text in texts if text), terms))
        missed, last = [], terms
    return found


def _missed(kind: str, before: Measured, after: Measured) -> str:
    """What is said of a step that could not be priced: as far as both sides show it."""
    if kind == MODEL:
        return _model(before.terms, after.terms)
    texts = [[item.call.texts for item in one.prompt.items] for one in (before, after)]
    return "text changed" if kind == TOKENS and texts[0] != texts[1] else ""


def _parts(before: Measured, after: Measured, now: Coster, *, at_ms: int) -> list[_Part]:
    """Each part of the way, in order.  The measuring ones may raise NoburnError."""
    on_model = replace(
        before.ways,
        model=after.ways.model,
        variant=after.ways.variant,
        variants_differ=after.ways.variants_differ,
    )

    def measured(prompt: Prompt, ways: Ways) -> Callable[[Terms], Terms]:
        def become(was: Terms) -> Terms:
            return replace(was, sizes=now.sizes(prompt.items, ways), model=now.model(ways.model))

        return become

    def as_sent_now(was: Terms) -> Terms:
        to = after.terms
        return replace(was, sizes=to.sizes, model=to.model, cap=to.cap)

    return [
        (PRICE, measured(before.prompt, before.ways), lambda a, b: _price(a, b, at_ms)),
        (TOKENS, measured(after.prompt, before.ways), _tokens),
        (MODEL, measured(after.prompt, on_model), _model),
        (CAP, as_sent_now, _cap),
        (OUTPUT_EXPECTED, lambda was: replace(was, output=after.terms.output), _output),
        (CACHE, lambda was: replace(was, cache=after.terms.cache), _cache),
        (CALLS, lambda was: replace(was, calls=after.terms.calls), _calls),
    ]


def _price(was: Terms, now: Terms, at_ms: int) -> str:
    old, new = rates_of(was, at_ms=at_ms), rates_of(now, at_ms=at_ms)
    kinds = (
        ("input", old.input, new.input),
        ("cached input", old.cache_read, new.cache_read),
        ("output", old.output, new.output),
    )
    changed = [f"{kind} {_per_million(a)} → {_per_million(b)}" for kind, a, b in kinds if a != b]
    return f"price of {now.model.name}: {', '.join(changed)} a million" if changed else ""


def _per_million(pico: int | None) -> str:
    return "none" if pico is None else show_dollars(pico * _PICO_PER_MILLION_TO_NANO)


def _tokens(was: Terms, now: Terms) -> str:
    more = now.tokens - was.tokens
    if not more:
        return ""
    return f"{'grew' if more > 0 else 'shrank'} by {counted(abs(more), 'token')}"


def _model(was: Terms, now: Terms) -> str:
    said = []
    if was.model.name != now.model.name:
        said.append(f"model {was.model.name} → {now.model.name}")
    old, new = was.sizes[0].variant, now.sizes[0].variant
    if old != new:
        said.append(f"price class {old} → {new}")
    return ", ".join(said)


def _cap(was: Terms, now: Terms) -> str:
    if was.cap == now.cap:
        return ""
    worst = [show_dollars(sum(size.worst for size in side.sizes)) for side in (was, now)]
    caps = [_limit(was.cap), _limit(now.cap)]
    return f"output cap {' → '.join(caps)} (worst case of a call {' → '.join(worst)})"


def _limit(cap: int | None) -> str:
    return "none" if cap is None else show_count(cap)


def _output(was: Terms, now: Terms) -> str:
    if was.output == now.output:
        return ""
    return f"expected output {_span(was.output)} → {_span(now.output)} tokens"


def _span(span: Span | None) -> str:
    if span is None:
        return "unknown"
    low, high = show_count(span.low), show_count(span.high)
    return low if low == high else f"{low}–{high}"


def _cache(was: Terms, now: Terms) -> str:
    old, new = was.cache.read_share, now.cache.read_share
    return "" if old == new else f"cached share {show_percent(old)} → {show_percent(new)}"


def _calls(was: Terms, now: Terms) -> str:
    if was.calls == now.calls or was.calls is None or now.calls is None:
        return ""
    return f"calls a month {show_count(was.calls)} → {show_count(now.calls)}"
