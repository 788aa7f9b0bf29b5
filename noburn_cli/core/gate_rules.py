"""Which rules of [gate] a comparison breaks.

Layer: core (pure).  Below: core.gate_findings, core.gate_model, core.gate_tables.
Above: gating.comparing.
Owns: what each rule compares.  A rule that cannot be checked is a finding as well, so that nothing
passes because it is not known.
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
    grown,
    over,
    thin,
    unknown,
)
from noburn_cli.core.gate_model import (
    GROWTH_MAX,
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
from noburn_cli.core.gate_values import Growth
from noburn_cli.core.money import show_percent

_CUSTOMER_MONTH = "a customer's month"
_CALLS_UNKNOWN = ("its calls a month are", "calls_per_month")
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
) -> list[Finding]:
    """Every broken rule: of each prompt in its order, then of all together.

    own: the rules of each prompt's table, by the prompt's name.  before: None without a base.
    """
    found: list[Finding] = []
    for change in changes:
        if change.after is not None:
            found += _of_prompt(gate.rules, own[change.after.name], change.after)
            if before is not None:
                found += _growth_of_prompt(gate.rules, own[change.after.name], change)
    now = [change.after for change in changes if change.after is not None]
    if now:
        found += _of_total(gate, now, after)
        if before is not None and gate.rules.growth_max is not None:
            found += _total_growth(gate.rules, gate.rules.growth_max, changes, before)
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
        yield unknown(rules, PER_MONTH_MAX, subject, *_CALLS_UNKNOWN)
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


def _growth_of_prompt(shared: Rules, own: Rules, change: Change) -> Iterator[Finding]:
    """One prompt against the base, by its own rule; by the shared one where its month is not known.

    Without calls a month it is in no sum, and would otherwise grow unseen: the share holds for a
    call of it.
    """
    if own.growth_max is not None:
        yield from _growth(own, own.growth_max, change)
    elif shared.growth_max is not None and not change.monthly:
        yield from _growth(shared, Growth(shared.growth_max.share, None), change)


def _growth(rules: Rules, limit: Growth, change: Change) -> Iterator[Finding]:
    one, side = change.after, change.before
    assert one is not None
    subject = Subject(one.name, one.path)
    if limit.nano is not None and not change.monthly:
        yield unknown(rules, GROWTH_MAX, subject, *_CALLS_UNKNOWN)
        limit = Growth(limit.share, None)
    was = 0
    if side is not None:
        monthly = change.monthly and side.cost_month is not None
        was = side.cost_month.high if monthly and side.cost_month else side.cost_call.high
    yield from grown(
        rules,
        limit,
        subject,
        was=was,
        more=change.difference,
        period="a month" if change.monthly else "a call",
        is_new=side is None,
    )


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
        customer = _sum(_customer_month_of(one) for one in now)
        if customer is None:
            yield unknown(rules, PER_CUSTOMER_MONTH_MAX, _ALL, *_CUSTOMER_UNKNOWN)
        else:
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
        if len(living) == len(now):
            yield unknown(rules, MARGIN_MIN, _ALL, "a price is", "plan_price")
        return
    month = _sum(_customer_month_of(one) for one in living)
    if month is not None:
        yield from thin(rules, limit, _ALL, price, month)
    elif living:
        yield unknown(rules, MARGIN_MIN, _ALL, *_CUSTOMER_UNKNOWN)


def _total_growth(
    rules: Rules, limit: Growth, changes: Sequence[Change], before: Totals
) -> Iterator[Finding]:
    unsure = [one.name for one in changes if one.after is not None and not one.monthly]
    if unsure and limit.nano is not None:
        what = f"calls a month of {', '.join(unsure)} are"
        yield unknown(rules, GROWTH_MAX, _ALL, what, "calls_per_month")
    yield from grown(
        rules,
        limit,
        _ALL,
        was=0 if before.month is None else before.month.high,
        more=sum(change.difference for change in changes if change.monthly),
        period="a month",
        # Without a prompt in the base there is nothing that growth could be a share of.
        is_new=not any(one.before is not None and one.monthly for one in changes),
    )
