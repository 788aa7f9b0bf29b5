"""The daemon's end: told to leave, it answers, keeps what is held, and goes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from pathlib import Path

from noburn_daemon.clock import Clock, boot_id, wall_ms
from noburn_daemon.peer import PeerConnection
from noburn_daemon.pricefile import PriceFile
from noburn_daemon.pricing import Pricing
from noburn_daemon.server import Daemon
from noburn_daemon.sqlite import SqliteLedger
from tests.daemon.parts import Caller, daemon, eventually, reserve_frame

#: A reserve of parts.reserve_frame holds 100 × $0.1/M + 1000 × $0.5/M.
HOLD = 510_000


def test_a_drain_with_calls_in_flight_and_waiters_loses_nothing() -> None:
    """Goal: systemd's stop, twice, is no loss: who waits is told, what is held stays held."""
    with daemon() as running:
        caller, waiting = Caller(running.home), Caller(running.home)
        caller.budget("global", HOLD)
        assert caller.reserve("h1")["ok"]
        waiting.send(**reserve_frame("w1", n=7, wait_ms=60_000))
        eventually(lambda: caller.ask(n=1, op="status")["waiters"] == 1, "it waits")
        # One that has sent and does not read must not keep the daemon.
        deaf = Caller(running.home)
        for n in range(200):
            deaf.send(n=n, op="budget.list")
        assert running.process is not None
        for _ in range(2):
            running.process.send_signal(signal.SIGTERM)
        told = waiting.hear()
        assert (told["n"], told["error"]) == (7, "draining")
        assert running.finish() == 0
        assert not (running.home / "daemon.sock").exists()
        running.start()
        again = Caller(running.home)
        assert again.ask(n=1, op="status")["open_holds"] == 1
        assert again.reserve("w1")["error"] == "blocked"
        assert again.settle("h1")["state"] == "settled"
        assert "left" in (running.home / "daemon.log").read_text()


def test_what_is_sent_while_it_leaves_is_committed_or_unanswered() -> None:
    """Goal: whatever was answered before the end is there after it."""
    with daemon() as running:
        caller = Caller(running.home)
        for number in range(300):
            with contextlib.suppress(BrokenPipeError):
                caller.send(**reserve_frame(f"s{number}", n=number))
            if number == 100:
                assert running.process is not None
                os.kill(running.process.pid, signal.SIGTERM)
        granted = set()
        try:
            while True:
                reply = caller.hear()
                if reply.get("ok"):
                    granted.add(reply["call"])
                else:
                    assert reply["error"] == "draining"
        except (EOFError, ConnectionResetError, BrokenPipeError):
            pass
        assert running.finish() == 0
        running.start()
        again = Caller(running.home)
        held = again.ask(n=1, op="status")["open_holds"]
        assert held >= len(granted)
        for call in granted:
            assert again.ask(n=1, op="void", call=call)["state"] == "voided"


def test_who_comes_after_the_end_is_left_to_the_next_daemon(tmp_path: Path) -> None:
    """A connection taken between the drain and the listener's close: a key would be unknown."""

    async def told() -> bytes:
        loop = asyncio.get_running_loop()
        leaving = Daemon(
            ledger=ledger, pricing=Pricing(prices.read(), ledger.book_texts), prices=prices,
            clock=Clock(kept={}, last_ms=0, boot=boot_id()), idle_exit_s=60, loop=loop,
        )  # fmt: skip
        leaving.drain()
        ours, theirs = socket.socketpair()
        with ours:
            ours.setblocking(False)
            await loop.sock_sendall(ours, b'{"n":1,"op":"hello","v":1,"client":"test"}\n')
            await loop.connect_accepted_socket(lambda: PeerConnection(leaving), theirs)
            with contextlib.suppress(ConnectionResetError):  # what it sent was not even read
                return await loop.sock_recv(ours, 100)
            return b""

    prices = PriceFile(dict(os.environ))
    ledger = SqliteLedger(tmp_path / "ledger.sqlite3", durability="process", now_ms=wall_ms())
    try:
        assert asyncio.run(told()) == b""
    finally:
        ledger.close()
