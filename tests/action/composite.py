"""Runs action.yml the way a runner does: each step's script in a real bash, with GitHub's files.

Understood of expressions is what action.yml uses: `${{ inputs.… }}`, `github.token`,
`github.event.…` and `steps.….outputs.…`; anything else fails the test that meets it.
https://docs.github.com/en/actions/reference/workflows-and-actions/metadata-syntax, read 2026-11-27
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
SHELLS = {"bash": ["bash", "--noprofile", "--norc", "-eo", "pipefail"]}


@dataclass
class Outcome:
    """What a run of the action left behind."""

    exit_code: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    steps: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    log: str = ""
    summary: str = ""
    ran: list[str] = field(default_factory=list)


@dataclass
class Job:
    """One job: where it runs, for which event, and what its environment says.

    event: the webhook's payload.  environment: beside what a runner always sets.
    """

    folder: Path
    workspace: Path
    event: dict[str, Any]
    environment: dict[str, str]
    token: str = "a-token"

    def run(self, only: str | None = None, **inputs: str) -> Outcome:
        """Run the action's steps in order until one fails; `only` runs the step with this id."""
        action = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert given.keys() <= action["inputs"].keys()
        outcome = Outcome()
        values = {name: one["default"] for name, one in action["inputs"].items()} | given
        context: dict[str, Any] = {"github": {"token": self.token, "event": self.event}}
        context["inputs"] = {name: evaluate(one, context) for name, one in values.items()}
        context["steps"] = outcome.steps
        for step in action["runs"]["steps"]:
            if only is not None and step.get("id") != only:
                continue
            self._step(step, context, outcome)
            if outcome.exit_code:
                break
        outcome.outputs = {
            name: evaluate(one["value"], context) for name, one in action["outputs"].items()
        }
        summary = self.folder / "summary.md"
        outcome.summary = summary.read_text("utf-8") if summary.exists() else ""
        return outcome

    def _step(self, step: dict[str, Any], context: dict[str, Any], outcome: Outcome) -> None:
        assert EXPRESSION.search(step["run"]) is None, "a value pasted into a script is code"
        script = self.folder / "step.sh"
        script.write_text(step["run"], encoding="utf-8")
        output = self.folder / "output.txt"
        output.write_text("")
        done = subprocess.run(
            [*SHELLS[step["shell"]], str(script)],
            cwd=self.workspace / evaluate(step.get("working-directory", "."), context),
            env=self._environment(step, context, output),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )
        lines = output.read_text("utf-8").splitlines()
        outcome.steps[step.get("id", step["name"])] = {
            "outputs": dict(line.split("=", 1) for line in lines)
        }
        outcome.exit_code = done.returncode
        outcome.log += done.stdout
        outcome.ran.append(step["name"])

    def _environment(
        self, step: dict[str, Any], context: dict[str, Any], output: Path
    ) -> dict[str, str]:
        temporary = self.folder / "temp"
        temporary.mkdir(exist_ok=True)
        event = self.folder / "event.json"
        event.write_text(json.dumps(self.event), encoding="utf-8")
        own = {name: evaluate(one, context) for name, one in step.get("env", {}).items()}
        return {
            "GITHUB_ACTION_PATH": str(ROOT),
            "GITHUB_EVENT_PATH": str(event),
            "GITHUB_OUTPUT": str(output),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            "GITHUB_WORKSPACE": str(self.workspace),
            "RUNNER_OS": "Linux",
            "RUNNER_TEMP": str(temporary),
            **self.environment,
            **own,
        }


def evaluate(text: str, context: dict[str, Any]) -> str:
    """`text` with its expressions replaced; what is not there is empty, as GitHub has it."""
    return EXPRESSION.sub(lambda match: _look_up(match[1], context), str(text))


def _look_up(path: str, context: dict[str, Any]) -> str:
    assert re.fullmatch(r"(inputs|github|steps)(\.[\w-]+)+", path), f"not understood: {path}"
    found: Any = context
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return "" if found is None else str(found)
