"""A provider's exports and the ledger, made comparable, and compared.

Layer: reconcile.  Below: bill, ours, matching, requests, core.pricebook.
Above: commands.ledger.reconcile.
Owns: names of models, fees, days that an export covers.
Not here: why a line differs (matching), whose an API key is (scoping), what is booked (entries).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path

from noburn_cli.core.cost import rate_of
from noburn_cli.core.models import STANDARD, Model
from noburn_cli.core.money import nano_from_pico_half_even
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.usage import REASONING
from noburn_cli.errors import ModelUnknown, PriceUnknown
from noburn_cli.reconcile.bill import CSV, Bill, BillRow
from noburn_cli.reconcile.matching import ALL_MODELS, Line, TheirLine, match
from noburn_cli.reconcile.midnight import move_overnight
from noburn_cli.reconcile.ours import OurLine, Ours, Place, Wanted, read_ours
from noburn_cli.reconcile.requests import match_requests, merged
from noburn_cli.reconcile.scoping import Scoping

_DAY_MS = 86_400_000
_NOON_MS = _DAY_MS // 2


@dataclass(frozen=True)
class Comparison:
    """One provider's lines, and what stands beside them.

    digest: of all its exports.  days: those compared.  remarks: what was left out, for a person.
    """

    provider: str
    digest: str
    sources: tuple[str, ...]
    days: tuple[str, ...]
    lines: tuple[Line, ...]
    last_correction: int
    remarks: tuple[str, ...]


@dataclass(frozen=True)
class Terms:
    """What a comparison goes by.

    first, last: days to compare, included; "" for no border.
    """

    book: PriceBook
    scoping: Scoping
    first: str = ""
    last: str = ""

    def model(self, name: str) -> Model | None:
        try:
            return self.book.resolve(name)
        except ModelUnknown:
            return None

    def name(self, model: str) -> str:
        found = self.model(model)
        return model if found is None else found.name

    def provider(self, model: str) -> str:
        found = self.model(model)
        return "" if found is None else found.provider

    def price(self, day: str, model: str, tokens: Mapping[str, int]) -> int | None:
        """Nano-dollars of more or fewer tokens, at our standard rates of the day.

        Of many calls together, so that no tier is reached: it is a single call that reaches one.
        """
        pico = 0
        for kind, count in tokens.items():
            rate = self.rate(day, model, kind) if kind != REASONING else 0
            if rate is None:
                return None
            pico += count * rate
        return nano_from_pico_half_even(pico)

    def rate(self, day: str, model: str, kind: str) -> int | None:
        found = self.model(model)
        row = None if found is None else found.row_at(STANDARD, start_ms(day) + _NOON_MS)
        if found is None or row is None:
            return None
        try:
            return rate_of(found, row, row.tiers[0], kind)
        except PriceUnknown:
            return None


def start_ms(day: str) -> int:
    """The first moment of a day, in UTC."""
    return int(datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp() * 1000)


def compare(ledger_path: Path, bills: Sequence[Bill], terms: Terms) -> list[Comparison]:
    """Each provider's bills beside the ledger.  Raises LedgerUnavailable."""
    providers = dict.fromkeys(bill.provider for bill in bills)
    return [
        _Provider(name, [bill for bill in bills if bill.provider == name], terms).compared(
            ledger_path
        )
        for name in providers
    ]


class _Provider:
    """The exports of one provider."""

    def __init__(self, name: str, bills: list[Bill], terms: Terms) -> None:
        self._name = name
        self._bills = bills
        self._terms = terms
        self._remarks: list[str] = []
        rows = [row for bill in bills for row in bill.rows if self._is_wanted(row.day)]
        self._named = [row for row in rows if row.request]
        self._rows = [row for row in rows if not row.request]
        self._has_money = any(bill.has_money for bill in bills)
        self._scoping = self._usable_scoping(rows)
        covering = [bill for bill in bills if bill.has_money] or bills
        self._days = sorted(
            day for day in {d for bill in covering for d in bill.days} if self._is_wanted(day)
        )

    def _is_wanted(self, day: str) -> bool:
        terms = self._terms
        return (not terms.first or day >= terms.first) and (not terms.last or day <= terms.last)

    def _usable_scoping(self, rows: Iterable[BillRow]) -> Scoping:
        """The scopes, where every row says whose it is: half of a scoped line is no line."""
        scoping = self._terms.scoping
        if scoping.by_id and not all(row.key or row.project for row in rows):
            self._remarks.append(
                "not every row of the export names a key or project: scopes are not compared apart"
            )
            return Scoping()
        return scoping

    def compared(self, ledger_path: Path) -> Comparison:
        ours = self._read(ledger_path) if self._days else Ours()
        self._rows += [row for row in self._named if row.request not in ours.named]
        theirs = self._lines(ours.lines)
        self._merge_all_models(ours.lines, theirs)
        self._leave_out(ours.lines, theirs)
        move_overnight(ours.lines, theirs)
        terms = self._terms
        lines = match(
            ours.lines, theirs, price=terms.price, rate=terms.rate,
            step=max((bill.step for bill in self._bills), default=Fraction(0)),
        )  # fmt: skip
        found = [(ours.named.get(row.request), row) for row in self._named]
        named = match_requests(
            [(call, self._scoping.of_row(row), row) for call, row in found if call is not None],
            price=terms.price,
        )
        whole = {(line.day, line.model, line.scope): line for line in lines}
        for place, line in named.items():
            whole[place] = merged(line, whole[place]) if place in whole else line
        return Comparison(
            self._name,
            "+".join(sorted(bill.digest for bill in self._bills)),
            tuple(bill.source for bill in self._bills),
            tuple(self._days),
            tuple(whole[place] for place in sorted(whole)),
            ours.last_correction,
            tuple(self._remarks),
        )

    def _read(self, ledger_path: Path) -> Ours:
        models = {row.model for row in (*self._rows, *self._named)}
        csv_providers = {self._terms.provider(model) for model in models} - {""}
        wanted = Wanted(
            start_ms(self._days[0]),
            start_ms(self._days[-1]) + _DAY_MS,
            {self._name} if self._name != CSV else {CSV, *csv_providers},
            self._terms.provider,
            self._scoping.of_attributes,
            {row.request for row in self._named},
        )
        ours = read_ours(ledger_path, wanted)
        renamed: dict[Place, OurLine] = {}
        for (day, model, scope), line in ours.lines.items():
            if day in self._days:
                _add(renamed, (day, self._terms.name(model), scope), line)
        ours.lines = renamed
        for call in ours.named.values():
            call.model = self._terms.name(call.model)
        return ours

    def _place(self, row: BillRow) -> Place:
        return row.day, self._terms.name(row.model), self._scoping.of_row(row)

    def _lines(self, ours: Mapping[Place, OurLine]) -> dict[Place, TheirLine]:
        lines: dict[Place, TheirLine] = {}
        for row in self._rows:
            for place, part in self._fee_parts(row, ours) if row.fee else [(self._place(row), row)]:
                lines.setdefault(place, TheirLine()).add(part)
        return lines

    def _fee_parts(
        self, row: BillRow, ours: Mapping[Place, OurLine]
    ) -> list[tuple[Place, BillRow]]:
        """A fee belongs to the models that used it, by what we counted of it on that day."""
        scope = self._scoping.of_row(row)
        users = {
            place: line.tokens[row.fee]
            for place, line in ours.items()
            if (place[0], place[2]) == (row.day, scope) and line.tokens[row.fee]
        }
        total = sum(users.values())
        if not total or row.dollars is None or self._terms.model(row.model) is not None:
            return [(self._place(row), row)]
        return [
            (place, BillRow(row.day, place[1], dollars=row.dollars * Fraction(used, total)))
            for place, used in users.items()
        ]

    def _merge_all_models(self, ours: dict[Place, OurLine], theirs: dict[Place, TheirLine]) -> None:
        """A day whose money names no model is compared as one line."""
        whole = {
            (day, scope)
            for (day, model, scope), line in theirs.items()
            if not model and line.dollars
        }
        for day, model, scope in [place for place in ours if (place[0], place[2]) in whole]:
            _add(ours, (day, ALL_MODELS, scope), ours.pop((day, model, scope)))
        for day, model, scope in [place for place in theirs if (place[0], place[2]) in whole]:
            line = theirs.pop((day, model, scope))
            _add_theirs(theirs.setdefault((day, ALL_MODELS, scope), TheirLine()), line)

    def _leave_out(self, ours: dict[Place, OurLine], theirs: dict[Place, TheirLine]) -> None:
        """Without costs, models that the export never mentions may just not be in it."""
        for place in [place for place, line in theirs.items() if _is_empty(place, line)]:
            del theirs[place]
        if self._has_money or self._named:
            return
        mentioned = {model for _, model, _ in theirs}
        silent = {place for place in ours if place[1] not in mentioned}
        if silent:
            names = ", ".join(sorted({model for _, model, _ in silent}))
            self._remarks.append(
                f"the export has usage alone and does not mention {names}: not compared"
            )
        for place in silent:
            del ours[place]


def _add(lines: dict[Place, OurLine], place: Place, more: OurLine) -> None:
    line = lines.setdefault(place, OurLine(more.api))
    line.requests += more.requests
    line.settled += more.settled
    line.corrected += more.corrected
    line.corrections += more.corrections
    line.tokens.update(more.tokens)
    line.unbilled.extend(more.unbilled)
    line.shares.update(more.shares)
    line.overnight.extend(more.overnight)


def _add_theirs(line: TheirLine, more: TheirLine) -> None:
    if more.dollars is not None:
        line.dollars = (line.dollars or Fraction(0)) + more.dollars
    if more.requests is not None:
        line.requests = (line.requests or 0) + more.requests
    if more.tokens is not None:
        line.tokens = Counter() if line.tokens is None else line.tokens
        line.tokens.update(more.tokens)
    line.amounts += more.amounts


def _is_empty(place: Place, line: TheirLine) -> bool:
    """Nothing at all, or counts of a fee that name no model: its money is told elsewhere."""
    if line.dollars or line.requests:
        return False
    return not place[1] or not any((line.tokens or {}).values())


def last_whole_day(now: datetime) -> str:
    """The last day, in UTC, that is over: an export of today would not be complete."""
    return f"{now.astimezone(timezone.utc) - timedelta(days=1):%Y-%m-%d}"
