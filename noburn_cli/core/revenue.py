"""Facts of revenue: what a customer was billed, and what was taken away from it again.

Layer: core (pure, standard library).  Below: core.currencies, core.plans, errors.
Above: noburn_cli.revenue (which makes and keeps them), core.recognition, noburn_cli.profit.
Owns: RevenueFact, its kinds and states, and how they add up; docs/revenue.md says it for people.
Not here: over which days a fact is earned (core.recognition), where facts are kept (revenue.store).

How facts add up.  For every document that is neither DRAFT nor VOID,

    facts that are neither TAX nor FEE  =  what the payer owes, or has paid, for it
    all facts                           =  net revenue

because amounts are gross: a line's fact includes its tax, whether that was inside its price or came
on top, and a TAX fact takes it out again (and gives it back with a refund).  Whatever takes away
names what it takes away from (`reverses`) and has its service period.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.currencies import USD, nano_per_minor
from noburn_cli.core.plans import SEATS_MAX

# What kind of fact.  Kinds that earn:
SUBSCRIPTION = "subscription"  # over its period, prorations included
USAGE = "usage"  # metered, billed for a period that is over
CREDIT_GRANT = "credit_grant"  # + prepaid credit bought; - that credit spent on a usage line
ONE_OFF = "one_off"
DISPUTE_WON = "dispute_won"  # funds of a dispute reinstated
# Kinds that take away:
DISCOUNT = "discount"
REFUND = "refund"
CREDIT_NOTE = "credit_note"
DISPUTE = "dispute"  # funds withdrawn
TAX = "tax"  # of a line, -; of what takes a line back, +
FEE = "fee"  # of the payment processor; + when it is given back
ADJUSTMENT = "adjustment"  # either way: an invoice written off (-), or paid after all (gone again)

KINDS = (
    *(SUBSCRIPTION, USAGE, CREDIT_GRANT, ONE_OFF, DISPUTE_WON),
    *(DISCOUNT, REFUND, CREDIT_NOTE, DISPUTE, TAX, FEE, ADJUSTMENT),
)
#: A fact of these is never negative, of those never positive; the other kinds go both ways.
#: Prorations make a subscription, usage or one-off line negative.
NEVER_POSITIVE = (DISCOUNT, REFUND, CREDIT_NOTE, DISPUTE)
NEVER_NEGATIVE = (DISPUTE_WON,)

# What is known of its money.
DRAFT = "draft"  # not billed yet: an open draft, a pending item
INVOICED = "invoiced"  # billed, not paid
COLLECTED = "collected"  # paid
REFUNDED = "refunded"  # paid, and all of it given back
DISPUTED = "disputed"  # paid, and in dispute or lost in one
VOID = "void"  # billed by mistake: counts for nothing
UNCOLLECTIBLE = "uncollectible"  # billed, written off: an ADJUSTMENT takes away what is unpaid

STATES = (DRAFT, INVOICED, COLLECTED, REFUNDED, DISPUTED, VOID, UNCOLLECTIBLE)
#: Facts in these states are in no sum of what was billed: not billed yet, or never owed.  What was
#: not billed yet is provisional revenue (core.recognition); what was never owed is none.
UNCOUNTED = (DRAFT, VOID)

#: Amounts in nano-dollars fit a ledger's row of 64 bits.
_MINOR_MAX = 10**15


@dataclass(frozen=True, slots=True)
class RevenueFact:
    """One amount that was billed, or taken away.  `+` earns, `-` takes away.

    id: stable, as `stripe:il_…` or `csv:…`; importing it again replaces it.
    source: `stripe`, `stripe-test` (never mixed with the former) or `csv`.
    payer, payer_name: who pays, as the source names them; customer: noburn's attribute, None where
    nobody said which it is.
    amount_minor: whole minor units of `currency` (core.currencies).
    amount_nano: the same in nano-dollars; None when no rate is known, never 0 instead.
    rate, rate_source: dollars for one unit, as text, and where that is from; both empty for USD.
    starts_ms, ends_ms: the service period, epoch ms, half-open; both `at_ms` when it has none.
    at_ms: when it was billed, paid, given back.
    document: the invoice, charge or file line that it is from.
    reverses: the id of the fact that it takes back or belongs to, or "": of a discount, a tax, a
    fee and of spent credit the line; of a refund the line, of a refund's tax the refund; of a won
    dispute the dispute.
    seats: of a subscription, what its price was billed for; None where nobody said.
    """

    id: str
    source: str
    kind: str
    payer: str
    payer_name: str
    customer: str | None
    feature: str | None
    plan: str | None
    amount_minor: int
    currency: str
    amount_nano: int | None
    rate: str
    rate_source: str
    starts_ms: int
    ends_ms: int
    at_ms: int
    document: str
    state: str
    reverses: str = ""
    seats: int | None = None

    def __post_init__(self) -> None:
        for amount in (self.amount_minor, self.starts_ms, self.ends_ms, self.at_ms):
            if type(amount) is not int:
                raise TypeError(f"{self.id}: {amount!r} is not whole")
        if self.amount_nano is not None and type(self.amount_nano) is not int:
            raise TypeError(f"{self.id}: {self.amount_nano!r} is not whole nano-dollars")
        fault = _fault(self)
        if fault:
            raise ValueError(f"{self.id}: {fault}")

    @property
    def counts(self) -> bool:
        """Whether it counts at all: billed, and not void."""
        return self.state not in UNCOUNTED


def _fault(fact: RevenueFact) -> str:
    """Which rule a fact breaks, or ""."""
    if fact.kind not in KINDS:
        return f"{fact.kind!r} is no kind of fact"
    if fact.state not in STATES:
        return f"{fact.state!r} is no state of a fact"
    if fact.ends_ms < fact.starts_ms:
        return "its period ends before it starts"
    if abs(fact.amount_minor) > _MINOR_MAX:
        return f"{fact.amount_minor} is out of range"
    if fact.kind in NEVER_POSITIVE and fact.amount_minor > 0:
        return f"a {fact.kind} takes away, so its amount is not positive"
    if fact.kind in NEVER_NEGATIVE and fact.amount_minor < 0:
        return f"a {fact.kind} gives back, so its amount is not negative"
    if fact.seats is not None and not 1 <= fact.seats <= SEATS_MAX:
        return f"seats are 1 to {SEATS_MAX:,}, not {fact.seats:,}"
    if fact.currency == USD and fact.amount_nano is None:
        return "dollars need no rate"
    return ""


def to_nano(amount_minor: int, currency: str, rate: Fraction) -> int:
    """Nano-dollars of an amount at `rate` dollars a unit, rounded half to even."""
    return round(amount_minor * nano_per_minor(currency, rate))


def shared(amount: int, weights: Sequence[int]) -> list[int]:
    """`amount` in whole parts in proportion to weights >= 0; the parts add up to it exactly.

    Each part is rounded towards zero, and what is left goes to the largest remainders, the first of
    equal ones.  All weights 0: everything goes to the first.  Raises ValueError without weights.
    """
    if not weights or min(weights) < 0:
        raise ValueError("an amount is shared by weights of 0 and more")
    whole = sum(weights)
    if not whole:
        return [amount, *[0] * (len(weights) - 1)]
    size, sign = abs(amount), -1 if amount < 0 else 1
    parts = [size * weight // whole for weight in weights]
    order = sorted(range(len(weights)), key=lambda i: (-(size * weights[i] % whole), i))
    for i in order[: size - sum(parts)]:
        parts[i] += 1
    return [sign * part for part in parts]


def cumulated(amounts: Iterable[int], each: Fraction) -> list[int]:
    """`amounts` times `each`, in whole numbers whose running sums are all rounded right.

    So what was settled for a whole invoice is exactly the sum of what it is for its lines.
    """
    found, before, reached = [], 0, 0
    for amount in amounts:
        reached += amount
        after = round(reached * each)
        found.append(after - before)
        before = after
    return found
