"""Both clients and the real daemon, started by them on first need."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.client import AsyncClient, Client, new_call_id
from noburn_cli.client.journal import append
from noburn_cli.errors import DaemonUnavailable, NoburnError
from tests.daemon.parts import eventually

ROOT = Path(__file__).resolve().parents[2]
LIMIT_NANO = 10_000_000


@pytest.fixture
def client(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client whose daemon has one budget of a cent; the daemon is gone when the test ends."""
    monkeypatch.setenv("NOBURN_DAEMON", json.dumps([sys.executable, "-m", "noburn_daemon"]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "daemon")]))
    with Client(home) as running:
        running.budget_set(
            scope="global", per="total", limit={"unit": "dollars", "amount": LIMIT_NANO}
        )
        yield running
        pid = running.status()["pid"]
        running.shutdown()
        eventually(lambda: is_gone(pid), f"the daemon {pid} leaves")


def is_gone(pid: int) -> bool:
    """Whether a process has ended; its new parent may not reap it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def frame(call: str, **changed: Any) -> dict[str, Any]:
    return {
        "call": call,
        "api": "openai_chat",
        "model": "gpt-4o-mini",
        "attrs": {"project": "p"},
        "input": {"bytes": 1200, "expanded": 1200, "overhead": 17},
        "output": {"wanted": 500, "floor": 1, "choices": 1, "clamp": False},
        "wait_ms": 0,
        **changed,
    }


def test_an_ending_that_cannot_be_read_leaves_no_hold_open(client: Client, home: Path) -> None:
    """A provider's mad count is unknown usage: charged at the hold, and not held for ever."""
    calls = [new_call_id() for _ in range(3)]
    holds = [client.reserve(frame(call))["hold_nano"] for call in calls]
    assert client.settle(calls[0], {"output": 10**11})["error"] == "bad_frame"
    assert client.void(calls[1], reason="\ud800")["error"] == "bad_frame"

    async def settle() -> None:
        async with AsyncClient(home) as other:
            assert (await other.settle(calls[2], {"input": 2**60}))["error"] == "bad_frame"

    asyncio.run(settle())
    (account,) = client.remaining({"project": "p"})["accounts"]
    assert (account["settled"], account["held"]) == (holds[0] + holds[2], 0)


def test_hold_settle_and_repeat(client: Client) -> None:
    call = new_call_id()
    granted = client.reserve(frame(call))
    assert granted["ok"]
    assert client.reserve(frame(call)) == {**granted, "n": client.status()["n"] - 1}
    settled = client.settle(call, {"input": 100, "output": 20}, latency_ms=5, status=200)
    assert settled["state"] == "settled"
    assert client.lose(call)["error"] == "closed"
    (account,) = client.remaining({"project": "p"})["accounts"]
    assert (account["settled"], account["held"]) == (settled["cost_nano"], 0)


def test_a_killed_daemon_is_started_again_and_forgets_nothing(client: Client) -> None:
    call = new_call_id()
    held = client.reserve(frame(call))["hold_nano"]
    before = client.status()["pid"]
    os.kill(before, signal.SIGKILL)
    assert client.settle(call, {"input": 1}, status=200)["state"] == "settled"
    assert client.status()["pid"] != before
    (account,) = client.remaining({})["accounts"]
    assert account["held"] == 0
    assert 0 < account["settled"] < held


def test_what_a_dead_process_could_not_deliver_is_booked(home: Path, client: Client) -> None:
    call = new_call_id()
    client.reserve(frame(call))
    append(home / "journal", {"op": "void", "call": call})
    with Client(home) as other:
        (account,) = other.remaining({})["accounts"]
    assert account["held"] == 0
    assert list((home / "journal").iterdir()) == []


def test_many_at_once_never_pass_the_limit_and_a_cancelled_wait_leaves_nothing(
    home: Path, client: Client
) -> None:
    awaiting = AsyncClient(home)

    async def main() -> list[str]:
        ids = [new_call_id() for _ in range(200)]
        replies = await asyncio.gather(*(awaiting.reserve(frame(call)) for call in ids))
        held = [reply["hold_nano"] for reply in replies if reply["ok"]]
        assert 0 < sum(held) <= LIMIT_NANO
        waits = {"wait_ms": 60_000, "refined": True}
        late = asyncio.ensure_future(awaiting.reserve(frame(new_call_id(), **waits)))
        while (await awaiting.request("status"))["waiters"] == 0:
            assert not late.done(), late.result()
            await asyncio.sleep(0.01)
        late.cancel()
        await asyncio.wait([late])
        granted = [call for call, reply in zip(ids, replies, strict=True) if reply["ok"]]
        await asyncio.gather(*(awaiting.void(call, reason="test") for call in granted))
        return granted

    asyncio.run(main())
    (account,) = client.remaining({})["accounts"]
    assert (account["held"], account["waiting"], account["settled"]) == (0, 0, 0)


def test_a_run_is_watched(client: Client) -> None:
    attrs = {"project": "p", "run": "r1"}
    client.run_start(run="r1", attrs=attrs, command=["x"], limit={"unit": "dollars", "amount": 1})
    events = client.run_watch(run="r1")
    refused = client.reserve(frame(new_call_id(), attrs=attrs))
    assert refused["error"] == "blocked"
    event = next(events)
    assert (event["event"], event["run"]) == ("blocked", "r1")
    assert client.run_end(run="r1", exit_code=0)["ok"]


def test_budgets_as_a_person_handles_them(client: Client) -> None:
    client.budget_topup(scope="global", per="total", amount=5)
    (budget,) = client.budget_list()["budgets"]
    assert (budget["name"], budget["accounts"][0]["topup"]) == ("global per total", 5)
    client.budget_rm(scope="global", per="total")
    assert client.budget_list()["budgets"] == []
    with pytest.raises(NoburnError) as caught:
        client.budget_rm(scope="global", per="total")
    assert caught.value.message


def test_nobody_starts_a_daemon_that_was_not_asked_to(home: Path) -> None:
    with Client(home, start_daemon=False) as client, pytest.raises(DaemonUnavailable) as caught:
        client.status()
    assert "not running" in caught.value.message
    assert list(home.iterdir()) == []
