"""`noburn why`: a sentence that is true, and arithmetic that comes out."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
_CHECKED = re.compile(r"checked on \d{4}-\d\d-\d\d")

SETTLED = """\
Call c1 of gpt-6-luna cost $0.0000585.

when           <time>
api            openai_chat
for            customer=acme, feature=chat, run=r1/r2, tag.team=x
answer         HTTP 200 after 840 ms
provider's id  chatcmpl-1

Budgets it was checked against:
  customer=acme per month

What was held for it:
  input: at most 1,217 tokens (bytes: at most one token a byte, as the tokeniser guarantees)
  output: capped at 100 tokens a choice
  input   1,217 tokens  x $0.1 / M  = $0.0001217
  output    100 tokens  x $0.5 / M  = $0.00005
                        rounded up  = $0.0001717
  at the dearest rates that may apply while it runs
  rates: standard, checked on <day>
         https://developers.openai.com/api/docs/pricing

What it cost:
  input         300 tokens  x $0.1 / M   = $0.00003
  cached input  100 tokens  x $0.01 / M  = $0.000001
  output         55 tokens  x $0.5 / M   = $0.0000275
                            sum          = $0.0000585
  5 of the output tokens were reasoning
  rates: standard, checked on <day>
         https://developers.openai.com/api/docs/pricing
  of $0.0001717 held, $0.0001132 went back

next: `noburn report --by model` shows it among the others
"""


def _shown(text: str) -> str:
    return _CHECKED.sub("checked on <day>", _TIME.sub("<time>", text))


def _data(home: Any, *arguments: str) -> dict[str, Any]:
    document = json.loads(home.said("why", "--json", *arguments))
    assert (document["kind"], document["version"]) == ("noburn.why", 1)
    data: dict[str, Any] = document["data"]
    return data


def test_a_settled_call_in_full(filled: Any) -> None:
    done = filled.noburn("why", "c1")
    assert (_shown(done.stdout), done.stderr, done.returncode) == (SETTLED, "", 0)


def test_items_sum_exactly_to_the_cost(filled: Any) -> None:
    data = _data(filled, "c1")
    assert sum(Decimal(item["usd"]) for item in data["bill"]["items"]) == Decimal(data["cost_usd"])
    assert data["bill"]["agrees"] is True
    assert data["bill"]["source"]["url"].startswith("https://")


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        ("c2", "Call c2 of gpt-6-luna cost $0.00023, its output clamped to "),
        ("c3", "Call c3 of gpt-6-luna is charged at its hold, $0.0001717, because no bill came: "),
        ("c4", "Call c4 of gpt-6-luna cost nothing: connection refused."),
        ("c5", "Call c5 of gpt-6.1-sol was blocked before it left: budget `customer=globex per "),
        ("c6", "Call c6 of gpt-x was refused before it left: audio has no bound."),
        ("c7", "Call c7 of gpt-6-luna is charged at its hold, $0.0001717, because no bill came: "),
        ("c8", "Call c8 of gpt-6-luna is in flight: $0.0001717 is held for it."),
    ],
)
def test_the_first_line_says_it(filled: Any, call: str, sentence: str) -> None:
    assert filled.said("why", call).startswith(sentence)


def test_a_block_tells_the_budget_of_that_moment(filled: Any) -> None:
    blocked = _data(filled, "c5")["blocked_by"]
    assert blocked == {
        "budget": "customer=globex per month",
        "unit": "dollars",
        "limit": "0.01",
        "settled": "0",
        "held": "0",
        "needed": "0.052434",  # 1,217 x $2 and 5,000 x $10 per million.
        "resets_at_ms": blocked["resets_at_ms"],
        "waiting_helps": False,
        "why_blocked": "spent",
    }
    hold = _data(filled, "c5")["hold"]
    assert [(part["kind"], part["tokens"]) for part in hold] == [("input", 1217), ("output", 5000)]


def test_a_block_at_a_regions_price_is_explained_as_well(home: Any, reserve: Any) -> None:
    """Goal: a Claude call that names no geography is held as in the dearer one; why shows it."""
    home.said("budget", "set", "global", "0.004")
    frame = {
        **reserve("b1", model="claude-sonnet-5-5"),
        "variants": ["standard", "standard@us?"],
        "output": {"wanted": 400, "floor": 400, "choices": 1, "clamp": False},
    }
    with home.client() as client:
        assert client.reserve(frame)["error"] == "blocked"
    said = home.said("why", "b1")
    assert "output    400 tokens  x $11 / M" in said, said
    assert "rates: standard in region us, checked on" in said


def test_without_a_call_it_explains_the_last_stop(filled: Any) -> None:
    assert _data(filled)["call"] == "c6"


def test_a_late_bill_shows_what_went_before(filled: Any) -> None:
    with filled.client() as client:
        client.settle("c3", {"input": 10, "output": 10}, latency_ms=1, status=200)
    shown = filled.said("why", "c3")
    assert shown.startswith("Call c3 of gpt-6-luna cost $0.000006 by a late bill (it was uncertain")
    assert [row["kind"] for row in _data(filled, "c3")["history"]] == ["reserve", "lose", "settle"]


def test_a_prefix_must_be_unique(filled: Any) -> None:
    done = filled.noburn("why", "c")
    assert (done.returncode, done.stdout) == (2, "")
    assert "several calls begin with 'c'" in done.stderr


def test_unknown_call(filled: Any) -> None:
    done = filled.noburn("why", "zzz")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no call 'zzz'" in done.stderr


def test_nothing_was_blocked(home: Any) -> None:
    home.said("daemon", "start")
    done = home.noburn("why")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no call has been blocked yet" in done.stderr


def test_no_ledger(home: Any) -> None:
    assert home.noburn("why").returncode == 4


def test_fees_and_ceilings_are_explained_with_their_arithmetic(home: Any, reserve: Any) -> None:
    home.said("daemon", "start")
    frame = {**reserve("f1"), "extra": {"web_search": 5}, "ceiling": 2_000_000_000}
    with home.client() as client:
        assert client.reserve(frame)["ok"]
        usage = {"input": 5, "output": 20, "web_search": 3}
        client.settle("f1", usage, latency_ms=1, status=200)
        client.reserve({**reserve("f2"), "model": "", "output": None, "ceiling": 7})
    said = home.said("why", "f1")
    assert said.startswith("Call f1 of gpt-6-luna cost $0.0300.\n")
    for line in (
        "(assumed: a server's template is allowed for, or a ceiling of your policy: not proven)",
        "ceiling: $2 set aside by your policy for what nothing bounds",
        "5 searches  x $10 / 1,000",
        "3 searches  x $10 / 1,000",
    ):
        assert line in said, said
    data = json.loads(home.said("why", "f1", "--json"))["data"]
    assert data["ceiling_usd"] == "2"
    assert data["hold"][-1]["kind"] == "web_search"
    assert (data["hold"][-1]["units"], data["hold"][-1]["usd_per_unit"]) == (5, "0.01")
    assert data["bill"]["agrees"] is True
    alone = home.said("why", "f2")
    assert "ceiling: $0.000000007 set aside" in alone
    report = home.said("report", "--by", "customer")
    assert "3 searches were billed beside the tokens." in report
    rows = json.loads(home.said("report", "--json", "--by", "customer"))["data"]["rows"]
    assert [row["searches"] for row in rows] == [3]
