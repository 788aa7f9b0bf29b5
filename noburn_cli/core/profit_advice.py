"""Which plan each customer should be on: their real usage, billed by every plan.

Layer: core (pure).  Below: core.plan_billing, core.profit.  Above: profit.outlooks, render.pnl.
Owns: the choice.  Of the plans that leave the target margin the one is best that changes least what
the customer pays; where none does, the one with the highest margin.  A plan that would have stopped
some of the usage is only taken where no other reaches the target: the customer would get less.
What nobody can know from the books: whether a customer stays at another price, or would use less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.plan_billing import PlanUsage, bill
from noburn_cli.core.plans import Plan


@dataclass(frozen=True)
class Offer:
    """What a plan would do for one customer's usage.  Nano-dollars a month, whole.

    pays_nano: what the customer pays, tax included.  served: the share of usage that is let happen.
    """

    plan: str
    pays_nano: int
    revenue_nano: int
    margin_nano: int
    served: Fraction

    @property
    def margin_share(self) -> Fraction | None:
        return Fraction(self.margin_nano, self.revenue_nano) if self.revenue_nano > 0 else None


@dataclass(frozen=True)
class Advice:
    """One customer: the plan they are on, every offer, and the one to take.

    days: how many days of usage were scaled to 30.  best: the one to take, or, where none reaches
    the target, the one with the highest margin; None without plans.
    seats: that every plan was billed for; None for each plan's own.
    """

    customer: str
    plan: str | None
    days: int
    offers: tuple[Offer, ...]
    best: Offer | None
    reaches_target: bool
    seats: int | None = None

    @property
    def current(self) -> Offer | None:
        return next((one for one in self.offers if one.plan == self.plan), None)

    @property
    def should_be_on(self) -> Offer | None:
        """The plan to take; None where none reaches the target."""
        return self.best if self.reaches_target else None

    @property
    def stays(self) -> bool:
        return self.best is not None and self.best.plan == self.plan


MONTH_DAYS = 30


def advise(
    customer: str, plan: str | None, usage: Sequence[int], days: int,
    plans: Mapping[str, Plan], target: Fraction, *, seats: int | None = None,
) -> Advice:  # fmt: skip
    """Bill a customer's usage by every plan.

    usage: [cost in nano-dollars, tokens, requests] of `days` days, which are scaled to a month of
    30.  seats: that are billed; None, where nobody said, for those of each plan.
    """
    month = Fraction(MONTH_DAYS, days)
    scaled = PlanUsage(
        cost_nano=usage[0] * month,
        tokens=usage[1] * month,
        requests=usage[2] * month,
        seats=seats,
    )
    offers = tuple(_offer(name, one, scaled) for name, one in plans.items())
    current = next((one for one in offers if one.plan == plan), None)
    paid = [one for one in offers if one.revenue_nano > 0]
    reaching = [one for one in paid if (one.margin_share or 0) >= target]
    best = _best(_whole(reaching), current) if reaching else _dearest(_whole(paid))
    return Advice(customer, plan, days, offers, best, bool(reaching), seats)


def _whole(offers: list[Offer]) -> list[Offer]:
    """Those that let all of the usage happen; all of them where none does."""
    return [one for one in offers if one.served == 1] or offers


def _best(offers: list[Offer], current: Offer | None) -> Offer:
    """The plan the customer is on where it will do, else the least change of what they pay."""
    if current in offers:
        assert current is not None
        return current
    pays = current.pays_nano if current is not None else 0
    return min(offers, key=lambda one: (abs(one.pays_nano - pays), one.plan))


def _dearest(offers: list[Offer]) -> Offer | None:
    return max(offers, key=lambda one: (one.margin_nano, one.plan), default=None)


def _offer(name: str, plan: Plan, usage: PlanUsage) -> Offer:
    charged = bill(plan, usage)
    return Offer(
        name, round(charged.due_nano), round(charged.revenue_nano), round(charged.margin_nano),
        charged.served,
    )  # fmt: skip
