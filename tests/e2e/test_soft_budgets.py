"""Budgets that warn, downgrade and bill, from outside: `noburn run`, its summary, why, report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from noburn_cli.core.money import Nano
from tests.e2e.conftest import Provider, World, run_program


def data(world: World, *arguments: str) -> Any:
    done = world.noburn(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["data"]


def test_every_call_goes_and_everybody_is_told(
    world: World, provider: Provider, tmp_path: Path
) -> None:
    for options in (
        ("global", "1req", "--per", "month", "--action", "warn"),
        ("global", "2req", "--action", "downgrade", "--downgrade", "gpt-6-luna=gpt-5-nano"),
        ("customer=each", "$0.0003", "--per", "month", "--action", "bill"),
    ):
        done = world.noburn("budget", "set", *options)
        assert done.returncode == 0, done.stderr
    file = tmp_path / "summary.json"
    # The warning is said once, by the nearest run, whatever the processes and runs below it.
    ran = world.noburn(
        "run", "--customer", "acme", "--summary-file", str(file), "--",
        *run_program("steps.py", "call", "call", "pair"),
    )  # fmt: skip
    assert ran.stdout.count("200") == 4, ran.stderr
    warned = "noburn: budget `global per month in requests` of 1 request is spent until 20"
    assert ran.stderr.count(warned) == 1
    down = "noburn: calls for gpt-6-luna go out for gpt-5-nano: budget `global per total in requ"
    assert ran.stderr.count(down) == 1
    assert "2 calls downgraded to a cheaper model by a budget" in ran.stderr
    assert "3 calls beyond a budget that only warns" in ran.stderr
    assert "booked as overage, beyond a budget that bills" in ran.stderr
    summary = json.loads(file.read_text())["data"]
    assert (summary["calls"], summary["blocked"]) == (4, 0)
    assert (summary["warned"], summary["downgraded"]) == (3, 2)

    billed = provider.bill()["calls"]
    assert sorted(call["model"] for call in billed) == ["gpt-5-nano"] * 2 + ["gpt-6-luna"] * 2
    cost = sum(call["nano"] for call in billed)
    over = Nano(cost - 300_000).exact()
    assert cost > 300_000
    assert summary["overage_usd"] == over
    total = data(world, "report")["total"]
    assert (total["overage_usd"], total["warned"], total["downgraded"]) == (over, 3, 2)
    assert world.rows("SELECT customer, sum(nano) FROM overages") == [("acme", cost - 300_000)]

    ((call,),) = world.rows(
        "SELECT call FROM calls WHERE model = 'gpt-5-nano' ORDER BY call LIMIT 1"
    )
    why = world.noburn("why", call).stdout
    assert "downgraded from gpt-6-luna by budget" in " ".join(why.split())
    assert "global per month in requests: it only warns" in why
    assert data(world, "why", call)["downgraded"] == [
        {"model": "gpt-6-luna", "budget": "global per total in requests"}
    ]
    assert world.noburn("ledger", "verify").returncode == 0
