"""Two providers that bill: what they were asked, at rates of their own, and the exports they give.

Independent of the code that is tested: rates are decimals typed here, sums are decimals, and an
export is written from the stub's own record of requests, whatever noburn knows of them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

#: Dollars per million tokens, as the providers bill: one of them is not what the price book says.
RATES = {
    "gpt-6-luna": {"input": "0.1", "cached": "0.01", "output": "0.5"},
    # The price book says 5.
    "gpt-6.1-terra": {"input": "1", "cached": "0.05", "output": "6"},
    "claude-sonnet-5-5": {"input": "2", "cached": "0.1", "output": "10"},
}
#: What each provider calls it on its bill.
BILLED_AS = {
    "gpt-6-luna": "gpt-6-luna-2026-05-07",
    "claude-sonnet-5-5": "claude-sonnet-5-5-20260915",
}
KINDS = ("input", "cached", "output")


@dataclass(frozen=True)
class Request:
    """One request that was billed."""

    id: str
    model: str
    at: datetime
    tokens: dict[str, int]
    key: str = "key_main"

    @property
    def day(self) -> str:
        return f"{self.at:%Y-%m-%d}"

    def dollars(self, kind: str) -> Decimal:
        return Decimal(RATES[self.model][kind]) * self.tokens.get(kind, 0) / 10**6


@dataclass
class Biller:
    """One provider's record, and its exports of a period of days."""

    first: datetime
    days: int
    requests: list[Request] = field(default_factory=list)

    def bill(self, number: str, model: str, at: datetime, **tokens: int) -> None:
        self.requests.append(Request(number, model, at, tokens))

    def total(self) -> Decimal:
        """The invoice, exactly."""
        return sum((r.dollars(kind) for r in self.requests for kind in KINDS), Decimal(0))

    def _by_day(self) -> list[tuple[datetime, list[Request]]]:
        starts = [self.first + timedelta(days=n) for n in range(self.days)]
        return [(s, [r for r in self.requests if r.day == f"{s:%Y-%m-%d}"]) for s in starts]

    def openai_usage(self) -> str:
        """Pages of /v1/organization/usage/completions, by model and key, seven days each."""
        buckets = []
        for start, requests in self._by_day():
            results = []
            for model, key in sorted({(r.model, r.key) for r in requests}):
                mine = [r for r in requests if (r.model, r.key) == (model, key)]
                cached = sum(r.tokens.get("cached", 0) for r in mine)
                results.append(
                    {
                        "object": "organization.usage.completions.result",
                        "input_tokens": sum(r.tokens.get("input", 0) for r in mine) + cached,
                        "input_cached_tokens": cached,
                        "output_tokens": sum(r.tokens.get("output", 0) for r in mine),
                        "input_audio_tokens": 0, "output_audio_tokens": 0,
                        "num_model_requests": len(mine), "project_id": "proj_1", "user_id": None,
                        "api_key_id": key, "model": BILLED_AS.get(model, model), "batch": False,
                        "service_tier": "default",
                    }
                )  # fmt: skip
            buckets.append(_openai_bucket(start, results))
        return _pages(buckets)

    def openai_costs(self) -> str:
        """Pages of /v1/organization/costs, by line item: dollars as JSON numbers."""
        buckets = []
        for start, requests in self._by_day():
            results = []
            for model in sorted({r.model for r in requests}):
                for kind, words in zip(KINDS, ("input", "cached input", "output"), strict=True):
                    value = sum((r.dollars(kind) for r in requests if r.model == model), Decimal(0))
                    if value:
                        name = f"{BILLED_AS.get(model, model)}, {words}"
                        results.append(_openai_cost(float(value), name))
            buckets.append(_openai_bucket(start, results))
        return _pages(buckets)

    def anthropic_usage(self) -> str:
        """One page of /v1/organizations/usage_report/messages, by model."""
        return self._anthropic(
            lambda model, mine: [
                {
                    "uncached_input_tokens": sum(r.tokens.get("input", 0) for r in mine),
                    "cache_creation": {
                        "ephemeral_1h_input_tokens": 0, "ephemeral_5m_input_tokens": 0,
                    },
                    "cache_read_input_tokens": sum(r.tokens.get("cached", 0) for r in mine),
                    "output_tokens": sum(r.tokens.get("output", 0) for r in mine),
                    "server_tool_use": {"web_search_requests": 0},
                    "api_key_id": None, "workspace_id": None, "model": model,
                    "service_tier": None, "context_window": None,
                }
            ]
        )  # fmt: skip

    def anthropic_cost(self) -> str:
        """One page of /v1/organizations/cost_report by description, rounded to whole cents."""
        names = {
            "input": "uncached_input_tokens", "cached": "cache_read_input_tokens",
            "output": "output_tokens",
        }  # fmt: skip
        return self._anthropic(
            lambda model, mine: [
                {
                    "amount": str(cents), "currency": "USD", "cost_type": "tokens", "model": model,
                    "description": f"{model} Usage - {kind}", "token_type": names[kind],
                    "service_tier": "standard", "context_window": "0-200k", "workspace_id": None,
                }
                for kind in KINDS
                if (cents := rounded_cents(sum((r.dollars(kind) for r in mine), Decimal(0))))
            ]
        )  # fmt: skip

    def anthropic_invoice(self) -> Decimal:
        """What the rounded export adds up to, in dollars."""
        pages = json.loads(self.anthropic_cost())
        rows = [row for bucket in pages["data"] for row in bucket["results"]]
        return sum((Decimal(row["amount"]) for row in rows), Decimal(0)) / 100

    def _anthropic(self, results: Any) -> str:
        data = []
        for start, requests in self._by_day():
            rows = []
            for model in sorted({r.model for r in requests}):
                mine = [r for r in requests if r.model == model]
                rows += results(BILLED_AS.get(model, model), mine)
            end = start + timedelta(days=1)
            data.append(
                {"starting_at": f"{start:%Y-%m-%dT%H:%M:%SZ}",
                 "ending_at": f"{end:%Y-%m-%dT%H:%M:%SZ}", "results": rows}
            )  # fmt: skip
        return json.dumps({"data": data, "has_more": False, "next_page": None})


def rounded_cents(dollars: Decimal) -> Decimal:
    return (dollars * 100).quantize(Decimal(1), ROUND_HALF_UP)


def _openai_bucket(start: datetime, results: list[dict[str, Any]]) -> dict[str, Any]:
    seconds = int(start.astimezone(timezone.utc).timestamp())
    return {"object": "bucket", "start_time": seconds, "end_time": seconds + 86_400,
            "results": results}  # fmt: skip


def _openai_cost(value: float, name: str) -> dict[str, Any]:
    return {
        "object": "organization.costs.result", "amount": {"value": value, "currency": "usd"},
        "line_item": name, "project_id": "proj_1", "api_key_id": None, "quantity": None,
    }  # fmt: skip


def _pages(buckets: list[dict[str, Any]]) -> str:
    """A list of pages, as a script that follows `next_page` saves them."""
    pages = []
    for start in range(0, len(buckets), 7):
        more = start + 7 < len(buckets)
        pages.append(
            {"object": "page", "data": buckets[start : start + 7], "has_more": more,
             "next_page": f"page_{start}" if more else None}
        )  # fmt: skip
    return json.dumps(pages)
