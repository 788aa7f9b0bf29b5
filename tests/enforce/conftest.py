"""A home with a daemon of its own, a provider that bills, and the process's clients made anew."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from noburn_cli.client import Client
from noburn_cli.demo.stub import BillingStub
from noburn_cli.enforce import drivers

REPOSITORY = Path(__file__).parents[2]
#: Longer than any test: a stub that waits so long goes on when it is told to hurry.
FOREVER_MS = "600000"


class Home:
    """One NOBURN_HOME: the daemon starts on the first call, as it does for everybody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = Client(folder)

    def calls(
        self, columns: str = "state", *, customer: str | None = None
    ) -> list[tuple[Any, ...]]:
        """The ledger's calls in the order of their reservation; one customer's, or all."""
        chosen = "WHERE customer = ?" if customer else ""
        connection = apsw.Connection(
            str(self.folder / "ledger.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY
        )
        try:
            connection.set_busy_timeout(5000)
            return list(
                connection.execute(
                    f"SELECT {columns} FROM calls {chosen} ORDER BY call",
                    (customer,) if customer else (),
                )
            )
        finally:
            connection.close()

    def kinds(self, call: str) -> list[str]:
        """The kinds of a call's rows in the journal, in order."""
        connection = apsw.Connection(
            str(self.folder / "ledger.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY
        )
        try:
            connection.set_busy_timeout(5000)
            sql = "SELECT kind FROM journal WHERE call = ? ORDER BY seq"
            return [kind for (kind,) in connection.execute(sql, (call,))]
        finally:
            connection.close()

    def states(self) -> list[str]:
        return [state for (state,) in self.calls()]

    def states_when_ended(self) -> list[str]:
        """The states as soon as nothing is held any more."""
        return _when_ended(self.states)

    def cost_nano(self) -> int:
        """What the calls cost as soon as nothing is held: an answer can be read before its
        settlement is acknowledged."""
        self.states_when_ended()
        return sum(cost or 0 for (cost,) in self.calls("cost_nano"))

    def limit(self, scope: str, nano: int) -> None:
        self.client.budget_set(scope=scope, per="total", limit={"unit": "dollars", "amount": nano})


class Desk:
    """One test's place in an office: a customer of its own, with calls, bill and limit."""

    def __init__(self, home: Home, stub: BillingStub) -> None:
        self.home = home
        self.stub = stub
        self.customer = f"c{secrets.token_hex(6)}"
        self._billed_before = len(stub.bill.calls)

    def calls(self, columns: str = "state") -> list[tuple[Any, ...]]:
        return self.home.calls(columns, customer=self.customer)

    def states(self) -> list[str]:
        return [state for (state,) in self.calls()]

    def states_when_ended(self) -> list[str]:
        """The states as soon as nothing is held any more."""
        return _when_ended(self.states)

    def cost_nano(self) -> int:
        """What the calls cost as soon as nothing is held: an answer can be read before its
        settlement is acknowledged."""
        self.states_when_ended()
        return sum(cost or 0 for (cost,) in self.calls("cost_nano"))

    def bill_nano(self) -> int:
        """What the stub has billed since the test began.

        What it has not answered yet has nobody who reads it: it is not waited for.
        """
        self.stub.hurry.set()
        assert self.stub.wait_idle()
        self.stub.hurry.clear()
        return sum(call.nano for call in self.stub.bill.calls[self._billed_before :])

    def limit(self, nano: int) -> None:
        self.home.limit(f"customer={self.customer}", nano)


def _when_ended(states: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + 60
    while "held" in (found := states()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def _environment(patch: pytest.MonkeyPatch, folder: Path) -> None:
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "NOBURN_RUN", "NOBURN_GUARD"):
        patch.delenv(name, raising=False)
    patch.setenv("NOBURN_HOME", str(folder))
    patch.setenv("NOBURN_DAEMON", f'["{sys.executable}", "-m", "noburn_daemon"]')
    patch.setenv("PYTHONPATH", f"{REPOSITORY}:{REPOSITORY / 'daemon'}")
    patch.setenv("NOBURN_WAIT_S", "60")


@contextlib.contextmanager
def _opened(patch: pytest.MonkeyPatch) -> Iterator[Home]:
    # A socket's path has a limit of some hundred characters, which pytest's folders exceed.
    folder = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    _environment(patch, folder)
    drivers._clients.clear()
    made = Home(folder)
    try:
        yield made
    finally:
        drivers._clients.clear()
        made.client.shutdown()
        made.client.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    with _opened(monkeypatch) as made:
        yield made


@pytest.fixture
def stub() -> Iterator[BillingStub]:
    with BillingStub(defaults={"x-stub-output-tokens": "40"}) as running:
        yield running


@pytest.fixture(scope="module")
def office() -> Iterator[tuple[Home, BillingStub]]:
    """A daemon and a provider for all tests of a module."""
    with pytest.MonkeyPatch.context() as patch, _opened(patch) as made, BillingStub() as running:
        yield made, running


@pytest.fixture
def desk(office: tuple[Home, BillingStub], monkeypatch: pytest.MonkeyPatch) -> Desk:
    made, running = office
    running.hurry.set()  # What the test before left unread is billed now, and not to this one.
    assert running.wait_idle()
    running.hurry.clear()
    running.requests.clear()
    running.defaults.clear()
    running.defaults.update({"x-stub-on-disconnect": "run_on", "x-stub-output-tokens": "40"})
    desk = Desk(made, running)
    monkeypatch.setenv("NOBURN_CUSTOMER", desk.customer)
    return desk
