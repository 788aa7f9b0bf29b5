"""A gate in a GitHub job's log: commands that nothing in a name can end, or begin."""

from __future__ import annotations

import re

from noburn_cli.core import gate_model as gm
from noburn_cli.render.gate_github import render_github
from tests.gate_results import finding, gate, grown

COMMAND = re.compile(r"::(?P<name>\w+) (?P<properties>[^:]*)::(?P<data>.*)")


def unescaped(text):
    for code, character in (("%3A", ":"), ("%2C", ","), ("%0D", "\r"), ("%0A", "\n"), ("%25", "%")):
        text = text.replace(code, character)
    return text


def read(line):
    """A line as the runner reads it: name, properties, text."""
    match = COMMAND.fullmatch(line)
    assert match, line
    pairs = [pair.split("=", 1) for pair in match["properties"].split(",")]
    properties = {name: unescaped(value) for name, value in pairs}
    return match["name"], properties, unescaped(match["data"])


def test_a_finding_is_an_annotation_on_its_file():
    told = [
        finding("50 % more.\nSee noburn.toml.", path="p/a.md"),
        finding("Old model.", rule=gm.MODELS, level=gm.WARNING, path="p/b.md"),
        finding("In all.", path=""),
    ]
    lines = [read(line) for line in render_github(gate(grown(), findings=told))]
    rule = "noburn gate: per_month_max"
    assert lines == [
        (
            *("error", {"file": "p/a.md", "line": "1", "title": rule}),
            "50 % more.\nSee noburn.toml.",
        ),
        ("error", {"title": rule}, "In all."),
        ("warning", {"file": "p/b.md", "line": "1", "title": "noburn gate: models"}, "Old model."),
        (
            *("notice", {"title": "noburn gate"}),
            (
                "+$216 a month (+22 %): system.md grew by 900 tokens. "
                "Failed: 2 rules broken, 1 warning."
            ),
        ),
    ]
    below = read(render_github(gate(findings=told), folder="services/desk")[0])
    assert below[1]["file"] == "services/desk/p/a.md"


def test_a_hostile_name_gives_no_order():
    """Goal: one line a command, and the properties are those that we gave."""
    name = "a,line=9::x\n::stop-commands::y\r\x1b[2J.md"
    lines = render_github(gate(grown(name), findings=[finding(f"{name} is dear", path=name)]))
    assert len(lines) == 2
    command, properties, text = read(lines[0])
    assert (command, properties["line"]) == ("error", "1")
    assert properties["file"].startswith("a,line=9::x\n")
    assert "\x1b" not in "".join(lines)
    assert not any("\n" in line or "\r" in line for line in lines)
    assert text.startswith("a,line=9::x\n::stop-commands::y\n")


def test_more_than_github_shows_is_counted():
    told = [finding(f"Finding {number}.") for number in range(25)]
    lines = [read(line) for line in render_github(gate(findings=told))]
    assert [line[0] for line in lines] == ["error"] * 10 + ["notice"]
    assert lines[9][2] == "16 findings more: see the summary of this job"
