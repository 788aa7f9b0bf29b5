"""How a reconciliation looks: a line for each model, the reasons below, or data.

Layer: render.  Below: reconcile, core.money, render.table.  Above: commands.ledger.reconcile.
Amounts are rounded for the eye only; data carries exact decimal dollars.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano, show_count, show_dollars, show_percent
from noburn_cli.reconcile.comparing import Comparison
from noburn_cli.reconcile.entries import Booking
from noburn_cli.reconcile.matching import REASONS, Line
from noburn_cli.render.table import format_table


@dataclass
class Sums:
    """What the lines of one model (and scope) come to."""

    calls: int = 0
    billed_calls: int | None = None
    settled: int = 0
    uncertain: int = 0
    billed: int = 0
    priced: bool = True
    tokens: Counter[str] = field(default_factory=Counter)
    billed_tokens: Counter[str] | None = None
    reasons: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def drift(self) -> int:
        return self.billed - self.settled - self.uncertain

    @property
    def share(self) -> Fraction | None:
        """The drift as a part of what was billed; None where nothing was."""
        return Fraction(self.drift, self.billed) if self.billed else None

    def add(self, line: Line) -> None:
        ours, theirs = line.ours, line.theirs
        self.calls += ours.requests + len(ours.unbilled)
        self.settled += ours.settled + ours.corrected
        self.uncertain += ours.uncertain
        self.billed += line.theirs_nano
        self.priced = self.priced and line.priced
        self.tokens.update(ours.tokens)
        if theirs.requests is not None:
            self.billed_calls = (self.billed_calls or 0) + theirs.requests
        if theirs.tokens is not None:
            self.billed_tokens = (self.billed_tokens or Counter()) + theirs.tokens
        for one in line.differences:
            # [nano-dollars, calls, tokens, notes in order]
            found = self.reasons.setdefault(one.why, [0, 0, Counter(), {}])
            found[0] += one.nano
            found[1] += one.calls
            found[2].update(one.tokens)
            if one.note:
                found[3][one.note] = None


def by_model(lines: Iterable[Line]) -> dict[tuple[str, str], Sums]:
    """The sums by (model, scope), in the order of the names."""
    found: dict[tuple[str, str], Sums] = {}
    for line in lines:
        found.setdefault((line.model, line.scope), Sums()).add(line)
    return dict(sorted(found.items()))


def render_comparison(comparison: Comparison) -> list[str]:
    """One provider: its models, what each drifts by, and why."""
    days = comparison.days
    period = f"{days[0]} to {days[-1]}, UTC" if days else "no day"
    heading = [f"{comparison.provider}: {period}", *(f"  {one}" for one in comparison.remarks)]
    models = by_model(comparison.lines)
    if not models:
        return [*heading, "  nothing was billed, and nothing is in the books"]
    scoped = any(scope for _, scope in models)
    rows = [_row(name, sums, scoped=scoped) for name, sums in models.items()]
    total = _total(models.values())
    rows.append(_row(("TOTAL", ""), total, scoped=scoped))
    headers = ("MODEL", *(("SCOPE",) if scoped else ()), "CALLS", "BILLED CALLS", "SETTLED",
               "UNCERTAIN", "BILLED", "DRIFT", "SHARE")  # fmt: skip
    align = "ll" if scoped else "l"
    return [*heading, "", *format_table(headers, rows, align=align + "r" * 7), *_reasons(models)]


def _total(models: Iterable[Sums]) -> Sums:
    total = Sums()
    for one in models:
        total.calls += one.calls
        total.settled += one.settled
        total.uncertain += one.uncertain
        total.billed += one.billed
        if one.billed_calls is not None:
            total.billed_calls = (total.billed_calls or 0) + one.billed_calls
    return total


def _row(name: tuple[str, str], sums: Sums, *, scoped: bool) -> tuple[str, ...]:
    billed = "-" if sums.billed_calls is None else show_count(sums.billed_calls)
    return (
        name[0] or "(no model)",
        *((name[1] or "-",) if scoped else ()),
        show_count(sums.calls),
        billed,
        show_dollars(sums.settled),
        show_dollars(sums.uncertain) if sums.uncertain else "-",
        show_dollars(sums.billed),
        _signed(sums.drift) if sums.drift else "-",
        "-" if not sums.drift or sums.share is None else show_percent(_tenths(sums.share)),
    )


def _tenths(share: Fraction) -> Fraction:
    return Fraction(round(share * 1000), 1000)


def _reasons(models: dict[tuple[str, str], Sums]) -> list[str]:
    lines = []
    for (model, scope), sums in models.items():
        place = f"{model or '(no model)'}{f' of {scope}' if scope else ''}"
        for why, (nano, calls, tokens, notes) in sums.reasons.items():
            counted = f", {show_count(calls)} {'call' if calls == 1 else 'calls'}" if calls else ""
            lines.append(
                f"  {place}: {_signed(nano)}{counted}: {REASONS[why]}{_told(tokens, notes)}"
            )
    return ["", *lines] if lines else []


def _told(tokens: Counter[str], notes: dict[str, None]) -> str:
    more = [f"{count:+,} {kind}" for kind, count in sorted(tokens.items()) if count]
    said = [*([", ".join(more)] if more else []), *notes]
    return f" ({'; '.join(said)})" if said else ""


def _signed(nano: int) -> str:
    shown = show_dollars(nano)
    return f"+{shown}" if nano > 0 else shown


def render_entries(booking: Booking) -> list[str]:
    """What `--apply` books, one line each."""
    headers = ("ID", "REASON", "MODEL", "FOR", "AMOUNT")
    rows = [
        (
            entry["id"], entry["why"], entry.get("model", "-"), _whose(entry),
            "nothing" if entry.get("ends") == "void" else show_dollars(entry["nano"]),
        )
        for entry in booking.entries
    ]  # fmt: skip
    return ["", *format_table(headers, rows, align="llllr")] if rows else []


def _whose(entry: dict[str, Any]) -> str:
    if "ends" in entry:
        return f"the bill of call {entry['call']}"
    named = ", ".join(f"{name}={value}" for name, value in entry["attrs"].items())
    return named or "(no attributes)"


def comparison_data(comparison: Comparison, booking: Booking) -> dict[str, Any]:
    """One provider as data."""
    return {
        "provider": comparison.provider,
        "sources": list(comparison.sources),
        "export": comparison.digest,
        "days": [comparison.days[0], comparison.days[-1]] if comparison.days else None,
        "remarks": list(comparison.remarks),
        "entries": [{**e, **_exact(e)} for e in booking.entries],
        "models": [
            {"model": model, "scope": scope, **_sums_data(sums)}
            for (model, scope), sums in by_model(comparison.lines).items()
        ],
        "lines": [_line_data(line) for line in comparison.lines],
    }


def _exact(entry: dict[str, Any]) -> dict[str, str]:
    return {"usd": Nano(entry["nano"]).exact()} if entry.get("nano") is not None else {}


def _line_data(line: Line) -> dict[str, Any]:
    sums = Sums()
    sums.add(line)
    return {"day": line.day, "model": line.model, "scope": line.scope, **_sums_data(sums)}


def _sums_data(sums: Sums) -> dict[str, Any]:
    share = sums.share
    return {
        "calls": sums.calls,
        "billed_calls": sums.billed_calls,
        "settled_usd": Nano(sums.settled).exact(),
        "uncertain_usd": Nano(sums.uncertain).exact(),
        "billed_usd": Nano(sums.billed).exact(),
        "billed_by_our_prices": sums.priced,
        "drift_usd": Nano(sums.drift).exact(),
        "drift_percent": None if share is None else _exact_places(share * 100),
        "tokens": dict(sums.tokens),
        "billed_tokens": None if sums.billed_tokens is None else dict(sums.billed_tokens),
        "reasons": [_reason_data(why, found) for why, found in sums.reasons.items()],
    }


def _exact_places(percent: Fraction) -> str:
    return Nano(round(percent * 10**6) * 1000).exact()


def _reason_data(why: str, found: Sequence[Any]) -> dict[str, Any]:
    nano, calls, tokens, notes = found
    return {
        "reason": why, "usd": Nano(nano).exact(), "calls": calls,
        "tokens": {kind: count for kind, count in tokens.items() if count}, "notes": list(notes),
    }  # fmt: skip
