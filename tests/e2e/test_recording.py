"""`noburn run --recording NAME -- pytest`: what each test took, to the nano-dollar.

The SDKs are a guest environment's, with a pytest beside them that knows nothing of noburn.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from decimal import Decimal
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from noburn_cli.core.money import nano_from_decimal
from tests.e2e.conftest import PROGRAMS, REPOSITORY, Provider, World

GUEST = REPOSITORY / ".venv" / "guests" / "current" / "bin" / "python"
#: pytest and what it needs, for the guest, which has none of its own.
PYTEST = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")
XDIST = ("xdist", "execnet")
AGENT = "test_agent.py::"
INDEX = "index (session fixture)"
LONG = 'test_plan[a "long" one,\\nwith \\xfc]'
SECRET = "sk-a-real-key-of-nobody"


@pytest.fixture
def project(world: World, tmp_path: Path) -> Path:
    """A folder with an agent's tests, and a pytest that the guest finds."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in (*PYTEST, *XDIST):
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        found = Path(spec.origin)
        found = found.parent if found.name == "__init__.py" else found
        (tools / found.name).symlink_to(found)
    folder = tmp_path / "project"
    shutil.copytree(PROGRAMS / "recorded", folder)
    (folder / "noburn.toml").write_text('[gate.recording]\ntolerance = "20%"\n')
    # Some of the guest's libraries bring plug-ins along that are not meant here.
    world.environment |= {"PYTHONPATH": str(tools), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    world.environment["OPENAI_API_KEY"] = SECRET
    return folder


def in_project(world: World, folder: Path, *arguments: str) -> CompletedProcess[str]:
    there = Path.cwd()
    os.chdir(folder)
    try:
        return world.noburn(*arguments)
    finally:
        os.chdir(there)


def run_tests(world: World, folder: Path, *pytest_arguments: str, answers: str = "") -> str:
    """Record the project's tests as `agents`; what the run says on stderr."""
    plugins = ("-p", "anyio.pytest_plugin", "-p", "xdist.plugin", "-p", "xdist.looponfail")
    command = (str(GUEST), "-m", "pytest", "-q", *plugins, *pytest_arguments)
    options = ("--answers", answers) if answers else ()
    done = in_project(world, folder, "run", "--recording", "agents", *options, "--", *command)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def recorded(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / ".noburn/recordings/agents.json").read_text())
    assert (document["kind"], document["version"]) == ("noburn.recording", 1)
    return {line["name"].removeprefix(AGENT): line for line in document["tests"]} | {
        "(not run)": document["not_run"]
    }


def costs(lines: dict[str, Any]) -> dict[str, int]:
    """Nano-dollars by line, of those that called."""
    return {
        name: nano_from_decimal(Decimal(line["cost_usd"]))
        for name, line in lines.items()
        if name != "(not run)" and line["calls"]
    }


def billed(world: World, provider: Provider) -> dict[str, int]:
    """The provider's bill by the test that each call was made in."""
    bill = {call["request_id"]: call["nano"] for call in provider.bill()["calls"]}
    found: dict[str, int] = {}
    for test, request in world.rows("SELECT tags ->> '$.noburn_test', provider_id FROM calls"):
        name = test.removeprefix(AGENT)
        found[name] = found.get(name, 0) + bill.pop(request)
    assert bill == {}
    return found


@pytest.mark.timeout(300)  # Three runs of pytest, on a machine that may be busy.
def test_runs_as_evidence(world: World, provider: Provider, project: Path) -> None:
    # Kept from the real thing: each test has its calls, and pays what it was billed.
    said = run_tests(world, project, answers="keep")
    lines = recorded(project)
    assert {name: line["calls"] for name, line in lines.items() if name != "(not run)"} == {
        "test_plan[short]": 14,
        LONG: 14,
        "test_threads": 2,
        "test_child": 1,
        "test_awaited[asyncio]": 1,
        "test_sdk": 2,
        "test_fails": 1,
        "test_without_calls": 0,
        "index (session fixture)": 3,
    }
    assert lines["(not run)"] == [f"{AGENT}test_skipped"]
    assert costs(lines) == billed(world, provider)
    assert "recording agents: 8 tests, 7 with calls, 38 calls, $" in said
    assert (project / ".noburn/recordings/.gitignore").read_text().endswith("*\n")
    answers = sorted((project / ".noburn/answers/agents").iterdir())
    assert [path.name for path in answers] == ["answers.json", "shared.yaml", "test_agent.py.yaml"]
    assert not [path for path in answers if SECRET in path.read_text()]
    gate = ("gate", "--recording", "agents")
    done = in_project(world, project, *gate, "--update-baseline")
    assert done.returncode == 0, done.stdout + done.stderr

    # Forty calls instead of twelve, in two workers: the gate says which tests, and why.
    world.environment["AGENT_CALLS"] = "40"
    run_tests(world, project, "-n", "2", "-k", "plan")
    done = in_project(world, project, *gate, "--json")
    assert done.returncode == 3, done.stdout + done.stderr
    found = json.loads(done.stdout)["data"]["findings"]
    errors = {one["subject"].removeprefix(AGENT): one["text"] for one in found}
    assert errors.keys() == {"test_plan[short]", LONG}
    assert all("calls 14 → 42" in text for text in errors.values())

    # Played without the provider and without a key: the same to the nano-dollar, and not spent.
    world.environment["AGENT_CALLS"] = "12"
    provider.close()
    del world.environment["OPENAI_API_KEY"]
    said = run_tests(world, project, answers="play")
    assert costs(recorded(project)) == costs(lines)
    assert "cost $0.00\n" in said
    assert "nothing was sent" in said
    done = in_project(world, project, *gate)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout
