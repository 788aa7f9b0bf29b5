"""A home with a daemon of its own, a provider that bills, and the process's clients made anew."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from noburn_cli.client import Client
from noburn_cli.demo.stub import BillingStub
from noburn_cli.enforce import drivers

REPOSITORY = Path(__file__).parents[2]


class Home:
    """One NOBURN_HOME: the daemon starts on the first call, as it does for everybody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = Client(folder)

    def calls(self, columns: str = "state") -> list[tuple[Any, ...]]:
        """The ledger's calls in the order of their reservation."""
        connection = apsw.Connection(
            str(self.folder / "ledger.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY
        )
        try:
            connection.set_busy_timeout(5000)
            return list(connection.execute(f"SELECT {columns} FROM calls ORDER BY call"))
        finally:
            connection.close()

    def states(self) -> list[str]:
        return [state for (state,) in self.calls()]

    def cost_nano(self) -> int:
        return sum(cost or 0 for (cost,) in self.calls("cost_nano"))

    def limit(self, scope: str, nano: int) -> None:
        self.client.budget_set(scope=scope, per="total", limit={"unit": "dollars", "amount": nano})


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    # A socket's path has a limit of some hundred characters, which pytest's folders exceed.
    folder = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "NOBURN_RUN", "NOBURN_GUARD"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NOBURN_HOME", str(folder))
    monkeypatch.setenv("NOBURN_DAEMON", f'["{sys.executable}", "-m", "noburn_daemon"]')
    monkeypatch.setenv("PYTHONPATH", f"{REPOSITORY}:{REPOSITORY / 'daemon'}")
    monkeypatch.setenv("NOBURN_WAIT_S", "5")
    drivers._clients.clear()
    made = Home(folder)
    yield made
    drivers._clients.clear()
    made.client.shutdown()
    made.client.close()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stub() -> Iterator[BillingStub]:
    with BillingStub(defaults={"x-stub-output-tokens": "40"}) as running:
        yield running
