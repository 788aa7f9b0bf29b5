"""action.yml as a runner runs it: on a pull request's shallow checkout, with GitHub's API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.action.composite import ROOT, Job
from tests.action.hub import Hub
from tests.action.origin import SAMPLE, Origin, git

MARKER = "<!-- noburn gate -->"
BOTH = os.pathsep.join((str(ROOT), str(ROOT / "daemon")))


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    return Origin(tmp_path_factory.mktemp("hosted") / "desk")


@pytest.fixture
def hub():
    one = Hub()
    yield one
    one.close()


@pytest.fixture
def tools(tmp_path):
    """A folder for the PATH with this tree's `noburn` in it."""
    folder = tmp_path / "tools"
    folder.mkdir()
    program = folder / "noburn"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH="{BOTH}" exec "{sys.executable}" -m noburn_cli "$@"\n'
    )
    program.chmod(0o755)
    (folder / "python3").symlink_to(sys.executable)
    return folder


def pull_request(origin, number=7):
    return {"pull_request": {"number": number, "base": {"sha": origin.base}}}


def job(folder, workspace, event, hub, tools, sha):
    """A job of the repository acme/desk."""
    folder.mkdir(exist_ok=True)
    environment = {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "NOBURN_HOME": str(folder / "home"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GITHUB_GRAPHQL_URL": hub.url,
        "GITHUB_REPOSITORY": "acme/desk",
        "GITHUB_SHA": sha,
    }
    return Job(folder, workspace, event, environment)


def test_a_comment_is_made_then_kept_up_to_date(origin, hub, tools, tmp_path):
    """Goal: from one shallow commit to one comment, whatever others wrote, and the gate's code."""
    hub.said(f"{MARKER}\nI am not the action.", mine=False)
    hub.said("Looks good.", mine=True)
    hub.said(f"They said: {MARKER}", mine=True)
    before = [dict(one) for one in hub.comments]
    workspace = origin.checkout(tmp_path / "first", origin.merged)
    recordings = workspace / ".noburn" / "recordings"
    recordings.mkdir(parents=True)
    shutil.copy(SAMPLE / "recording" / "agents.json", recordings)
    first = job(
        *(tmp_path / "job", workspace, pull_request(origin), hub, tools, origin.merged)
    ).run(version="installed", recording="agents")
    assert first.exit_code == 3, first.log
    assert first.ran[-1] == "Verdict"
    assert first.steps["base"]["outputs"] == {"base": origin.base}
    (made,) = hub.comments[3:]
    assert made["body"].startswith(f"{MARKER}\n### ")
    assert "`system.md` grew by 900 tokens" in made["body"].splitlines()[1]
    assert "`test_plans_a_refund` became dearer: calls 12 → 40" in made["body"].splitlines()[1]
    assert first.outputs["comment-url"] == made["url"]
    assert first.outputs["passed"] == "false"
    data = json.loads(Path(first.outputs["json"]).read_text("utf-8"))["data"]
    assert first.outputs["monthly-difference"] == data["difference"]
    assert "### " in first.summary
    assert "grew by 900 tokens" in first.summary
    assert "::error " in first.log

    origin.change("prompts/system.md", "You are the help desk. Be short.\n")
    workspace = origin.checkout(tmp_path / "second", origin.merged)
    second = job(
        *(tmp_path / "job-2", workspace, pull_request(origin), hub, tools, origin.merged)
    ).run(version="installed")
    assert len(hub.comments) == 4, "one comment, updated in place"
    assert hub.comments[3]["body"] != first.summary
    assert "`system.md` shrank by" in hub.comments[3]["body"].splitlines()[1]
    assert second.outputs["comment-url"] == made["url"]
    assert hub.comments[:3] == before
    assert hub.asked.count("addComment") == hub.asked.count("updateIssueComment") == 1


def test_a_fork_s_token_changes_no_verdict(origin, hub, tools, tmp_path):
    """Goal: what cannot be written is told in the summary; the exit code is the gate's."""
    hub.writable = False
    workspace = origin.checkout(tmp_path / "work", origin.merged)
    outcome = job(
        *(tmp_path / "job", workspace, pull_request(origin), hub, tools, origin.merged)
    ).run(version="installed", arguments="--all\n--format\ngithub\n")
    assert outcome.exit_code in (0, 3)
    assert outcome.ran[-1] == "Verdict"
    assert "a fork has a token that may only read" in outcome.summary
    assert outcome.outputs["comment-url"] == ""
    assert hub.comments == []


def test_a_gate_that_cannot_be_evaluated_says_so_where_old_figures_stood(
    origin, hub, tools, tmp_path
):
    hub.said(f"{MARKER}\n### +$1 a month", mine=True)
    workspace = origin.checkout(tmp_path / "work", origin.merged)
    key = r"growth x```y\n::warning::not ours\n ##[warning]nor this"
    (workspace / "noburn.toml").write_text(f'[gate]\n"{key}" = 1\n')
    outcome = job(
        *(tmp_path / "job", workspace, pull_request(origin), hub, tools, origin.merged)
    ).run(version="installed")
    assert outcome.exit_code == 2
    body = hub.comments[0]["body"]
    assert body.startswith(f"{MARKER}\n### The gate could not be evaluated\n")
    assert "growth x```y" in body
    said = outcome.log.splitlines()
    stop = next(number for number, line in enumerate(said) if line.startswith("::stop-commands::"))
    word = said[stop].removeprefix("::stop-commands::")
    assert len(word) == 32
    assert "growth" in "".join(said[stop : said.index(f"::{word}::")])
    assert not any(line.strip().startswith(("::warning::not", "##[")) for line in said)
    assert "Exit code 2" in body
    assert (outcome.outputs["passed"], outcome.outputs["json"]) == ("", "")
    assert "could not be evaluated" in outcome.summary


def test_a_push_has_a_summary_and_no_comment(origin, hub, tools, tmp_path):
    """Goal: outside of pull requests nothing is posted, and the base is what was pushed on."""
    workspace = origin.checkout(tmp_path / "work", origin.base)
    if os.geteuid() == 0:  # As in a job's container: the checkout belongs to somebody else.
        for path in (workspace, *workspace.rglob("*")):
            os.chown(path, 1000, 1000)
    event = {"before": origin.forked_at}
    outcome = job(*(tmp_path / "job", workspace, event, hub, tools, origin.base)).run(
        version="installed"
    )
    assert outcome.exit_code == 0, outcome.log
    assert outcome.steps["base"]["outputs"] == {"base": origin.forked_at}
    assert (outcome.outputs["passed"], outcome.outputs["monthly-difference"]) == ("true", "0")
    assert "No change: " in outcome.summary
    assert hub.asked == []


@pytest.mark.parametrize(
    ("depth", "checked_out", "event", "base", "expected"),
    [
        (0, "head", "pull_request", "", "base"),
        (1, "head", "pull_request", "", "base"),  # the branch's own history is not there
        (1, "head", "pull_request", "origin/main", "origin/main"),
        (1, "merged", "pull_request", "origin/main", "origin/main"),
        (1, "merged", "pull_request", "", "base"),
        (1, "base", "zeros", "", None),  # a new branch was pushed
        (1, "base", "dispatch", "", None),
        (1, "merged", "queue", "", "base"),
    ],
)
def test_the_base_is_found_and_fetched(
    depth, checked_out, event, base, expected, origin, hub, tools, tmp_path
):
    commit = getattr(origin, checked_out)
    events = {
        "pull_request": pull_request(origin),
        "zeros": {"before": "0" * 40},
        "dispatch": {},
        "queue": {"merge_group": {"base_sha": origin.base}},
    }
    workspace = origin.checkout(tmp_path / "work", commit, depth=depth)
    one = job(*(tmp_path / "job", workspace, events[event], hub, tools, origin.merged))
    outcome = one.run(only="base", base=base)
    assert outcome.exit_code == 0, outcome.log
    found = outcome.steps["base"]["outputs"]["base"]
    assert found == ("" if expected is None else getattr(origin, expected, expected))
    if found:
        git(workspace, "cat-file", "-e", f"{found}^{{commit}}")
    if found and checked_out == "head":
        # As deep as it takes: where both part, so that main's own changes are not the branch's.
        assert git(workspace, "merge-base", found, "HEAD") == origin.forked_at
    shallow = git(workspace, "rev-parse", "--is-shallow-repository")
    # Of a merge nothing more is fetched: it names what it merges.
    if checked_out == "merged" and depth:
        assert shallow == "true"


def test_a_base_that_would_be_an_option_is_refused(origin, hub, tools, tmp_path):
    workspace = origin.checkout(tmp_path / "work", origin.head)
    one = job(*(tmp_path / "job", workspace, {}, hub, tools, origin.head))
    outcome = one.run(only="base", base=f"--upload-pack=touch {tmp_path / 'ran'};")
    assert outcome.exit_code == 1
    assert "begins with a dash" in outcome.log
    assert not (tmp_path / "ran").exists()
    outcome = one.run(only="base", base="main\n::notice::not ours")
    assert outcome.exit_code == 1
    assert "::notice" not in outcome.log


def test_a_github_that_does_not_answer_fails_nothing(hub, tmp_path):
    """Goal: reading is tried again, the reason is told, and the step ends with 0."""
    hub.broken = 502
    folder = tmp_path / "found"
    folder.mkdir()
    (folder / "said.txt").write_text("error: no\n")
    (tmp_path / "event.json").write_text('{"pull_request": {"number": 7}}')
    environment = {
        "FOLDER": str(folder),
        "EXIT_CODE": "1",
        "COMMENT": "true",
        "TOKEN": "a-token",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_GRAPHQL_URL": hub.url,
        "GITHUB_REPOSITORY": "acme/desk",
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
    }
    script = [sys.executable, str(ROOT / "scripts" / "gate_action.py")]
    done = subprocess.run(
        script, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "::warning title=noburn gate::" in done.stdout
    assert "GitHub answered 502" in (tmp_path / "summary.md").read_text()
