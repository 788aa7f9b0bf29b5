"""ensure_daemon with a small daemon of our own, started as the real one is."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from noburn_cli.client import Client, ensure_daemon, starting
from noburn_cli.errors import DaemonUnavailable
from tests.client.peer import Peer

#: Notes its start, listens, greets everybody, leaves on `shutdown`; ends after a minute by itself.
FAKE = """
import json, os, signal, socket, sys, threading
home = os.environ["NOBURN_HOME"]
signal.alarm(60)
with open(home + "/starts", "a") as starts:
    starts.write(json.dumps({
        "pid": os.getpid(), "session": os.getsid(0), "cwd": os.getcwd(),
        "guard": os.environ.get("NOBURN_GUARD"), "path": os.environ.get("PYTHONPATH"),
        "stdin": os.readlink("/proc/self/fd/0"), "stdout": os.readlink("/proc/self/fd/1"),
        "files": len(os.listdir("/proc/self/fd")),
    }) + "\\n")
listener = socket.socket(socket.AF_UNIX)
listener.bind(home + "/daemon.sock")
listener.listen(64)
def serve(end):
    for line in end.makefile("rb"):
        frame = json.loads(line)
        end.sendall(json.dumps({"n": frame["n"], "ok": True, "v": 1}).encode() + b"\\n")
        if frame["op"] == "shutdown":
            os.unlink(home + "/daemon.sock")
            os._exit(0)
while True:
    threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()
"""


@pytest.fixture
def fake(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home whose daemon is the fake; it is gone when the test ends."""
    script = home / "fake.py"
    script.write_text(FAKE)
    monkeypatch.setenv("NOBURN_DAEMON", json.dumps([sys.executable, "-S", str(script)]))
    yield home
    for start in starts(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(start["pid"], signal.SIGKILL)


def starts(home: Path) -> list[dict[str, object]]:
    file = home / "starts"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def test_the_daemon_is_started_and_greets(fake: Path) -> None:
    with Client(fake) as client:
        assert client.status()["ok"]
    assert len(starts(fake)) == 1


def children() -> set[int]:
    """The processes that this one has to wait for."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # It has ended.
            if int(stat.read_text().rpartition(")")[2].split()[1]) == os.getpid():
                found.add(int(stat.parent.name))
    return found


def test_it_is_detached_and_no_guest(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inject = str(starting._INJECT_FOLDER)
    monkeypatch.setenv("NOBURN_GUARD", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([inject, "relative", "/absolute"]))
    reader, writer = os.pipe()
    os.set_inheritable(writer, True)  # A pipe of ours that a child would get.
    before = children()
    ensure_daemon(fake)
    (start,) = starts(fake)
    os.close(writer)
    assert os.read(reader, 1) == b""  # Nobody else has it: the end of the pipe is seen.
    os.close(reader)
    assert start["session"] != os.getsid(0)
    assert start["cwd"] == "/"
    assert start["guard"] == "0"
    assert start["path"] == os.pathsep.join([str(Path("relative").absolute()), "/absolute"])
    assert start["stdin"] == "/dev/null"
    assert start["stdout"] == str(fake / "daemon.log")
    assert (fake / "daemon.log").stat().st_mode & 0o777 == 0o600
    assert children() == before  # No child of ours, so never a zombie of ours.


def test_a_home_is_made_for_its_owner_only(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = fake / "new"
    ensure_daemon(home)
    try:
        assert home.stat().st_mode & 0o777 == 0o700
    finally:
        with Client(home, start_daemon=False) as client:
            client.shutdown()


def test_eight_that_need_it_at_once_start_it_once(fake: Path) -> None:
    code = "from noburn_cli.client import Client; Client().status()"
    environment = {**os.environ, "NOBURN_HOME": str(fake), "PYTHONPATH": "."}
    racing = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(8)]
    assert [process.wait(60) for process in racing] == [0] * 8
    assert len(starts(fake)) == 1


def test_one_that_came_up_before_we_had_the_lock_is_not_started_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peers: list[Peer] = []
    try_lock = starting._try_lock

    def late_lock(lock: int) -> bool:
        peers.append(Peer(home))
        return try_lock(lock)

    monkeypatch.setattr(starting, "_try_lock", late_lock)
    monkeypatch.setenv("NOBURN_DAEMON", json.dumps(["/nowhere/must-not-be-started"]))
    ensure_daemon(home)
    assert not (home / "daemon.log").exists()  # Made for each start.
    (peer,) = peers
    peer.close()


def test_a_killed_daemon_is_started_again(fake: Path) -> None:
    with Client(fake) as client:
        client.status()
        os.kill(starts(fake)[0]["pid"], signal.SIGKILL)  # type: ignore[arg-type]
        (fake / "daemon.sock").unlink()  # The real one unlinks before it binds.
        assert client.reserve({"call": "c1"})["ok"]
    assert len(starts(fake)) == 2


def test_a_daemon_that_ends_at_once_is_told_with_its_log(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "daemon.log").write_text("an older line\n")
    dying = "import sys; sys.exit('the ledger is locked')"
    monkeypatch.setenv("NOBURN_DAEMON", json.dumps([sys.executable, "-c", dying]))
    with pytest.raises(DaemonUnavailable, match="ended at once") as caught:
        ensure_daemon(home)
    assert caught.value.why == "the ledger is locked"
    assert str(home / "daemon.log") in caught.value.next_step


def test_a_daemon_that_never_listens_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "START_S", 0.5)
    monkeypatch.setenv("NOBURN_DAEMON", json.dumps(["sleep", "3"]))
    with pytest.raises(DaemonUnavailable, match="did not listen"):
        ensure_daemon(home)


def test_a_command_that_does_not_exist_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOBURN_DAEMON", json.dumps(["/nowhere/noburn-daemon"]))
    with pytest.raises(DaemonUnavailable) as caught:
        ensure_daemon(home)
    assert "/nowhere/noburn-daemon" in caught.value.why


@pytest.mark.parametrize("told", ["python", "{}", "[]", "[1]"])
def test_a_command_that_is_no_list_of_words_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("NOBURN_DAEMON", told)
    with pytest.raises(DaemonUnavailable) as caught:
        ensure_daemon(home)
    assert told in caught.value.why


def test_a_path_too_long_for_a_socket_is_told(home: Path) -> None:
    deep = home / ("x" * 120)
    deep.mkdir()
    (deep / "daemon.sock").touch()
    with Client(deep) as client, pytest.raises(DaemonUnavailable) as caught:
        client.status()
    assert "too long" in caught.value.why
    assert "NOBURN_HOME" in caught.value.next_step


def test_python_3_10_with_nothing_but_its_library(fake: Path) -> None:
    """Goal: the client runs in a bare program of the oldest Python that we stand in."""
    python = shutil.which("python3.10")
    # A version manager's stand-in for a Python that isn't there answers, but does not run.
    if python is None or subprocess.run([python, "-c", ""], capture_output=True).returncode:
        pytest.skip("no Python 3.10 here")
    code = (
        "import asyncio, sys; sys.path.insert(0, '.')\n"
        "from noburn_cli.client import AsyncClient, Client\n"
        "assert Client().reserve({'call': 'c1'})['ok']\n"
        "assert asyncio.run(AsyncClient().settle('c1', {}))['ok']\n"
    )
    environment = {"NOBURN_HOME": str(fake), "NOBURN_DAEMON": os.environ["NOBURN_DAEMON"]}
    subprocess.run(
        [python, "-W", "error", "-S", "-c", code], env=environment, check=True, timeout=120
    )
