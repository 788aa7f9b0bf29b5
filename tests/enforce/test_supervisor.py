"""The order of a run: subscribed before the child, no block missed, what is left is named."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from noburn_cli import paths, run_summary
from noburn_cli.client import new_call_id
from noburn_cli.enforce.launch import LaunchSettings
from noburn_cli.enforce.supervisor import RunOutcome, run_supervised
from noburn_cli.enforce.survivors import find_survivors
from noburn_cli.enforce.watch import Watch
from noburn_cli.errors import LedgerUnavailable
from noburn_cli.run_summary import (
    Limited,
    find_stopped,
    read_final_summary,
    read_run_summary,
    summary_lines,
)
from tests.enforce.conftest import Home


def refuse(home: Home, run: str, reason: str) -> None:
    """A call that was stopped, as the guard of a child would report it."""
    home.client.refused(
        new_call_id(), api="openai.chat", model="m", attrs={"run": run}, reason=reason
    )


def eventually(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def find(home: Home) -> Callable[[str], str | None]:
    home.client.run_start(run="r1", attrs={"run": "r1"}, command=["x"], limit=None)
    return partial(find_stopped, paths.ledger_path(home.folder))


def nobody(_run: str) -> str | None:
    raise AssertionError("the ledger is asked only for what no event told")


def test_a_block_before_the_watch_listens_is_heard(
    home: Home, find: Callable[[str], str | None]
) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=nobody)
    refuse(home, "r1", "too early")
    watch.start(ended.set, print)
    assert ended.wait(60)
    assert watch.finish() == "too early"


def test_a_run_below_counts_and_another_does_not(
    home: Home, find: Callable[[str], str | None]
) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=find)
    watch.start(ended.set, print)
    refuse(home, "r2", "not ours")
    refuse(home, "r10", "not ours")
    assert not ended.wait(0.2)
    assert find("r1") is None
    refuse(home, "r1/r3", "ours")
    assert ended.wait(60)
    assert watch.finish() == "ours"
    assert find("r1") == find("r1/r3") == "ours"


def test_what_was_missed_while_the_daemon_was_down_is_in_the_ledger(
    home: Home, find: Callable[[str], str | None]
) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=find)
    os.kill(int(home.client.status()["pid"]), signal.SIGKILL)
    refuse(home, "r1", "missed")  # by another daemon, which this brings up
    watch.start(ended.set, print)
    assert ended.wait(60)
    assert watch.finish() == "missed"


def test_at_the_end_the_ledger_is_asked_once_more(
    home: Home, find: Callable[[str], str | None]
) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=find)
    watch._first_stopped = lambda: None  # type: ignore[method-assign]  # an event that is late
    watch.start(ended.set, print)
    refuse(home, "r1", "late")
    assert watch.finish() == "late"
    assert ended.is_set(), "what is left of the job is ended as well"


def test_a_run_without_a_block_ends_nothing(home: Home, find: Callable[[str], str | None]) -> None:
    ended = threading.Event()
    watch = Watch("r1", find_stopped=find)
    watch.start(ended.set, print)
    assert watch.finish() is None
    assert not ended.is_set()


def hold(home: Home, run: str) -> str:
    """A call in flight, of this process."""
    call = new_call_id()
    granted = home.client.reserve(
        {
            "call": call, "api": "openai_chat", "model": "gpt-6-luna", "attrs": {"run": run},
            "input": {"bytes": 100, "expanded": 100, "overhead": 0},
            "output": {"wanted": 1000, "floor": 1, "choices": 1, "clamp": False},
        }
    )  # fmt: skip
    assert granted["ok"], granted
    return call


def test_the_summary_waits_for_what_is_about_to_be_charged(
    home: Home, find: Callable[[str], str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_summary, "ORPHANS_S", 60.0)
    before = hold(home, "r2")
    call = hold(home, "r1")
    ledger = paths.ledger_path(home.folder)
    late = threading.Timer(0.3, lambda: home.client.lose(call, reason="late"))
    late.start()
    summary = read_final_summary(ledger, "r1")
    late.join()
    assert (summary.calls, summary.held, summary.uncertain) == (1, 0, 1)
    # What belongs to a process that lives is said to be held, and not waited for without end.
    hold(home, "r1/r3")
    monkeypatch.setattr(run_summary, "ORPHANS_S", 0.2)
    assert read_final_summary(ledger, "r1").held == 1
    home.client.void(before)


def test_the_summary_says_for_whom(home: Home) -> None:
    """Goal: of many customers in one run, who was clamped or stopped; of one, nothing is added."""
    ledger = paths.ledger_path(home.folder)
    limit = {"unit": "dollars", "amount": 50_000}
    home.client.budget_set(scope="customer=*", per="total", limit=limit)

    def ask(customer: str, wanted: int | None) -> None:
        attrs = {"run": "r1", "customer": customer, "feature": "chat"}
        home.client.reserve(
            {
                "call": new_call_id(), "api": "openai_chat", "model": "gpt-6-luna", "attrs": attrs,
                "input": {"bytes": 100, "expanded": 100, "overhead": 0}, "refined": True,
                "output": {"wanted": wanted, "floor": 1, "choices": 1, "clamp": True},
            }
        )  # fmt: skip

    ask("acme", None)
    assert read_run_summary(ledger, "r1").for_whom == ()
    ask("globex", 1)
    home.client.budget_set(scope="customer=initech", per="total", limit={**limit, "amount": 1})
    ask("initech", 1)
    summary = read_run_summary(ledger, "r1")
    assert summary.whom_by == "customer"
    assert summary.for_whom == (Limited("initech", 1, 0, 0), Limited("acme", 0, 1, 0))
    lines = summary_lines(summary, killed_by=None, limited=True)
    assert "        by customer: initech 1 stopped; acme 1 clamped" in lines
    assert summary.as_json()["for_whom_by"] == "customer"


def test_the_words_of_the_summary(home: Home, find: Callable[[str], str | None]) -> None:
    home.client.lose(hold(home, "r1"))
    hold(home, "r1/r3")
    refuse(home, "r1", "nothing bounds it")
    summary = read_run_summary(paths.ledger_path(home.folder), "r1")
    lines = summary_lines(summary, killed_by=None, limited=False)
    assert lines[0].startswith("noburn: run r1: 2 calls, 0 tokens in, 0 out, cost $")
    assert lines[1].endswith(" held by 1 call still in flight")
    assert "1 call refused: no bound, no price or no recorded answer" in lines[2]
    assert "1 call uncertain: charged at the hold" in lines[3]
    assert "no budget applied" in lines[4]
    assert "nothing bounds it" in lines[5]
    assert lines[6] == f"        see `noburn why {summary.last_stopped_call}`"
    one = replace(summary, calls=1, input_tokens=1, limit_unit="requests", limit=5, unlimited=0)
    (first, *_) = summary_lines(one, killed_by="nothing bounds it", limited=True)
    assert first.startswith("noburn: run r1: 1 call, 1 token in, 0 out, cost $")
    assert first.endswith(", budget 5 requests")


def run(command: list[str], kill: bool = False) -> RunOutcome:
    ledger = paths.ledger_path()
    return run_supervised(
        command,
        limit=None,
        settings=LaunchSettings(attributes={"project": "p"}),
        find_stopped=partial(find_stopped, ledger) if kill else None,
        environment=os.environ,
        tell=print,
    )


@pytest.mark.parametrize("kill", [False, True])
def test_outcomes(home: Home, kill: bool) -> None:
    assert (run(["sh", "-c", "exit 4"], kill).exit_code, run(["true"], kill).limited) == (4, False)
    home.limit("project=p", 5)
    assert run(["true"], kill).limited
    lost = run(["no-such-command"], kill)
    assert (lost.exit_code, lost.child_code) == (127, None)
    assert lost.failure == "no-such-command: command not found"
    assert home.client.status()["runs"] == 0


def test_processes_that_left_the_group_are_named_by_their_run() -> None:
    environment = {**os.environ, "NOBURN_GUARD": "1", "NOBURN_RUN": "rx/ry"}
    with subprocess.Popen(["sleep", "60"], env=environment, start_new_session=True) as child:
        try:
            found = [f"{child.pid} (sleep)"] if sys.platform == "linux" else []
            eventually(lambda: find_survivors("rx", group=0) == found)  # once it has executed
            assert find_survivors("rx/ry", group=0) == found
            assert find_survivors("rx/r", group=0) == find_survivors("r", group=0) == []
            group = os.getpgid(int(found[0].split()[0]))
            assert find_survivors("rx", group=group) == []  # it dies with its group
        finally:
            child.kill()


def test_a_file_that_is_no_ledger_is_said_to_be_none(home: Home) -> None:
    empty = home.folder / "empty.sqlite3"
    with pytest.raises(LedgerUnavailable, match="no ledger"):
        read_run_summary(empty, "r1")
    empty.touch()
    with pytest.raises(LedgerUnavailable, match="cannot be read"):
        read_run_summary(empty, "r1")
    empty.write_bytes(b"something else " * 100)
    with pytest.raises(LedgerUnavailable, match="cannot be read"):
        find_stopped(empty, "r1")
    home.client.status()  # the home's own daemon, which the fixture stops
