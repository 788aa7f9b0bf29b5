"""The explanation of one call for machines: what `noburn why --json` prints.

Layer: render.  Below: reports.calls, reports.receipt, render.exact, render.why (its sentences).
Above: commands.why.
"""

from __future__ import annotations

from typing import Any

from noburn_cli.core.money import DOLLARS
from noburn_cli.core.usage import FEE_KINDS
from noburn_cli.render.exact import per_million, usd, usd_of_pico
from noburn_cli.render.why import next_step, sentence
from noburn_cli.reports.calls import CallFacts
from noburn_cli.reports.receipt import Bill, Hold, HoldPart, Item


def why_data(facts: CallFacts, *, bill: Bill | None, hold: Hold | None) -> dict[str, Any]:
    """The explanation as data: exact decimal dollars, times in epoch milliseconds."""
    return {
        "call": facts.call,
        "state": facts.state,
        "sentence": sentence(facts),
        "next": next_step(facts),
        "api": facts.api,
        "model": facts.model,
        "resolved_model": facts.resolved_model,
        "attributes": dict(facts.attributes),
        "reserved_at_ms": facts.reserved_at_ms,
        "closed_at_ms": facts.closed_at_ms,
        "latency_ms": facts.latency_ms,
        "status": facts.status,
        "waited_ms": facts.waited_ms,
        "failure": facts.failure,
        "notional": bool(facts.detail.get("notional")),
        "provider_id": facts.provider_id,
        "book": facts.row["book"],
        "budgets": facts.detail.get("budgets", []),
        "blocked_by": _blocked_data(facts),
        "downgraded": facts.detail.get("downgraded", []),
        "beyond": {
            word: facts.detail.get(word, []) for word in ("warned", "passed", "billed")
        },
        "bound": {
            "input_tokens": facts.input_bound,
            "how": facts.bound,
            "factor_per_mille": facts.factor_per_mille,
        },
        "cap": {"wanted": facts.wanted, "granted": facts.granted, "clamped": bool(facts.clamped)},
        "hold_usd": usd(facts.hold_nano),
        "hold": None if hold is None else [_part_data(part) for part in hold.parts],
        "ceiling_usd": usd(facts.ceiling_nano),
        "cost_usd": usd(facts.cost_nano),
        "usage": dict(facts.usage),
        "bill": None if bill is None else _bill_data(bill),
        "history": [
            {"at_ms": row.at_ms, "kind": row.kind, "cost_usd": usd(row.cost_nano),
             "failure": row.failure}
            for row in facts.history
        ],
    }  # fmt: skip


def _blocked_data(facts: CallFacts) -> dict[str, Any] | None:
    if facts.state != "blocked":
        return None
    detail = facts.detail
    if "unit" not in detail:
        barred = ("run", "message", "why", "waiting_helps", "why_blocked")
        return {name: detail[name] for name in barred}
    unit = detail["unit"]
    amounts = {
        name: usd(detail[name]) if unit == DOLLARS else detail[name]
        for name in ("limit", "settled", "held", "needed")
    }
    return {
        "budget": detail["budget"],
        "unit": unit,
        **amounts,
        "resets_at_ms": detail["resets_at_ms"],
        "waiting_helps": detail["waiting_helps"],
        "why_blocked": detail["why_blocked"],
    }


def _part_data(part: HoldPart) -> dict[str, Any]:
    return {
        "kind": part.kind,
        **_count_data(part),
        "source": part.source,
    }


def _count_data(of: HoldPart | Item) -> dict[str, Any]:
    """How many, at which price: tokens by the million, units of a fee each."""
    if of.kind in FEE_KINDS:
        return {"units": of.tokens, "usd_per_unit": usd_of_pico(of.pico_per_token)}
    return {"tokens": of.tokens, "usd_per_million": per_million(of.pico_per_token)}


def _bill_data(bill: Bill) -> dict[str, Any]:
    items = [
        {
            "kind": item.kind,
            **_count_data(item),
            "usd": usd_of_pico(item.pico),
        }
        for item in bill.items
    ]
    return {"items": items, "source": bill.source, "usd": usd(bill.nano), "agrees": bill.agrees}
