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
from typing import Any

import pytest

from noburn_cli.core.money import nano_from_decimal
from tests.e2e.conftest import PROGRAMS, REPOSITORY, Provider, World

GUEST = REPOSITORY / ".venv" / "guests" / "current" / "bin" / "python"
#: pytest and what it needs, for the guest, which has none of its own.
PYTEST = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")
XDIST = ("xdist", "execnet")
AGENT = "test_agent.py::"


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
    # Some of the guest's libraries bring plug-ins along that are not meant here.
    world.environment |= {"PYTHONPATH": str(tools), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return folder


def run_tests(world: World, folder: Path, *arguments: str, options: tuple[str, ...] = ()) -> str:
    """Record the project's tests as `agents`; what the run says on stderr."""
    plugins = ("-p", "anyio.pytest_plugin", "-p", "xdist.plugin", "-p", "xdist.looponfail")
    command = (str(GUEST), "-m", "pytest", "-q", *plugins, *arguments)
    there = Path.cwd()
    os.chdir(folder)
    try:
        done = world.noburn("run", "--recording", "agents", *options, "--", *command)
    finally:
        os.chdir(there)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def recorded(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / ".noburn/recordings/agents.json").read_text())
    assert (document["kind"], document["version"]) == ("noburn.recording", 1)
    return {line["name"].removeprefix(AGENT): line for line in document["tests"]} | {
        "(not run)": document["not_run"]
    }


def test_each_test_has_its_calls(world: World, provider: Provider, project: Path) -> None:
    said = run_tests(world, project)
    lines = recorded(project)
    long = 'test_plan[a "long" one,\\nwith \\xfc]'
    assert {name: line["calls"] for name, line in lines.items() if name != "(not run)"} == {
        "test_plan[short]": 14,
        long: 14,
        "test_threads": 2,
        "test_child": 1,
        "test_awaited[asyncio]": 1,
        "test_claude": 1,
        "test_fails": 1,
        "test_without_calls": 0,
        "index (session fixture)": 3,
    }
    assert lines["(not run)"] == [f"{AGENT}test_skipped"]
    assert lines["test_claude"]["models"][0]["model"] == "claude-sonnet-5"

    # The provider's own bill, call by call: what each test paid is what it was billed.
    bill = {call["request_id"]: call["nano"] for call in provider.bill()["calls"]}
    billed: dict[str, int] = {}
    for test, request in world.rows("SELECT tags ->> '$.test', provider_id FROM calls"):
        name = test.removeprefix(AGENT)
        billed[name] = billed.get(name, 0) + bill.pop(request)
    assert bill == {}
    assert billed == {
        name: nano_from_decimal(Decimal(line["cost_usd"]))
        for name, line in lines.items()
        if name != "(not run)" and line["calls"]
    }
    assert "recording agents: 8 tests, 7 with calls, 37 calls, $" in said
    assert (project / ".noburn/recordings/.gitignore").read_text().endswith("*\n")
