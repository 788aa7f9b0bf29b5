"""From facts to amounts: what belongs to which line, and over which days each is earned.

Layer: core (pure).  Below: core.revenue, core.recognition, core.recognition_credits,
core.recognition_days.  Above: noburn_cli.profit.
Owns: what a fact is about, the days of a line, a fee and a credit, and the state of each.
Not here: where facts are from (noburn_cli.revenue), how an amount is earned (recognition_earning).

What a fact is about, the first that holds: the fact that a tax, or the credit that pays for a line,
has in its own name (`…:tax`, `…:credit:…`: noburn_cli.revenue makes them so); the one that it
`reverses`; nothing, so that it is a line itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from noburn_cli.core import revenue
from noburn_cli.core.recognition import (
    COLLECTED,
    FINAL,
    INVOICED,
    PROVISIONAL,
    Recognition,
    Stream,
    UsageDays,
)
from noburn_cli.core.recognition_credits import Grant, Spent, credit_curves
from noburn_cli.core.recognition_days import Curve, Days, Period, period_of, used_of
from noburn_cli.core.recognition_earning import Change, Earning
from noburn_cli.core.revenue import RevenueFact, shared

#: What changes a line on its day; what else names a line belongs to its price.
CHANGES = (
    *(revenue.REFUND, revenue.CREDIT_NOTE, revenue.DISPUTE, revenue.DISPUTE_WON),
    revenue.ADJUSTMENT,
)
LINES = (revenue.SUBSCRIPTION, revenue.USAGE, revenue.CREDIT_GRANT, revenue.ONE_OFF)
_TAX, _CREDIT = ":tax", ":credit:"
#: A source that says itself what was spent of credits: nothing is, before it does.
_TELLS = "stripe"


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
        elif root is fact and fact.kind != revenue.TAX and not _is_spent(fact):
            self._roots.append(fact)
            self._by_document[fact.document].append(fact)
        elif root.kind != revenue.CREDIT_GRANT or not _is_spent(fact):
            self._of[root.id].append(fact)

    def _about(self, fact: RevenueFact) -> RevenueFact | None:
        """The fact that this one is about; None for a line, and where it is not known."""
        named = ""
        if fact.kind == revenue.TAX and fact.id.endswith(_TAX):
            named = fact.id.removesuffix(_TAX)
        elif _is_spent(fact):
            named = fact.id.partition(_CREDIT)[0]
        found = self._facts.get(named) or self._facts.get(fact.reverses)
        return None if found is fact else found

    def _root_of(self, fact: RevenueFact) -> RevenueFact:
        """The line that a fact is about in the end; itself where it names none that is known."""
        seen = {fact.id}
        while (about := self._about(fact)) is not None and about.id not in seen:
            fact = about
            seen.add(fact.id)
        return fact

    def _change_of(self, fact: RevenueFact, root: RevenueFact) -> RevenueFact | None:
        """The fact by which a line changes, when this one belongs to it; None for its price."""
        about: RevenueFact | None = fact
        while about is not None and about.id != root.id:
            if about.kind in CHANGES:
                return about
            about = self._about(about)
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
            for by, nano in sorted(changed.items(), key=self._moment)
        )
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
            seats=root.seats,
            breakage=None if credit is None else credit.breakage,
        )

    def _moment(self, changed: tuple[str, int]) -> tuple[int, str]:
        return self._facts[changed[0]].at_ms, changed[0]

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
            if _is_spent(fact):
                told.add(whose)
                self._spend(fact, spent[whose])
            else:
                grants[whose].append(self._grant(fact))
                if fact.source.startswith(_TELLS):
                    told.add(whose)
        found: dict[str, Spent] = {}
        for whose, owned in grants.items():
            if whose in told:
                found.update(credit_curves(owned, spent[whose], as_told=True))
            else:
                found.update(credit_curves(owned, self._credit_draws.get(whose, {})))
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
        curve = self._curve(fact if line.kind == revenue.CREDIT_GRANT else line)
        earning = Earning(-_nano(fact), curve)
        before = 0
        for day in range(curve.first, curve.last + 1):
            after = earning.through(day)
            if after != before:
                by_day[day] += after - before
            before = after

    def _fee_streams(self, fee: RevenueFact, by_root: Mapping[str, Stream]) -> list[Stream]:
        """A fee is spread over what is left of its period on the day that it is charged.

        One without a period is spread like what it was charged for; else it is of its own day.
        """
        root = self._root_of(fee)
        lines: Sequence[Stream] = ()
        if fee.ends_ms <= fee.starts_ms and root.id in by_root:
            lines = (by_root[root.id],)
        elif fee.ends_ms <= fee.starts_ms and root is fee:
            documents = self._by_document.get(fee.document, ())
            lines = [by_root[one.id] for one in documents if _nano(one) > 0]
        starts_ms = max(fee.starts_ms, self._days.start_ms(self._days.of(fee.at_ms)))
        ends_ms = fee.ends_ms if fee.ends_ms > starts_ms else starts_ms
        own = period_of(self._days, starts_ms, ends_ms)
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
                # Credits may never be spent; their fee is paid.
                earning=Earning(
                    part, own if line.kind == revenue.CREDIT_GRANT else line.earning.curve
                ),
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


def _is_spent(fact: RevenueFact) -> bool:
    """Whether it is credit that pays for something, and not credit that was bought."""
    return (
        fact.kind == revenue.CREDIT_GRANT
        and fact.amount_minor <= 0
        and bool(fact.reverses or _CREDIT in fact.id or fact.amount_minor)
    )


def _nano(fact: RevenueFact) -> int:
    assert fact.amount_nano is not None  # those without a rate were put aside
    return fact.amount_nano
