"""The command: its forms, its exit codes, and a start of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from noburn_cli.core.gate_tables import TABLE_FORMATS
from noburn_cli.render.gate_formats import FORMATS
from tests.gate.repository import Repo, gate_toml, words

_PROMPT = 'files = ["a.md"]\nmodel = "test-small"\noutput = 50\ncalls_per_month = 1000\n'


@pytest.fixture
def grown(repo: Repo) -> Repo:
    """A prompt that has grown from 100 to 1,000 tokens, and may grow by a tenth."""
    repo.commit({"noburn.toml": gate_toml('growth_max = "10%"', _PROMPT), "a.md": words(100)})
    repo.write({"a.md": words(1_000)})
    return repo


def test_a_process_of_its_own(grown: Repo) -> None:
    """As a shell runs it: the report on standard output, nothing beside it, exit code 3."""
    ran = subprocess.run(
        [sys.executable, "-m", "noburn_cli", "gate", "--base", "HEAD"],
        capture_output=True, text=True, timeout=120, check=False, env={**os.environ},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (3, "")
    table, reasons, broken, verdict = ran.stdout.split("\n\n")
    header, prompt, total = (" ".join(line.split()) for line in table.splitlines())
    month = "$0.60 → $1.50 +$0.90 (+150 %)"
    assert header.startswith("PROMPT MODEL TOKENS ")
    assert prompt == f"a.md test-small 100 → 1,000 50 - 1,000 $0.0006 → $0.0015 {month}"
    assert total == f"total {month}"
    assert reasons == "a.md: grew by 900 tokens"
    assert broken.startswith("error: all prompts together cost 150 % more ($0.90 a month), above")
    assert verdict == "Failed: 1 rule broken. +$0.90 a month (+150 %): a.md grew by 900 tokens.\n"


def test_every_form_says_the_same(grown: Repo) -> None:
    assert list(FORMATS) == list(TABLE_FORMATS)
    said = "+$0.90 a month (+150 %)"
    for form in TABLE_FORMATS:
        done = grown.gate("--base", "HEAD", "--format", form)
        assert done.code == 3
        assert done.err == ""
        plain = done.out.replace("%25", "%")
        assert said in plain
        if form == "junit":
            assert len(ElementTree.fromstring(done.out).findall(".//failure")) == 1
    assert grown.gate("--base", "HEAD", "--json").data["sentence"].startswith(said)
    own = gate_toml('growth_max = "10%"\nformat = "github"\nbase = "HEAD"', _PROMPT)
    grown.write({"noburn.toml": own})
    assert grown.gate().out.startswith("::error ")
    assert grown.gate("--format", "table").out.startswith("PROMPT ")


def test_wrong_usage(grown: Repo) -> None:
    cases = [
        (("--base", "HEAD", "--no-base"), "do not go together"),
        (("--format", "markdwn"), "did you mean markdown?"),
        (("--json", "--format", "table"), "two forms"),
        (("--update-baseline",), "needs a recording"),
        (("--base", "--no-base"), "is no revision"),
        ((), "`growth_max` in"),
    ]
    for arguments, said in cases:
        done = grown.gate(*arguments)
        assert done.code == 2, arguments
        assert said in done.err
        assert done.out == ""
    checked = grown.gate("--no-base")
    assert checked.code == 0
    assert "`growth_max` is not checked" in checked.out


def test_without_a_gate_it_says_where_one_belongs(repo: Repo) -> None:
    cases = [
        ({"noburn.toml": ""}, 2, "has no [gate]"),
        ({"noburn.toml": "[gate]\n"}, 2, "names no prompt"),
        ({"noburn.toml": "[gate]\nprice = 1\n"}, 2, "did you mean"),
        ({"noburn.toml": gate_toml("", _PROMPT), "prices.toml": "nonsense"}, 2, "prices.toml"),
        ({"noburn.toml": None}, 2, "there is no noburn.toml"),
    ]
    for files, code, said in cases:
        repo.write(files)
        done = repo.gate("--no-base")
        assert done.code == code
        assert said in done.err


def test_before_the_first_commit_there_is_no_base(repo: Repo) -> None:
    repo.write({"noburn.toml": gate_toml("", _PROMPT), "a.md": words(3)})
    done = repo.gate("--base", "HEAD")
    assert done.code == 1
    assert "this repository has no commit yet" in done.err
    assert "git fetch" not in done.err


def test_names_cannot_move_a_cursor_or_break_a_line(repo: Repo) -> None:
    name = "a\x1b[2J\n.md"
    repo.commit({"noburn.toml": gate_toml("", _PROMPT.replace("a.md", "*.md"))})
    repo.write({name: words(3)})
    done = repo.gate("--base", "HEAD")
    assert done.code == 0
    assert "\x1b" not in done.out
    assert "a\\x1b[2J\\n.md" in done.out
