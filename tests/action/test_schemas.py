"""Files that other programs read, by those programs' own schemas."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.action.composite import ROOT

GATE_PAGE = ROOT / "docs" / "gate.md"


def check(schema, *paths):
    """What check-jsonschema says of files, by a schema that it ships; nothing is downloaded."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}"]
    done = subprocess.run(
        [*command, *map(str, paths)], capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout + done.stderr


def examples(page, language="yaml"):
    """The page's blocks of that language, by the file that their first line names."""
    blocks = re.findall(rf"```{language}\n# (\S+)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    return dict(blocks)


def test_the_page_s_configurations_are_valid(tmp_path):
    shown = examples(GATE_PAGE)
    paths = {name: tmp_path / Path(name).name for name in shown}
    for name, path in paths.items():
        path.write_text(shown[name])
    workflows = [path for name, path in paths.items() if name.startswith(".github/workflows/")]
    assert len(workflows) == 2
    for schema, files in (
        ("github-workflows", workflows),
        ("gitlab-ci", [paths[".gitlab-ci.yml"]]),
    ):
        code, said = check(schema, *files)
        assert code == 0, said


def test_the_action_is_valid_and_a_broken_one_is_not(tmp_path):
    action = (ROOT / "action.yml").read_text("utf-8")
    assert check("github-actions", ROOT / "action.yml")[0] == 0
    broken = tmp_path / "action.yml"
    broken.write_text(action.replace("shell: bash", "shel: bash"))
    assert check("github-actions", broken)[0] != 0


def test_the_hooks_and_the_page_s_configuration_are_valid(tmp_path):
    config = tmp_path / ".pre-commit-config.yaml"
    config.write_text(examples(GATE_PAGE)[".pre-commit-config.yaml"])
    hooks = ROOT / ".pre-commit-hooks.yaml"
    for command, path in (("validate-manifest", hooks), ("validate-config", config)):
        done = subprocess.run(
            [sys.executable, "-m", "pre_commit", command, str(path)],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
