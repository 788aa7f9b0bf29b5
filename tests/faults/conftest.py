"""A guarded program, a provider that bills, and a daemon that things happen to.

The program is this process: a real `requests` session behind the guard, which finds the daemon as
every program does.  The daemon is a real process; the provider keeps a bill of its own, so that a
test can say: nothing was sent.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
import pytest
import requests

import noburn_cli
from noburn_cli.client import Client, opening, retry
from noburn_cli.demo.stub import BillingStub
from noburn_cli.enforce import drivers
from noburn_cli.reports.verify import verify_ledger
from tests.daemon.parts import OPEN, ROOT, environment
from tests.warm import run_noburn

BODY = {
    "model": "gpt-6-luna",
    "messages": [{"role": "user", "content": "hi"}],
    "max_completion_tokens": 50,
}
LAUNCHER = Path(__file__).with_name("daemon_with_hands.py")
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or sys.platform != "linux", reason="mounts, or gives files away"
)


@dataclass
class Answer:
    """What the program got: the status, noburn's or the provider's error code, the message."""

    status: int
    code: str
    message: str

    @property
    def ok(self) -> bool:
        return self.status == 200


class Place:
    """One home, one program and one provider."""

    def __init__(self, home: Path, stub: BillingStub) -> None:
        self.home = home
        self.stub = stub
        self.ledger = home / "ledger.sqlite3"
        self.session = requests.Session()
        noburn_cli.wrap(self.session, api="openai", base_url=stub.url + "/v1")

    def ask(self) -> Answer:
        """One call of the program, guarded."""
        response = self.session.post(self.stub.url + "/v1/chat/completions", json=BODY, timeout=120)
        error = response.json().get("error") or {}
        return Answer(response.status_code, str(error.get("code", "")), error.get("message", ""))

    def refused(self) -> str:
        """One call that must not leave; what the program is told."""
        before = len(self.stub.requests)
        answer = self.ask()
        assert not answer.ok
        assert answer.code.startswith("noburn_"), answer
        assert len(self.stub.requests) == before, "the call left"
        return answer.message

    def noburn(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        home = {"NOBURN_HOME": str(self.home), "COLUMNS": "120"}
        return run_noburn(arguments, env={**environment(), **home})

    def daemon_pid(self) -> int:
        """The process that has the daemon's lock now."""
        return int((self.home / "daemon.lock").read_text())

    def signal_daemon(self, number: int) -> None:
        os.kill(self.daemon_pid(), number)

    def budget(self, nano: int, scope: str = "global", per: str = "total") -> None:
        with Client(self.home) as client:
            limit = {"unit": "dollars", "amount": nano}
            client.budget_set(scope=scope, per=per, limit=limit)

    def status(self) -> dict[str, Any]:
        with Client(self.home) as client:
            return client.status()

    def states(self) -> list[str]:
        return [state for (state,) in self._rows("SELECT state FROM calls ORDER BY call")]

    def charged_nano(self) -> int:
        return int(self._rows("SELECT coalesce(sum(cost_nano), 0) FROM calls")[0][0])

    def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        connection = apsw.Connection(str(self.ledger), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(5000)
            return list(connection.execute(sql))
        finally:
            connection.close()

    def billed_nano(self) -> int:
        assert self.stub.wait_idle()
        return sum(call.nano for call in self.stub.bill.calls)

    def check_nothing_lost(self) -> None:
        """The books are true, and equal to the provider's bill."""
        assert verify_ledger(self.ledger).holds
        assert self.charged_nano() == self.billed_nano()


@contextlib.contextmanager
def placed(patch: pytest.MonkeyPatch, home: Path) -> Iterator[Place]:
    for name in list(os.environ):
        if name.startswith(("NOBURN_", "OPENAI_", "ANTHROPIC_")):
            patch.delenv(name)
    patch.setenv("NOBURN_HOME", str(home))
    patch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'daemon'}")
    patch.setenv("NOBURN_WAIT_S", "1")
    drivers._clients.clear()
    with BillingStub(defaults={"x-stub-output-tokens": "40"}) as stub:
        place = Place(home, stub)
        try:
            yield place
        finally:
            place.session.close()
            for client in drivers._clients.values():
                client.close()
            drivers._clients.clear()
            while OPEN:
                OPEN.pop().close()
            end_daemon(home)


@contextlib.contextmanager
def impatience() -> Iterator[None]:
    """What does not answer is given up sooner than in life."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (retry, opening):
            patch.setattr(module, "REPLY_S", 1.5)
        patch.setattr(retry, "PATIENCE_S", 3.0)
        yield


def end_daemon(home: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        pid = int((home / "daemon.lock").read_text())
        if b"daemon" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGCONT)
            os.kill(pid, signal.SIGKILL)


def short_folder() -> Path:
    # A socket's path has a limit of some hundred characters, which pytest's folders exceed.
    return Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    home = short_folder()
    try:
        with placed(monkeypatch, home) as made:
            yield made
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def small_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A home on a disk of its own of 4 MB."""
    home = short_folder()
    options = ["-t", "tmpfs", "-o", "size=4m,mode=700"]
    done = subprocess.run(["mount", *options, "tmpfs", str(home)], capture_output=True, check=False)
    if done.returncode != 0:
        home.rmdir()
        pytest.skip("mounting is not permitted here")
    try:
        with placed(monkeypatch, home) as made:
            yield made
    finally:
        subprocess.run(["umount", "-l", str(home)], check=False)
        shutil.rmtree(home, ignore_errors=True)
