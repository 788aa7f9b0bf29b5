"""`noburn daemon`: started once, stopped for good, and honest about what it finds."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import subprocess
import sys
from typing import Any

import pytest

from noburn_cli.commands.daemon.running import show_duration

_PID = re.compile(r"pid \d+")


def _data(home: Any, *arguments: str) -> dict[str, Any]:
    document = json.loads(home.said("daemon", *arguments, "--json"))
    assert (document["kind"], document["version"]) == ("noburn.daemon", 1)
    data: dict[str, Any] = document["data"]
    return data


def test_start_twice_is_one_daemon(home: Any) -> None:
    first, second = _data(home, "start"), _data(home, "start")
    assert (first["started"], second["started"]) == (True, False)
    assert first["pid"] == second["pid"]
    shown = _PID.sub("pid <n>", home.said("daemon", "start"))
    assert shown == f"noburn daemon {first['version']} is already running, pid <n>\n"


def test_stop_waits_until_it_is_gone(home: Any) -> None:
    home.said("daemon", "start")
    assert _PID.sub("pid <n>", home.said("daemon", "stop")).endswith(" stopped, pid <n>\n")
    with (home.path / "daemon.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # It holds it for as long as it lives.
    assert not (home.path / "daemon.sock").exists()


def test_stop_when_there_is_none(home: Any) -> None:
    done = home.noburn("daemon", "stop")
    assert (done.stdout, done.stderr, done.returncode) == ("the daemon is not running\n", "", 0)


def test_status_of_a_running_one(filled: Any) -> None:
    data = _data(filled, "status")
    assert (data["running"], data["open_holds"], data["budgets"]) == (True, 1, 1)
    assert data["ledger"]["path"] == str(filled.ledger)
    shown = filled.said("daemon", "status")
    rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in shown.splitlines())
    assert rows["open holds"] == "1"
    assert rows["socket"] == str(filled.path / "daemon.sock")
    assert rows["pid"] == str(data["pid"])


def test_status_when_there_is_none(home: Any) -> None:
    done = home.noburn("daemon", "status")
    assert (done.stdout, done.returncode) == ("", 4)
    assert done.stderr.splitlines() == [
        "error: the daemon is not running",
        f"  why: nothing answers at {home.path}/daemon.sock",
        " next: it starts by itself on first need, or with `noburn daemon start`",
    ]
    as_json = home.noburn("daemon", "status", "--json")
    assert as_json.returncode == 4
    assert json.loads(as_json.stdout)["data"]["running"] is False


def test_a_stale_socket_is_replaced(home: Any) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(home.path / "daemon.sock"))
    assert home.noburn("daemon", "status").returncode == 4
    assert _data(home, "start")["started"] is True


def test_holds_survive_a_stop(filled: Any) -> None:
    _data(filled, "stop")
    _data(filled, "start")
    assert _data(filled, "status")["open_holds"] == 1


def test_a_socket_path_that_is_too_long(home: Any) -> None:
    long = home.path / ("x" * 120)
    done = home.noburn("daemon", "start", NOBURN_HOME=str(long))
    assert (done.stdout, done.returncode) == ("", 4)
    assert "set NOBURN_HOME to a shorter path" in done.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_home_that_cannot_be_entered(home: Any) -> None:
    home.path.chmod(0)
    try:
        done = home.noburn("daemon", "start")
    finally:
        home.path.chmod(0o700)
    assert done.returncode == 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_home_of_another_user(home: Any) -> None:
    os.chown(home.path, 65534, -1)
    done = home.noburn("daemon", "start")
    assert (done.stdout, done.returncode) == ("", 4)
    assert "belongs to another user" in done.stderr


def test_logs(home: Any) -> None:
    none = home.noburn("daemon", "logs")
    assert (none.stdout, none.returncode) == ("", 1)
    assert "there is no log" in none.stderr
    home.said("daemon", "start")
    home.said("daemon", "stop")
    assert "listening in" in home.said("daemon", "logs")
    last = home.said("daemon", "logs", "-n", "1")
    assert last.count("\n") == 1
    assert "left" in last


def test_following_the_log_across_its_rotation(home: Any) -> None:
    home.said("daemon", "start")
    follower = subprocess.Popen(
        [sys.executable, "-m", "noburn_cli", "daemon", "logs", "--follow", "-n", "1"],
        env={**home.environment, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert follower.stdout is not None
        assert "listening in" in follower.stdout.readline()
        log = home.path / "daemon.log"
        with log.open("a", encoding="utf-8") as file:
            file.write("one more\n")
        assert follower.stdout.readline() == "one more\n"
        log.rename(log.with_suffix(".log.1"))
        log.write_text("of the next file\n", encoding="utf-8")
        assert follower.stdout.readline() == "of the next file\n"
    finally:
        follower.terminate()
        follower.communicate()


@pytest.mark.parametrize(
    ("duration_ms", "shown"),
    [(0, "0 s"), (61_000, "1 min 1 s"), (7_500_000, "2 h 5 min"), (90_061_000, "1 d 1 h")],
)
def test_durations(duration_ms: int, shown: str) -> None:
    assert show_duration(duration_ms) == shown


def test_a_reload_says_what_has_changed(home: Any) -> None:
    home.said("daemon", "start")
    assert home.said("daemon", "reload") == "reloaded: nothing has changed\n"
    file = home.path / "config" / "noburn.toml"
    file.parent.mkdir()
    file.write_text('[daemon]\nlog_level = "debug"\n[notify.ops]\ncommand = ["/bin/true"]\n')
    assert home.said("daemon", "reload") == "reloaded: daemon.log_level, notify.ops\n"
    rows = home.said("daemon", "status")
    assert re.search(r"log level +debug\n", rows)
    assert home.said("daemon", "notify", "list").startswith("CHANNEL  GOES TO\n")
    told = home.said("daemon", "notify", "test", "ops")
    assert re.fullmatch(r"delivered by `ops`: msg_[0-9a-f]{24}\n", told)
    assert " delivered 2" in home.said("daemon", "notify", "list")
    file.write_text('[daemon]\nlog_level = "loud"\n[notify.ops]\ncommand = ["/bin/false"]\n')
    done = home.noburn("daemon", "reload")
    assert (done.returncode, "daemon.log_level" in done.stderr) == (2, True)
    assert "settings are as before" in home.noburn("daemon", "status").stderr
    file.write_text('[notify.ops]\ncommand = ["/bin/false"]\n')
    home.said("daemon", "reload")
    done = home.noburn("daemon", "notify", "test", "ops")
    assert (done.returncode, "it ended with 1" in done.stderr) == (1, True)
    assert home.said("daemon", "notify", "retry") == "1 message tried again\n"
    shown = home.said("daemon", "logs", "--level", "warning")
    assert "settings are as before" in shown
    assert " INFO " not in shown
