"""docs/gate.md says what is: the sample's answer, keys that are read, inputs that there are."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import tomllib
import yaml

from noburn_cli.core.gate_model import RULES
from noburn_cli.core.gate_tables import TABLE_FORMATS, read_gate

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")


def load_generator():
    path = ROOT / "tools" / "generate_gate_docs.py"
    spec = importlib.util.spec_from_file_location("generate_gate_docs", path)
    module = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(module)
    sys.path[:] = before
    return module


def test_the_comment_shown_is_what_is_printed_and_a_changed_one_is_noticed():
    generator = load_generator()
    fresh = generator.generate(PAGE)
    plain = generator._VARYING.sub
    assert plain("", fresh) == plain("", PAGE), "run `make docs`"
    assert plain("", fresh) != plain("", PAGE.replace("grew by 900 tokens", "grew by 901 tokens"))
    assert plain("", fresh) == plain("", PAGE.replace("2026-11-23", "2027-01-01"))


def test_the_sample_can_be_tried(tmp_path):
    """Goal: the script of the sample, with this tree's command, says what the page says."""
    program = tmp_path / "noburn"
    both = os.pathsep.join((str(ROOT), str(ROOT / "daemon")))
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{both}" exec {sys.executable} -m noburn_cli "$@"\n')
    program.chmod(0o755)
    done = subprocess.run(
        ["sh", str(ROOT / "examples" / "gate" / "try"), "--save", f"json={tmp_path / 'gate.json'}"],
        env={
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "NOBURN_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (3, "")
    assert "system.md grew by 900 tokens" in done.stdout
    assert "test_plans_a_refund became dearer: calls 12 → 40" in done.stdout
    recording = json.loads((tmp_path / "gate.json").read_text("utf-8"))["data"]["recording"]
    (dearer,) = [one for one in recording["tests"] if one["verdict"] == "dearer"]
    assert (dearer["before"]["calls"], dearer["after"]["calls"]) == (12, 40)
    assert recording["passed"] is False


def refuse(key, reason, step):
    return AssertionError(f"{key}: {reason} {step}")


def test_the_shortest_configuration_is_one():
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    gate = read_gate(tomllib.loads(block)["gate"], refuse)
    assert gate.base == "origin/main"
    assert len(gate.prompts) == 1


def rows(heading):
    """The first cells of the table under a header, without backticks."""
    _, _, rest = PAGE.partition(f"| {heading} |")
    table = rest.partition("\n\n")[0]
    return re.findall(r"^\| `([a-z_-]+)", table, re.MULTILINE)


def test_every_rule_format_input_and_output_has_its_line():
    action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert rows("rule") == list(RULES)
    assert rows("`--format`") == list(TABLE_FORMATS)
    assert rows("input") == list(action["inputs"])
    assert rows("output") == list(action["outputs"])


def test_every_link_leads_somewhere():
    pages = (ROOT / "docs" / "gate.md", ROOT / "examples" / "gate" / "README.md")
    for page in pages:
        links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        ours = [link for link in links if "://" not in link]
        assert [link for link in ours if not (page.parent / link).exists()] == []
