"""Where the programs run: a home with a daemon, and each program below `noburn run`."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import apsw

from noburn_cli.client import Client
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.demo.stub import BillingStub
from tests.compat.results import Sdk

#: What noburn itself may take, in seconds; a guard against hanging, not a measurement.
PATIENCE_S = 30.0
#: The variables that name a provider's base URL, and what they want behind the host.
BASE_URLS: Mapping[str, Mapping[str, str]] = {
    "openai": {"OPENAI_BASE_URL": "/v1", "OPENAI_API_BASE": "/v1"},
    "anthropic": {"ANTHROPIC_BASE_URL": ""},
    "google": {"GOOGLE_GEMINI_BASE_URL": ""},
    "mistral": {"MISTRAL_API_BASE": "/mistral/v1"},
    "groq": {"GROQ_BASE_URL": "/groq"},
    "cohere": {"CO_API_URL": ""},
    "bedrock": {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": ""},
}


class World:
    """A home with a daemon; the waiting cells of all programs take turns."""

    def __init__(self, home: Path, environment: Mapping[str, str], book: PriceBook) -> None:
        self.home = home
        self.environment = environment
        self.book = book
        self.client = Client(home)
        self.turn = threading.Lock()

    def calls(self, customer: str) -> list[dict[str, Any]]:
        columns = "state, cost_nano, hold_nano, clamped, waited_ms, detail"
        path = str(self.home / "ledger.sqlite3")
        connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(5000)
            sql = f"SELECT {columns} FROM calls WHERE customer = ? ORDER BY call"
            rows = list(connection.execute(sql, (customer,)))
        finally:
            connection.close()
        return [dict(zip(columns.split(", "), row, strict=True)) for row in rows]

    def ended_calls(self, customer: str) -> list[dict[str, Any]]:
        """The customer's calls as soon as nothing of it is held any more."""
        calls: list[dict[str, Any]] = []

        def ended() -> bool:
            calls[:] = self.calls(customer)
            return all(call["state"] != "held" for call in calls)

        wait_until(ended, step_s=0.1)
        return calls

    def limit(self, customer: str, nano: int) -> None:
        self.client.budget_set(
            scope=f"customer={customer}", per="total", limit={"unit": "dollars", "amount": nano}
        )


def wait_until(
    holds: Callable[[], bool], within_s: float = PATIENCE_S, step_s: float = 0.02
) -> bool:
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(step_s)
    return True


class Program:
    """The guest's process: orders in, results out."""

    def __init__(self, world: World, sdk: Sdk, stub: BillingStub) -> None:
        environment = {
            **world.environment,
            "STUB_URL": stub.url,
            **{name: stub.url + path for api in sdk.apis for name, path in BASE_URLS[api].items()},
        }
        noburn = [sys.executable, "-m", "noburn_cli", "run", "--lower-caps", "--floor", "16"]
        self._told = ""
        self._process = subprocess.Popen(
            [*noburn, "--", *sdk.command],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._readers = [
            threading.Thread(target=reader, daemon=True)
            for reader in (self._read, self._read_errors)
        ]
        for reader in self._readers:
            reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._told = (self._told + line)[-2000:]

    def say(self, value: object) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(value) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise GuestEndedError(self._told) from error

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    @property
    def has_spoken(self) -> bool:
        return not self._lines.empty()

    def hear(self) -> dict[str, Any]:
        """The next line.  Raises GuestEndedError when there is none."""
        try:
            heard = self._lines.get(timeout=8 * PATIENCE_S)  # litellm takes its time to load
        except queue.Empty:
            raise GuestEndedError("it hangs") from None
        if heard is None:
            raise GuestEndedError(self._told)
        return heard

    def close(self) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.close()
            self._process.wait(PATIENCE_S)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        pipes = (self._process.stdout, self._process.stderr)
        for reader, pipe in zip(self._readers, pipes, strict=True):
            reader.join(PATIENCE_S)
            assert pipe is not None
            if not reader.is_alive():  # Otherwise somebody of the run is still writing.
                pipe.close()


class GuestEndedError(Exception):
    """The program under test has ended, with what it wrote to standard error."""
