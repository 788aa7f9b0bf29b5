"""Profit and loss: revenue that was earned, beside what it cost, by whatever it is grouped by.

Layer: core (pure).  Below: core.recognition, core.profit_rules, core.profit_cells.
Above: noburn_cli.profit, render.pnl, dashboard.
Owns: the lines and their total, what is unmapped, and which state a figure is in.
Not here: how shared amounts are split (core.profit_cells), what is to come (core.profit_outlook).

Whatever the grouping, the lines add up to the same total, and every cost is in exactly one line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from fractions import Fraction

from noburn_cli.core import revenue
from noburn_cli.core.budgets import NONE
from noburn_cli.core.recognition import STATES, Amounts, Position, Recognition, Stream

CUSTOMER, FEATURE, DAY, PLAN, MODEL = "customer", "feature", "day", "plan", "model"
DIMENSIONS = (CUSTOMER, FEATURE, DAY, PLAN, MODEL)
#: How payers are named whose customer nobody knows; their own name follows.
UNMAPPED = "(unmapped) "


@dataclass(frozen=True, slots=True)
class CostLine:
    """What calls of one day, customer, feature and model cost.  Amounts in nano-dollars.

    day: its ordinal.  customer, feature: NONE for calls without one.  As reports.totals.Sums.
    is_month: calls of a whole compacted month, of which no days are known; `day` is its first.
    """

    day: int
    customer: str
    feature: str
    model: str
    cost_nano: int
    notional_nano: int
    held_nano: int
    uncertain_nano: int
    calls: int
    tokens: int
    is_month: bool = False


@dataclass(slots=True)
class Figures:
    """What a line adds up.  Nano-dollars; what takes away is below 0, costs are above it.

    gross_nano … adjustments_nano add up to net revenue, and so do the states' parts.
    usage_nano: the part of net revenue that was billed by use.  passed_nano: the part of the cost
    that such revenue passes on.
    """

    gross_nano: int = 0
    discounts_nano: int = 0
    refunds_nano: int = 0
    disputes_nano: int = 0
    adjustments_nano: int = 0
    fees_nano: int = 0
    cost_nano: int = 0
    overhead_nano: int = 0
    uncertain_nano: int = 0
    held_nano: int = 0
    notional_nano: int = 0
    passed_nano: int = 0
    usage_nano: int = 0
    calls: int = 0
    tokens: int = 0
    provisional_nano: int = 0
    invoiced_nano: int = 0
    collected_nano: int = 0
    final_nano: int = 0

    def add(self, other: Figures) -> None:
        for name in _FIGURES:
            more = getattr(other, name)
            if more:
                setattr(self, name, getattr(self, name) + more)

    @property
    def net_nano(self) -> int:
        """Net revenue: without tax, after discounts, refunds, disputes and write-offs."""
        return (
            self.gross_nano + self.discounts_nano + self.refunds_nano + self.disputes_nano
            + self.adjustments_nano
        )  # fmt: skip

    @property
    def margin_nano(self) -> int:
        """What is left of net revenue after fees, inference and overhead."""
        return self.net_nano + self.fees_nano - self.cost_nano - self.overhead_nano

    @property
    def margin_share(self) -> Fraction | None:
        """The margin as a share of net revenue; None where there is none."""
        return Fraction(self.margin_nano, self.net_nano) if self.net_nano > 0 else None

    @property
    def margin_share_net(self) -> Fraction | None:
        """The same where cost that is passed on is booked net: in neither revenue nor cost."""
        booked = self.net_nano - self.passed_nano
        return Fraction(self.margin_nano, booked) if booked > 0 else None

    @property
    def states(self) -> dict[str, int]:
        """Net revenue by state."""
        return {state: getattr(self, f"{state}_nano") for state in STATES}

    @property
    def state(self) -> str:
        """The least certain state that any of its revenue is in; "" without revenue."""
        return next((state for state, nano in self.states.items() if nano), "")

    @property
    def cost_state(self) -> str:
        """`settled`, or `uncertain` where a bill is not known and the hold is charged."""
        return "uncertain" if self.uncertain_nano else "settled"


_FIGURES = tuple(one.name for one in fields(Figures))


@dataclass(frozen=True)
class Line:
    """One line: the values it is grouped by, in the order asked for, and its figures."""

    keys: tuple[str, ...]
    figures: Figures


@dataclass(frozen=True)
class Unmapped:
    """Who is on one side only.  (name, nano-dollars): revenue of payers and customers, cost.

    payers: (payer, its name, net revenue) whose customer nobody knows.
    without_calls: mapped customers with revenue and no calls; without_revenue: the reverse.
    """

    payers: tuple[tuple[str, str, int], ...] = ()
    without_calls: tuple[tuple[str, int], ...] = ()
    without_revenue: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class ProfitAndLoss:
    """A period's lines and total.

    first, until: days, half-open.  opening, closing: where billed and earned revenue stood before
    the first day and at the end.  no_rate: minor units by currency that no rate is known for.
    taken_back: refunds, disputes and write-offs of the period's days, whenever what they take back
    is earned; the lines have only what goes beyond what was not earned yet.
    notes: what the figures alone do not say.
    """

    by: tuple[str, ...]
    zone: str
    first: int
    until: int
    lines: tuple[Line, ...]
    total: Figures
    unmapped: Unmapped
    opening: Position = field(default_factory=Position)
    closing: Position = field(default_factory=Position)
    tax_nano: int = 0
    breakage_nano: int = 0
    taken_back: Amounts = field(default_factory=Amounts)
    no_rate: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    by_customer: Mapping[str, Figures] = field(default_factory=dict)


def customer_of(stream: Stream) -> str:
    """Whose revenue it is: the customer, or the payer that nobody has mapped.

    What is of no payer, such as a processor's own fees, goes to NONE, as calls of no customer do.
    """
    if stream.customer is not None:
        return stream.customer
    payer = stream.payer_name or stream.payer
    return f"{UNMAPPED}{payer}" if payer else NONE


def unmapped_of(recognition: Recognition, by_customer: Mapping[str, Figures]) -> Unmapped:
    """Revenue without calls and calls without revenue, the largest first."""
    payers: dict[tuple[str, str], int] = {}
    earning = set()
    for stream in recognition.streams:
        if stream.customer is None and stream.payer:
            payers.setdefault((stream.payer, stream.payer_name), 0)
        elif stream.kind != revenue.FEE:
            earning.add(customer_of(stream))
    named = {f"{UNMAPPED}{name or payer}": (payer, name) for payer, name in payers}
    for shown, figures in by_customer.items():
        if shown in named:
            payers[named[shown]] = figures.net_nano
    calls = {name: one for name, one in by_customer.items() if not name.startswith(UNMAPPED)}
    return Unmapped(
        tuple(
            (payer, name, nano)
            for (payer, name), nano in sorted(payers.items(), key=lambda one: (-one[1], one[0]))
            if nano
        ),
        _largest(
            (name, one.net_nano) for name, one in calls.items() if one.net_nano and not one.calls
        ),
        _largest(
            (name, one.cost_nano)
            for name, one in calls.items()
            if one.calls and not one.net_nano and name not in earning
        ),
    )


def _largest(found: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(found, key=lambda one: (-one[1], one[0])))


def in_order(by: Sequence[str], lines: Mapping[tuple[str, ...], Figures]) -> tuple[Line, ...]:
    """The lowest margin first, where somebody has to act; days along time."""
    if by[:1] == (DAY,):
        return tuple(Line(keys, lines[keys]) for keys in sorted(lines))
    ordered = sorted(lines.items(), key=lambda one: (one[1].margin_nano, one[0]))
    return tuple(Line(keys, figures) for keys, figures in ordered)


def plans_by_day(streams: Iterable[Stream]) -> PlansByDay:
    """Which plan each customer is on, by day.

    By subscriptions: a metered price has a name of its own, which is that of no plan.  By whatever
    was billed for a customer who has none.
    """
    found: dict[bool, dict[str, list[PlanSpan]]] = {
        True: defaultdict(list), False: defaultdict(list),
    }  # fmt: skip
    for stream in streams:
        if stream.plan is not None and stream.kind != revenue.FEE and stream.gross_nano >= 0:
            curve = stream.earning.curve
            spans = found[stream.kind == revenue.SUBSCRIPTION][customer_of(stream)]
            spans.append((curve.first, curve.last, stream.plan, stream.seats or 0))
    both = {**found[False], **found[True]}
    return PlansByDay({name: tuple(sorted(spans)) for name, spans in both.items()})


#: First and last day, the plan, and its seats, 0 where nobody said how many.
PlanSpan = tuple[int, int, str, int]


@dataclass(frozen=True)
class PlansByDay:
    """Plans by the periods that they were billed for: the one that began last counts."""

    spans: Mapping[str, tuple[PlanSpan, ...]]

    def on(self, customer: str, day: int) -> str:
        """The plan of a customer on a day; NONE where no billed period reaches there."""
        found = NONE
        for first, last, plan, _ in self.spans.get(customer, ()):
            if first <= day <= last:
                found = plan
        return found

    def latest(self, customer: str) -> str | None:
        """The plan that was billed last."""
        spans = self.spans.get(customer, ())
        return spans[-1][2] if spans else None

    def seats(self, customer: str) -> int | None:
        """The seats that were billed last; None where the source does not say."""
        spans = self.spans.get(customer, ())
        return spans[-1][3] or None if spans else None


def plan_names(billed: Iterable[str], plans: Iterable[str]) -> dict[str, str]:
    """Billed names of plans as the plans file calls them: `Pro plus` is `pro-plus` there.

    A name that only differs in case, blanks, `-` and `_` from exactly one plan's is that plan's.
    """
    known: dict[str, list[str]] = defaultdict(list)
    for name in plans:
        known[_plain(name)].append(name)
    found = {}
    for name in billed:
        same = known.get(_plain(name), [])
        found[name] = name if name in same or len(same) != 1 else same[0]
    return found


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c not in " -_")


def state_field(state: str) -> str:
    """The field of Figures that has the revenue of a state."""
    assert state in STATES, state
    return f"{state}_nano"
