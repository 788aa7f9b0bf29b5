"""docs/budgets.md: every command in it runs, and prints what the page says; every file is read."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import tomllib

from noburn_cli import resources
from noburn_cli.core.actions import ACTIONS
from noburn_cli.core.configuration import parse_policy
from noburn_cli.core.policy_tables import KEYS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "budgets.md").read_text(encoding="utf-8")
ELLIPSIS = "…"


def _blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def _sessions() -> list[tuple[str, list[str]]]:
    """(command, the lines that it is said to print), in the page's order."""
    found = []
    for shown in re.split(r"^\$ ", "\n".join(_blocks("console")), flags=re.MULTILINE)[1:]:
        command, *lines = shown.strip().split("\n")
        found.append((command, [line.rstrip() for line in lines if line.strip()]))
    return found


def _is_said(lines: list[str], printed: str) -> bool:
    """Whether `lines` are what was printed; an ellipsis stands for any number of lines."""
    rest = "".join(f"{line.rstrip()}\n" for line in printed.split("\n") if line.strip())
    pattern = "".join(
        "(?:.*\n)*" if line.strip() == ELLIPSIS else re.escape(line) + "\n" for line in lines
    )
    return re.fullmatch(pattern, rest) is not None


def test_every_command_of_the_page_prints_what_it_says(home: Any, monkeypatch: Any) -> None:
    [policy] = _blocks("toml")
    (home.path / "policy.toml").write_text(policy, encoding="utf-8")
    (home.path / "config").mkdir()
    channel = '[notify.ops]\ncommand = ["/usr/bin/true"]\n'
    (home.path / "config" / "noburn.toml").write_text(channel, encoding="utf-8")
    monkeypatch.chdir(home.path)
    home.environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'daemon'}"
    sessions = _sessions()
    assert len(sessions) >= 10
    for command, lines in sessions:
        done = home.noburn(*shlex.split(command)[1:])
        assert done.returncode == 0, (command, done.stderr)
        assert _is_said(lines, done.stdout), (command, done.stdout)


def test_its_other_commands_are_understood(home: Any, monkeypatch: Any, reserve: Any) -> None:
    """Those of the shell block, in their order, with one call to look at."""
    monkeypatch.chdir(home.path)
    home.environment["PYTHONPATH"] = f"{ROOT}:{ROOT / 'daemon'}"
    home.said("daemon", "start")
    with home.client() as client:
        assert client.reserve(reserve("c1"))["ok"]
        client.settle("c1", {"input": 300, "output": 55})
    for line in "".join(_blocks("sh")).strip().split("\n"):
        command, _, target = line.partition(" > ")
        yes = ["--yes"] if " apply " in command else []
        printed = home.said(*shlex.split(command)[1:], *yes)
        if target:
            (home.path / target).write_text(printed, encoding="utf-8")


def test_its_files_are_policies_that_editors_accept() -> None:
    schema = json.loads(resources.schema_path().read_text(encoding="utf-8"))
    example = (ROOT / "examples" / "policy.toml").read_text(encoding="utf-8")
    for text in (*_blocks("toml"), example):
        assert parse_policy("page", text)
        document = json.loads(json.dumps(tomllib.loads(text), default=str))
        jsonschema.Draft202012Validator(schema).validate(document)
    for word in (*KEYS, *ACTIONS):
        assert f"`{word}`" in PAGE
