"""The pre-commit hook and the action's installation: what they install and run, by the real tools.

Nothing is downloaded: pip builds and installs this tree, as it does elsewhere, and finds what the
tree depends on in the environment of the tests (PIP_NO_DEPS, and no isolation of the build).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from tests.action.composite import ROOT, Job
from tests.action.origin import SAMPLE, commit, git

#: What the wheel is not built from.
NOT_BUILT = shutil.ignore_patterns(
    *(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "build", "dist"),
    *("tests", "docs", "benchmarks", "man", "completions"),
)
OFFLINE = {
    "PIP_NO_DEPS": "1",
    "PIP_NO_INDEX": "1",
    "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as the option's value: 0 switches isolation off
    "PYTHONPATH": sysconfig.get_path("purelib"),
}


def environment(folder, **more):
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    tools = str(Path(sys.executable).parent)
    return {
        **kept,
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "NOBURN_HOME": str(folder / "home"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "somebody",
        "GIT_AUTHOR_EMAIL": "somebody@example.com",
        "GIT_COMMITTER_NAME": "somebody",
        "GIT_COMMITTER_EMAIL": "somebody@example.com",
        **OFFLINE,
        **more,
    }


@pytest.fixture(scope="module")
def tool(tmp_path_factory):
    """This tree as the git repository that a configuration of pre-commit names, and its commit."""
    folder = tmp_path_factory.mktemp("tool") / "noburn"
    shutil.copytree(ROOT, folder, symlinks=True, ignore=NOT_BUILT)
    git(folder, "init", "--quiet")
    return folder, commit(folder, "this tree")


@pytest.mark.timeout(300)
def test_the_hook_stops_a_commit_and_lets_one_pass(tool, tmp_path):
    """Goal: `git commit` with the hook installed, from an empty cache."""
    repository, revision = tool
    project = tmp_path / "desk"
    shutil.copytree(SAMPLE / "repository", project)
    hook = {"repo": str(repository), "rev": revision, "hooks": [{"id": "noburn-gate"}]}
    (project / ".pre-commit-config.yaml").write_text(yaml.safe_dump({"repos": [hook]}))
    git(project, "init", "--quiet", "--initial-branch", "main")
    commit(project, "the sample")
    own = environment(tmp_path, PRE_COMMIT_HOME=str(tmp_path / "cache"))

    def run(*command):
        return subprocess.run(
            command,
            cwd=project,
            env=own,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=240,
            check=False,
        )

    assert run("pre-commit", "install").returncode == 0
    git(project, "apply", "--index", str(SAMPLE / "pull-request.patch"))
    stopped = run("git", "commit", "--message", "dearer")
    assert stopped.returncode == 1, stopped.stdout
    assert "noburn gate" in stopped.stdout
    assert "exit code: 3" in stopped.stdout
    assert "system.md grew by 900 tokens" in stopped.stdout
    git(project, "reset", "--quiet", "--hard")
    (project / "prompts" / "system.md").write_text("You are the help desk. Be short.\n")
    git(project, "add", "--all")
    passed = run("git", "commit", "--message", "cheaper")
    assert passed.returncode == 0, passed.stdout
    assert "Passed" in passed.stdout


@pytest.mark.timeout(300)
def test_the_action_installs_what_it_came_with(tmp_path):
    """Goal: the environment that later steps run in has the command, at this tree's version."""
    own = environment(tmp_path)
    for module in ("pip", "venv", "logging"):  # A checkout can hold anything, and is not run.
        (tmp_path / f"{module}.py").write_text("raise SystemExit('the branch was run')\n")
    outcome = Job(tmp_path, tmp_path, {}, own).run(only="install")
    assert outcome.exit_code == 0, outcome.log
    noburn = Path(outcome.steps["install"]["outputs"]["noburn"])
    assert noburn.is_relative_to(tmp_path / "temp")
    said = subprocess.run(
        [noburn, "--version"], env=own, capture_output=True, text=True, check=True
    )
    assert said.stdout == outcome.log.splitlines()[-1] + "\n"


@pytest.mark.parametrize(
    ("system", "python", "version", "told"),
    [
        ("Windows", True, "action", "noburn runs on Linux and macOS"),
        ("Linux", False, "action", "no Python 3.11 or newer"),
        ("Linux", True, "installed", "no noburn is on the PATH"),
    ],
)
def test_what_cannot_be_installed_is_told(system, python, version, told, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "bash").symlink_to(shutil.which("bash"))
    if python:
        (tools / "python3").symlink_to(sys.executable)
    own = environment(tmp_path, PATH=str(tools), RUNNER_OS=system)
    outcome = Job(tmp_path, tmp_path, {}, own).run(only="install", version=version)
    assert outcome.exit_code == 1
    assert outcome.log.startswith("::error title=noburn gate::")
    assert told in outcome.log
