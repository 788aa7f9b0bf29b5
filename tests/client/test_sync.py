"""The blocking client against a scripted daemon on a real socket."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest

from noburn_cli.client import Client, new_call_id
from noburn_cli.errors import (
    BudgetExceeded,
    DaemonUnavailable,
    FrameRefused,
    LedgerUnavailable,
    NoburnError,
    UsageError,
)
from tests.client.conftest import Haste
from tests.client.peer import FORKING, HANG_UP, SILENCE, Frame, Peer, grant


def then_granting(*first: Frame) -> Callable[[Frame], Frame]:
    """A script: these answers, then friendly ones."""
    left = list(first)
    return lambda frame: left.pop(0) if left else grant(frame)


def journal_lines(home: Path) -> list[Frame]:
    files = sorted((home / "journal").glob("*")) if (home / "journal").exists() else []
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_what_is_asked_arrives_and_the_reply_comes_back(home: Path, peer: Peer) -> None:
    with Client(home) as client:
        reply = client.reserve({"call": "c1", "model": "m", "wait_ms": 0})
        client.settle("c1", {"input": 3}, latency_ms=8, status=200)
        client.lose("c2", reason="stream aborted")
        client.void("c3", reason="connection refused")
        client.refused("c4", api="a", model="m", attrs={}, reason="no cap")
    assert reply["ok"]
    assert reply["call"] == "c1"
    for frame in peer.seen:
        frame.pop("n")
    assert peer.seen == [
        {"op": "reserve", "call": "c1", "model": "m", "wait_ms": 0},
        {
            "op": "settle",
            "call": "c1",
            "usage": {"input": 3},
            "variant": "standard",
            "latency_ms": 8,
            "status": 200,
            "provider_id": None,
            "served_model": None,
            "failure": None,
        },
        {
            "op": "lose",
            "call": "c2",
            "reason": "stream aborted",
            "latency_ms": None,
            "status": None,
        },
        {
            "op": "void",
            "call": "c3",
            "reason": "connection refused",
            "latency_ms": None,
            "status": None,
        },
        {
            "op": "refused",
            "call": "c4",
            "api": "a",
            "model": "m",
            "attrs": {},
            "reason": "no cap",
            "error": "unbounded",
        },
    ]
    assert peer.connections == 1


@pytest.mark.parametrize(
    "disturbance",
    [HANG_UP, {"ok": False, "error": "unknown"}, {"ok": False, "error": "draining"}],
    ids=["lost", "unknown", "draining"],
)
def test_a_disturbed_frame_is_asked_again_with_the_same_id(
    home: Path, peer: Peer, disturbance: Frame
) -> None:
    peer.script = then_granting(disturbance, disturbance)
    with Client(home) as client:
        assert client.reserve({"call": "c1"})["ok"]
    assert [(f["op"], f["call"]) for f in peer.seen] == [("reserve", "c1")] * 3


def test_a_reserve_that_may_be_held_is_voided(home: Path, peer: Peer) -> None:
    """`unknown` may hide a hold, and a ledger that is sick refuses without a look at the id."""
    sick = {"ok": False, "error": "ledger"}
    peer.script = then_granting(HANG_UP, sick, {"ok": True}, sick)
    with Client(home) as client:
        assert client.reserve({"call": "c1"}) == {**sick, "n": ANY}
        assert client.reserve({"call": "c2"}) == {**sick, "n": ANY}
    told = [(f["op"], f["call"]) for f in peer.seen]
    assert told == [("reserve", "c1"), ("reserve", "c1"), ("void", "c1"), ("reserve", "c2")]


def test_a_restarted_daemon_is_found_by_clients_with_old_connections(home: Path) -> None:
    first = Peer(home)
    with Client(home) as client:
        client.status()
        first.close()
        (home / "daemon.sock").unlink()
        second = Peer(home)
        assert client.status()["ok"]
        assert second.ops() == ["status"]
    second.close()


def test_a_refusal_is_raw_for_the_guard_and_an_error_for_a_person(home: Path, peer: Peer) -> None:
    refusal = {"ok": False, "error": "blocked", "message": "no", "why": "spent", "next": "topup"}
    peer.script = lambda frame: refusal
    with Client(home) as client:
        assert client.reserve({"call": "c"})["error"] == "blocked"
        assert client.request("reserve", call="c")["error"] == "blocked"
        with pytest.raises(BudgetExceeded) as caught:
            client.remaining({})
    assert caught.value.lines() == ["error: no", "  why: spent", " next: topup"]
    assert peer.ops() == ["reserve", "reserve", "remaining"]  # A refused reserve needs no void.


@pytest.mark.parametrize(
    ("code", "expected"),
    [("bad_frame", UsageError), ("ledger", LedgerUnavailable), ("not_found", NoburnError)],
)
def test_refusals_become_errors(
    home: Path, peer: Peer, code: str, expected: type[NoburnError]
) -> None:
    peer.script = lambda frame: {"ok": False, "error": code, "message": "m"}
    with Client(home) as client, pytest.raises(expected) as caught:
        client.budget_rm(scope="global", per="day")
    assert type(caught.value) is expected


@pytest.mark.usefixtures("haste")
def test_a_reserve_without_reply_is_voided(home: Path, peer: Peer) -> None:
    peer.script = lambda frame: SILENCE if frame["op"] == "reserve" else grant(frame)
    with Client(home) as client, pytest.raises(DaemonUnavailable) as caught:
        client.reserve({"call": "c1"})
    assert all((caught.value.message, caught.value.why, caught.value.next_step))
    assert [(f["op"], f["call"]) for f in peer.seen] == [("reserve", "c1"), ("void", "c1")]
    assert journal_lines(home) == []


@pytest.mark.usefixtures("haste")
def test_a_reserve_may_take_as_long_as_it_waits(home: Path, peer: Peer) -> None:
    """Goal: `wait_ms` is added to the time for a reply."""
    asked = threading.Event()

    def slow(frame: Frame) -> Frame:
        assert not asked.wait(0.8)  # Longer than any reply may take.
        return grant(frame)

    peer.script = slow
    with Client(home) as client:
        assert client.reserve({"call": "c1", "wait_ms": 60_000})["ok"]


@pytest.mark.usefixtures("haste")
def test_an_interrupted_reserve_is_voided(home: Path, peer: Peer) -> None:
    def interrupting(frame: Frame) -> Frame:
        if frame["op"] != "reserve":
            return grant(frame)
        os.kill(os.getpid(), signal.SIGINT)
        return SILENCE

    peer.script = interrupting
    with Client(home) as client, pytest.raises(KeyboardInterrupt):
        client.reserve({"call": "c1", "wait_ms": 60_000})
    assert peer.ops() == ["reserve", "void"]


@pytest.mark.usefixtures("haste")
def test_a_give_up_that_cannot_be_told_is_kept(home: Path, peer: Peer) -> None:
    peer.script = lambda frame: HANG_UP
    with Client(home) as client, pytest.raises(DaemonUnavailable):
        client.reserve({"call": "c1"})
    assert [(f["op"], f["call"]) for f in journal_lines(home)] == [("void", "c1")]


def test_a_reserve_that_was_never_sent_is_not_voided(home: Path) -> None:
    with Client(home, start_daemon=False) as client, pytest.raises(DaemonUnavailable):
        client.reserve({"call": "c1"})
    assert journal_lines(home) == []


def test_endings_that_cannot_be_delivered_are_kept_and_sent_by_the_next_client(
    home: Path, peer: Peer, haste: Haste
) -> None:
    peer.script = lambda frame: HANG_UP
    with Client(home) as client:
        assert client.settle("c1", {"input": 1})["error"] == "undelivered"
        assert client.lose("c2")["error"] == "undelivered"
        assert client.deliver("void", call="c3")["error"] == "undelivered"
    assert [f["call"] for f in journal_lines(home)] == ["c1", "c2", "c3"]
    peer.seen.clear()
    haste.end()
    peer.script = grant
    with Client(home) as other:
        other.status()
    assert [(f["op"], f.get("call")) for f in peer.seen] == [
        ("settle", "c1"), ("lose", "c2"), ("void", "c3"), ("status", None),
    ]  # fmt: skip
    assert list((home / "journal").iterdir()) == []


SICK = {"ok": False, "error": "ledger", "message": "the disk is full"}


def test_an_ending_that_a_sick_ledger_refuses_is_sent_again(home: Path, peer: Peer) -> None:
    peer.script = then_granting(SICK, SICK)
    with Client(home) as client:
        assert client.settle("c1", {"input": 1})["ok"]
        assert client.request("reserve", call="c2")["ok"]
        peer.script = then_granting(SICK)
        assert client.request("reserve", call="c3")["error"] == "ledger"  # not sent again
    assert journal_lines(home) == []


def test_an_ending_that_a_sick_ledger_does_not_take_is_kept_and_sent_by_the_same_client(
    home: Path, peer: Peer, haste: Haste
) -> None:
    peer.script = lambda frame: SICK
    with Client(home) as client:
        assert client.settle("c1", {"input": 1})["error"] == "undelivered"
        assert [f["call"] for f in journal_lines(home)] == ["c1"]
        haste.end()
        peer.script = grant
        client.status()
    assert [f["op"] for f in peer.seen[-2:]] == ["settle", "status"]
    assert journal_lines(home) == []


@pytest.mark.usefixtures("haste")
def test_an_ending_is_neither_delivered_nor_kept_only_with_an_error(home: Path, peer: Peer) -> None:
    peer.script = lambda frame: HANG_UP
    (home / "journal").write_text("a file where the folder should be")
    with Client(home) as client, pytest.raises(DaemonUnavailable, match="neither"):
        client.settle("c1", {})


def test_a_top_up_is_never_sent_twice(home: Path, peer: Peer) -> None:
    peer.script = lambda frame: HANG_UP if frame["op"] == "budget.topup" else grant(frame)
    with Client(home) as client:
        client.status()
        with pytest.raises(DaemonUnavailable, match="not known whether"):
            client.budget_topup(scope="customer=a", per="month", amount=5)
    assert peer.ops() == ["status", "budget.topup"]
    assert peer.connections == 2  # Not on one that may have died while idle.


def test_another_version_is_refused(home: Path, peer: Peer) -> None:
    peer.hello = {"ok": False, "error": "version", "message": "we speak 2"}
    with Client(home) as client, pytest.raises(FrameRefused) as caught:
        client.status()
    assert caught.value.why == "we speak 2"


def test_an_answer_to_something_else_is_refused_and_the_connection_dropped(
    home: Path, peer: Peer
) -> None:
    peer.script = lambda frame: {**grant(frame), "n": 999}
    with Client(home) as client:
        with pytest.raises(FrameRefused):
            client.status()
        peer.wait_until(lambda: peer.open_count() == 0)


def test_threads_share_connections_and_never_a_reply(home: Path, peer: Peer) -> None:
    peer.script = lambda frame: {"ok": True, "call": frame["call"]}
    ids = [new_call_id() for _ in range(400)]
    with Client(home) as client, ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda call: client.reserve({"call": call}), ids))
    assert [reply["call"] for reply in replies] == ids
    assert 1 <= peer.connections <= 8


def test_a_settle_does_not_stand_behind_a_waiting_reserve(home: Path, peer: Peer) -> None:
    freed = threading.Event()

    def script(frame: Frame) -> Frame:
        if frame["op"] == "reserve":
            assert freed.wait(60)
        freed.set()
        return grant(frame)

    peer.script = script
    with Client(home) as client, ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(client.reserve, {"call": "c2", "wait_ms": 60_000})
        peer.wait_until(lambda: len(peer.seen) == 1)
        client.settle("c1", {"input": 1})
        assert waiting.result()["ok"]


@FORKING
def test_a_child_uses_connections_of_its_own_and_leaves_ours_alone(home: Path, peer: Peer) -> None:
    with Client(home) as client:
        client.status()
        in_use = client._pool.take(client._open, fresh=True)  # As another thread would have it.
        inherited = {c.sock.fileno() for c in client._pool._open}
        assert in_use.sock.fileno() in inherited
        child = os.fork()
        if child == 0:
            try:
                closed = all(is_closed(file) for file in inherited)
                os._exit(0 if closed and client.status()["ok"] else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert peer.connections == 3
        assert client.status()["ok"]
        assert peer.connections == 3  # Ours still lives.


def is_closed(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:
        return True
    return False


def test_a_watcher_gets_events_until_the_connection_ends(home: Path) -> None:
    peer = Peer(home)
    peer.script = lambda frame: {"ok": True}
    client = Client(home, start_daemon=False)
    events = client.run_watch(run="r1")
    push(peer, {"event": "blocked", "run": "r1", "message": "m"})
    assert next(events)["message"] == "m"
    peer.close()
    with pytest.raises(DaemonUnavailable):
        next(events)
    client.close()


def test_closing_the_client_wakes_its_watcher(home: Path, peer: Peer) -> None:
    with Client(home) as client, ThreadPoolExecutor(1) as thread:
        events = client.run_watch(run="r1")
        watching = thread.submit(next, events)
        client.close()
        with pytest.raises(DaemonUnavailable):
            watching.result(60)


def push(peer: Peer, event: dict[str, Any]) -> None:
    (end,) = peer._open
    end.sendall(json.dumps(event).encode() + b"\n")


@FORKING
def test_call_ids_sort_by_time_and_are_unique_across_forks() -> None:
    ids = [new_call_id() for _ in range(2000)]
    assert len(set(ids)) == len(ids)
    assert all(len(i) <= 32 and set(i) <= set("0123456789abcdef-") for i in ids)
    assert [i[:11] for i in ids] == sorted(i[:11] for i in ids)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_call_id().encode())
        os._exit(0)
    ours = new_call_id()
    os.close(writer)
    with os.fdopen(reader) as stream:
        assert stream.read() != ours
    os.waitpid(child, 0)
