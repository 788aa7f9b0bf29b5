"""Frames that no client of ours sends, to a real daemon: told what is wrong, or cut off, never both
wrong and granted."""

from __future__ import annotations

import json
import resource
import socket
from collections.abc import Iterator

import pytest

from noburn_cli import protocol
from tests.daemon.parts import OPEN, Caller, Running, daemon, eventually, reserve_frame

NUMBERS = [
    "9223372036854775808", "-1", "1.5", "true", '"7"', "1e400", "NaN", "null", "[]", "1" * 400,
]  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with daemon() as started:
        yield started


@pytest.fixture
def caller(running: Running) -> Caller:
    return Caller(running.home)


def raw(caller: Caller, line: bytes) -> dict[str, object]:
    caller.socket.sendall(line)
    return caller.hear()


def with_input(number: str) -> bytes:
    line = json.dumps(reserve_frame("n1")).replace('"bytes": 100', f'"bytes": {number}')
    assert number in line
    return line.encode() + b"\n"


@pytest.mark.parametrize("number", NUMBERS)
def test_counts_that_are_none_are_told(caller: Caller, number: str) -> None:
    reply = raw(caller, with_input(number))
    assert (reply["n"], reply["error"]) == (1, "bad_frame")
    assert caller.ask(n=2, op="status")["open_holds"] == 0


@pytest.mark.parametrize("where", ["model", "call", "attrs", "texts", "reason"])
def test_a_lone_surrogate_is_told_and_the_connection_stays(caller: Caller, where: str) -> None:
    """JSON can carry what UTF-8 cannot."""
    frame = reserve_frame("s1")
    if where == "attrs":
        frame["attrs"] = {"customer": "a\ud800"}
    elif where == "texts":
        frame["texts"] = {"texts": ["a\udc00"], "schema": ""}
    elif where == "reason":
        frame = {"n": 1, "op": "void", "call": "x", "reason": "\ud800"}
    else:
        frame[where] = "a\ud800b"
    reply = raw(caller, json.dumps(frame).encode() + b"\n")
    assert (reply["n"], reply["error"]) == (1, "bad_frame")
    assert caller.ask(n=2, op="status")["open_holds"] == 0


def test_lines_may_end_like_in_windows_and_keys_may_come_twice(caller: Caller) -> None:
    assert raw(caller, b'{"n":1,"op":"status"}\r\n')["ok"]
    line = json.dumps(reserve_frame("d1"))[:-1] + ',"wait_ms":1,"wait_ms":0,"n":9}\n'
    assert raw(caller, line.encode())["n"] == 9  # as in every JSON reader: the last one counts
    assert caller.ask(n=1, op="void", call="d1")["state"] == "voided"


def test_deep_nesting_ends_only_its_own_connection(running: Running, caller: Caller) -> None:
    for deep in (b"[" * 200_000 + b"\n", b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"\n"):
        other = Caller(running.home)
        assert raw(other, deep)["error"] == "bad_frame"
    assert caller.ask(n=1, op="status")["ok"]


def test_a_frame_of_exactly_the_limit_is_read(running: Running, caller: Caller) -> None:
    start = b'{"n":1,"op":"status"'
    padding = protocol.FRAME_BYTES_MAX - len(start) - 1
    assert raw(caller, start + b" " * padding + b"}\n")["ok"]
    caller.socket.sendall(start + b" " * (padding + 1) + b"}\n")
    assert caller.hear()["error"] == "bad_frame"
    with pytest.raises((EOFError, ConnectionResetError)):
        caller.hear()


def test_a_part_of_a_frame_at_the_end_does_nothing(running: Running, caller: Caller) -> None:
    other = Caller(running.home)
    other.socket.sendall(json.dumps(reserve_frame("p1")).encode())  # no LF
    other.socket.shutdown(socket.SHUT_WR)
    eventually(lambda: caller.ask(n=1, op="status")["connections"] == 1, "the other is gone")
    assert caller.ask(n=1, op="status")["open_holds"] == 0


def test_one_id_several_times_in_one_turn(caller: Caller) -> None:
    """Reserved twice, settled before the reply is read, voided, settled otherwise."""
    frames = [
        reserve_frame("m1", n=1),
        reserve_frame("m1", n=2),
        {"n": 3, "op": "settle", "call": "m1", "usage": {"input": 10, "output": 10}},
        {"n": 4, "op": "void", "call": "m1"},
        {"n": 5, "op": "settle", "call": "m1", "usage": {"input": 10, "output": 11}},
        {"n": 6, "op": "lose", "call": "m1"},
        reserve_frame("m1", n=7),
        {"n": 8, "op": "settle", "call": "m1", "usage": {"input": 10, "output": 10}},
    ]
    caller.socket.sendall(b"".join(json.dumps(frame).encode() + b"\n" for frame in frames))
    replies = {reply["n"]: reply for reply in (caller.hear() for _ in frames)}
    assert {**replies[1], "n": 2} == replies[2]
    assert replies[3]["state"] == "settled"
    assert [replies[n]["error"] for n in (4, 5, 6, 7)] == ["closed", "conflict", "closed", "closed"]
    assert {**replies[3], "n": 8} == replies[8]


def test_a_peer_that_does_not_read_is_not_read_from(running: Running, caller: Caller) -> None:
    flood = Caller(running.home)
    flood.socket.settimeout(1)
    with pytest.raises((TimeoutError, ConnectionError)):
        flood.socket.sendall(b'{"n":1,"op":"budget.list"}\n' * 1_000_000)
    assert caller.ask(n=1, op="status")["ok"]


def test_a_void_overtakes_a_reserve_whose_text_is_being_counted(
    running: Running, caller: Caller
) -> None:
    """In one turn, and by a connection that ends meanwhile: nothing is held afterwards."""
    texts = {"texts": ["word " * 100_000], "schema": ""}
    frames = [reserve_frame("t1", texts=texts), {"n": 2, "op": "void", "call": "t1"}]
    caller.socket.sendall(b"".join(json.dumps(frame).encode() + b"\n" for frame in frames))
    replies = {reply["n"]: reply for reply in (caller.hear(), caller.hear())}
    assert replies[1]["error"] == "closed"
    assert replies[2]["state"] == "voided"
    gone = Caller(running.home)
    gone.send(**reserve_frame("t2", texts=texts))
    gone.close()
    assert caller.ask(**reserve_frame("t3", texts={"texts": ["a"], "schema": ""}))["ok"]
    status = caller.ask(n=1, op="status")
    assert (status["open_holds"], status["connections"]) == (1, 1)
    assert caller.ask(n=1, op="void", call="t3")["state"] == "voided"


def test_there_are_descriptors_for_all_connections_that_are_allowed() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        with daemon() as started:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            callers = [Caller(started.home) for _ in range(300)]
            assert callers[-1].ask(n=1, op="status")["connections"] == 300
            while OPEN:
                OPEN.pop().close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
