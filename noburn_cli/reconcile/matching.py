"""The provider's bill beside the ledger, line by line, and why they differ.

Layer: reconcile, pure (both sides are given).  Below: bill, ours, core.pricebook.
Above: commands.ledger.reconcile, entries.
Owns: lines of (day, model, scope); the classes of difference and the order in which they are
looked for.  Not here: what is booked for a difference (entries), how it looks (render.reconcile).

A drift is the bill less the books.  It is taken apart in this order: calls whose bill was never
learnt; bills without calls, or calls without a bill; other tokens; what is left is money for the
same tokens: an export's rounding, or another price than our book's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from noburn_cli.core.money import NANO_PER_DOLLAR, Nano, show_percent
from noburn_cli.core.usage import FEE_KINDS
from noburn_cli.reconcile.bill import BillRow
from noburn_cli.reconcile.ours import OurCall, OurLine, Place
from noburn_cli.reconcile.sharing import split

UNCERTAIN = "uncertain"
UNGUARDED = "bill_without_calls"
UNBILLED = "calls_without_bill"
TOKENS = "tokens"
PRICE = "price"
ROUNDING = "rounding"
REASONS = {
    UNCERTAIN: "calls whose bill was not known",
    UNGUARDED: "billed, and in no book: a call that passed no guard",
    UNBILLED: "in our books, and on no bill",
    TOKENS: "other tokens than we recorded",
    PRICE: "another price for the same tokens",
    ROUNDING: "the export rounds its amounts",
}
#: A line that sums every model of a day, because the export does.
ALL_MODELS = "(all models)"

#: What tokens of a model cost by our book on a day, in nano-dollars; None without a price.
Price = Callable[[str, str, Mapping[str, int]], int | None]
#: Our rate for a kind of a model on a day, in pico-dollars per unit; None without one.
Rate = Callable[[str, str, str], int | None]


#: A call with an amount in nano-dollars and counts by kind.
CallBill = tuple[OurCall, int, Mapping[str, int]]


@dataclass
class TheirLine:
    """What the bill says of a line; each None where no row told it.

    by_kind: dollars that are for one kind of token alone.  amounts: how many were added up.
    strangers: requests that the bill names, and none of our calls has.
    """

    dollars: Fraction | None = None
    requests: int | None = None
    tokens: Counter[str] | None = None
    by_kind: dict[str, Fraction] = field(default_factory=dict)
    amounts: int = 0
    strangers: int = 0

    def add(self, row: BillRow) -> None:
        # What a report of costs counts is told by that of usage as well.
        if row.requests is not None and (row.dollars is None or row.request):
            self.requests = (self.requests or 0) + row.requests
        self.strangers += (row.requests or 1) if row.request else 0
        if row.dollars is None or row.tokens:
            self.tokens = Counter() if self.tokens is None else self.tokens
            self.tokens.update(row.tokens)
        if row.dollars is None:
            return
        self.dollars = (self.dollars or Fraction(0)) + row.dollars
        self.amounts += 1
        if row.kind:
            self.by_kind[row.kind] = self.by_kind.get(row.kind, Fraction(0)) + row.dollars


@dataclass(frozen=True)
class Difference:
    """One reason why a line drifts: `nano` of it, and what it counts.

    bills: what each call whose bill was not known comes to: (call, nano-dollars, tokens).
    against: what the bill of a settled call differs by, where the export names the request.
    """

    why: str
    nano: int
    calls: int = 0
    tokens: Mapping[str, int] = field(default_factory=dict)
    note: str = ""
    bills: tuple[CallBill, ...] = ()
    against: tuple[CallBill, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of the comparison; amounts in nano-dollars.

    theirs_nano: None where the export has no money: then `priced` by our own book.
    """

    day: str
    model: str
    scope: str
    ours: OurLine
    theirs: TheirLine
    theirs_nano: int
    priced: bool
    differences: tuple[Difference, ...]

    @property
    def drift(self) -> int:
        return self.theirs_nano - self.ours.total


def match(
    ours: Mapping[Place, OurLine], theirs: Mapping[Place, TheirLine], *, price: Price, rate: Rate,
    step: Fraction,
) -> list[Line]:  # fmt: skip
    """Every line that either side has, by day and model."""
    lines = []
    for place in sorted({*ours, *theirs}):
        day, model, _ = place
        own, bill = ours.get(place, OurLine()), theirs.get(place, TheirLine())
        lines.append(_Explained(day, model, own, bill, price, rate, step).line(place))
    return lines


class _Explained:
    """One line, taken apart."""

    def __init__(
        self, day: str, model: str, ours: OurLine, theirs: TheirLine, price: Price, rate: Rate,
        step: Fraction,
    ) -> None:  # fmt: skip
        self.day = day
        self.model = model
        self.ours = ours
        self.theirs = theirs
        self._price = price
        self._rate = rate
        self._step = step
        self._found: list[Difference] = []
        #: Tokens that only the bill has, by kind; None where it counts none.
        self._rest = _difference(theirs.tokens, ours.tokens)
        self.priced = theirs.dollars is None and theirs.tokens is not None
        self.nano = self._billed()
        self._left = self.nano - ours.total

    def _billed(self) -> int:
        if self.theirs.dollars is not None:
            return round(self.theirs.dollars * NANO_PER_DOLLAR)
        if self._rest is None:
            return 0
        more = self._price(self.day, self.model, self._rest)
        return self.ours.settled + self.ours.corrected + (more or 0)

    def line(self, place: Place) -> Line:
        # Books that were corrected to the bill are right, whichever call's bill is not known.
        if self._left or not self.ours.corrections:
            self._take_apart()
        return Line(
            self.day, self.model, place[2], self.ours, self.theirs, self.nano, self.priced,
            tuple(self._found),
        )  # fmt: skip

    def _take_apart(self) -> None:
        self._unlearnt()
        self._other_calls()
        if self._rest and self._left:
            self._take(Difference(TOKENS, self._worth(self._rest), tokens=self._rest))
        if self._left:
            self._money_alone()

    def _take(self, difference: Difference) -> None:
        self._found.append(difference)
        self._left -= difference.nano
        if self._rest and difference.tokens:
            self._rest = _difference(Counter(self._rest), Counter(difference.tokens))

    def _worth(self, tokens: Mapping[str, int]) -> int:
        """What these tokens cost by our book; all that is left where it has no price."""
        worth = self._price(self.day, self.model, tokens)
        return self._left if worth is None else worth

    def _unlearnt(self) -> None:
        """Calls charged at their holds: what the bill has beyond the settled ones is theirs."""
        calls = self.ours.unbilled
        requests = self.theirs.requests
        if not calls or (requests is not None and not self._may_be_theirs(requests)):
            return
        nobody = self.theirs.dollars is None and self.theirs.tokens is None
        tokens = {k: n for k, n in (self._rest or {}).items() if n > 0}
        beyond = self.nano - self.ours.settled - self.ours.corrected
        worth = self._price(self.day, self.model, tokens) if tokens else None
        billed = beyond if worth is None else worth
        if nobody or requests == self.ours.requests:
            billed, tokens = 0, {}
        billed = min(max(billed, 0), self.ours.uncertain)
        bills = _bills(calls, billed, tokens)
        nano = billed - self.ours.uncertain
        self._take(Difference(UNCERTAIN, nano, len(calls), tokens, bills=bills))

    def _may_be_theirs(self, requests: int) -> bool:
        return 0 <= requests - self.ours.requests <= len(self.ours.unbilled)

    def _other_calls(self) -> None:
        """More or fewer calls on the bill than in the books."""
        ours, requests = self.ours, self.theirs.requests
        known = ours.requests + len(ours.unbilled)
        if not known and not ours.settled and not ours.corrected:
            if self._left:
                tokens = dict(self.theirs.tokens or {})
                self._take(Difference(UNGUARDED, self._left, requests or 0, tokens))
        elif self.theirs.dollars is None and self.theirs.tokens is None:
            if self._left:
                gone = {kind: -n for kind, n in ours.tokens.items() if n}
                self._take(Difference(UNBILLED, self._left, ours.requests, gone))
        elif self.theirs.strangers and ours.requests and not ours.corrections and self._left:
            # Each side has its own: no request of the bill is one of these calls.
            tokens = dict(self.theirs.tokens or {})
            gone = {kind: -n for kind, n in ours.tokens.items() if n}
            self._take(Difference(UNGUARDED, self.nano, requests or 0, tokens))
            self._take(Difference(UNBILLED, self._left, ours.requests, gone))
        elif requests is not None:
            more = requests - known
            less = ours.requests - requests
            if more > 0:
                self._take(Difference(UNGUARDED, self._worth_of_rest(), more, self._rest or {}))
            elif less > 0:
                self._take(Difference(UNBILLED, self._worth_of_rest(), less, self._rest or {}))

    def _worth_of_rest(self) -> int:
        return self._worth(self._rest) if self._rest else self._left

    def _money_alone(self) -> None:
        allowed = self._step / 2 * self.theirs.amounts * NANO_PER_DOLLAR
        # A sum of calls that are each rounded to a nano-dollar differs from the rounded sum.
        if abs(self._left) <= allowed + max(1, self.ours.requests):
            self._take(Difference(ROUNDING, self._left))
            return
        self._take(Difference(PRICE, self._left, note=self._rates()))

    def _rates(self) -> str:
        """Which rate differs, where the bill tells money and tokens of one kind."""
        said = []
        for kind, dollars in sorted(self.theirs.by_kind.items()):
            tokens = (self.theirs.tokens or Counter())[kind]
            ours = self._rate(self.day, self.model, kind)
            if not tokens or ours is None:
                continue
            slack = self._step / 2 * self.theirs.amounts + Fraction(1, NANO_PER_DOLLAR)
            if abs(dollars - Fraction(ours, 10**12) * tokens) > slack:
                said.append(
                    f"{kind} was billed at {_per_million(dollars / tokens)}, our price book says "
                    f"{_per_million(Fraction(ours, 10**12))}"
                )
        if said:
            return "; ".join(said)
        before = self.nano - self._left
        if before <= 0:
            return ""
        more = "above" if self._left > 0 else "below"
        return f"billed {show_percent(Fraction(abs(self._left), before))} {more} our rates"


def _difference(theirs: Counter[str] | None, ours: Counter[str]) -> dict[str, int] | None:
    if theirs is None:
        return None
    kinds = {*theirs, *ours} - (set(FEE_KINDS) if not set(FEE_KINDS) & set(theirs) else set())
    return {kind: more for kind in sorted(kinds) if (more := theirs[kind] - ours[kind])}


def _bills(calls: list[OurCall], nano: int, tokens: Mapping[str, int]) -> tuple[CallBill, ...]:
    """What each call comes to: the whole, shared out by their holds."""
    weights = [call.charged for call in calls]
    amounts = split(nano, weights)
    shares = {kind: split(count, weights) for kind, count in tokens.items()}
    return tuple(
        (call, amounts[n], {kind: parts[n] for kind, parts in shares.items() if parts[n]})
        for n, call in enumerate(calls)
    )


def _per_million(dollars: Fraction) -> str:
    return f"${Nano(round(dollars * 10**6 * NANO_PER_DOLLAR)).exact()} / M"
