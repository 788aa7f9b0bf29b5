"""Every page, and every message of ours, names what there is: commands, options, files, titles."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import tomllib

from noburn_cli.cli import COMMANDS, load_command
from tests.warm import run_noburn

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
#: Not a page of today: it keeps the words of its time.
PAST = ROOT / "CHANGELOG.md"
SOURCES = sorted([*(ROOT / "noburn_cli").rglob("*.py"), *(ROOT / "daemon").rglob("*.py")])
TREE = {entry.name: load_command(entry) for entry in COMMANDS}
_STOPS = ("--", "|", ";", ">", ">>", "&&", "<")


def blocks(text: str, languages: str) -> list[str]:
    return re.findall(rf"```(?:{languages})\n(.*?)```", text, re.DOTALL)


def commands_of(text: str) -> list[str]:
    """Everything that is said to be typed: in blocks of a shell, and between backquotes."""
    lines = "\n".join(blocks(text, "sh|console")).split("\n")
    typed = [line.strip().removeprefix("$ ") for line in lines]
    found = [line[place.start() :] for line in typed for place in re.finditer(r"\bnoburn ", line)]
    quoted = re.findall(r"`(noburn [^`]+)`", text)
    return [one for one in found if _is_command(one)] + [" ".join(one.split()) for one in quoted]


def _is_command(text: str) -> bool:
    return text.split()[1].startswith("-") or text.split()[1] in TREE


def wrong_in(text: str) -> str | None:
    """What of a command line the program does not know, or None."""
    try:
        _, *words = shlex.split(text.replace("…", "X").replace("\\|", "|"), comments=True)
    except ValueError:  # An apostrophe of a sentence.
        return None
    if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
        return None
    command: Any = TREE.get(words[0])
    if command is None:
        return f"no command {words[0]}"
    while words[1:] and hasattr(command, "commands") and re.fullmatch(r"[a-z][a-z-]*", words[1]):
        command = command.commands.get(words[1])
        if command is None:
            return f"no command {words[1]} in {words[0]}"
        words = words[1:]
    return _unknown_option(command, words[1:])


def _unknown_option(command: Any, words: list[str]) -> str | None:
    known = {"-h", "--help"} | ({"--otel"} if command.name == "export" else set())
    for parameter in command.params:
        known |= {*parameter.opts, *parameter.secondary_opts}
    for word in words:
        if word in _STOPS:
            return None
        first, *more = word.partition("=")[0].rstrip(",.;:)").split("|")
        if first.startswith("-") and len(first) > 1:
            named = [first, *(one if one.startswith("-") else f"--{one}" for one in more)]
            unknown = [one for one in named if one not in known]
            if unknown:
                return f"no option {unknown[0]}"
    return None


def test_a_wrong_command_is_noticed():
    """Goal: the checks below can fail."""
    assert wrong_in("noburn doctor") == "no command doctor"
    assert wrong_in("noburn budget sett 'customer=*' 5") == "no command sett in budget"
    assert wrong_in("noburn report --group-by customer") == "no option --group-by"
    assert wrong_in("noburn run --budget 5 -- agent --verbose") is None
    assert wrong_in("noburn export csv|jsonl|parquet") is None


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page != PAST], ids=lambda page: page.name
)
def test_every_command_of_a_page_is_one(page):
    named = commands_of(page.read_text(encoding="utf-8"))
    assert [(one, wrong) for one in named if (wrong := wrong_in(one))] == []


def test_every_command_that_a_message_advises_is_one():
    """Goal: an error never sends anybody to what is not there."""
    advised = []
    for source in SOURCES:
        text = re.sub(r'"\s*\n\s*f?"', "", source.read_text(encoding="utf-8"))
        advised += [(source.name, one) for one in re.findall(r"`(noburn [^`{}\n]+)`", text)]
    assert len(advised) > 100
    assert [(name, one, wrong) for name, one in advised if (wrong := wrong_in(one))] == []


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them of its headings."""
    plain = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ +(.*)$", plain, re.MULTILINE)
    words = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower() for title in titles]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        is_ours = "://" not in link
        if is_ours and (not target.exists() or (anchor and anchor not in headings(target))):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_shown_are_read_and_python_is_python(page):
    text = page.read_text(encoding="utf-8")
    for block in blocks(text, "toml"):
        tomllib.loads(block)
    for block in blocks(text, "json"):
        json.loads(block)
    for block in blocks(text, "python"):
        compile(block.replace("…", "..."), page.name, "exec")


def test_the_readme_leads_to_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = [page.name for page in (ROOT / "docs").glob("*.md")]
    assert [name for name in pages if f"docs/{name}" not in readme] == []


def _parameters(name: str, command: Any) -> list[tuple[str, Any]]:
    if hasattr(command, "commands"):
        below = [_parameters(f"{name} {one}", sub) for one, sub in command.commands.items()]
        return [pair for pairs in below for pair in pairs]
    return [(name, parameter) for parameter in command.params]


def test_every_number_that_is_asked_for_has_a_limit():
    """Goal: no number of an option becomes an overflow further down; these say theirs by hand."""
    own = {("margin", "seats"), ("import", "days")}
    found = [pair for name, command in TREE.items() for pair in _parameters(name, command)]
    numbers = [(name, one) for name, one in found if one.type.name in ("int", "int range")]
    assert len(numbers) > 5
    loose = {(name, one.name) for name, one in numbers if getattr(one.type, "max", None) is None}
    assert loose - own == set()


@pytest.mark.parametrize("command", ["top --interval nan", "run --wait nan -- true"])
def test_seconds_are_a_number(command, tmp_path):
    env = {"PATH": os.environ["PATH"], "NOBURN_HOME": str(tmp_path)}
    done = run_noburn(command.split(), env=env)
    assert (done.returncode, "cannot be nan" in done.stderr) == (2, True)
