"""What the figures of profit and loss do not say by themselves, in sentences.

Layer: render (pure).  Below: core.profit, core.money.  Above: render.pnl, render.pnl_data.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from noburn_cli.core.currencies import show_minor
from noburn_cli.core.money import show_dollars, show_percent
from noburn_cli.core.profit import ProfitAndLoss
from noburn_cli.core.recognition import STATES

#: Names that one sentence lists; the data formats have all of them.
_NAMES_MAX = 5
_STATE_WORDS = {
    "provisional": "provisional (rated or a draft, nobody was billed)",
    "invoiced": "invoiced and not paid",
    "collected": "collected",
    "final": "final",
}


def share_text(share: Fraction | None) -> str:
    """A margin for the eye, to a tenth of a per cent; `-` where there is no revenue."""
    if share is None:
        return "-"
    return show_percent(Fraction(round(share * 1000), 1000))


def notes(found: ProfitAndLoss) -> list[str]:
    """Sentences below the table."""
    total = found.total
    said = []
    states = [(state, total.states[state]) for state in STATES if total.states[state]]
    if states:
        parts = ", ".join(f"{show_dollars(nano)} {_STATE_WORDS[state]}" for state, nano in states)
        said.append(f"Of the revenue {parts}.")
    if found.closing.deferred_nano or found.closing.unbilled_nano:
        deferred = show_dollars(found.closing.deferred_nano)
        unbilled = show_dollars(found.closing.unbilled_nano)
        said.append(
            f"At the end of the period {deferred} is billed and not earned yet, {unbilled} earned "
            "and not billed yet."
        )
    said += _taken_back(found)
    if found.tax_nano:
        said.append(f"{show_dollars(found.tax_nano)} of tax is in no figure.")
    if found.breakage_nano:
        said.append(f"{show_dollars(found.breakage_nano)} of the revenue is credit that expired.")
    if total.passed_nano:
        both = (
            f": booked gross the margin is {share_text(total.margin_share)}, booked net "
            f"{share_text(total.margin_share_net)} of "
            f"{show_dollars(total.net_nano - total.passed_nano)}"
        )
        passed = f"{show_dollars(total.passed_nano)} of the inference is passed on to customers"
        said.append(f"{passed}{both if total.margin_share_net is not None else ''}.")
    if total.uncertain_nano:
        said.append(
            f"* {show_dollars(total.uncertain_nano)} of the inference is uncertain: charged at the "
            "hold because no bill came."
        )
    if total.held_nano:
        said.append(f"{show_dollars(total.held_nano)} is held by calls in flight, and in no cost.")
    if total.notional_nano:
        said.append(
            f"{show_dollars(total.notional_nano)} at list price is notional (subscriptions pay for "
            "it), and in no cost."
        )
    return [*_under_water(found), *said, *found.notes, *_unmapped(found)]


def _taken_back(found: ProfitAndLoss) -> list[str]:
    """Where TAKEN OFF is not what was taken back in the period."""
    back, total = found.taken_back, found.total
    kinds = (
        ("Refunds and credit notes", back.refunds_nano, total.refunds_nano),
        ("Disputes", back.disputes_nano, total.disputes_nano),
        ("Write-offs", back.adjustments_nano, total.adjustments_nano),
    )
    return [
        f"{what} of the period come to {show_dollars(nano)}, {show_dollars(off)} of it in TAKEN "
        "OFF: what was not earned yet lowers GROSS instead, in this period and later ones."
        for what, nano, off in kinds
        if nano != off
    ]


def _under_water(found: ProfitAndLoss) -> list[str]:
    """Customers that cost more than they brought in the period, the worst first."""
    losses = sorted(
        (one.margin_nano, name) for name, one in found.by_customer.items() if one.margin_nano < 0
    )
    if not losses:
        return []
    named = [f"{name} {show_dollars(nano)}" for nano, name in losses]
    return [
        f"Under water: {len(losses):,} of {len(found.by_customer):,} customers: {listed(named)}."
    ]


def _unmapped(found: ProfitAndLoss) -> list[str]:
    said = []
    if found.no_rate:
        amounts = ", ".join(
            f"{show_minor(minor, currency)} {currency}" for currency, minor in found.no_rate.items()
        )
        said.append(
            f"No rate is known for {amounts}: in no figure. Give rates in "
            f"[revenue.rates.{next(iter(found.no_rate))}] of noburn.toml, and import again."
        )
    unmapped = found.unmapped
    if unmapped.payers:
        named = [f"{name or payer} {show_dollars(nano)}" for payer, name, nano in unmapped.payers]
        said.append(
            f"Revenue of payers that are nobody's customer here: {listed(named)}. Map them by "
            "metadata or a file."
        )
    if unmapped.without_calls:
        named = [f"{name} {show_dollars(nano)}" for name, nano in unmapped.without_calls]
        said.append(f"Revenue without calls: {listed(named)}.")
    if unmapped.without_revenue:
        named = [f"{name} {show_dollars(nano)}" for name, nano in unmapped.without_revenue]
        said.append(f"Calls without revenue: {listed(named)}.")
    return said


def listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMES_MAX
    shown = ", ".join(names[:_NAMES_MAX])
    return f"{shown} and {more:,} more" if more > 0 else shown
