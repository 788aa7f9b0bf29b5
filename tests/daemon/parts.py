"""Parts that the daemon's tests share: a book over a real file, a real daemon, a caller."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from noburn_daemon import frames
from noburn_daemon.book import Book
from noburn_daemon.pricing import Pricing
from noburn_daemon.restore import restore, take_snapshot
from noburn_daemon.sqlite import SqliteLedger

ROOT = Path(__file__).resolve().parents[2]
MODEL = "gpt-6-luna"
START_MS = 1_795_476_000_000


@cache
def price_book() -> PriceBook:
    return PriceBook.from_texts([resources.shipped_prices()])


def open_book(path: Path, now_ms: int = START_MS) -> tuple[Book, SqliteLedger]:
    """A book restored from a file, new or not."""
    ledger = SqliteLedger(path, now_ms=now_ms)
    ledger.store_book(price_book().version, list(price_book().texts))
    return restore(ledger, Pricing(price_book(), ledger.book_texts), now_ms), ledger


def commit(book: Book, ledger: SqliteLedger, *, snapshot: bool) -> None:
    events, book.events = book.events, []
    ledger.append(events, take_snapshot(book) if snapshot else None)


def reserve_frame(call: str, n: int = 1, **changes: Any) -> dict[str, Any]:
    frame: dict[str, Any] = {
        "n": n, "op": "reserve", "call": call, "api": "openai_chat", "model": MODEL,
        "attrs": {"customer": "acme"},
        "input": {"bytes": 100, "expanded": 100, "overhead": 0},
        "output": {"wanted": 1000, "floor": 1, "choices": 1, "clamp": False},
        "refined": True,
    }  # fmt: skip
    return {**frame, **changes}


def read(frame: dict[str, Any]) -> Any:
    return frames.decode(json.dumps(frame).encode())


def balances(book: Book) -> dict[str, tuple[int, int, int, int]]:
    """Account name and window to (settled, held, in flight, topup); empty ones left out."""
    return {
        f"{a.name} @{a.start_ms}": (a.settled, a.held, a.in_flight, a.topup)
        for a in book.accounts.all()
        if a.settled or a.held or a.in_flight or a.topup
    }


def shown(reply: Any) -> dict[str, Any]:
    return reply if isinstance(reply, dict) else msgspec.to_builtins(reply)


OPEN: list[Caller] = []
#: A bound against hanging, in seconds: no part of what is tested, so generous.
PATIENCE_S = 60


class Caller:
    """One connection, frame by frame."""

    def __init__(self, home: Path, *, hello: bool = True) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(str(home / "daemon.sock"))
        except OSError:
            self.socket.close()
            raise
        self._file = self.socket.makefile("rb")
        OPEN.append(self)
        if hello:
            assert self.ask(n=0, op="hello", v=1, client="test")["ok"]

    def send(self, **frame: Any) -> None:
        self.socket.sendall(json.dumps(frame).encode() + b"\n")

    def hear(self) -> dict[str, Any]:
        line = self._file.readline()
        if not line:
            raise EOFError
        return json.loads(line)

    def ask(self, **frame: Any) -> dict[str, Any]:
        self.send(**frame)
        return self.hear()

    def reserve(self, call: str, **changes: Any) -> dict[str, Any]:
        return self.ask(**reserve_frame(call, **changes))

    def settle(self, call: str, output: int = 10, **more: Any) -> dict[str, Any]:
        return self.ask(n=1, op="settle", call=call, usage={"input": 10, "output": output}, **more)

    def budget(self, scope: str, amount: int, per: str = "total", unit: str = "dollars") -> Any:
        limit = {"unit": unit, "amount": amount}
        return self.ask(n=1, op="budget.set", scope=scope, per=per, limit=limit)

    def account(self, name: str) -> dict[str, Any]:
        for budget in self.ask(n=1, op="budget.list")["budgets"]:
            for account in budget["accounts"]:
                if account["name"] == name:
                    return account
        raise KeyError(name)

    def close(self) -> None:
        self._file.close()
        self.socket.close()


def environment() -> dict[str, str]:
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("NOBURN")}
    daemon = os.environ.get("NOBURN_TEST_DAEMON", str(ROOT / "daemon"))  # a compiled one
    return {**inherited, "PYTHONPATH": f"{ROOT}{os.pathsep}{daemon}"}


class Running:
    """A real daemon process in a folder of its own."""

    def __init__(
        self, home: Path, *options: str, variables: dict[str, str] | None = None,
        program: Sequence[str] = ("-m", "noburn_daemon"),
    ) -> None:  # fmt: skip
        self.home = home
        self.program = program
        self.variables = variables or {}
        self.options = options
        self.process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Start it, and wait for nothing."""
        with contextlib.suppress(FileNotFoundError):
            (self.home / "daemon.sock").unlink()
        self.process = subprocess.Popen(
            [sys.executable, *self.program, "--home", str(self.home), *self.options],
            env={**environment(), **self.variables}, stderr=subprocess.PIPE,
        )  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.launch()
        assert self.process is not None
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                Caller(self.home, hello=False).close()
                return
            if self.process.poll() is not None:
                raise AssertionError(self.process.stderr.read().decode())  # type: ignore[union-attr]
            time.sleep(0.02)
        raise AssertionError("the daemon did not start")

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.finish()

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
        return self.finish()

    def finish(self) -> int:
        assert self.process is not None
        code = self.process.wait(PATIENCE_S)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code


@contextlib.contextmanager
def daemon(*options: str, **more: Any) -> Iterator[Running]:
    home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    running = Running(home, *options, **more)
    try:
        running.start()
        yield running
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        shutil.rmtree(home, ignore_errors=True)


def eventually(condition: Any, what: str) -> Any:
    """Wait until something is so; a bound only against hanging."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)
    return found
