"""What the README shows and promises is what the program does today."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from noburn_cli.cli import COMMANDS
from noburn_cli.demo.brief import BRIEF

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ELLIPSIS = "…"


def sessions():
    """(command, the lines that it is said to print) of every `$ noburn …` in a console block."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for shown in re.split(r"^\$ ", "\n".join(blocks), flags=re.MULTILINE)[1:]:
        command, *lines = shown.strip().split("\n")
        yield command, [line for line in lines if line.strip()]


SESSIONS = dict(sessions())
PURE = [
    one
    for one in SESSIONS
    if one.startswith(("noburn estimate", "noburn margin", "noburn simulate"))
]
#: "Who loses money", in its order, in the folder of the example.
ECONOMICS = [
    one
    for one in SESSIONS
    if one.startswith(("noburn import", "noburn pnl", "noburn report --period"))
]


def noburn(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join((str(ROOT), str(ROOT / "daemon")))
    return subprocess.run(
        [sys.executable, "-m", "noburn_cli", *shlex.split(command)[1:]],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "NOBURN_HOME": str(folder), "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def is_said(lines: list[str], printed: str) -> bool:
    """Whether `lines` are what was printed; an ellipsis stands for any number of lines."""
    rest = "".join(f"{line}\n" for line in printed.split("\n") if line.strip())
    any_lines = "(?:.*\n)*"
    pattern = "".join(
        any_lines if line.strip() == ELLIPSIS else re.escape(line) + "\n" for line in lines
    )
    return re.fullmatch(pattern, rest) is not None


def test_there_is_a_session_to_check():
    assert (len(PURE), len(ECONOMICS)) == (4, 4)


@pytest.mark.parametrize("command", PURE)
def test_the_session_is_what_is_printed(command, tmp_path):
    (tmp_path / "brief.txt").write_text(BRIEF, encoding="utf-8")
    done = noburn(command, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert is_said(SESSIONS[command], done.stdout), done.stdout


def test_who_loses_money_is_what_is_printed(tmp_path):
    """Goal: the example's calls and revenue give the figures that are shown."""
    folder = tmp_path / "economics"
    shutil.copytree(ROOT / "examples/economics", folder)
    for command in ECONOMICS:
        done = noburn(command, folder)
        assert done.returncode == 0, done.stderr
        assert is_said(_lasting(SESSIONS[command]), "\n".join(_lasting(done.stdout.split("\n"))))


def _lasting(lines: list[str]) -> list[str]:
    """What was collected is final some months later, and the page stays as it is."""
    return [re.sub(r"\bfinal\b", "collected", line) for line in lines]


def test_a_wrong_session_is_noticed():
    """Goal: the check above can fail."""
    assert is_said(["a", "b"], "a\n\nb\n")
    assert is_said(["a", "…", "c", "…"], "a\nb\nc")
    assert not is_said(["a", "c"], "a\nb\nc")
    assert not is_said(["a"], "a\nb")
    assert not is_said(["a", "…", "d"], "a\nb\nc")


def test_every_command_has_a_line_and_every_line_a_command():
    named = set(re.findall(r"^\| `noburn (\w+)", README, re.MULTILINE))
    assert named == {entry.name for entry in COMMANDS}
