"""Bills that name their requests, each beside the call it pays for.

Layer: reconcile, pure.  Below: bill, ours, matching.  Above: comparing.
Owns: what one request's bill says of one call.  Everything else is matched by day (matching), the
bills of requests that no call has the id of among it: one of them may be that of a lost stream.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from noburn_cli.core.money import NANO_PER_DOLLAR
from noburn_cli.reconcile.bill import BillRow
from noburn_cli.reconcile.matching import (
    PRICE,
    TOKENS,
    UNCERTAIN,
    CallBill,
    Difference,
    Line,
    Price,
    TheirLine,
)
from noburn_cli.reconcile.ours import UNBILLED, OurCall, OurLine, Place


def match_requests(
    rows: Iterable[tuple[OurCall, str, BillRow]], *, price: Price
) -> dict[Place, Line]:
    """A line of each place of the rows, with what their requests' bills differ by.

    rows: each with its call, whose day and model decide, and the scope of the bill.
    """
    found: dict[Place, _Named] = {}
    for call, scope, row in rows:
        place = (call.day, call.model, scope)
        found.setdefault(place, _Named(place, price)).add(row, call)
    return {place: one.line() for place, one in found.items()}


class _Named:
    """The requests of one place."""

    def __init__(self, place: Place, price: Price) -> None:
        self._place = place
        self._price = price
        self._ours, self._theirs = OurLine(), TheirLine()
        self._priced = 0
        self._bills: list[CallBill] = []
        self._against: dict[str, list[CallBill]] = {TOKENS: [], PRICE: []}

    def add(self, row: BillRow, call: OurCall) -> None:
        self._theirs.requests = (self._theirs.requests or 0) + (row.requests or 1)
        tokens = Counter(row.tokens)
        self._theirs.tokens = tokens + (self._theirs.tokens or Counter())
        nano = self._nano(row, tokens)
        self._ours.shares[call.attributes] += call.charged
        if call.state in UNBILLED:
            self._ours.unbilled.append(call)
            self._bills.append((call, nano, tokens))
            return
        self._ours.requests += 1
        self._ours.settled += call.charged
        self._ours.tokens.update(call.tokens)
        more = {k: tokens[k] - call.tokens[k] for k in {*tokens, *call.tokens}}
        more = {kind: n for kind, n in more.items() if n} if tokens else {}
        if more or nano != call.charged:
            self._against[TOKENS if more else PRICE].append((call, nano - call.charged, more))

    def _nano(self, row: BillRow, tokens: Mapping[str, int]) -> int:
        if row.dollars is not None:
            self._theirs.dollars = (self._theirs.dollars or 0) + row.dollars
            self._theirs.amounts += 1
            return round(row.dollars * NANO_PER_DOLLAR)
        nano = self._price(self._place[0], self._place[1], tokens) or 0
        self._priced += nano
        return nano

    def line(self) -> Line:
        differences = []
        if self._bills:
            nano = sum(nano - call.charged for call, nano, _ in self._bills)
            bills = tuple(self._bills)
            differences.append(Difference(UNCERTAIN, nano, len(bills), bills=bills))
        for why, against in self._against.items():
            if against:
                nano = sum(nano for _, nano, _ in against)
                more = _sum(tokens for _, _, tokens in against)
                differences.append(
                    Difference(why, nano, len(against), more, against=tuple(against))
                )
        nano = self._ours.total + sum(one.nano for one in differences)
        day, model, scope = self._place
        priced = self._theirs.dollars is None
        return Line(day, model, scope, self._ours, self._theirs, nano, priced, tuple(differences))


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return {kind: n for kind, n in total.items() if n}


def merged(named: Line, rest: Line) -> Line:
    """Two lines of one place as one: requests that were named, and the rest of the day."""
    theirs = TheirLine(amounts=named.theirs.amounts + rest.theirs.amounts)
    for one in (named.theirs, rest.theirs):
        if one.dollars is not None:
            theirs.dollars = (theirs.dollars or 0) + one.dollars
        if one.requests is not None:
            theirs.requests = (theirs.requests or 0) + one.requests
        if one.tokens is not None:
            theirs.tokens = one.tokens + (theirs.tokens or Counter())
    ours = OurLine(
        named.ours.api or rest.ours.api,
        named.ours.requests + rest.ours.requests,
        named.ours.settled + rest.ours.settled,
        named.ours.corrected + rest.ours.corrected,
        rest.ours.corrections,
        Counter(named.ours.tokens),
        [*named.ours.unbilled, *rest.ours.unbilled],
        Counter(named.ours.shares),
    )
    # Not by `+`, which drops what is below 0.
    ours.tokens.update(rest.ours.tokens)
    ours.shares.update(rest.ours.shares)
    differences = (*named.differences, *rest.differences)
    return Line(
        rest.day, rest.model, rest.scope, ours, theirs, named.theirs_nano + rest.theirs_nano,
        named.priced and rest.priced, differences,
    )  # fmt: skip
