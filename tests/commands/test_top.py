"""`noburn top` on a real terminal, over a real daemon: seen, steered, left, and given back."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.screen import cut, split_keys
from tests.terminal import CTRL_C, CTRL_Z, Terminal

NOBURN = [sys.executable, "-m", "noburn_cli"]
TOP = shlex.join([*NOBURN, "top"])
TAKEN, GIVEN_BACK = r"\x1b\[\?1049h", r"\x1b\[\?1049l"


@pytest.fixture
def sleeper(home: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A run that does nothing for long."""
    running = subprocess.Popen(
        [*NOBURN, "run", "--budget", "5", "--customer", "acme", "--", "sleep", "600"],
        env=home.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    yield running
    if running.poll() is None:
        running.terminate()
    running.wait()


def one_run(home: Any) -> dict[str, Any]:
    """The open run as `top --json` has it, once it is there."""
    for _ in range(200):
        runs = json.loads(home.said("top", "--json"))["data"]["runs"]
        if runs:
            return dict(runs[0])
    raise AssertionError("no run was ever open")


def test_without_a_daemon_or_a_terminal(home: Any) -> None:
    """Goal: one frame into a pipe; nothing is started for it."""
    assert "no run is open" in home.said("top")
    assert json.loads(home.said("top", "--json"))["data"]["runs"] == []
    assert not (home.path / "daemon.sock").exists()


def test_keys_pause_raise_and_stop_a_run(home: Any, sleeper: subprocess.Popen[bytes]) -> None:
    """Goal: what a person presses happens to the selected run, and a no is a no."""
    run = one_run(home)
    assert (run["state"], run["left_usd"], run["attributes"]["customer"]) == ("open", "5", "acme")
    with Terminal(home.environment) as terminal:
        terminal.resize(24, 160)
        terminal.type(TOP + "\n")
        terminal.wait_for(TAKEN)
        terminal.wait_for("sleep 600")
        terminal.type("p")
        terminal.wait_for("paused")
        assert one_run(home)["state"] == "paused"
        terminal.type("p")
        terminal.wait_for("open")
        terminal.type("+2.5\n")
        terminal.wait_for(r"may now use \$7\.50")
        assert one_run(home)["budgets"][0]["limit"] == "7.5"
        terminal.type("+x\n")
        terminal.wait_for("a limit cannot be read")
        terminal.type("s")
        terminal.wait_for("y or n")
        terminal.type("n")
        terminal.wait_for("q quit")
        terminal.type("sy")
        terminal.wait_for("was stopped by")
        assert sleeper.wait(60) == 3
        terminal.wait_for("no run is open")
        terminal.type("q")
        terminal.wait_for(GIVEN_BACK)
        terminal.wait_for("ready> $")
        assert terminal.run("echo code $?").count("code 0") == 1


@pytest.mark.parametrize("end", [CTRL_C, "TERM"])
def test_the_terminal_is_given_back(home: Any, sleeper: subprocess.Popen[bytes], end: str) -> None:
    """Goal: as it was before, after Ctrl-Z and `fg`, and however top ends."""
    one_run(home)
    with Terminal(home.environment) as terminal:
        before = terminal.run("stty -g")
        terminal.type(TOP + "\n")
        terminal.wait_for(TAKEN)
        terminal.wait_for(r"\$5\.00 left of")
        terminal.resize(10, 55)
        terminal.wait_for("ENDS IN\x1b")  # Nothing more fits.
        terminal.type(CTRL_Z)
        terminal.wait_for(GIVEN_BACK)
        terminal.wait_for("ready> $")
        assert settings(before) in terminal.run("stty -g")
        terminal.type("fg\n")
        terminal.wait_for(TAKEN)
        terminal.wait_for("RUN")
        if end == "TERM":
            os.kill(_top_pid(home), signal.SIGTERM)
        else:
            terminal.type(end)
        terminal.wait_for(GIVEN_BACK)
        terminal.wait_for("ready> $")
        code = {CTRL_C: 130, "TERM": 143}[end]
        assert f"code {code}\n" in terminal.run("echo code $?")
        assert settings(before) in terminal.run("stty -g")


def settings(shown: str) -> str:
    """The terminal's settings in what `stty -g` showed."""
    return next(line for line in shown.splitlines() if line.count(":") > 9)


def _top_pid(home: Any) -> int:
    """The process of `noburn top` in this home."""
    named = f"NOBURN_HOME={home.path}".encode()
    for folder in Path("/proc").iterdir():
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            mine = named in (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mine and words[1:4] == [b"-m", b"noburn_cli", b"top"]:
            return int(folder.name)
    raise AssertionError("no top is running")


def test_keys_and_cuts() -> None:
    assert split_keys("\x1b[Aq\x1b[B\x1b[15~j\x1bOA") == ["up", "q", "down", "j", "up"]
    assert split_keys("\x1b") == ["escape"]
    assert cut("abc", 2) == "ab"
    assert cut("日本語", 5) == "日本"
