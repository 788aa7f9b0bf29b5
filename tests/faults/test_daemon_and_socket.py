"""The daemon is absent, dead, hung or slow; its socket is stale, somebody else's, or none."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.daemon.parts import eventually
from tests.faults.conftest import Place, impatience, needs_root

NOBODY = 65_534


def test_a_daemon_that_is_not_there_is_started(place: Place) -> None:
    assert place.ask().ok
    assert place.states() == ["settled"]


def test_without_a_daemon_that_starts_no_call_leaves(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOBURN_DAEMON", '["/bin/false"]')
    message = place.refused()
    assert "could not be started" in message
    assert "daemon.log" in message
    monkeypatch.delenv("NOBURN_DAEMON")
    assert place.ask().ok
    place.check_nothing_lost()


@contextmanager
def while_a_call_is_out(place: Place, number: int) -> Iterator[None]:
    """The next call has its answer when the daemon has been signalled after it had left."""
    asked = len(place.stub.requests)

    def signal_then_answer() -> None:
        try:
            eventually(lambda: len(place.stub.requests) > asked, "the call has left")
            place.signal_daemon(number)
        finally:
            place.stub.hurry.set()

    place.stub.defaults["x-stub-delay-ms"] = "600000"
    thread = threading.Thread(target=signal_then_answer)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        place.stub.hurry.clear()
        place.stub.defaults.pop("x-stub-delay-ms")


def test_a_daemon_killed_while_a_call_is_out_is_started_again_and_books_it(place: Place) -> None:
    assert place.ask().ok
    with while_a_call_is_out(place, signal.SIGKILL):
        assert place.ask().ok
    assert place.states() == ["settled", "settled"]
    place.check_nothing_lost()


def test_a_hung_daemon_lets_no_call_out(place: Place) -> None:
    assert place.ask().ok
    place.signal_daemon(signal.SIGSTOP)
    with impatience():
        assert "did not answer" in place.refused()
    place.signal_daemon(signal.SIGCONT)
    assert place.ask().ok
    eventually(lambda: place.status()["open_holds"] == 0, "what was given up holds nothing")
    assert sorted(place.states()) in (["settled", "settled"], ["settled", "settled", "voided"])
    place.check_nothing_lost()


def test_a_daemon_that_hangs_at_the_settlement_keeps_no_answer_back(place: Place) -> None:
    """The program gets what it paid for; the settlement waits in the client's journal."""
    assert place.ask().ok
    with while_a_call_is_out(place, signal.SIGSTOP), impatience():
        assert place.ask().ok
    assert list((place.home / "journal").glob("*.jsonl"))
    place.signal_daemon(signal.SIGCONT)
    assert place.ask().ok
    eventually(lambda: place.states() == ["settled"] * 3, "all is settled")
    assert not list((place.home / "journal").glob("*.jsonl"))
    place.check_nothing_lost()


def test_a_slow_daemon_delays_calls_and_refuses_none(place: Place) -> None:
    assert place.ask().ok
    place.signal_daemon(signal.SIGSTOP)
    waker = threading.Timer(0.5, place.signal_daemon, [signal.SIGCONT])
    waker.start()
    assert place.ask().ok
    waker.join()
    place.check_nothing_lost()


def test_a_stale_socket_is_replaced(place: Place) -> None:
    assert place.ask().ok
    before = place.daemon_pid()
    place.signal_daemon(signal.SIGKILL)
    eventually(lambda: not _answers(place), "nobody listens any more")
    assert (place.home / "daemon.sock").is_socket()
    assert place.ask().ok
    assert place.daemon_pid() != before
    place.check_nothing_lost()


@contextmanager
def impostor(place: Place, answer: bytes) -> Iterator[None]:
    """Somebody else listens at the daemon's place, and answers every hello with the same bytes."""
    path = place.home / "daemon.sock"
    path.rename(place.home / "aside.sock")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
        (place.home / "aside.sock").rename(path)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not JSON"),
        (b'{"n":1,"ok":true,"v":99}\n', "another version"),
        (b'{"n":77,"ok":true,"v":1}\n', "not asked"),
        (b'{"n":1,"ok"', "did not answer"),
    ],
    ids=["http", "version", "number", "half"],
)
def test_a_stranger_at_the_sockets_place_lets_no_call_out(
    place: Place, answer: bytes, told: str
) -> None:
    place.budget(10**12)
    with impostor(place, answer), impatience():
        assert told in place.refused()
    assert place.ask().ok
    place.check_nothing_lost()


def test_a_file_at_the_sockets_place_is_replaced(place: Place) -> None:
    """Nobody can listen on it; a daemon that starts puts its socket there."""
    place.home.joinpath("daemon.sock").write_text("not a socket")
    assert place.ask().ok


@needs_root
def test_a_socket_of_another_owner_is_not_spoken_to(place: Place) -> None:
    place.budget(10**12)
    path = place.home / "daemon.sock"
    os.chown(path, NOBODY, NOBODY)
    assert "belongs to another user" in place.refused()
    os.chown(path, os.geteuid(), os.getegid())
    assert place.ask().ok
    place.check_nothing_lost()


@needs_root
def test_a_home_of_another_owner_is_not_used(place: Place) -> None:
    os.chown(place.home, NOBODY, NOBODY)
    assert "belongs to another user" in place.refused()
    os.chown(place.home, os.geteuid(), os.getegid())
    assert place.ask().ok


def _answers(place: Place) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(place.home / "daemon.sock"))
        except ConnectionRefusedError:
            return False
    time.sleep(0.01)
    return True
