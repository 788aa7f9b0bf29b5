"""What a reading of profit and loss has to say about what is missing in its figures.

Layer: profit, I/O.  Below: reports.costs, revenue.store, revenue.stripe_strays, core.
Above: profit.reading.
Owns: the sentences, each only where it is so: credits spent by guess, usage spread evenly, months
that were compacted, calls without a price, what was given back and is in no figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core import revenue
from noburn_cli.core.plurals import counted
from noburn_cli.core.profit import CostLine, customer_of
from noburn_cli.core.recognition import Stream
from noburn_cli.core.recognition_days import Days, day_text, month_of_day
from noburn_cli.core.revenue import RevenueFact
from noburn_cli.reports.costs import unpriced_calls

_STRIPE = "stripe"


def credit_notes(facts: Iterable[RevenueFact], at_cost: Sequence[str]) -> list[str]:
    grants = [fact for fact in facts if fact.kind == revenue.CREDIT_GRANT]
    bought = {fact.customer for fact in grants}
    told = {
        fact.customer
        for fact in grants
        if fact.reverses or fact.amount_minor < 0 or fact.source.startswith("stripe")
    }
    guessed = sorted(name for name in at_cost if name in bought - told)
    if not guessed:
        return []
    whose = counted(len(guessed), "customer")
    why = "no plan of the plans file says what a credit pays for"
    return [f"Credits of {whose} are spent as calls cost: {why}."]


def spread_notes(streams: Iterable[Stream]) -> list[str]:
    unknown = {
        customer_of(one)
        for one in streams
        if one.kind == revenue.USAGE and not one.curve_known and one.gross_nano
    }
    if not unknown:
        return []
    why = "the ledger has no calls of theirs in it"
    whose = counted(len(unknown), "customer")
    return [f"Usage billed to {whose} is spread evenly over its period: {why}."]


def unpriced_notes(home: Path, days: Days, first: int, until: int) -> list[str]:
    """Imported calls of a period (days, half-open) whose price nobody knows."""
    since_ms, until_ms = days.start_ms(first), days.start_ms(until)
    count = unpriced_calls(home, since_ms, until_ms, days.zone)
    if not count:
        return []
    calls = "1 imported call has" if count == 1 else f"{count:,} imported calls have"
    note = f"{calls} no known price: in no inference, so margins are lower than they look "
    return [note + "(`noburn report --by model` names the models)."]


def month_notes(costs: Iterable[CostLine], first: int, until: int, *, by_day: bool) -> list[str]:
    """Compacted months of a period whose days would have to be known."""
    found = []
    for begins in sorted({line.day for line in costs if line.is_month}):
        following = month_of_day(begins)[1]
        is_cut = begins < first or until < following
        if first < following and begins < until and (is_cut or by_day):
            found.append(day_text(begins)[:7])
    if not found:
        return []
    return [f"Calls of {', '.join(found)} were compacted: all are of the first day of their month."]


def stray_notes(home: Path, sources: Sequence[str] | None) -> list[str]:
    """What Stripe gave back of payments that it does not tell of.  sources: as in a question."""
    from noburn_cli.revenue import store
    from noburn_cli.revenue.stripe_strays import strays

    path = paths.revenue_path(home)
    if not store.is_there(path):
        return []
    with store.reading(path) as file:
        count = sum(len(strays(file, source)) for source in sources or (_STRIPE,))
    if not count:
        return []
    is_are = "is" if count == 1 else "are"
    whose = f"{counted(count, 'thing')} that Stripe gave back {is_are} of no payment that it tells"
    return [f"{whose} of, so in no figure: `noburn import stripe` names them."]
