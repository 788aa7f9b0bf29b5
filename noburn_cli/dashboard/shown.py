"""What pages are given of budgets, holds and blocks, as data.

Layer: dashboard, pure.  Below: render's data, reports.  Above: live, figures.
Owns: how many accounts of a family are told.  Amounts are exact decimal strings, as in `--json`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano
from noburn_cli.render.budget import budget_data, is_family
from noburn_cli.render.why import stopped_because
from noburn_cli.reports.blocks import Stopped
from noburn_cli.reports.holds import OpenHold

#: Of a budget of `each`, those that have used the most of their limit.
ACCOUNTS_SHOWN_MAX = 50


def budgets_data(budgets: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """As `noburn budget list --json`, each with its name; of families the fullest accounts."""
    return [_budget(budget) for budget in budgets]


def _budget(budget: Mapping[str, Any]) -> dict[str, Any]:
    accounts = sorted(budget["accounts"], key=_used, reverse=True)
    data = budget_data({**budget, "accounts": accounts[:ACCOUNTS_SHOWN_MAX]})
    more = {"name": budget["name"], "family": is_family(budget), "accounts_total": len(accounts)}
    return {**more, **data}


def _used(account: Mapping[str, Any]) -> Fraction:
    """Which part of what an account may hold is settled or held."""
    capacity = account["limit"] + account["topup"] + account.get("carried", 0)
    return Fraction(account["settled"] + account["held"], max(1, capacity))


def hold_data(hold: OpenHold) -> dict[str, Any]:
    return {
        "call": hold.call, "model": hold.model, "attributes": dict(hold.attributes),
        "owner_pid": hold.owner_pid, "held_usd": Nano(hold.hold_nano).exact(),
        "reserved_at_ms": hold.reserved_at_ms,
    }  # fmt: skip


def stopped_data(stopped: Stopped) -> dict[str, Any]:
    """A call that never left, and why in a sentence."""
    return {
        "call": stopped.call, "state": stopped.state, "model": stopped.model,
        "attributes": dict(stopped.attributes), "at_ms": stopped.at_ms,
        "budget": stopped.detail.get("budget"),
        "why": stopped_because(stopped.state, stopped.detail, stopped.failure),
    }  # fmt: skip
