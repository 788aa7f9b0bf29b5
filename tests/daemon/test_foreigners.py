"""A process that the daemon cannot see by a pid: held while it lives, orphaned when it ends."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noburn_daemon import foreigners
from tests.daemon.parts import OPEN, Caller, Running, environment, eventually
from tests.daemon.test_undelivered import kinds

_APART = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--kill-child"]
_CALLER = """
import json, sys
from pathlib import Path
from tests.daemon.parts import Caller
caller = None
for line in sys.stdin:
    asked = json.loads(line)
    if caller is None or asked.pop("anew", False):
        caller = Caller(Path(sys.argv[1]))
    print(json.dumps(caller.ask(**asked) if asked.get("op") else {}), flush=True)
"""


def can_unshare() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*_APART, "true"], capture_output=True, check=False).returncode == 0


class Apart(Running):
    """A daemon in a PID namespace of its own: nobody outside has a pid that it knows."""

    def start(self) -> None:
        command = [*_APART, sys.executable, "-m", "noburn_daemon", "--home", str(self.home)]
        (self.home / "daemon.sock").unlink(missing_ok=True)
        self.process = subprocess.Popen(command, env=environment(), stderr=subprocess.PIPE)
        eventually(self._answers, "the daemon answers")

    def _answers(self) -> bool:
        try:
            Caller(self.home, hello=False).close()
        except OSError:
            return False
        return True


class Client:
    """A process outside, which asks what it is told to."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CALLER, str(home)], env=environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip

    def ask(self, **frame: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(frame) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def reserve(self, call: str, **more: Any) -> None:
        from tests.daemon.parts import reserve_frame

        assert self.ask(**reserve_frame(call), **more)["ok"]

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def apart() -> Iterator[Apart]:
    if not can_unshare():
        pytest.skip("no namespaces for us here")
    home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    running = Apart(home)
    try:
        running.start()
        yield running
    finally:
        while OPEN:
            OPEN.pop().close()
        running.kill()
        shutil.rmtree(home, ignore_errors=True)


def test_a_process_of_another_namespace_is_known_by_itself(apart: Apart) -> None:
    """Not orphaned while it lives, across a restart of the daemon; orphaned when it ends."""
    lives, dies = Client(apart.home), Client(apart.home)
    try:
        lives.reserve("a1")
        dies.reserve("b1")
        dies.end()
        eventually(lambda: kinds(apart.home)["b1"] == ["reserve", "orphan"], "b1 is an orphan")
        assert kinds(apart.home)["a1"] == ["reserve"]
        apart.kill()
        apart.start()
        # It comes back under the same name; whoever died meanwhile has nothing to wait for.
        lives.reserve("a2", anew=True)
        other = Client(apart.home)
        other.reserve("c1")
        other.end()
        eventually(lambda: kinds(apart.home)["c1"] == ["reserve", "orphan"], "c1 is an orphan")
        assert (kinds(apart.home)["a1"], kinds(apart.home)["a2"]) == (["reserve"], ["reserve"])
        settle = {"n": 2, "op": "settle", "usage": {"input": 1, "output": 1}}
        assert lives.ask(**settle, call="a1")["state"] == "settled"
        lives.end()
        eventually(lambda: kinds(apart.home)["a2"] == ["reserve", "orphan"], "a2 is an orphan")
        assert kinds(apart.home)["a1"] == ["reserve", "settle"]
    finally:
        lives.end()
        dies.end()


def test_who_does_not_come_back_counts_as_gone() -> None:
    """After a restart of the daemon, and only then, for a while."""
    now = 1000.0
    known = foreigners.Foreigners("boot-id-of-today", clock=lambda: now)
    before = "boot-id-:ns.77:"
    assert foreigners.is_foreign(before)
    assert not foreigners.is_foreign(f"boot-id-:{os.getpid()}:12345")
    assert known.is_alive(before)
    assert not known.is_alive("other-bo:ns.77:")  # the machine was restarted: nobody lives
    now += foreigners.RETURN_S
    assert not known.is_alive(before)


def test_without_a_descriptor_a_connection_stands_for_its_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(foreigners, "peer_pidfd", lambda _connection: None)
    known = foreigners.Foreigners("boot-id-of-today")
    ours, theirs = socket.socketpair()
    with theirs:
        owner = known.owner_of(ours)
        assert (known.is_alive(owner), known.open_exit(owner)) == (True, None)
        ours.close()
        assert not known.is_alive(owner)
        assert not known.is_alive(owner)
