"""What a gate found, in one sentence: how much more, and why.

Layer: render (pure).  Below: core.gate_model, core.money.  Above: render.gate_table,
render.gate_markdown, render.gate_github, render.gate_junit, commands.gate.
Owns: the sentence, the verdict, and how differences and causes are worded everywhere.
Not here: layout and escaping.  Names come out as they are: who shows them, makes them safe.

`+$214 a month (+18 %): system.md grew by 900 tokens`.  A difference always has its sign, an amount
its period; a range is told at its top and called `about`; what is not known is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction

from noburn_cli.core import gate_model as gm
from noburn_cli.core.bounds import ASSUMED
from noburn_cli.core.estimates import ESTIMATED, Span
from noburn_cli.core.gate_model import Change, GateResult, PromptCost
from noburn_cli.core.money import NANO_PER_DOLLAR, show_count, show_dollars, show_percent
from noburn_cli.core.plurals import counted
from noburn_cli.render.gate_evidence import evidence_clause

#: How a name is put into a sentence.
Quote = Callable[[str], str]

#: A further reason is told from this share of what changed altogether.
_WORTH_TELLING = Fraction(1, 5)
_REASONS_MAX = 2
_CENT = NANO_PER_DOLLAR // 100

MONTH = "a month"
CALL = "a call"


def as_it_is(name: str) -> str:
    return name


def sentence(result: GateResult, quote: Quote = as_it_is) -> str:
    """The gate's answer in one sentence, without a full stop.

    quote: makes a prompt's or model's name fit where the sentence is shown.
    """
    told = _told(result, quote)
    missing = _not_costed(result)
    if missing:
        what = quote(missing[0]) if len(missing) == 1 else counted(len(missing), "prompt")
        told += f"; {what} could not be costed"
    if result.evidence is not None:
        clause = evidence_clause(result.evidence, quote)
        told += f"; {clause}" if clause else ""
    return told[0].upper() + told[1:]  # The first word is never a name.


def _told(result: GateResult, quote: Quote) -> str:
    if result.base is None:
        return f"{_standing(result, quote)}; compared with nothing"
    changed = [change for change in result.changes if change.changed]
    if not changed:
        what = "no change in what could be costed" if _not_costed(result) else "no change"
        return f"{what}: {_standing(result, quote)}"
    monthly = [change for change in changed if change.monthly]
    if monthly:
        return _of_a_month(result, monthly, changed, quote)
    return _of_a_call(changed, result, quote)


def _not_costed(result: GateResult) -> list[str]:
    """Prompts and patterns that are in no sum, because they cannot be read, found or priced."""
    found = [one for one in result.findings if one.rule in gm.CHECKS and one.level == gm.ERROR]
    return list(dict.fromkeys(one.subject for one in found))


def verdict(result: GateResult) -> str:
    """`Passed`, or what did not: `Failed: 2 rules broken, 1 warning`."""
    errors = [one.rule for one in result.findings if one.level == gm.ERROR]
    warnings = len(result.findings) - len(errors)
    broken = sum(is_rule(rule) for rule in errors)
    parts = []
    if broken:
        parts.append(f"{counted(broken, 'rule')} broken")
    if len(errors) > broken:
        parts.append(counted(len(errors) - broken, "problem"))
    if warnings:
        parts.append(counted(warnings, "warning"))
    word = "Passed" if result.passed else "Failed"
    return f"{word}: {', '.join(parts)}" if parts else word


def is_rule(name: str) -> bool:
    """Whether a finding by this name is a broken rule, and not something that cannot be checked."""
    return name in gm.RULES or name == gm.RECORDED


# --- the three kinds of sentence -----------------------------------------------------------------


def _standing(result: GateResult, quote: Quote) -> str:
    """What all of it costs now, where nothing is told about a difference."""
    prompts = [change.after for change in result.changes if change.after is not None]
    if not prompts:
        return "no prompt to cost"
    month = result.after.month
    if month is not None:
        left_out = len(result.after.left_out)
        prompts = [one for one in prompts if one.cost_month is not None]
        cost = f"{_about(prompts)}{brief_dollars(month.high)} {MONTH}{_of_input(prompts)}"
        told = f"{cost} for {counted(len(prompts), 'prompt')}"
        if left_out:
            told += f", and {show_count(left_out)} whose calls a month are not known"
        return told
    if len(prompts) == 1:
        (only,) = prompts
        cost = f"{_about(prompts)}{show_dollars(only.cost_call.high)} {CALL}{_of_input(prompts)}"
        return f"{cost} for {quote(only.name)}, whose calls a month are not known"
    return f"{counted(len(prompts), 'prompt')}, whose calls a month are not known"


def _of_a_month(
    result: GateResult, monthly: Sequence[Change], changed: Sequence[Change], quote: Quote
) -> str:
    difference = result.difference or 0
    reasons = _reasons(monthly, changed, result, quote)
    costs = [one for change in monthly for one in (change.before, change.after) if one is not None]
    if difference:
        percent = "" if result.growth is None else f" ({signed_percent(result.growth)})"
        amount = brief_signed(difference)
        told = f"{_about(costs)}{amount} {MONTH}{_of_input(costs)}{percent}: {reasons}"
    else:
        told = f"no difference in the cost of a month: {reasons}"
    unknown = len(changed) - len(monthly)
    if unknown:
        told += f"; calls a month are not known for {counted(unknown, 'changed prompt')}"
    return told


def _of_a_call(changed: Sequence[Change], result: GateResult, quote: Quote) -> str:
    """Calls of several prompts do not add up without their number: the one that changed most."""
    most = max(changed, key=lambda change: abs(change.difference))
    costs = [one for one in (most.before, most.after) if one is not None]
    reasons = _reasons([most], changed, result, quote)
    if most.difference:
        share = growth_of(most)
        percent = "" if share is None else f" ({signed_percent(share)})"
        amount = f"{_about(costs)}{signed_dollars(most.difference)} {CALL}{_of_input(costs)}"
        told = f"{amount}{percent}: {reasons}"
    else:
        told = f"no difference in the cost of a call: {reasons}"
    return f"{told}; calls a month are not known"


# --- reasons -------------------------------------------------------------------------------------


def _reasons(
    told: Sequence[Change], changed: Sequence[Change], result: GateResult, quote: Quote
) -> str:
    """The largest reasons among `told`, and how many more of `changed` there are."""
    if {cause.kind for change in changed for cause in change.causes} == {gm.PRICE}:
        models = list(dict.fromkeys(change.after.model for change in changed if change.after))
        names = _listed([quote(model) for model in models[:3]], more=len(models) - 3)
        return f"only prices changed, of {names}"
    shorts = short_names(change.name for change in result.changes)
    ranked = sorted(told, key=lambda change: -_weight(change))
    difference = sum(change.difference for change in told)
    # The first reason goes where the sum goes; what counteracts may follow it.
    first_of_all = [change for change in ranked if change.difference * difference > 0][:1]
    ranked = [*first_of_all, *(one for one in ranked if one not in first_of_all)]
    whole = sum(_weight(change) for change in ranked)
    first = [
        change
        for number, change in enumerate(ranked[:_REASONS_MAX])
        if number == 0 or (whole and Fraction(_weight(change), whole) >= _WORTH_TELLING)
    ]
    more = len(changed) - len(first)
    phrases = [reason(change, quote(shorts[change.name])) for change in first]
    if not more:
        return _listed(phrases)
    noun = "prompt" if more == 1 else "prompts"
    return f"{', '.join(phrases)}, and {show_count(more)} more {noun} changed"


def _weight(change: Change) -> int:
    return abs(change.difference)


def _listed(parts: Sequence[str], *, more: int = 0) -> str:
    if more > 0:
        return f"{', '.join(parts)} and {show_count(more)} more"
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


def reason(change: Change, name: str) -> str:
    """The largest cause of one change as a clause: `system.md grew by 900 tokens`.

    name: of the prompt, as it is to be shown.
    """
    before, after = change.before, change.after
    if before is None:
        return f"{name} is new"
    if after is None:
        return f"{name} was removed"
    if not change.causes:
        return f"{name} has a new name" if change.renamed_from else f"{name} is as it was"
    # "-$80: it grew by 900 tokens" explains nothing: a reason goes where the difference goes.
    towards = [one for one in change.causes if one.nano * change.difference > 0]
    causes = towards or change.causes
    cause = max(causes, key=lambda one: (abs(one.nano), one.kind == gm.CAP))
    return _CLAUSES[cause.kind](name, before, after)


def _tokens_clause(name: str, before: PromptCost, after: PromptCost) -> str:
    more = after.input_tokens - before.input_tokens
    if not more:
        return f"{name} was edited"
    verb = "grew" if more > 0 else "shrank"
    return f"{name} {verb} by {counted(abs(more), 'token')}"


def _model_clause(name: str, before: PromptCost, after: PromptCost) -> str:
    if before.model == after.model:
        return f"{name} went from {before.variant} to {after.variant}"
    return f"{name} moved from {before.model} to {after.model}"


def _cap_clause(name: str, before: PromptCost, after: PromptCost) -> str:
    ratio = Fraction(after.output_max, before.output_max) if before.output_max else Fraction(1)
    verb = {Fraction(2): "doubled", Fraction(1, 2): "was halved"}.get(ratio, "went")
    span = f"from {show_count(before.output_max)} to {counted(after.output_max, 'token')}"
    most = show_dollars(after.worst_call)
    return f"the output cap of {name} {verb} {span}, so that a call may cost {most}"


def _output_clause(name: str, before: PromptCost, after: PromptCost) -> str:
    if before.output is None or after.output is None:
        word = "now" if before.output is None else "no longer"
        return f"the output of {name} is {word} expected"
    span = f"from {show_span(before.output)} to {show_span(after.output)} tokens"
    return f"the expected output of {name} went {span}"


def _cache_clause(name: str, before: PromptCost, after: PromptCost) -> str:
    span = f"from {show_percent(before.cached_share)} to {show_percent(after.cached_share)}"
    return f"the cached share of {name} went {span}"


def _calls_clause(name: str, before: PromptCost, after: PromptCost) -> str:
    span = f"from {_known(before.calls_per_month)} to {_known(after.calls_per_month)}"
    return f"the calls a month of {name} went {span}"


def _price_clause(name: str, before: PromptCost, after: PromptCost) -> str:  # noqa: ARG001
    return f"the prices of {after.model} changed for {name}"


_CLAUSES: dict[str, Callable[[str, PromptCost, PromptCost], str]] = {
    gm.TOKENS: _tokens_clause,
    gm.MODEL: _model_clause,
    gm.CAP: _cap_clause,
    gm.OUTPUT_EXPECTED: _output_clause,
    gm.CACHE: _cache_clause,
    gm.CALLS: _calls_clause,
    gm.PRICE: _price_clause,
}


def _known(count: int | None) -> str:
    return "unknown" if count is None else show_count(count)


def short_names(names: Iterable[str]) -> dict[str, str]:
    """Each name without its folders, where that leaves no two alike."""
    shorts = {name: name.rpartition("/")[2] for name in names}
    often: dict[str, int] = {}
    for short in shorts.values():
        often[short] = often.get(short, 0) + 1
    return {name: short if often[short] == 1 else name for name, short in shorts.items()}


def cause_words(change: Change) -> list[str]:
    """What changed, a phrase for each cause, with its amount where there are several."""
    if change.before is None:
        return ["new"]
    if change.after is None:
        return ["removed"]
    several = sum(bool(cause.nano) for cause in change.causes) > 1
    return [
        f"{cause.text} ({signed_dollars(cause.nano)})" if several and cause.nano else cause.text
        for cause in change.causes
    ]


# --- amounts -------------------------------------------------------------------------------------


def _about(costs: Iterable[PromptCost]) -> str:
    """`about ` where an input's size is not sure."""
    sure = all(one.input is not None and one.how not in (ESTIMATED, ASSUMED) for one in costs)
    return "" if sure else "about "


def _of_input(costs: Sequence[PromptCost]) -> str:
    """Says that no output is in the cost, where it is in none of them."""
    return "" if any(one.with_output for one in costs) else " of input"


def brief_dollars(nano: int) -> str:
    """Whole dollars from $100, else as `show_dollars`: for a sentence, not for a table."""
    if abs(nano) < 100 * NANO_PER_DOLLAR:
        return cents(nano)
    sign = "-" if nano < 0 else ""
    return f"{sign}${show_count(round(Fraction(abs(nano), NANO_PER_DOLLAR)))}"


def brief_signed(nano: int) -> str:
    return f"+{brief_dollars(nano)}" if nano > 0 else brief_dollars(nano)


def cents(nano: int) -> str:
    """Dollars for a table: whole cents from $1, and everything that matters below it."""
    if abs(nano) < NANO_PER_DOLLAR:
        return show_dollars(nano)
    return show_dollars(round(Fraction(nano, _CENT)) * _CENT)


def signed_dollars(nano: int) -> str:
    """A difference: `+$1.20`, `-$0.004`, `$0.00`."""
    return f"+{cents(nano)}" if nano > 0 else cents(nano)


def signed_percent(share: Fraction) -> str:
    """A difference in per cent: whole from 10 %, one place below it, never 0 for what is not 0."""
    percent = abs(share) * 100
    sign = "-" if share < 0 else "+"
    if percent >= 10:
        return f"{sign}{show_count(round(percent))} %"
    tenths = round(percent * 10)
    if not tenths:
        return f"{sign}<0.1 %" if percent else "0 %"
    whole, part = divmod(tenths, 10)
    return f"{sign}{whole} %" if percent == whole else f"{sign}{whole}.{part} %"


def growth_of(change: Change) -> Fraction | None:
    """The difference as a share of what it cost before; None where that was nothing."""
    if change.before is None or change.after is None:
        return None
    before = change.before.cost_month if change.monthly else change.before.cost_call
    return None if before is None or not before.high else Fraction(change.difference, before.high)


def show_span(span: Span) -> str:
    """Counts: `1,200` or `800–1,200`."""
    low, high = show_count(span.low), show_count(span.high)
    return low if low == high else f"{low}–{high}"


def show_cost(span: Span) -> str:
    """Dollars: `$1.20` or `$0.80–$1.20`."""
    low, high = cents(span.low), cents(span.high)
    return low if low == high else f"{low}–{high}"


def show_side(one: PromptCost, *, monthly: bool) -> str:
    """What one side costs, by month or call; says so where no output is in it."""
    span = one.cost_month if monthly and one.cost_month is not None else one.cost_call
    return show_cost(span) if one.with_output else f"{show_cost(span)} (input)"
