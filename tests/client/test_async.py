"""The awaitable client against a scripted daemon, on asyncio and uvloop."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from noburn_cli.client import AsyncClient, channel
from noburn_cli.errors import BudgetExceeded, DaemonUnavailable
from tests.client.conftest import Haste
from tests.client.peer import FORKING, HANG_UP, SILENCE, Frame, Peer, grant
from tests.client.test_sync import SICK, is_closed, journal_lines, then_granting

Runner = Callable[[Coroutine[Any, Any, Any]], Any]


def run_on_uvloop(main: Coroutine[Any, Any, Any]) -> Any:
    loop = uvloop.new_event_loop()
    loop.set_debug(True)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def run_on_asyncio(main: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(main, debug=True)


@pytest.fixture(params=[run_on_asyncio, run_on_uvloop], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Runner:
    runner: Runner = request.param
    return runner


def test_two_hundred_at_once_share_one_connection(home: Path, peer: Peer, run: Runner) -> None:
    client = AsyncClient(home)

    async def main() -> list[Frame]:
        calls = (client.reserve({"call": f"c{i}"}) for i in range(200))
        replies = await asyncio.gather(*calls)
        await client.settle("c0", {"input": 1})
        assert len(asyncio.all_tasks()) == 1  # We leave nothing in the loop.
        return replies

    assert [reply["call"] for reply in run(main())] == [f"c{i}" for i in range(200)]
    assert peer.connections == 1


def test_loops_one_after_the_other_and_nothing_left_open(
    home: Path, peer: Peer, run: Runner
) -> None:
    """Goal: a loop that ended is forgotten, and so is a client, without a ResourceWarning."""
    clients = [AsyncClient(home)]

    async def main() -> None:
        await clients[0].reserve({"call": "c"})

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(main())
        run(main())
        peer.wait_until(lambda: peer.open_count() <= 1)
        clients.clear()
        gc.collect()
        peer.wait_until(lambda: peer.open_count() == 0)
    assert peer.connections == 2


@pytest.mark.parametrize(
    "disturbance",
    [HANG_UP, {"ok": False, "error": "unknown"}, {"ok": False, "error": "draining"}],
    ids=["lost", "unknown", "draining"],
)
def test_a_disturbed_frame_is_asked_again(
    home: Path, peer: Peer, run: Runner, disturbance: Frame
) -> None:
    peer.script = then_granting(disturbance, disturbance)
    assert run(AsyncClient(home).reserve({"call": "c1"}))["ok"]
    assert [(f["op"], f["call"]) for f in peer.seen] == [("reserve", "c1")] * 3


def test_a_cancelled_reserve_is_voided_on_the_same_connection(
    home: Path, peer: Peer, run: Runner
) -> None:
    peer.script = lambda frame: SILENCE if frame["op"] == "reserve" else grant(frame)
    client = AsyncClient(home)

    async def main() -> None:
        task = asyncio.ensure_future(client.reserve({"call": "c1", "wait_ms": 60_000}))
        while not peer.seen:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())  # The loop ends at once: the void has left by then.
    peer.wait_until(lambda: peer.open_count() <= 1 and len(peer.seen) == 2)
    assert [(f["op"], f["call"]) for f in peer.seen] == [("reserve", "c1"), ("void", "c1")]
    assert peer.connections == 1


@pytest.mark.usefixtures("haste")
def test_a_late_reply_is_an_error_and_the_void_is_kept(home: Path, peer: Peer, run: Runner) -> None:
    peer.script = lambda frame: SILENCE
    with pytest.raises(DaemonUnavailable):
        run(AsyncClient(home).reserve({"call": "c1"}))
    assert [(f["op"], f["call"]) for f in journal_lines(home)] == [("void", "c1")]


def test_an_ending_that_a_sick_ledger_refuses_is_kept_and_sent_by_the_same_client(
    home: Path, peer: Peer, run: Runner, haste: Haste
) -> None:
    async def settle_and_look() -> None:
        client = AsyncClient(home)
        haste.end()
        peer.script = then_granting(SICK)
        assert (await client.settle("c1", {"input": 1}))["ok"]
        haste.begin()
        peer.script = lambda frame: SICK
        assert (await client.settle("c2", {"input": 1}))["error"] == "undelivered"
        haste.end()
        peer.script = grant
        await client.remaining({})
        await client.aclose()

    run(settle_and_look())
    assert [f.get("call") for f in peer.seen[-2:]] == ["c2", None]
    assert journal_lines(home) == []


def test_undeliverable_endings_are_kept_and_sent_later(
    home: Path, peer: Peer, run: Runner, haste: Haste
) -> None:
    peer.script = lambda frame: HANG_UP
    assert run(AsyncClient(home).settle("c1", {"input": 1}))["error"] == "undelivered"
    peer.seen.clear()
    haste.end()
    peer.script = grant
    run(AsyncClient(home).remaining({}))
    assert peer.ops() == ["settle", "remaining"]
    assert journal_lines(home) == []


def test_reserves_never_fill_the_pipeline(
    home: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: however many reserves wait, what frees their money gets through, and all get theirs."""
    monkeypatch.setattr(channel, "RESERVES_MAX", 3)
    unanswered: list[int] = []

    def script(frame: Frame) -> Frame:
        if frame["op"] == "reserve":
            unanswered.append(frame["n"])
            return SILENCE
        ready, unanswered[:] = unanswered[:], []
        (end,) = peer._open
        for n in ready:
            end.sendall(json.dumps({"n": n, "ok": True}).encode() + b"\n")
        return {"ok": True, "released": len(ready)}

    peer.script = script
    client = AsyncClient(home)

    async def main() -> None:
        reserves = asyncio.gather(*(client.reserve({"call": f"c{i}"}) for i in range(8)))
        released = []
        while not reserves.done():
            await asyncio.sleep(0.01)
            released.append((await client.settle("c", {}))["released"])
        assert sum(released) == 8
        assert max(released) == 3

    asyncio.run(main())


def test_a_full_socket_is_written_when_it_has_room(home: Path, peer: Peer, run: Runner) -> None:
    text = "x" * 3_000_000
    client = AsyncClient(home)

    async def main() -> None:
        frames = [{"call": f"c{i}", "texts": {"texts": [text], "schema": ""}} for i in range(2)]
        await asyncio.gather(*(client.reserve(frame) for frame in frames), client.void("c"))

    run(main())
    assert sorted(len(f.get("texts", {}).get("texts", [""])[0]) for f in peer.seen) == [
        0, len(text), len(text),
    ]  # fmt: skip


def test_a_refusal_is_raw_for_the_guard_and_an_error_for_a_person(home: Path, peer: Peer) -> None:
    peer.script = lambda frame: {"ok": False, "error": "blocked", "message": "no"}

    async def main() -> None:
        client = AsyncClient(home)
        assert (await client.reserve({"call": "c"}))["error"] == "blocked"
        assert (await client.request("refused", call="c"))["error"] == "blocked"
        with pytest.raises(BudgetExceeded):
            await client.budget_set(scope="global", per="day", limit={"unit": "dollars"})

    asyncio.run(main())


def test_every_waiter_hears_that_the_daemon_is_not_there(home: Path, run: Runner) -> None:
    client = AsyncClient(home, start_daemon=False)

    async def main() -> list[Any]:
        calls = (client.reserve({"call": f"c{i}"}) for i in range(3))
        return await asyncio.gather(*calls, return_exceptions=True)

    outcomes = run(main())
    assert [type(outcome) for outcome in outcomes] == [DaemonUnavailable] * 3
    assert len({id(outcome) for outcome in outcomes}) == 3
    assert journal_lines(home) == []  # Nothing was sent, nothing is voided.


@FORKING
def test_a_child_opens_its_own_and_the_parents_loop_goes_on(home: Path, peer: Peer) -> None:
    client = AsyncClient(home)

    async def main() -> None:
        await client.reserve({"call": "parent"})
        (kept,) = client._channels.values()
        child = os.fork()
        if child == 0:
            try:
                asyncio._set_running_loop(None)
                assert is_closed(kept._file)
                asyncio.run(client.reserve({"call": "child"}))
                os._exit(0)
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert (await client.reserve({"call": "parent again"}))["ok"]

    asyncio.run(main())
    assert peer.connections == 2


def test_without_asyncio_the_blocking_client_does_it(home: Path, peer: Peer) -> None:
    coroutine = AsyncClient(home).reserve({"call": "c1"})
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    assert ended.value.value["ok"]


def test_trio(home: Path, peer: Peer) -> None:
    trio = pytest.importorskip("trio")
    answered: list[Frame] = []

    async def main() -> None:
        client = AsyncClient(home)
        answered.append(await client.reserve({"call": "c1"}))
        peer.script = lambda frame: (
            peer.wait_until(lambda: done.is_set()) or grant(frame)
            if frame["op"] == "reserve"
            else grant(frame)
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.reserve, {"call": "c2", "wait_ms": 20_000})
            while len(peer.seen) < 2:
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
        done.set()
        with peer._changed:
            peer._changed.notify_all()
        while len(peer.seen) < 3:
            await trio.sleep(0.01)

    done = threading.Event()
    trio.run(main)
    assert answered[0]["ok"]
    assert [(f["op"], f["call"]) for f in peer.seen] == [
        ("reserve", "c1"), ("reserve", "c2"), ("void", "c2"),
    ]  # fmt: skip


def test_import_brings_no_asyncio() -> None:
    code = (
        "import sys, noburn_cli.client; "
        "print(sorted({'asyncio', 'subprocess', 'dataclasses', 'ssl'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
