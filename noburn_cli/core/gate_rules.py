"""Which rules of [gate] a comparison breaks.

Layer: core (pure).  Below: core.gate_findings, core.gate_growth, core.gate_model,
core.gate_tables.  Above: gating.comparing.
Owns: what each rule compares (of growth: core.gate_growth).  A rule that cannot be checked is a
finding as well, so that nothing passes because it is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction

from noburn_cli.core.gate_findings import (
    Amount,
    Subject,
    amount,
    finding,
    over,
    thin,
    unknown,
)
from noburn_cli.core.gate_growth import (
    CALLS_UNKNOWN,
    Replaced,
    growth_of_prompt,
    growth_of_total,
)
from noburn_cli.core.gate_model import (
    MARGIN_MIN,
    MODELS,
    PER_CALL_MAX,
    PER_CUSTOMER_MONTH_MAX,
    PER_MONTH_MAX,
    TOTAL,
    WINDOW_SHARE_MAX,
    WORST_CALL_MAX,
    Change,
    Finding,
    PromptCost,
    Totals,
)
from noburn_cli.core.gate_tables import GateSpec, Rules
from noburn_cli.core.money import show_percent

_CUSTOMER_MONTH = "a customer's month"
_CUSTOMER_UNKNOWN = ("a customer's calls are", "calls_per_customer")
_ALL = Subject(TOTAL)


def has_growth_rule(gate: GateSpec) -> bool:
    """Whether any rule needs a base."""
    return any(one.growth_max is not None for one in (gate.rules, *(p.rules for p in gate.prompts)))


def check(
    gate: GateSpec,
    own: Mapping[str, Rules],
    changes: Sequence[Change],
    *,
    before: Totals | None,
    after: Totals,
    replaced: Sequence[Replaced] = (),
) -> list[Finding]:
    """Every broken rule: of each prompt in its order, then of all together.

    own: the rules of each prompt's table, by the prompt's name.  before: None without a base.
    replaced: where a table lost prompts and has new ones.
    """
    found: list[Finding] = []
    for change in changes:
        if change.after is not None:
            found += _of_prompt(gate.rules, own[change.after.name], change.after)
            if before is not None:
                found += growth_of_prompt(gate.rules, own[change.after.name], change, replaced)
    now = [change.after for change in changes if change.after is not None]
    if now:
        found += _of_total(gate, now, after)
        if before is not None and gate.rules.growth_max is not None:
            found += growth_of_total(gate.rules, gate.rules.growth_max, changes, before)
    return found


def _of_prompt(shared: Rules, own: Rules, one: PromptCost) -> Iterator[Finding]:
    def nearer(rule: str) -> Rules:
        """The table whose limit holds: the prompt's own where it has one."""
        return own if getattr(own, rule) is not None else shared

    subject = Subject(one.name, one.path)
    rules = nearer(PER_CALL_MAX)
    if rules.per_call_max is not None:
        found = amount(one, one.cost_call, one.worst_call)
        yield from over(rules, PER_CALL_MAX, subject, rules.per_call_max, found, "a call")
    rules = nearer(WORST_CALL_MAX)
    if rules.worst_call_max is not None:
        worst = Amount(one.worst_call, worst=True)
        yield from over(rules, WORST_CALL_MAX, subject, rules.worst_call_max, worst, "a call")
    yield from _window(nearer(WINDOW_SHARE_MAX), subject, one)
    yield from _model(nearer(MODELS), subject, one)
    yield from _month(own, subject, one)
    yield from _customer_month(own, subject, one)
    yield from _margin(nearer(MARGIN_MIN), own, subject, one)


def _window(rules: Rules, subject: Subject, one: PromptCost) -> Iterator[Finding]:
    limit = rules.window_share_max
    if limit is not None and one.window_share > limit:
        shown, allowed = show_percent(one.window_share), show_percent(limit)
        text = (
            f"{one.name} takes {shown} of the context window of `{one.model}`, above the "
            f"{allowed} that `{WINDOW_SHARE_MAX}` allows"
        )
        yield finding(rules, WINDOW_SHARE_MAX, subject, text, limit=allowed, value=shown)


def _model(rules: Rules, subject: Subject, one: PromptCost) -> Iterator[Finding]:
    if rules.models is None or any(fnmatchcase(one.model, name) for name in rules.models):
        return
    allowed = ", ".join(rules.models)
    text = f"{one.name} is called on `{one.model}`, which is not among the `{MODELS}`: {allowed}"
    yield finding(rules, MODELS, subject, text, limit=allowed, value=one.model)


def _month(rules: Rules, subject: Subject, one: PromptCost) -> Iterator[Finding]:
    if rules.per_month_max is None:
        return
    found = _month_of(one)
    if found is None:
        yield unknown(rules, PER_MONTH_MAX, subject, *CALLS_UNKNOWN)
    else:
        yield from over(rules, PER_MONTH_MAX, subject, rules.per_month_max, found, "a month")


def _month_of(one: PromptCost) -> Amount | None:
    if one.cost_month is None or one.calls_per_month is None:
        return None
    return amount(one, one.cost_month, one.worst_call * one.calls_per_month)


def _customer_month(rules: Rules, subject: Subject, one: PromptCost) -> Iterator[Finding]:
    limit = rules.per_customer_month_max
    if limit is None:
        return
    found = _customer_month_of(one)
    if found is None:
        yield unknown(rules, PER_CUSTOMER_MONTH_MAX, subject, *_CUSTOMER_UNKNOWN)
    else:
        yield from over(rules, PER_CUSTOMER_MONTH_MAX, subject, limit, found, _CUSTOMER_MONTH)


def _customer_month_of(one: PromptCost) -> Amount | None:
    if one.customer_month is None or one.calls_per_customer is None:
        return None
    worst = one.worst_call * one.calls_per_customer
    return amount(one, one.customer_month, -(-worst.numerator // worst.denominator))


def _margin(rules: Rules, own: Rules, subject: Subject, one: PromptCost) -> Iterator[Finding]:
    """The margin of a prompt that has a price of its own, or a rule of its own."""
    if rules.margin_min is None or (one.plan_price is None and own.margin_min is None):
        return
    month = _customer_month_of(one)
    if one.plan_price is None:
        yield unknown(rules, MARGIN_MIN, subject, "its price is", "plan_price")
    elif month is None:
        yield unknown(rules, MARGIN_MIN, subject, *_CUSTOMER_UNKNOWN)
    else:
        yield from thin(rules, rules.margin_min, subject, one.plan_price, month)


def _of_total(gate: GateSpec, now: Sequence[PromptCost], after: Totals) -> Iterator[Finding]:
    rules = gate.rules
    if rules.per_month_max is not None:
        if after.left_out:
            what = f"calls a month of {', '.join(after.left_out)} are"
            yield unknown(rules, PER_MONTH_MAX, _ALL, what, "calls_per_month")
        month = _sum(_month_of(one) for one in now)
        if month is not None:
            yield from over(rules, PER_MONTH_MAX, _ALL, rules.per_month_max, month, "a month")
    if rules.per_customer_month_max is not None:
        limit = rules.per_customer_month_max
        yield from _customers_unknown(rules, PER_CUSTOMER_MONTH_MAX, now)
        customer = _sum(_customer_month_of(one) for one in now)
        if customer is not None:
            yield from over(rules, PER_CUSTOMER_MONTH_MAX, _ALL, limit, customer, _CUSTOMER_MONTH)
    if rules.margin_min is not None:
        yield from _total_margin(rules, rules.margin_min, gate.plan_price, now)


def _sum(amounts: Iterator[Amount | None]) -> Amount | None:
    """Of those that are known; None where none is."""
    known = [one for one in amounts if one is not None]
    return sum(known, Amount(0)) if known else None


def _total_margin(
    rules: Rules, limit: Fraction, price: int | None, now: Sequence[PromptCost]
) -> Iterator[Finding]:
    """Prompts that have a price of their own are judged by it, and are not in this one."""
    living = [one for one in now if one.plan_price is None]
    if price is None:
        if living:
            what = f"a price that {_names(living)} can live on is"
            yield unknown(rules, MARGIN_MIN, _ALL, what, "plan_price")
        return
    yield from _customers_unknown(rules, MARGIN_MIN, living)
    month = _sum(_customer_month_of(one) for one in living)
    if month is not None:
        yield from thin(rules, limit, _ALL, price, month)


def _customers_unknown(rules: Rules, rule: str, costs: Sequence[PromptCost]) -> Iterator[Finding]:
    """Where a prompt is in no customer's sum: it may be the dearest of all."""
    left_out = [one for one in costs if _customer_month_of(one) is None]
    if left_out:
        what = f"a customer's calls of {_names(left_out)} are"
        yield unknown(rules, rule, _ALL, what, "calls_per_customer")


def _names(costs: Sequence[PromptCost]) -> str:
    return ", ".join(one.name for one in costs)
