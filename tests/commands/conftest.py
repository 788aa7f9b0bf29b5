"""A home with a real daemon in it, commands run as a person runs them, and calls to look at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.client import Client
from tests.warm import run_noburn

#: A sane terminal width, and none of the person's own settings.
_FOREIGN = ("NOBURN_", "OPENAI_", "ANTHROPIC_")
_ORPHAN = """
import json, sys
from pathlib import Path
from noburn_cli.client import Client
reply = Client(home=Path(sys.argv[1]), start_daemon=False).reserve(json.loads(sys.argv[2]))
assert reply["ok"], reply
"""


class Home:
    """One NOBURN_HOME."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = path / "ledger.sqlite3"
        kept = {k: v for k, v in os.environ.items() if not k.startswith(_FOREIGN)}
        self.environment = {**kept, "NOBURN_HOME": str(path), "COLUMNS": "100"}

    def noburn(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run `noburn …` to its end; `more` is added to its environment."""
        return run_noburn(arguments, env={**self.environment, **more})

    def said(self, *arguments: str) -> str:
        """The standard output of a command that must succeed."""
        done = self.noburn(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self) -> Client:
        """A client in this process, of a daemon that runs."""
        return Client(home=self.path, start_daemon=False)

    def orphan(self, call: str, **changes: Any) -> None:
        """Reserve in a process that ends without a word."""
        frame = json.dumps(reserve_frame(call, **changes))
        subprocess.run([sys.executable, "-c", _ORPHAN, str(self.path), frame], check=True)

    def stop(self) -> None:
        self.noburn("daemon", "stop")


def reserve_frame(
    call: str,
    *,
    model: str = "gpt-6-luna",
    wanted: int | None = 100,
    attrs: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """A reserve of 1,217 input tokens at most, as docs/protocol.md has it."""
    return {
        "call": call,
        "api": "openai_chat",
        "model": model,
        "attrs": dict({"customer": "acme", "feature": "chat"} if attrs is None else attrs),
        "input": {
            "bytes": 1200, "expanded": 1200, "overhead": 17, "tokens": 0, "window": False,
            "counted": None,
        },
        "input_kinds": ["input", "cache_read"],
        "variants": ["standard"],
        "output": {"wanted": wanted, "floor": 16, "choices": 1, "clamp": True},
        "wait_ms": 0,
        "texts": None,
        "refined": True,
    }  # fmt: skip


@pytest.fixture
def home() -> Iterator[Home]:
    """An empty home; its daemon, if one was started, is stopped."""
    path = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))  # A socket's path must be short.
    made = Home(path)
    yield made
    made.stop()
    shutil.rmtree(path, ignore_errors=True)


class Here(Home):
    """A home whose commands run in this process: fast, for commands that start none themselves."""

    def __init__(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(path)
        self._capsys = capsys

    def noburn(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        from noburn_cli.main import main

        self._capsys.readouterr()
        with pytest.MonkeyPatch.context() as patch:
            for name in [one for one in os.environ if one.startswith(_FOREIGN)]:
                patch.delenv(name)
            for name, value in {**self.environment, **more}.items():
                patch.setenv(name, value)
            code = main(arguments)
        said = self._capsys.readouterr()
        return subprocess.CompletedProcess(arguments, code, said.out, said.err)


@pytest.fixture
def here(home: Home, capsys: pytest.CaptureFixture[str]) -> Here:
    """The same home as `home`, with commands in this process."""
    return Here(home.path, capsys)


@pytest.fixture
def here_of(capsys: pytest.CaptureFixture[str]) -> Callable[[Home], Here]:
    """Any home with its commands in this process."""
    return lambda home: Here(home.path, capsys)


@pytest.fixture
def reserve() -> Any:
    """`reserve_frame`, for tests, which cannot import from here."""
    return reserve_frame


@pytest.fixture
def filled(home: Home) -> Home:
    """A home with one call of every state.

    gpt-6-luna costs $0.1 in, $0.01 cached and $0.5 out per million; a hold is $0.0001717.
    """
    home.said("budget", "set", "customer=*", "0.01", "--per", "month")
    home.orphan("c7")
    with home.client() as client:

        def held(call: str, **changes: Any) -> None:
            reply = client.reserve(reserve_frame(call, **changes))
            assert reply["ok"], reply

        held("c1", attrs={"customer": "acme", "feature": "chat", "tag.team": "x", "run": "r1/r2"})
        client.settle(
            "c1", {"input": 300, "cache_read": 100, "output": 55, "reasoning": 5},
            latency_ms=840, status=200, provider_id="chatcmpl-1",
        )  # fmt: skip
        held("c2", wanted=None)
        client.settle("c2", {"input": 300, "output": 400}, latency_ms=84, status=200)
        held("c3")
        client.lose("c3", reason="stream aborted", latency_ms=5, status=200)
        held("c4", attrs={"customer": "globex"})
        client.void("c4", reason="connection refused")
        blocked = client.reserve(
            {
                **reserve_frame("c5", model="gpt-6.1-sol", attrs={"customer": "globex"}),
                "output": {"wanted": 5000, "floor": 5000, "choices": 1, "clamp": False},
            }
        )
        assert blocked["error"] == "blocked", blocked
        client.refused(
            "c6", api="openai_chat", model="gpt-x", attrs={}, reason="audio has no bound"
        )
        _wait_for_orphan(home)
        held("c8")  # Its owner is this process, so it stays held.
    return home


def _wait_for_orphan(home: Home) -> None:
    """Until the daemon has noticed that a process is gone."""
    deadline = time.monotonic() + 60
    while "orphaned" not in home.said("report", "--by", "state"):
        assert time.monotonic() < deadline, "the orphan was never noticed"
        time.sleep(0.1)
