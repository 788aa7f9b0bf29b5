"""How a replay looks: the policy beside the present one, then budgets, customers, windows, calls.

Layer: render, pure.  Below: core.replay_findings, render.table.  Above: commands.budget.replaying.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from noburn_cli.core.budgets import Scope
from noburn_cli.core.money import DOLLARS, Nano, show_amount, show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.core.replay_findings import Count, Findings
from noburn_cli.render.budget_notes import exact
from noburn_cli.render.table import format_table, safe_text

#: So many windows and customers are shown; JSON has all of them.
_SHOWN_MAX = 20


@dataclass(frozen=True)
class Outcome:
    """A replay: of which file and time, and what both policies would have done.

    begins_ms: when the journal begins, None when it is empty.  blocked_then: calls that were
    blocked when they were made, about which nothing more is known.
    """

    file: str
    since_ms: int
    until_ms: int
    begins_ms: int | None
    policy: Findings
    present: Findings
    blocked_then: int


def render_outcome(outcome: Outcome) -> list[str]:
    policy, present = outcome.policy, outcome.present
    stretch = f"{_moment(outcome.since_ms)} to {_moment(outcome.until_ms)} UTC"
    lines = [
        f"{safe_text(outcome.file)}, {stretch}: {counted(policy.calls, 'call')}",
        "",
        *format_table(("", "THIS POLICY", "PRESENT"), _summary(policy, present), align="lrr"),
    ]
    for part in (_budgets(policy), _customers(policy), _windows(policy), _dearest(policy)):
        lines += ["", *part] if part else []
    return [*lines, "", *_notes(outcome)]


def _summary(policy: Findings, present: Findings) -> Iterator[tuple[str, ...]]:
    ours, theirs = policy.total, present.total
    pairs: Sequence[tuple[str, str, str]] = (
        ("blocked", _count(ours.blocked), _count(theirs.blocked)),
        ("  what they cost", show_dollars(ours.blocked_nano), show_dollars(theirs.blocked_nano)),
        ("  by money in flight alone", _count(ours.in_flight), _count(theirs.in_flight)),
        ("clamped lower", _count(policy.clamped), _count(present.clamped)),
        ("warned of", _count(ours.warned), _count(theirs.warned)),
        ("downgraded", _count(ours.downgraded), _count(theirs.downgraded)),
        ("  what they cost", show_dollars(ours.downgraded_nano),
         show_dollars(theirs.downgraded_nano)),
        ("billed as overage", _billed(policy), _billed(present)),
        ("spent", show_dollars(policy.cost_nano), show_dollars(present.cost_nano)),
    )  # fmt: skip
    return (pair for pair in pairs if not _is_nothing(pair))


def _is_nothing(pair: tuple[str, str, str]) -> bool:
    always = ("blocked", "spent")
    return pair[0] not in always and pair[1] in ("0", "$0.00") and pair[2] in ("0", "$0.00")


def _count(number: int) -> str:
    return f"{number:,}"


def _unit(name: str) -> str:
    """The unit of a budget, as its name ends with it."""
    _, _, unit = name.rpartition(" in ")
    return unit if unit in ("tokens", "requests") else DOLLARS


def _billed(findings: Findings) -> str:
    """Overage by unit: dollars, tokens and requests do not add up."""
    sums: dict[str, int] = {}
    for name, count in findings.budgets.items():
        if count.billed:
            sums[_unit(name)] = sums.get(_unit(name), 0) + count.billed
    return ", ".join(show_amount(unit, amount) for unit, amount in sums.items()) or "0"


def _row(name: str, count: Count, unit: str) -> tuple[str, ...]:
    return (
        name, _count(count.blocked), show_dollars(count.blocked_nano), _count(count.warned),
        _count(count.downgraded), show_amount(unit, count.billed) if count.billed else "0",
    )  # fmt: skip


_COUNTS = ("BLOCKED", "THEY COST", "WARNED", "DOWNGRADED", "BILLED")


def _budgets(found: Findings) -> list[str]:
    rows = [_row(name, count, _unit(name)) for name, count in found.budgets.items()]
    return format_table(("BUDGET", *_COUNTS), rows, align="lrrrrr") if rows else []


def _customers(found: Findings) -> list[str]:
    dearest = _by_weight(found.customers)
    rows = [_row(name, count, DOLLARS) for name, count in dearest[:_SHOWN_MAX]]
    if len(dearest) > _SHOWN_MAX:
        rows.append((f"… {len(dearest) - _SHOWN_MAX:,} more", "", "", "", "", ""))
    return format_table(("CUSTOMER", *_COUNTS), rows, align="lrrrrr") if rows else []


def _by_weight(customers: Mapping[str, Count]) -> list[tuple[str, Count]]:
    return sorted(customers.items(), key=lambda one: (-one[1].blocked_nano, -one[1].blocked))


def _windows(found: Findings) -> list[str]:
    blocked = sorted((one for one in found.windows.values() if one.blocked), key=_first)
    rows = [
        (_moment(one.first_ms), str(Scope(one.key)), one.name,
         _moment(one.start_ms) if one.start_ms else "", _count(one.blocked),
         show_dollars(one.blocked_nano))
        for one in blocked[:_SHOWN_MAX]
    ]  # fmt: skip
    if len(blocked) > _SHOWN_MAX:
        rows.append((f"… {len(blocked) - _SHOWN_MAX:,} more", "", "", "", "", ""))
    headers = ("FIRST BLOCK", "OF", "BUDGET", "WINDOW SINCE", "BLOCKED", "THEY COST")
    return format_table(headers, rows, align="llllrr") if rows else []


def _first(one: Any) -> int:
    return int(one.first_ms)


def _dearest(found: Findings) -> list[str]:
    rows = [
        (show_dollars(one.nano), one.call, one.model, one.customer, _moment(one.at_ms), one.budget)
        for one in sorted(found.dearest, reverse=True)
    ]
    headers = ("DEAREST BLOCKED", "CALL", "MODEL", "CUSTOMER", "WHEN", "BUDGET")
    return format_table(headers, rows, align="rlllll") if rows else []


def _notes(outcome: Outcome) -> Iterator[str]:
    if outcome.begins_ms is None or outcome.begins_ms >= outcome.until_ms:
        yield "The journal has nothing of that time."
    elif outcome.begins_ms > outcome.since_ms:
        yield f"The journal begins at {_moment(outcome.begins_ms)} UTC."
    if outcome.blocked_then:
        yield (
            f"{outcome.blocked_then:,} calls that were blocked when they were made are left out: "
            "nobody knows what they would have cost."
        )
    yield (
        "Budgets start empty where the replay begins; the limits of runs, jobs and keys are left "
        "out. A call that is let go costs what it cost, or what its lower cap pays for."
    )


def _moment(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc):%Y-%m-%d %H:%M}"


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    """A replay as data, amounts exact and complete."""
    return {
        "file": outcome.file,
        "since_ms": outcome.since_ms,
        "until_ms": outcome.until_ms,
        "journal_begins_ms": outcome.begins_ms,
        "blocked_then": outcome.blocked_then,
        "policy": _findings_data(outcome.policy),
        "present": _findings_data(outcome.present),
    }


def _findings_data(found: Findings) -> dict[str, Any]:
    return {
        "calls": found.calls,
        "clamped": found.clamped,
        "cost_usd": Nano(found.cost_nano).exact(),
        "total": _count_data(found.total, None),
        "budgets": {name: _count_data(one, _unit(name)) for name, one in found.budgets.items()},
        "customers": {
            name: _count_data(one, DOLLARS) for name, one in _by_weight(found.customers)
        },
        "windows": [
            {
                "budget": one.name, "account": str(Scope(one.key)),
                "window_start_ms": one.start_ms, "first_block_ms": one.first_ms,
                "blocked": one.blocked, "blocked_usd": Nano(one.blocked_nano).exact(),
            }
            for one in sorted(found.windows.values(), key=_first)
            if one.blocked
        ],
        "dearest": [
            {
                "call": one.call, "usd": Nano(one.nano).exact(), "at_ms": one.at_ms,
                "model": one.model, "customer": one.customer, "budget": one.budget,
            }
            for one in sorted(found.dearest, reverse=True)
        ],
    }  # fmt: skip


def _count_data(count: Count, unit: str | None) -> dict[str, Any]:
    """unit: of what was billed; None where several do not add up."""
    data: dict[str, Any] = {
        "blocked": count.blocked,
        "blocked_by_money_in_flight": count.in_flight,
        "blocked_usd": Nano(count.blocked_nano).exact(),
        "warned": count.warned,
        "downgraded": count.downgraded,
        "downgraded_usd": Nano(count.downgraded_nano).exact(),
    }
    if unit is not None:
        data["billed"] = exact(unit, count.billed)
    return data
