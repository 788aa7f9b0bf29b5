"""Revenue by day: what was billed, what of it is earned, what is still owed to the customer.

Layer: core (pure).  Below: core.revenue, core.recognition_days, core.recognition_earning,
core.recognition_credits.  Above: core.profit, noburn_cli.profit.
Owns: which facts make one amount, over which days it is earned, and what state it is in.
Not here: where facts are from (noburn_cli.revenue), costs (core.profit), rated usage that nobody
billed yet (core.profit_rating).

An amount is a line and everything that names it: its discounts and its tax belong to it from the
start, refunds, credit notes, disputes and write-offs change it on their day.  Amounts are in
nano-dollars without tax.  A fee is an amount of its own, spread like the revenue that it was
charged for.  At every day, for every amount and so for their sum,

    recognised + deferred = billed + unbilled

where deferred is billed and not earned yet, unbilled is earned and not billed yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from noburn_cli.core import revenue
from noburn_cli.core.recognition_credits import Grant, Spent, credit_curves
from noburn_cli.core.recognition_days import Curve, Days, Period, period_of, used_of
from noburn_cli.core.recognition_earning import Change, Earning
from noburn_cli.core.revenue import RevenueFact, shared

# How far an amount can still be another one, the least certain first.
PROVISIONAL = "provisional"  # rated, or a draft: nobody was billed
INVOICED = "invoiced"  # billed, not paid
COLLECTED = "collected"  # paid; may still be given back or disputed
FINAL = "final"  # paid for so long that it cannot be disputed, or given back or written off
STATES = (PROVISIONAL, INVOICED, COLLECTED, FINAL)

#: What is neither a line nor its price changes a line that it names.
CHANGES = (
    *(revenue.REFUND, revenue.CREDIT_NOTE, revenue.DISPUTE, revenue.DISPUTE_WON),
    revenue.ADJUSTMENT,
)
LINES = (revenue.SUBSCRIPTION, revenue.USAGE, revenue.CREDIT_GRANT, revenue.ONE_OFF)
#: Cost by day, in nano-dollars, of a customer's feature; of all features under None.
UsageDays = Mapping[tuple[str, str | None], Mapping[int, int]]


@dataclass(frozen=True)
class Amounts:
    """What was earned in some days, in nano-dollars and without tax; each its own sign."""

    gross_nano: int = 0
    discounts_nano: int = 0
    refunds_nano: int = 0
    disputes_nano: int = 0
    adjustments_nano: int = 0
    fees_nano: int = 0

    @property
    def net_nano(self) -> int:
        """Net revenue: everything but the processor's fees, which are a cost."""
        return (
            self.gross_nano + self.discounts_nano + self.refunds_nano + self.disputes_nano
            + self.adjustments_nano
        )  # fmt: skip


@dataclass(frozen=True)
class Position:
    """Where things stand at the end of a day, in nano-dollars: see the module's identity."""

    billed_nano: int = 0
    recognised_nano: int = 0
    deferred_nano: int = 0
    unbilled_nano: int = 0

    def __add__(self, other: Position) -> Position:
        return Position(
            self.billed_nano + other.billed_nano,
            self.recognised_nano + other.recognised_nano,
            self.deferred_nano + other.deferred_nano,
            self.unbilled_nano + other.unbilled_nano,
        )


@dataclass(frozen=True)
class Stream:
    """One amount that is earned over days: a line with what belongs to it, or a fee.

    kind: of the line, or `fee`.  document: what it was billed with.
    gross_nano, discount_nano: what it began with, without tax; both 0 for a fee.
    billed_day: None while nobody was billed.  curve_known: whether usage or credits were found in
    the ledger; without them they are spread like a subscription.
    """

    payer: str
    payer_name: str
    customer: str | None
    feature: str | None
    plan: str | None
    kind: str
    state: str
    document: str
    earning: Earning
    gross_nano: int
    discount_nano: int
    billed_day: int | None
    changes: tuple[Change, ...] = ()
    curve_known: bool = True
    #: Of credits: what was left when they expired, and when; part of what is earned that day.
    breakage: tuple[int, int] | None = None

    def amounts(self, first: int, until: int) -> Amounts:
        """What was earned from a day on, before another."""
        if self.kind == revenue.FEE:
            earned = self.earning.through(until - 1) - self.earning.through(first - 1)
            return Amounts(fees_nano=earned)
        if self.kind in _GROUP:  # of a line that is not known
            earned = self.earning.through(until - 1) - self.earning.through(first - 1)
            return Amounts(**{_FIELD[_GROUP[self.kind]]: earned})
        if not self.discount_nano and not self.earning.jumps:
            earned = self.earning.through(until - 1) - self.earning.through(first - 1)
            return Amounts(gross_nano=earned)
        before, after = self._parts(first - 1), self._parts(until - 1)
        jumps = dict.fromkeys((revenue.REFUND, revenue.DISPUTE, revenue.ADJUSTMENT), 0)
        for jump in self.earning.jumps:
            if first <= jump.day < until:
                jumps[_GROUP[jump.kind]] += jump.nano
        return Amounts(
            gross_nano=after[0] - before[0],
            discounts_nano=after[1] - before[1],
            refunds_nano=jumps[revenue.REFUND],
            disputes_nano=jumps[revenue.DISPUTE],
            adjustments_nano=jumps[revenue.ADJUSTMENT],
        )

    def _parts(self, day: int) -> tuple[int, int]:
        """(gross, discounts) that the curve has earned through a day, changes left out."""
        flowed = self.earning.through(day) - sum(
            jump.nano for jump in self.earning.jumps if jump.day <= day
        )
        whole = self.gross_nano + self.discount_nano
        if not self.discount_nano or not whole:
            curve = self.earning.curve
            if whole or not self.discount_nano:
                return flowed, 0
            # All of it is discounted: nothing flows, and both sides are shown.
            given = round(self.gross_nano * curve.through(day) / curve.through(curve.last))
            return given, -given
        gross = round(Fraction(flowed * self.gross_nano, whole))
        return gross, flowed - gross

    def position(self, day: int) -> Position:
        earned = self.earning.through(day)
        if self.billed_day is None or day < self.billed_day:
            return Position(0, earned, 0, earned)
        billed = self.gross_nano + self.discount_nano
        billed += sum(change.nano for change in self.changes if change.day <= day)
        return Position(billed, earned, billed - earned, 0)


_GROUP = {
    revenue.REFUND: revenue.REFUND, revenue.CREDIT_NOTE: revenue.REFUND,
    revenue.DISPUTE: revenue.DISPUTE, revenue.DISPUTE_WON: revenue.DISPUTE,
    revenue.ADJUSTMENT: revenue.ADJUSTMENT,
}  # fmt: skip
_FIELD = {
    revenue.REFUND: "refunds_nano", revenue.DISPUTE: "disputes_nano",
    revenue.ADJUSTMENT: "adjustments_nano",
}  # fmt: skip


@dataclass(frozen=True)
class Recognition:
    """All amounts of some facts.

    no_rate: facts in a currency for which no rate is known: in no amount.
    tax: (day, nano) of what was collected for others, or given back; in no amount.
    """

    streams: tuple[Stream, ...]
    no_rate: tuple[RevenueFact, ...] = ()
    tax: tuple[tuple[int, int], ...] = ()

    def position(self, day: int) -> Position:
        """Where revenue stands at the end of a day; fees, which are a cost, are not in it."""
        revenues = (one for one in self.streams if one.kind != revenue.FEE)
        return sum((one.position(day) for one in revenues), Position())


def recognise(
    facts: Iterable[RevenueFact],
    *,
    days: Days,
    usage: UsageDays,
    now_ms: int,
    final_after_days: int,
    credit_draws: Mapping[str, Mapping[int, int]] | None = None,
) -> Recognition:
    """Make amounts of facts, and say over which days each is earned.

    usage: cost by day, which says when usage that was billed was used.
    final_after_days: how long after it was billed what was paid is final.
    credit_draws: per customer and day, what usage was worth in credits, for grants whose spending
        the source does not tell; nothing is spent without it.
    """
    return _Recogniser(facts, days, usage, now_ms, final_after_days, credit_draws or {}).read()


class _Recogniser:
    """One pass over facts: what belongs together, then one stream for each line and fee."""

    def __init__(
        self, facts: Iterable[RevenueFact], days: Days, usage: UsageDays, now_ms: int,
        final_after_days: int, credit_draws: Mapping[str, Mapping[int, int]],
    ) -> None:  # fmt: skip
        counted = [fact for fact in facts if fact.state != revenue.VOID]
        self._no_rate = tuple(fact for fact in counted if fact.amount_nano is None)
        self._facts = {fact.id: fact for fact in counted if fact.amount_nano is not None}
        self._days = days
        self._usage = usage
        self._final_from_ms = now_ms - final_after_days * 86_400_000
        self._credit_draws = credit_draws
        #: What names a line, by the line's id.
        self._of: dict[str, list[RevenueFact]] = defaultdict(list)
        self._roots: list[RevenueFact] = []
        self._fees: list[RevenueFact] = []
        self._by_document: dict[str, list[RevenueFact]] = defaultdict(list)

    def read(self) -> Recognition:
        for fact in self._facts.values():
            self._sort(fact)
        curves = self._credit_curves()
        streams = [self._stream(root, curves.get(root.id)) for root in self._roots]
        by_root = {root.id: one for root, one in zip(self._roots, streams, strict=True)}
        for fee in self._fees:
            streams.extend(self._fee_streams(fee, by_root))
        tax = tuple(
            (self._days.of(fact.at_ms), _nano(fact))
            for fact in self._facts.values()
            if fact.kind == revenue.TAX and fact.counts
        )
        return Recognition(tuple(streams), self._no_rate, tax)

    def _sort(self, fact: RevenueFact) -> None:
        root = self._root_of(fact)
        if fact.kind == revenue.FEE:
            self._fees.append(fact)
        elif root is fact:
            self._roots.append(fact)
            self._by_document[fact.document].append(fact)
        else:
            self._of[root.id].append(fact)

    def _root_of(self, fact: RevenueFact) -> RevenueFact:
        """The line that a fact is about in the end; itself where it names none that is known."""
        seen = {fact.id}
        while fact.reverses and fact.reverses in self._facts and fact.reverses not in seen:
            fact = self._facts[fact.reverses]
            seen.add(fact.id)
        return fact

    def _change_of(self, fact: RevenueFact, root: RevenueFact) -> RevenueFact | None:
        """The fact by which a line changes, when this one belongs to it; None for its price."""
        while fact.id != root.id:
            if fact.kind in CHANGES:
                return fact
            fact = self._facts[fact.reverses]
        return None

    def _stream(self, root: RevenueFact, credit: Spent | None) -> Stream:
        gross, discount = _nano(root), 0
        changed: dict[str, int] = defaultdict(int)
        for fact in self._of[root.id]:
            by = self._change_of(fact, root)
            if by is not None:
                changed[by.id] += _nano(fact)
            elif fact.kind in (revenue.TAX, revenue.CREDIT_GRANT):
                # Credits that pay for a line are earned by the grant that they were bought with.
                gross += _nano(fact)
            else:
                discount += _nano(fact)
        changes = tuple(
            Change(self._days.of(self._facts[by].at_ms), nano, self._facts[by].kind)
            for by, nano in sorted(changed.items())
        )
        if root.kind == revenue.TAX:  # of a line that is not known
            gross = 0
        curve = self._curve(root) if credit is None else credit.curve
        return Stream(
            payer=root.payer,
            payer_name=root.payer_name,
            customer=root.customer,
            feature=root.feature,
            plan=root.plan,
            kind=root.kind,
            state=self._state(root),
            document=root.document,
            earning=Earning(gross + discount, curve, changes),
            gross_nano=gross,
            discount_nano=discount,
            billed_day=self._days.of(root.at_ms) if root.counts else None,
            changes=changes,
            curve_known=root.kind not in (revenue.USAGE, revenue.CREDIT_GRANT)
            or not isinstance(curve, Period),
            breakage=None if credit is None else credit.breakage,
        )

    def _curve(self, root: RevenueFact) -> Curve:
        """The days that a line is earned over; what changes an unknown line does so on its day."""
        if root.kind in CHANGES:
            return period_of(self._days, root.at_ms, root.at_ms)
        known = root.customer is not None and root.ends_ms > root.starts_ms
        if root.kind == revenue.USAGE and root.customer is not None and known:
            first, last = self._days.of(root.starts_ms), self._days.of(root.ends_ms - 1)
            for feature in (root.feature, None):
                by_day = self._usage.get((root.customer, feature), {})
                used = used_of({d: cost for d, cost in by_day.items() if first <= d <= last})
                if used is not None:
                    return used
        return period_of(self._days, root.starts_ms, root.ends_ms)

    def _credit_curves(self) -> dict[str, Spent]:
        """The curves of bought credits, by the id of the fact."""
        grants: dict[str, list[Grant]] = defaultdict(list)
        spent: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        told: set[str] = set()
        for fact in self._facts.values():
            if fact.kind != revenue.CREDIT_GRANT:
                continue
            whose = fact.customer or fact.payer
            if fact.reverses or _nano(fact) < 0:
                told.add(whose)
                self._spend(fact, spent[whose])
            else:
                grants[whose].append(self._grant(fact))
        found: dict[str, Spent] = {}
        for whose, owned in grants.items():
            draws = spent[whose] if whose in told else self._credit_draws.get(whose, {})
            found.update(credit_curves(owned, draws))
        return found

    def _grant(self, fact: RevenueFact) -> Grant:
        nano = _nano(fact) + sum(
            _nano(other) for other in self._of[fact.id] if other.kind == revenue.TAX
        )
        expires = self._days.of(fact.ends_ms - 1) if fact.ends_ms > fact.starts_ms else None
        return Grant(fact.id, nano, self._days.of(fact.starts_ms), expires)

    def _spend(self, fact: RevenueFact, by_day: dict[int, int]) -> None:
        """Credits that were spent on a usage line are spent on the days that it was used."""
        line = self._root_of(fact)
        curve = self._curve(line)
        earning = Earning(-_nano(fact), curve)
        before = 0
        for day in range(curve.first, curve.last + 1):
            after = earning.through(day)
            if after != before:
                by_day[day] += after - before
            before = after

    def _fee_streams(self, fee: RevenueFact, by_root: Mapping[str, Stream]) -> list[Stream]:
        """A fee is spread like what it was charged for; one for nothing known, on its own day."""
        root = self._root_of(fee)
        lines: Sequence[Stream] = ()
        if root.id in by_root:
            lines = (by_root[root.id],)
        elif root.id == fee.id:
            documents = self._by_document.get(fee.document, ())
            lines = [by_root[one.id] for one in documents if _nano(one) > 0]
        own = period_of(self._days, fee.starts_ms, fee.ends_ms)
        model = Stream(
            fee.payer, fee.payer_name, fee.customer, fee.feature, fee.plan, revenue.FEE,
            self._state(fee), fee.document, Earning(_nano(fee), own), 0, 0,
            self._days.of(fee.at_ms) if fee.counts else None,
        )  # fmt: skip
        if not lines:
            return [model]
        parts = shared(_nano(fee), [max(0, line.earning.nano) for line in lines])
        return [
            replace(
                model,
                customer=line.customer,
                feature=line.feature,
                plan=line.plan,
                earning=Earning(part, line.earning.curve),
            )
            for part, line in zip(parts, lines, strict=True)
        ]

    def _state(self, fact: RevenueFact) -> str:
        if fact.state == revenue.DRAFT:
            return PROVISIONAL
        if fact.state == revenue.INVOICED:
            return INVOICED
        over = fact.state in (revenue.REFUNDED, revenue.UNCOLLECTIBLE)
        return FINAL if over or fact.at_ms <= self._final_from_ms else COLLECTED


def _nano(fact: RevenueFact) -> int:
    assert fact.amount_nano is not None  # those without a rate were put aside
    return fact.amount_nano
