"""What an import of revenue brought, for people and for machines.

Layer: render.  Below: render.table, core.plurals.  Above: commands.importing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from noburn_cli.core.currencies import show_minor
from noburn_cli.core.money import Nano, show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.render.table import format_table, safe_text

if TYPE_CHECKING:
    from noburn_cli.revenue.csv_file import Read
    from noburn_cli.revenue.stripe_import import Imported
    from noburn_cli.revenue.stripe_strays import Stray

#: So many payers without a customer, or things given back, are shown; `--json` has them all.
_SHOWN = 10


def render_csv(
    done: Read, unmapped: Sequence[tuple[str, str, int]], missing: Mapping[str, int]
) -> list[str]:
    """The lines for `noburn import revenue`."""
    read = done.new + done.changed + done.same
    came = f"{done.new:,} new, {done.changed:,} changed, {done.same:,} known"
    return [f"{counted(read, 'line')} read: {came}", *render_gaps(unmapped, missing)]


def csv_data(
    done: Read, unmapped: Sequence[tuple[str, str, int]], missing: Mapping[str, int]
) -> dict[str, Any]:
    """The same for `--json`."""
    counts = {"new": done.new, "changed": done.changed, "same": done.same}
    return {**counts, **gaps_data(unmapped, missing)}


def render_stripe(
    source: str,
    done: Imported,
    sums: Sequence[tuple[str, int, int]],
    unmapped: Sequence[tuple[str, str, int]],
    missing: Mapping[str, int],
    loose: Sequence[Stray] = (),
) -> list[str]:
    """The lines for `noburn import stripe`.

    sums: (kind, nano-dollars, facts) of what counts.  loose: what was given back and is no fact.
    """
    until = datetime.fromtimestamp(done.until_s, tz=timezone.utc)
    mode = "test mode" if source.endswith("-test") else "live mode"
    went = "went on where the last import stopped; " if done.resumed else ""
    lines = [
        (
            f"{went}Stripe, {mode}, until {until:%Y-%m-%d %H:%M} UTC: {done.roots:,} invoices and "
            f"payments looked at"
        )
    ]
    if sums:
        rows = [(kind, show_dollars(nano), f"{count:,}") for kind, nano, count in _with_net(sums)]
        lines += ["", *format_table(["KIND", "AMOUNT", "FACTS"], rows, align="lrr")]
    return [*lines, *render_gaps(unmapped, missing), *_render_strays(loose)]


def _render_strays(loose: Sequence[Stray]) -> list[str]:
    if not loose:
        return []
    shown = [
        f"{one.id} {show_minor(one.amount_minor, one.currency)} {one.currency}"
        for one in loose[:_SHOWN]
    ]
    more = len(loose) - len(shown)
    said = ", ".join(shown) + (f" and {more} more (--json has all)" if more else "")
    return [
        "",
        f"given back, but of no payment or invoice that Stripe tells of, so in no figure: {said}",
        "look them up in Stripe; money of a customer's cash balance was never revenue",
    ]


def stripe_data(
    source: str,
    done: Imported,
    sums: Sequence[tuple[str, int, int]],
    unmapped: Sequence[tuple[str, str, int]],
    missing: Mapping[str, int],
    loose: Sequence[Stray] = (),
) -> dict[str, Any]:
    """The same for `--json`."""
    *kinds, net = _with_net(sums)
    return {
        "source": source, "until": done.until_s, "resumed": done.resumed, "first": done.first,
        "documents": done.roots, "net": Nano(net[1]), "facts": net[2],
        "kinds": [{"kind": kind, "amount": Nano(nano), "facts": n} for kind, nano, n in kinds],
        **gaps_data(unmapped, missing),
        "not_counted": [
            {"id": one.id, "kind": one.kind, "amount": show_minor(one.amount_minor, one.currency),
             "currency": one.currency}
            for one in loose
        ],
    }  # fmt: skip


def _with_net(sums: Sequence[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    return [*sums, ("net", sum(nano for _, nano, _ in sums), sum(n for _, _, n in sums))]


def render_gaps(unmapped: Sequence[tuple[str, str, int]], missing: Mapping[str, int]) -> list[str]:
    """Payers without a customer, and facts without a rate; nothing when there are none."""
    lines: list[str] = []
    if unmapped:
        lines += ["", f"{counted(len(unmapped), 'payer')} without a customer of noburn's:"]
        shown = [(payer, name, str(count)) for payer, name, count in unmapped[:_SHOWN]]
        lines += format_table(["PAYER", "NAME", "FACTS"], shown, align="llr")
        if len(unmapped) > len(shown):
            lines.append(f"and {len(unmapped) - len(shown)} more (--json has all)")
        lines.append(
            "name them: metadata noburn_customer at the payer, or --customers FILE.csv with lines "
            "payer,customer"
        )
    if missing:
        said = ", ".join(f"{safe_text(code)} ({counted(n, 'fact')})" for code, n in missing.items())
        lines += ["", f"no exchange rate, so in no sum: {said}"]
        lines.append("give rates in [revenue.rates.EUR] of noburn.toml (docs/revenue.md)")
    return lines


def gaps_data(
    unmapped: Sequence[tuple[str, str, int]], missing: Mapping[str, int]
) -> dict[str, Any]:
    """The same for `--json`."""
    return {
        "unmapped": [{"payer": p, "name": name, "facts": count} for p, name, count in unmapped],
        "without_rate": dict(missing),
    }
