"""One reading of profit and loss: what was asked, the facts, the costs, the lines.

Layer: profit, I/O.  Below: profit.costs, profit.notes, revenue.store, core.profit*,
core.recognition*.
Above: commands.pnl, dashboard, profit.watching.
Owns: which facts and costs a period needs.
Not here: any rule (core.recognition, core.profit_cells), what is said of gaps (profit.notes).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core import revenue
from noburn_cli.core.plans import Plan
from noburn_cli.core.plurals import counted
from noburn_cli.core.profit import (
    CUSTOMER,
    DAY,
    CostLine,
    Figures,
    PlansByDay,
    ProfitAndLoss,
    customer_of,
    in_order,
    plan_names,
    plans_by_day,
    unmapped_of,
)
from noburn_cli.core.profit_cells import Cells, group_by_customer
from noburn_cli.core.profit_rating import (
    billed_through,
    credit_draws,
    rated_streams,
    usage_by_day,
)
from noburn_cli.core.profit_rules import Rules
from noburn_cli.core.recognition import Amounts, Recognition, Stream
from noburn_cli.core.recognition_days import Days, month_of_day
from noburn_cli.core.recognition_reading import CHANGES, recognise
from noburn_cli.core.revenue import RevenueFact
from noburn_cli.profit.costs import cost_lines
from noburn_cli.profit.notes import (
    credit_notes,
    month_notes,
    spread_notes,
    stray_notes,
    unpriced_notes,
)

_NO_REVENUE = (
    "No revenue is known for this period: bring it with `noburn import stripe` or `noburn import "
    "revenue`."
)


@dataclass(frozen=True)
class Question:
    """What is asked.

    first, until: days, half-open, of the zone of the rules.  by: of core.profit.DIMENSIONS.
    customer: only this one; shared overhead is counted over all customers all the same.
    sources: of revenue; None for all but Stripe's test mode.
    """

    first: int
    until: int
    by: tuple[str, ...] = (CUSTOMER,)
    customer: str | None = None
    rules: Rules = field(default_factory=Rules)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    sources: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Books:
    """Everything that was read for a question, for whoever asks for more than its lines.

    costs: of more days than the period where something was billed by use; see `history_first`.
    """

    question: Question
    days: Days
    today: int
    facts: Sequence[RevenueFact]
    costs: Sequence[CostLine]
    recognition: Recognition
    on: PlansByDay
    notes: tuple[str, ...]
    #: Of every customer: usage by day, and the last day whose use is billed.
    usage: Mapping[str, Mapping[int, list[int]]] = field(default_factory=dict)
    billed: Mapping[str, int] = field(default_factory=dict)

    @property
    def streams(self) -> Sequence[Stream]:
        return self.recognition.streams


def read(home: Path, question: Question, *, now_ms: int) -> ProfitAndLoss:
    """The lines of a period.

    Raises LedgerUnavailable when neither the ledger nor revenue is there, or a file is damaged.
    """
    return lines_of(read_books(home, question, now_ms=now_ms))


def read_books(
    home: Path, question: Question, *, now_ms: int, history_first: int | None = None
) -> Books:
    """The facts and costs of a question.

    history_first: a day from which on costs are wanted even so.  Raises LedgerUnavailable.
    """
    days = Days(question.rules.zone)
    today = days.of(now_ms)
    read = _facts(home, question, days)
    facts = _with_plans(read or [], question.plans)
    first = min(
        question.first,
        month_of_day(min(question.first, today))[0],
        question.first if history_first is None else history_first,
        _first_use(facts, days, question.first),
    )
    until = max(question.until, today + 1)
    costs = list(cost_lines(home, days, first, until, has_revenue=read is not None))
    usage = _usage(costs)
    by_day = usage_by_day(costs)
    notes = [] if facts else [_NO_REVENUE]
    draws: dict[str, dict[int, int]] = {}
    draft = recognise(
        facts, days=days, usage=usage, now_ms=now_ms,
        final_after_days=question.rules.final_after_days,
    )  # fmt: skip
    on = plans_by_day(draft.streams)
    if any(fact.kind == revenue.CREDIT_GRANT for fact in facts):
        draws, at_cost = credit_draws(by_day, on, question.plans)
        notes += credit_notes(facts, at_cost)
        draft = recognise(
            facts, days=days, usage=usage, now_ms=now_ms, credit_draws=draws,
            final_after_days=question.rules.final_after_days,
        )  # fmt: skip
    billed = billed_through(facts, days)
    rated = rated_streams(by_day, on, question.plans, through=billed, today=today)
    names = {
        stream.customer
        for stream in rated
        if stream.earning.begins < question.until
        and stream.earning.ends >= question.first
        and question.customer in (None, stream.customer)
    }
    if names:
        whose = counted(len(names), "customer")
        notes.append(
            f"Usage of {whose} that is not billed yet is rated by the plans file, "
            "by calendar month: provisional."
        )
    notes += spread_notes(draft.streams)
    notes += month_notes(costs, question.first, question.until, by_day=DAY in question.by)
    notes += unpriced_notes(home, days, question.first, question.until)
    notes += stray_notes(home, question.sources)
    whole = Recognition((*draft.streams, *rated), draft.no_rate, draft.tax)
    return Books(question, days, today, facts, costs, whole, on, tuple(notes), by_day, billed)


def lines_of(books: Books) -> ProfitAndLoss:
    """The lines of a question, from what was read."""
    question = books.question
    cells = Cells(
        books.streams, books.costs, rules=question.rules, first=question.first,
        until=question.until, by=question.by, plans=question.plans,
    )  # fmt: skip
    by_customer = group_by_customer(cells)
    unmapped = unmapped_of(books.recognition, by_customer)
    if question.customer is not None:
        for cell in [one for one in cells.cells if one.customer != question.customer]:
            del cells.cells[cell]
        by_customer = {name: one for name, one in by_customer.items() if name == question.customer}
    chosen = [
        stream for stream in books.streams if question.customer in (None, customer_of(stream))
    ]
    lines = in_order(question.by, cells.grouped(question.by))
    total = Figures()
    for line in lines:
        total.add(line.figures)
    shown = Recognition(tuple(chosen))
    tax = [nano for day, nano in books.recognition.tax if question.first <= day < question.until]
    return ProfitAndLoss(
        by=question.by, zone=question.rules.zone, first=question.first, until=question.until,
        lines=lines, total=total, unmapped=unmapped,
        opening=shown.position(question.first - 1), closing=shown.position(question.until - 1),
        tax_nano=-sum(tax) if question.customer is None else 0,
        breakage_nano=_breakage(chosen, question),
        taken_back=_taken_back(chosen, question), no_rate=_no_rate(books.recognition),
        notes=books.notes, by_customer=by_customer,
    )  # fmt: skip


def _facts(home: Path, question: Question, days: Days) -> list[RevenueFact] | None:
    """The facts that may be earned in a period, all of them where credits are among them.

    None where no revenue was ever imported.
    """
    from noburn_cli.revenue import store

    path = paths.revenue_path(home)
    if not store.is_there(path):
        return None
    with store.reading(path) as file:
        since_ms = days.start_ms(question.first)
        grants = "SELECT count(*) FROM facts WHERE kind = ?"
        if file.rows(grants, revenue.CREDIT_GRANT)[0][0]:
            since_ms = -(2**62)
        return file.facts(since_ms, sources=question.sources)


def _with_plans(facts: list[RevenueFact], plans: Mapping[str, Plan]) -> list[RevenueFact]:
    """The same with plans as the plans file calls them."""
    names = plan_names({fact.plan for fact in facts if fact.plan is not None}, plans)
    return [
        fact
        if fact.plan is None or names[fact.plan] == fact.plan
        else replace(fact, plan=names[fact.plan])
        for fact in facts
    ]


def _first_use(facts: Iterable[RevenueFact], days: Days, first: int) -> int:
    """The first day whose costs say when something that was billed was used."""
    by_use = (revenue.USAGE, revenue.CREDIT_GRANT)
    starts = [fact.starts_ms for fact in facts if fact.kind in by_use]
    return min(first, days.of(min(starts))) if starts else first


def _usage(costs: Iterable[CostLine]) -> dict[tuple[str, str | None], dict[int, int]]:
    found: dict[tuple[str, str | None], dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for line in costs:
        for feature in (line.feature, None):
            found[line.customer, feature][line.day] += line.cost_nano
    return found


def _breakage(streams: Iterable[Stream], question: Question) -> int:
    return sum(
        one.breakage[1]
        for one in streams
        if one.breakage is not None and question.first <= one.breakage[0] < question.until
    )


def _taken_back(streams: Iterable[Stream], question: Question) -> Amounts:
    found = Amounts()
    for stream in streams:
        if stream.changes or stream.kind in CHANGES:
            found += stream.taken_back(question.first, question.until)
    return found


def _no_rate(recognition: Recognition) -> dict[str, int]:
    found: dict[str, int] = {}
    for fact in recognition.no_rate:
        found[fact.currency] = found.get(fact.currency, 0) + fact.amount_minor
    return dict(sorted(found.items()))
