"""What the numbers of a report alone do not say: calls without a bill, at whose expense, imported.

Layer: render (pure).  Below: reports.totals, core.money, render.table.
Above: render.report, render.steps, render.report_markdown.
"""

from __future__ import annotations

from noburn_cli.core.money import show_dollars
from noburn_cli.render.table import prose_lines, safe_text
from noburn_cli.reports.totals import Imported, Report, Sums


def notes(report: Report, *, width: int | None = None) -> list[str]:
    """What the numbers alone do not say, in a paragraph of its own below them."""
    said = [*_of_the_ledger(report.total), *_of_imports(report.imported)]
    if report.cut_months:
        said.append(
            f"Calls of {', '.join(report.cut_months)} are left out: they were compacted, and the "
            "period cuts the month."
        )
    lines = prose_lines(said, width=width)
    return ["", *lines] if lines else []


def _of_the_ledger(total: Sums) -> list[str]:
    said = []
    if total.uncertain:
        said.append(
            f"{total.uncertain:,} uncertain: charged at the hold because no bill came; "
            "`noburn ledger orphans` lists them."
        )
    if total.notional_nano:
        said.append(
            f"{show_dollars(total.notional_nano)} more at list price is notional: subscriptions "
            "pay for it, or recorded answers were played; no cost and no budget of dollars "
            "includes it."
        )
    if total.searches:
        said.append(f"{total.searches:,} searches were billed beside the tokens.")
    if total.downgraded:
        said.append(f"{total.downgraded:,} went out for a cheaper model, as a budget asked.")
    if total.warned:
        said.append(f"{total.warned:,} went beyond a budget that only warns.")
    if total.overage_nano:
        said.append(
            f"{show_dollars(total.overage_nano)} of the cost is overage, beyond budgets that bill."
        )
    if total.held_nano:
        said.append("Held is money of calls still in flight; no cost includes it.")
    if total.refused:
        why = "no bound, no price or no recorded answer"
        said.append(f"{total.refused:,} of the blocked were refused: {why}.")
    return said


def _of_imports(imported: Imported) -> list[str]:
    said = []
    if imported.calls:
        calls = ", ".join(
            f"{count:,} from {safe_text(name)}" for name, count in imported.calls.items()
        )
        cost = show_dollars(sum(imported.cost_nano.values()))
        said.append(
            f"{cost} is of calls that were imported ({calls}): noburn did not stand before them. "
            "--source ledger leaves them out."
        )
    unpriced = imported.unpriced.calls
    if unpriced:
        one = unpriced == 1
        said.append(
            f"{unpriced:,} imported {'call has' if one else 'calls have'} no known "
            f"price, and {'is' if one else 'are'} in no amount; `--by model,state` shows "
            f"{'it' if one else 'them'}."
        )
    if imported.doubled:
        one = imported.doubled == 1
        said.append(
            f"{imported.doubled:,} imported {'call is' if one else 'calls are'} in the "
            f"ledger, and {'was' if one else 'were'} counted once."
        )
    return said
