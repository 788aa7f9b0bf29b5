"""The facts behind a gate's answer, as plain text: prompts, rates, and how sure each number is.

Layer: render (pure).  Below: core.gate_model, render.exact, render.gate_words.  Above:
render.gate_markdown.
Not here: layout and escaping; names come out as they are, and in sentences in backticks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from noburn_cli.core import gate_model as gm
from noburn_cli.core.bounds import ASSUMED, COUNTED, EXACT
from noburn_cli.core.estimates import ESTIMATED
from noburn_cli.core.gate_model import GateResult, PromptCost, Rates
from noburn_cli.core.money import show_count, show_dollars, show_percent
from noburn_cli.core.plurals import counted
from noburn_cli.render.exact import per_million
from noburn_cli.render.gate_words import show_cost, show_span

UNKNOWN = "unknown"
_AT_MOST = (
    "A call at most: the input's bound and the most output that it may have, at the dearest rate "
    "that may apply."
)
_ONE_AFTER_ANOTHER = (
    "Several causes of one prompt are told one after another (prices, tokens, model, cap, output, "
    "cache, calls): each with those before it in place, so that they add up."
)
#: So many names are told in a sentence.
_NAMES_MAX = 5

_SOURCES = {
    gm.FROM_CONFIG: "",
    gm.FROM_LEDGER: " (ledger)",
    gm.FROM_FILE: "",
    gm.FROM_OTHER_SIDE: " (as on the other side)",
    gm.UNKNOWN_SOURCE: "",
}


#: Headers and alignment of the table of prompts.
PROMPT_HEAD = (
    (
        *("Prompt", "Model", "Input tokens", "Output tokens", "Calls a month"),
        *("A call", "A month", "A call at most", "Window"),
    ),
    "llrrrrrrr",
)
RATE_HEAD = (
    (*("Model", "Input, $ / M", "Cached input, $ / M", "Output, $ / M", "Read on", "From"),),
    "lrrrll",
)


def prompt_row(one: PromptCost) -> list[str]:
    """What one prompt is and costs, its name and model first."""
    size = show_span(one.input) if one.input else f"≤ {show_count(one.bound_tokens)}"
    output = "none" if not one.output_max else UNKNOWN
    if one.output is not None:
        output = show_span(one.output) + _SOURCES[one.output_from]
    calls = UNKNOWN
    if one.calls_per_month is not None:
        calls = show_count(one.calls_per_month) + _SOURCES[one.calls_from]
    return [
        one.name,
        one.model if one.variant == "standard" else f"{one.model} ({one.variant})",
        f"{size} ({one.how})",
        output,
        calls,
        show_cost(one.cost_call),
        UNKNOWN if one.cost_month is None else show_cost(one.cost_month),
        show_dollars(one.worst_call),
        show_percent(one.window_share),
    ]


@dataclass(frozen=True)
class RateRow:
    """What a model's tokens cost: dollars per million by kind, since when known, and from where."""

    model: str
    rates: tuple[str, str, str]
    when: str
    origin: str


def rate_rows(result: GateResult) -> list[RateRow]:
    """The rates of every model, the base's where they were others."""
    found: dict[tuple[str, Rates], RateRow] = {}
    sides = [change.after for change in result.changes if change.after is not None]
    for one in sides:
        found.setdefault((_tier(one), one.rates), _rate_row(one, ""))
    now = {model for model, _ in found}
    for change in result.changes:
        if change.before is not None:
            word = " before" if _tier(change.before) in now else ""
            key = (_tier(change.before), change.before.rates)
            found.setdefault(key, _rate_row(change.before, word))
    return list(found.values())


def _tier(one: PromptCost) -> str:
    return one.model if one.variant == "standard" else f"{one.model} {one.variant}"


def _rate_row(one: PromptCost, word: str) -> RateRow:
    rates = (one.rates.input, one.rates.cache_read, one.rates.output)
    shown = tuple("–" if rate is None else per_million(rate) for rate in rates)
    assert len(shown) == 3
    return RateRow(_tier(one) + word, shown, one.rates.checked_on, one.rates.origin)


#: Headers and alignment of the table of rules.
RULE_HEAD = ("Of", "Rule", "Limit", "Value", ""), "lllll"


@dataclass(frozen=True)
class RuleRow:
    """One rule that somebody was held to; the value is told where it is broken."""

    subject: str
    rule: str
    limit: str
    value: str
    level: str
    broken: bool


def rule_rows(result: GateResult) -> list[RuleRow]:
    """Every rule that was checked, in the order in which it was."""
    broken = {(one.subject, one.rule): one.value or "not known" for one in result.findings}
    rows = []
    for held in result.held:
        value = broken.get((held.subject, held.rule))
        row = RuleRow(
            *(held.subject, held.rule, held.limit, value or "", held.level, value is not None)
        )
        rows.append(row)
    return rows


def assumptions(result: GateResult) -> list[str]:
    """How each kind of number is known, what is not, and how it was compared: a line each."""
    prompts = [change.after for change in result.changes if change.after is not None]
    return [*_sizes(prompts), *_outputs(prompts), *_volumes(prompts), *_method(result)]


def _sizes(prompts: Sequence[PromptCost]) -> list[str]:
    lines = [
        _told(prompts, lambda one: one.how == EXACT, "Input is exact, by the model's tokeniser"),
        _told(prompts, lambda one: one.how == COUNTED, "Input was counted by the provider"),
        _told(
            prompts,
            lambda one: one.how == ESTIMATED,
            "Input is estimated, with a measured error; costs are told at its top",
        ),
        _told(
            prompts,
            lambda one: one.input is not None and one.how == ASSUMED,
            "Input is an assumed range, from what such text measures; costs are told at its top",
        ),
        _told(
            prompts,
            lambda one: one.input is None,
            "Of the input only the most is known; it is priced at that",
        ),
        _told(
            prompts,
            lambda one: bool(one.cached_share),
            "A part of the input is taken to be read from the provider's cache",
        ),
    ]
    return [line for line in lines if line]


def _outputs(prompts: Sequence[PromptCost]) -> list[str]:
    answering = [one for one in prompts if one.output_max]
    lines = [
        _told(
            answering,
            lambda one: one.output_from == gm.FROM_LEDGER,
            "Output is what calls of the past took, by the ledger",
        ),
        _told(
            answering,
            lambda one: one.output_from == gm.FROM_CONFIG,
            "Output is what noburn.toml expects",
        ),
        _told(
            answering,
            lambda one: one.output is None,
            "No output is expected, so the cost is of the input alone",
        ),
    ]
    return [line for line in lines if line]


def _volumes(prompts: Sequence[PromptCost]) -> list[str]:
    lines = [
        _told(
            prompts,
            lambda one: one.calls_from == gm.FROM_LEDGER,
            "Calls a month are those of the last month, by the ledger",
        ),
        _told(
            prompts,
            lambda one: one.calls_from == gm.FROM_CONFIG,
            "Calls a month are what noburn.toml says",
        ),
        _told(
            prompts,
            lambda one: one.calls_per_month is None,
            "Calls a month are not known, so it is in no sum",
        ),
    ]
    return [line for line in lines if line]


def _told(prompts: Sequence[PromptCost], applies: Callable[[PromptCost], bool], words: str) -> str:
    """`words` and for which prompts; "" where it applies to none."""
    names = [one.name for one in prompts if applies(one)]
    if not names:
        return ""
    if len(names) == len(prompts) and len(names) > 1:
        return f"{words}: all {counted(len(names), 'prompt')}."
    return f"{words}: {_names(names)}."


def _names(names: Iterable[str]) -> str:
    shown = [f"`{name}`" for name in names]
    more = len(shown) - _NAMES_MAX
    told = ", ".join(shown[:_NAMES_MAX])
    return f"{told} and {show_count(more)} more" if more > 0 else told


def _method(result: GateResult) -> list[str]:
    lines = [_AT_MOST]
    if any(len(change.causes) > 1 for change in result.changes):
        lines.append(_ONE_AFTER_ANOTHER)
    if result.base is not None and result.base.merge_base:
        lines.append(
            f"Compared with {result.base.commit[:12]}, where this branch left `{result.base.rev}`."
        )
    books = f"Prices of book {result.book_version}"
    if result.base_book_version not in (None, result.book_version):
        books += f", the base's of {result.base_book_version}"
    return [*lines, f"{books}.", *result.notes]
