"""A home for the daemon, a provider that bills, and `noburn run` over both."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

REPOSITORY = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"


class Provider:
    """The billing stub as a process; `bill()` waits until nothing is being answered."""

    def __init__(self, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "noburn_cli.demo.stub", "--print-url", *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()

    def bill(self) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while True:
            with urllib.request.urlopen(f"{self.url}/stub/bill", timeout=30) as answer:
                state: dict[str, Any] = json.load(answer)
            if state["in_flight"] == 0 or time.monotonic() > deadline:
                return state
            time.sleep(0.05)

    def close(self) -> None:
        """End it; a test may have done so already."""
        if self._process.returncode is None:
            self._process.terminate()
            self._process.communicate()


class World:
    """One NOBURN_HOME, and commands run in it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ledger = home / "ledger.sqlite3"
        self.environment = {
            **{
                k: v
                for k, v in os.environ.items()
                if not k.startswith(("NOBURN_", "OPENAI", "ANTH"))
            },
            "NOBURN_HOME": str(home),
            "OPENAI_API_KEY": "test",
            "ANTHROPIC_API_KEY": "test",
            "COLUMNS": "100",
        }

    def provider(self, *arguments: str) -> Provider:
        provider = Provider(*arguments)
        self.environment["OPENAI_BASE_URL"] = f"{provider.url}/v1"
        self.environment["ANTHROPIC_BASE_URL"] = provider.url
        return provider

    def noburn(self, *arguments: str, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "noburn_cli", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "noburn_cli", *arguments],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        connection = apsw.Connection(str(self.ledger), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(5000)
            return list(connection.execute(sql, values))
        finally:
            connection.close()

    def daemon_pid(self) -> int:
        """The running daemon's process; waits for one, for it may just be starting."""
        deadline = time.monotonic() + 60
        while True:
            done = self.noburn("daemon", "status", "--json")
            if done.returncode == 0:
                return int(json.loads(done.stdout)["data"]["pid"])
            assert time.monotonic() < deadline, done.stderr
            time.sleep(0.1)


@pytest.fixture
def world() -> Iterator[World]:
    # A socket's path has a limit of some hundred characters, which pytest's folders exceed.
    home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    made = World(home)
    yield made
    made.noburn("daemon", "stop")
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def provider(world: World) -> Iterator[Provider]:
    made = world.provider("--default", "x-stub-delay-ms=5")
    yield made
    made.close()


def run_program(name: str, *arguments: str) -> Sequence[str]:
    """The command for one of the programs beside the tests."""
    return [sys.executable, str(PROGRAMS / name), *arguments]
