"""The daemon's settings: who says what, read again while it runs, and sockets that are given."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.errors import DaemonUnavailable, UsageError
from noburn_daemon.settings import SettingsSource
from noburn_daemon.supervised import launchd_descriptors
from tests.daemon.parts import Caller, daemon, environment, eventually

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [a-z]+ \d+ .*|    .*")


def configure(home: Path, text: str) -> Path:
    path = home / "config" / "noburn.toml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_flag_beats_a_variable_beats_the_file(tmp_path: Path) -> None:
    configure(tmp_path, '[daemon]\nidle_exit = 5\ndurability = "power"\nlog_level = "error"')
    told = {"NOBURN_HOME": str(tmp_path), "NOBURN_IDLE_EXIT": "7.5", "NOBURN_LOG_LEVEL": "debug"}
    source = SettingsSource(told, {"daemon.log_level": "warning", "daemon.metrics": None})
    held = source.read()
    assert (held.durability, held.idle_exit_s, held.log_level) == ("power", 7.5, "warning")
    assert source.pinned == {
        "daemon.idle_exit": "NOBURN_IDLE_EXIT",
        "daemon.log_level": "--log-level",
    }
    configure(tmp_path, '[daemon]\nidle_exit = "never"')
    assert SettingsSource({"NOBURN_HOME": str(tmp_path)}).read().idle_exit_s == float("inf")
    with pytest.raises(UsageError, match="NOBURN_IDLE_EXIT"):
        SettingsSource({**told, "NOBURN_IDLE_EXIT": "soon"}).read()
    configure(tmp_path, '[daemon]\nnotify = ["ops"]')
    with pytest.raises(UsageError, match="no channel `ops`"):
        SettingsSource({"NOBURN_HOME": str(tmp_path)}).read()


def test_a_reload_takes_all_or_nothing() -> None:
    """Goal: no restart, no half of a file, and status says what does not hold."""
    with daemon("--idle-exit-s", "600") as running:
        caller = Caller(running.home)
        assert caller.ask(n=1, op="status")["durability"] == "process"
        configure(
            running.home, '[daemon]\ndurability = "power"\nlog_level = "debug"\nidle_exit = 3'
        )
        outcome = caller.ask(n=2, op="reload")
        assert outcome["changed"] == ["daemon.durability", "daemon.log_level"]
        assert outcome["pinned"] == {"daemon.idle_exit": "--idle-exit"}
        assert caller.ask(n=3, op="status")["durability"] == "power"
        configure(running.home, '[daemon]\nlog_level = "info"\ndurability = "disk"')
        refused = caller.ask(n=4, op="reload")
        assert (refused["error"], caller.ask(n=5, op="status")["durability"]) == (
            *("configuration", "power"),
        )
        assert "`daemon.durability`" in refused["message"]
        assert refused["message"] in caller.ask(n=6, op="status")["warnings"][0]
        assert caller.reserve("a1")["ok"]
        configure(running.home, '[daemon]\nlog_level = "info"')
        assert running.process is not None
        running.process.send_signal(signal.SIGHUP)
        status = eventually(
            lambda: (now := caller.ask(n=7, op="status"))["durability"] == "process" and now,
            "the file is read on SIGHUP",
        )
        assert status["warnings"] == []
        said = (running.home / "daemon.log").read_text().splitlines()
        assert all(LINE.fullmatch(line) for line in said), said
        assert any(" WARNING settings " in line for line in said)


_LAUNCHER = """
import os, socket, sys
path, notify, *command = sys.argv[1:]
os.environ["NOTIFY_SOCKET"] = notify
os.environ["WATCHDOG_USEC"] = "400000"
listener = socket.socket(socket.AF_UNIX)
listener.bind(path)
listener.listen(16)
print("bound", flush=True)
sys.stdin.readline()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="noburn.socket")
os.execv(command[0], command)
"""


def test_a_socket_that_systemd_opened_is_taken() -> None:
    """Goal: who connects before the daemon is up is served, and the socket outlives the daemon."""
    home = Path(tempfile.mkdtemp(prefix="nb-", dir="/tmp"))
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.bind(str(home / "notify"))
    told.settimeout(60)
    place = str(home / "daemon.sock")
    process = subprocess.Popen(
        [sys.executable, "-c", _LAUNCHER, place, str(home / "notify"), sys.executable, "-m",
         "noburn_daemon", "--home", str(home)],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    with told, process.stdin, process.stdout:
        process.stdout.readline()
        early = Caller(home, hello=False)  # in the queue of a socket that nobody accepts from yet
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert early.ask(n=0, op="hello", v=1)["pid"] == process.pid
        assert early.reserve("s1")["ok"]
        heard = [told.recv(4096).decode() for _ in range(2)]
        assert heard[0].startswith("READY=1\n")
        assert heard[1] == "WATCHDOG=1"  # the loop turns
        assert early.ask(n=1, op="reload")["ok"]
        process.terminate()
        assert process.wait(60) == 0
        told.setblocking(False)
        rest = []
        while True:
            try:
                rest.append(told.recv(4096).decode())
            except BlockingIOError:
                break
    reloading = next(word for word in rest if word.startswith(("RELOADING", "READY")))
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert any(word.startswith("STOPPING=1") for word in rest)
    assert Path(place).exists()  # it is the manager's


def test_a_socket_at_another_place_is_refused() -> None:
    with tempfile.TemporaryDirectory(prefix="nb-", dir="/tmp") as folder:
        home = Path(folder)
        command = [sys.executable, "-m", "noburn_daemon", "--home", str(home)]
        done = subprocess.run(
            [sys.executable, "-c", _LAUNCHER, str(home / "other.sock"), "@none", *command],
            env=environment(), input=b"\n", capture_output=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 4
        assert b"gave no socket" in done.stderr
        assert not (home / "daemon.sock").exists()


def test_another_socket_in_our_place_is_left_there(tmp_path: Path) -> None:
    with daemon() as running:
        place = running.home / "daemon.sock"
        place.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(place))
            running.stop()
            assert place.exists()


class _Launchd:
    """launch_activate_socket(3) and free(3), as launchd's library has them."""

    def __init__(self, failed: int, *descriptors: int) -> None:
        self.failed = failed
        self.array = (ctypes.c_int * len(descriptors))(*descriptors)
        self.freed = 0

    def launch_activate_socket(self, name: bytes, array: Any, count: Any) -> int:
        assert name == b"Listener"
        array._obj.contents = self.array
        count._obj.value = len(self.array)
        return self.failed

    def free(self, _array: Any) -> None:
        self.freed += 1


def test_launchd_gives_its_sockets() -> None:
    library = _Launchd(0, 7, 9)
    assert launchd_descriptors("Listener", library) == [7, 9]
    assert library.freed == 1
    with pytest.raises(DaemonUnavailable, match=os.strerror(3)):
        launchd_descriptors("Listener", _Launchd(3))
