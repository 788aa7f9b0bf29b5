"""Steps of chains and graphs, and attributes that go along: programs that know nothing of us."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from noburn_cli.core.money import Nano
from tests.e2e.conftest import PROGRAMS, Provider, World, run_program

GUEST = str(Path(sys.prefix) / "guests" / "current" / "bin" / "python")

#: How often each step calls in programs/langchain_steps.py.
STEPS = {
    "(none)": 3,
    "ChatOpenAI": 1,
    "summary/step:2": 5,
    "async summary/step:2": 5,
    "chain/summary/step:2": 1,
    "chain/poem/step:2": 1,
    "chain/step:2": 1,
    "chain/step:3": 1,
    "graph/research/step:2": 1,
    "graph/remember": 1,
    "graph/tools/tool:search": 4,
    "graph/tools/tool:lookup": 1,
    "graph/write": 1,
    "graph/inner/draft": 1,
}


def test_every_call_of_langchain_and_langgraph_has_its_step(
    world: World, provider: Provider
) -> None:
    """Without a change of code: awaited, streamed, abandoned, parallel, in nodes and in tools."""
    done = world.noburn("run", "--", GUEST, str(PROGRAMS / "langchain_steps.py"))
    assert done.returncode == 0, done.stderr
    found = dict(world.rows("SELECT coalesce(step, '(none)'), count(*) FROM calls GROUP BY 1"))
    assert found == STEPS
    shown = json.loads(world.noburn("report", "--by", "step", "--json").stdout)["data"]
    rows = {row["key"]["step"]: row for row in shown["rows"]}
    assert rows["graph"]["with_below"]["calls"] == 9
    assert rows["graph/tools"]["with_below"]["calls"] == 5
    assert (rows["graph/tools"]["calls"], rows["graph/tools"]["cost_usd"]) == (0, "0")
    assert shown["total"]["cost_usd"] == Nano(provider.bill()["total_nano"]).exact()


def test_children_and_workers_know_whom_they_are_for(world: World, provider: Provider) -> None:
    done = world.noburn("run", "--customer", "base", "--", *run_program("children.py"))
    assert done.returncode == 0, done.stderr
    found = {job: rest for job, *rest in world.rows("SELECT job, customer, step, tags FROM calls")}
    inside = ["acme", "outer/load", '{"team":"x"}']
    ways = ["subprocess", "copied-env", "asyncio", "fork", "spawn", "forkserver"]
    assert {way: found[way] for way in ways} == dict.fromkeys(ways, inside)
    assert found["own-env"] == ["named-by-env", "outer/load", '{"team":"x"}']
    assert found["after"] == ["base", None, "{}"]
    for way in ("submit", "map", "pool", "apply"):
        for customer in ("first", "second"):
            assert found[f"{way}-{customer}"] == [customer, None, "{}"]
    assert found["submit-outside"] == found["pool-outside"] == ["base", None, "{}"]
