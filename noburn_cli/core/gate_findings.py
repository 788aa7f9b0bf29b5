"""Broken rules as findings: the sentence, the limit and the value of each.

Layer: core (pure).  Below: core.gate_model, core.gate_tables, core.money.
Above: core.gate_rules, which decides what is compared.

An amount is the top of what is expected.  Where no output is expected, that would leave the dearer
part of an answer out: the worst case is compared instead, and the sentence says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.estimates import Span
from noburn_cli.core.gate_costs import margin
from noburn_cli.core.gate_model import (
    ERROR,
    GROWTH_MAX,
    MARGIN_MIN,
    TOTAL,
    WARNING,
    Finding,
    PromptCost,
)
from noburn_cli.core.gate_tables import Rules
from noburn_cli.core.gate_values import Growth
from noburn_cli.core.money import Nano, show_dollars, show_percent

_NO_OUTPUT = "; the worst case is compared, because no `output` is expected"
ALL = "all prompts together"


@dataclass(frozen=True)
class Subject:
    """What a rule is about: one prompt, or all of them.

    path: of the prompt's file.  words: how a sentence calls it, where not by its name.
    """

    name: str
    path: str = ""
    words: str = ""

    @property
    def is_total(self) -> bool:
        return self.name == TOTAL

    @property
    def shown(self) -> str:
        return ALL if self.is_total else self.words or self.name

    def does(self, one: str, many: str) -> str:
        """The verb for one prompt, or for all."""
        return many if self.is_total else one


@dataclass(frozen=True)
class Amount:
    """Nano-dollars that a limit is compared with.

    worst: whether (some of) them are a worst case, and not what is expected.
    note: what is to be said of that.
    """

    nano: int
    worst: bool = False
    note: str = ""

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.nano + other.nano, self.worst or other.worst, self.note or other.note)


def amount(one: PromptCost, expected: Span, worst: int) -> Amount:
    """What counts of a prompt: what is expected, or the worst case where that is only input."""
    return Amount(expected.high) if one.with_output else Amount(worst, True, _NO_OUTPUT)


def finding(
    rules: Rules, rule: str, subject: Subject, text: str, *, limit: str = "", value: str = ""
) -> Finding:
    level = WARNING if rule in rules.warn else ERROR
    return Finding(rule, subject.name, limit, value, text, level, subject.path)


def over(
    rules: Rules, rule: str, subject: Subject, limit: int, found: Amount, period: str
) -> Iterator[Finding]:
    """A finding where an amount is above its limit.  period: `a call`, `a month`."""
    if found.nano <= limit:
        return
    allowed, value = show_dollars(limit), show_dollars(found.nano)
    if allowed == value:  # Rounded for the eye, a limit would seem to be kept.
        allowed, value = (f"${Nano(nano).exact()}" for nano in (limit, found.nano))
    expected = subject.does("is expected to cost", "are expected to cost")
    text = (
        f"{subject.shown} {'can cost' if found.worst else expected} {value} {period}, "
        f"{show_dollars(found.nano - limit)} above the {allowed} that `{rule}` allows{found.note}"
    )
    yield finding(rules, rule, subject, text, limit=allowed, value=value)


def thin(
    rules: Rules, limit: Fraction, subject: Subject, price: int, month: Amount
) -> Iterator[Finding]:
    """A finding where too little is left of a plan's price."""
    left = margin(price, Span(month.nano, month.nano))
    assert left is not None
    if left >= limit:
        return
    shown, wanted = show_percent(left), show_percent(limit)
    text = (
        f"{subject.shown} {subject.does('leaves', 'leave')} {shown} of the plan's "
        f"{show_dollars(price)}, below the {wanted} that `{MARGIN_MIN}` asks for: a customer's "
        f"month costs {show_dollars(month.nano)}{month.note}"
    )
    yield finding(rules, MARGIN_MIN, subject, text, limit=wanted, value=shown)


def grown(
    rules: Rules,
    limit: Growth,
    subject: Subject,
    *,
    was: int,
    more: int,
    period: str,
    is_new: bool,
) -> Iterator[Finding]:
    """Findings where a cost has grown too much.

    was, more: nano-dollars in a period.  is_new: there was nothing before, of which growth could be
    a share; something that was free has grown beyond any share.
    """
    costs = f"{subject.shown} {subject.does('costs', 'cost')}"
    if limit.nano is not None and more > limit.nano:
        allowed, shown = show_dollars(limit.nano), show_dollars(more)
        text = f"{costs} {shown} more {period}, above the {allowed} that `{GROWTH_MAX}` allows"
        yield finding(rules, GROWTH_MAX, subject, text, limit=allowed, value=shown)
    if limit.share is None or is_new or more <= limit.share * was:
        return
    allowed, dollars = show_percent(limit.share), show_dollars(more)
    value = show_percent(Fraction(more, was)) if was else dollars
    free = subject.does("was free", "were free")
    how = f"{value} more ({dollars} {period})" if was else f"{dollars} {period}, and {free}"
    text = f"{costs} {how}, above the {allowed} that `{GROWTH_MAX}` allows"
    yield finding(rules, GROWTH_MAX, subject, text, limit=allowed, value=value)


def unknown(rules: Rules, rule: str, subject: Subject, what: str, key: str) -> Finding:
    """A rule that cannot be checked.  what: `its calls a month are`; key: what would say it."""
    text = f"`{rule}` cannot be checked for {subject.shown}: {what} not known; say `{key}`"
    return finding(rules, rule, subject, text)
