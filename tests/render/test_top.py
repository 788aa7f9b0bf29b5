"""Frames of `noburn top`: the arithmetic of rates, and what a narrow terminal leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from noburn_cli.render.top import (
    KEYS,
    NOBODY,
    about,
    frame_lines,
    outlook,
    rate_per_minute,
    run_data,
    show_span,
)

DOLLAR = 1_000_000_000


def account(name: str, limit: int, settled: int, held: int = 0, topup: int = 0) -> dict[str, Any]:
    return {
        "name": name, "unit": "dollars", "limit": limit, "topup": topup, "settled": settled,
        "held": held, "waiting": 0,
    }  # fmt: skip


def run(**changes: Any) -> dict[str, Any]:
    return {
        "run": "r1", "owner_pid": 7, "started_at_ms": 0, "attrs": {"run": "r1", "customer": "acme"},
        "command": ["python", "agent.py"], "state": "open", "message": "", "calls": 1200,
        "open": 3, "waiting": 1, "blocked": 2, "refused": 1, "clamped": 4,
        "cost_nano": 2 * DOLLAR, "held_nano": DOLLAR // 2, "notional_nano": 0,
        "rate_nano": DOLLAR // 4, "rate_ms": 30_000,
        "accounts": [
            account("run=r1 per run", 5 * DOLLAR, 2 * DOLLAR, DOLLAR // 2, topup=DOLLAR),
            account("global per day", 100 * DOLLAR, 98 * DOLLAR),
        ],
        **changes,
    }  # fmt: skip


def test_the_budget_with_the_least_left_ends_first() -> None:
    one = run()
    assert rate_per_minute(one) == DOLLAR // 2
    first = outlook(one)
    assert first is not None
    assert (first.name, first.left, first.ends_ms) == ("global per day", 2 * DOLLAR, 240_000)
    assert about(one) == "budget global per day: $2.00 left of $100.00"


def test_budgets_that_let_calls_go_end_nothing() -> None:
    soft = {**account("global per hour", DOLLAR, 2 * DOLLAR), "action": "bill"}
    both = run(accounts=[*run()["accounts"], soft])
    assert outlook(both) == outlook(run())
    assert outlook(run(accounts=[soft])) is None


def test_without_spend_or_budget_nothing_ends() -> None:
    idle = outlook(run(rate_nano=0))
    assert idle is not None
    assert idle.ends_ms is None
    assert outlook(run(accounts=[])) is None
    over = outlook(run(accounts=[account("global per day", DOLLAR, 2 * DOLLAR)]))
    assert over is not None
    assert over.ends_ms == 0


WIDE = """\
RUN   STATE   SPENT  A MINUTE       LEFT  ENDS IN   HELD  CALLS  IN FLIGHT  WAITING  BLOCKED  \
CLAMPED   AGE  FOR            COMMAND
r1    open    $2.00     $0.50      $2.00    4 min  $0.50  1,200          3        1        3  \
      4  10 s  customer=acme  python agent.py
  r2  paused  $0.00     $0.00  no budget        -  $0.00      0          0        0        0  \
      0   9 s                 sleep 9
"""


def test_a_frame() -> None:
    below = run(
        run="r1/r2", state="paused", started_at_ms=1_000, attrs={"run": "r1/r2"}, calls=0, open=0,
        command=["sleep", "9"], waiting=0, blocked=0, refused=0, clamped=0, cost_nano=0,
        held_nano=0, rate_nano=0, accounts=[], message="ann",
    )  # fmt: skip
    assert frame_lines([run(), below], now_ms=10_000, width=None) == WIDE.splitlines()
    narrow = frame_lines([run(), below], now_ms=10_000, width=54)
    assert narrow[0].split() == ["RUN", "STATE", "SPENT", "A", "MINUTE", "LEFT", "ENDS", "IN"]
    assert about(below) == "paused by ann"
    assert frame_lines([], now_ms=0, width=80) == [NOBODY]
    assert " ".join(frame_lines([], now_ms=0, width=60)) == NOBODY
    assert max(map(len, [*frame_lines([], now_ms=0, width=60), KEYS])) < 60


def test_a_subscription_has_a_column_where_there_is_one() -> None:
    [heading, line] = frame_lines([run(notional_nano=DOLLAR)], now_ms=0, width=None)
    assert "NOTIONAL" in heading
    assert "$1.00" in line


def test_what_a_terminal_would_obey_is_spelt_out() -> None:
    [_, line] = frame_lines([run(command=["a\x1b[2J"])], now_ms=0, width=None)
    assert "\x1b" not in line


@pytest.mark.parametrize(
    ("milliseconds", "shown"),
    [(0, "0 s"), (99_999, "99 s"), (100_000, "1 min"), (5_940_000, "99 min"),
     (6_000_000, "1 h 40 min"), (172_800_000, "2 days")],
)  # fmt: skip
def test_spans(milliseconds: int, shown: str) -> None:
    assert show_span(milliseconds) == shown


def test_data_is_exact() -> None:
    data = run_data(run(cost_nano=1))
    assert (data["cost_usd"], data["usd_per_minute"]) == ("0.000000001", "0.5")
    assert (data["budget"], data["left_usd"], data["ends_in_ms"]) == ("global per day", "2", 240000)
    assert data["budgets"][0]["limit"] == "6"
