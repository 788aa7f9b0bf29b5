"""Steps of chains and graphs, and attributes that go along: programs that know nothing of us."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from noburn_cli.core.money import Nano
from tests.e2e.conftest import PROGRAMS, REPOSITORY, Provider, World, run_program
from tests.e2e.redis_server import redis_server

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


WRAPPED = """
import noburn_cli, noburn_cli.langchain
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

noburn_cli.langchain.instrument()
noburn_cli.langchain.instrument()
model = ChatOpenAI(model="gpt-6-luna", max_completion_tokens=20)
noburn_cli.wrap(model.root_client)
chain = (ChatPromptTemplate.from_template("{x}") | model).with_config(run_name="summary")
with noburn_cli.attribute(step="service"):
    chain.invoke({"x": "hello"})
"""


def test_without_noburn_run_it_is_one_line(world: World, provider: Provider) -> None:
    world.environment["PYTHONPATH"] = str(REPOSITORY)
    assert world.noburn("daemon", "start").returncode == 0
    subprocess.run([GUEST, "-c", WRAPPED], env=world.environment, check=True, timeout=100)
    assert world.rows("SELECT step, state FROM calls") == [("service/summary/step:2", "settled")]


def test_children_and_workers_know_whom_they_are_for(world: World, provider: Provider) -> None:
    done = world.noburn("run", "--customer", "base", "--", *run_program("children.py"))
    assert done.returncode == 0, done.stderr
    found = {job: rest for job, *rest in world.rows("SELECT job, customer, step, tags FROM calls")}
    inside = ["acme", "outer/load", '{"team":"x"}']
    ways = ["subprocess", "copied-env", "asyncio", "fork", "spawn", "forkserver"]
    assert {way: found[way] for way in ways} == dict.fromkeys(ways, inside)
    assert found["own-env"] == ["named-by-env", "outer/load", '{"team":"x"}']
    assert found["after"] == ["base", None, "{}"]
    for way in ("submit", "map", "pool", "apply", "thread", "to_thread"):
        for customer in ("first", "second"):
            assert found[f"{way}-{customer}"] == [customer, None, "{}"]
    for outside in ("submit-outside", "pool-outside", "thread-outside"):
        assert found[outside] == ["base", None, "{}"]


def test_an_agents_budget_ends_in_the_middle_of_parallel_tools(
    world: World, provider: Provider, tmp_path: Path
) -> None:
    """Exactly as many calls as fit, one error, no retry, no summary, nothing over."""
    agent = [GUEST, str(REPOSITORY / "examples" / "langgraph_agent.py")]
    whole = world.noburn("run", "--", *agent)
    assert json.loads(whole.stdout)["asked"] == {"plan": 1, "search": 8, "summary": 1}, whole.stderr
    ((plan,),) = world.rows("SELECT cost_nano FROM calls WHERE step = 'graph/plan'")
    tools = world.rows("SELECT cost_nano, hold_nano FROM calls WHERE step LIKE '%tool:search'")
    ((cost, hold),) = set(tools)
    assert cost < hold
    billed = provider.bill()["total_nano"]

    fit = 5
    budget = plan + (fit - 1) * cost + hold  # The fifth search fits to the nano-dollar.
    file = tmp_path / "summary.json"
    limit = ("--budget", Nano(budget).exact(), "--summary-file", str(file))
    done = world.noburn("run", *limit, "--", *agent)
    ended = json.loads(done.stdout)
    assert (ended["error"], ended["status"]) == ("APIStatusError", 402), done.stderr
    assert ended["code"] == "noburn_budget_exceeded"
    data = json.loads(file.read_text())["data"]
    run = f"%{data['run']}%"
    states = dict(world.rows("SELECT state, count(*) FROM calls WHERE run LIKE ? GROUP BY 1", run))
    assert states["settled"] == 1 + fit
    # One attempt each, and none after the graph was told.
    assert ended["asked"]["summary"] == 0
    assert states["settled"] + states["blocked"] == 1 + ended["asked"]["search"]
    ((spent,),) = world.rows("SELECT sum(cost_nano) FROM calls WHERE run LIKE ?", run)
    assert spent == provider.bill()["total_nano"] - billed
    assert spent <= budget
    assert budget - spent < hold, "not one more would have fitted"
    tree = world.noburn("report", "--run", data["run"], "--by", "step", "--json").stdout
    rows = {row["key"]["step"]: row for row in json.loads(tree)["data"]["rows"]}
    assert rows["graph/tools/tool:search"]["cost_usd"] == Nano(fit * cost).exact()
    assert rows["graph/tools/tool:search"]["blocked"] == states["blocked"]
    assert rows["graph"]["with_below"]["cost_usd"] == Nano(spent).exact()


JOBS, EMPTY = 2, "c07"


@pytest.mark.parametrize(("pool", "workers", "customers"), [("threads", 20, 20), ("prefork", 4, 8)])
def test_a_workers_twenty_customers_and_one_without_money(
    world: World, provider: Provider, tmp_path: Path, pool: str, workers: int, customers: int
) -> None:
    """Celery: each job is for its customer, in threads and in processes, also when it retries."""
    for scope, limit in [("customer=*", "1"), (f"customer={EMPTY}", "1req")]:
        assert world.noburn("budget", "set", scope, limit, "--per", "month").returncode == 0
    used = world.noburn("run", "--customer", EMPTY, "--", *run_program("steps.py", "call", "call"))
    assert used.stdout == "status 200\nstatus 402\n"

    pid_file = tmp_path / "pid"
    with redis_server() as socket:
        world.environment["REDIS_SOCKET"] = str(socket)
        with celery_worker(world, pid_file, pool=pool, workers=workers):
            publisher = [GUEST, str(PROGRAMS / "celery_jobs.py"), str(customers), str(JOBS)]
            published = world.noburn("run", "--", *publisher)
            assert published.returncode == 0, published.stderr
    done = json.loads(published.stdout)
    assert len(done) == customers
    for customer, results in done.items():
        status = 402 if customer == EMPTY else 200
        assert sorted(results) == [[number, status] for number in range(JOBS)], customer

    bill = {call["request_id"]: call["nano"] for call in provider.bill()["calls"]}
    rows = world.rows(
        "SELECT customer, provider_id, cost_nano, feature, step FROM calls WHERE state = 'settled'"
    )
    assert {provider_id: cost for _, provider_id, cost, *_ in rows} == bill
    for customer in done:
        served = [row[3:] for row in rows if row[0] == customer]
        # A call a job, one more for the retry of the second; or the one that used up the limit.
        everything = [("digest", "nightly")] * (JOBS + 1)
        assert served == ([(None, None)] if customer == EMPTY else everything)
    blocked = world.rows("SELECT customer, count(*) FROM calls WHERE state = 'blocked' GROUP BY 1")
    assert blocked == [(EMPTY, JOBS + 1)]


@contextlib.contextmanager
def celery_worker(world: World, pid_file: Path, *, pool: str, workers: int) -> Iterator[None]:
    """A worker under `noburn run`, with a feature of its own that its jobs' features overlay."""
    options = ["--workdir", str(PROGRAMS), "-A", "celery_jobs", "worker", "-P", pool]
    quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "WARNING"]
    options += ["-c", str(workers), "--pidfile", str(pid_file), *quiet]
    run = world.start("run", "--feature", "worker", "--", GUEST, "-m", "celery", *options)
    try:
        yield
        # The worker itself: what `noburn run` is told, all of its processes are told.
        os.kill(int(pid_file.read_text()), signal.SIGTERM)
        run.communicate(timeout=60)
    finally:
        run.kill()
        run.communicate()


def test_rq_jobs_are_for_whom_they_were_enqueued(world: World, provider: Provider) -> None:
    world.environment["PYTHONPATH"] = str(PROGRAMS)
    run = ("run", "--customer", "worker", "--feature", "digest", "--")
    with redis_server() as socket:
        world.environment["REDIS_SOCKET"] = str(socket)
        done = world.noburn(*run, GUEST, str(PROGRAMS / "rq_jobs.py"))
    assert done.returncode == 0, done.stderr
    assert [meta["own"] for meta in json.loads(done.stdout.splitlines()[-1])] == ["kept", "kept"]
    rows = world.rows("SELECT customer, feature FROM calls ORDER BY customer")
    assert rows == [("first", "digest"), ("second", "digest")]
