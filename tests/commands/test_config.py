"""`noburn config`, `noburn trust`, and what both mean for `noburn run`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from noburn_cli.ledger_file import reading_ledger
from tests.enforce.scripted import CHAT, Answer, Scripted, Seen
from tests.warm import run_noburn

if TYPE_CHECKING:
    from tests.commands.conftest import Home

#: A program that knows nothing of noburn: one chat completion, its status and error on stdout.
PROGRAM = """
import json, sys, httpx
body = {"model": "qwen3:8b", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 9}
answer = httpx.post(sys.argv[1] + "/v1/chat/completions", json=body)
print(answer.status_code, answer.text)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project" / "inside"
    folder.mkdir(parents=True)
    return folder


def says(project: Path, text: str) -> Path:
    path = project.parent / "noburn.toml"
    path.write_text(text, encoding="utf-8")
    return path


def noburn(home: Home, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_noburn(arguments, env=home.environment, cwd=folder)


def data_of(done: subprocess.CompletedProcess[str], kind: str) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["kind"], document["version"]) == (kind, 1)
    found: dict[str, Any] = document["data"]
    return found


def test_config_says_what_holds_and_who_said_it(home: Home, project: Path) -> None:
    path = says(project, '[run]\nbudget = "$5"\nwait = 60\n[ceilings]\nweb_search = "$2"\n')
    done = noburn(home, project, "config", "--origin")
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if line.startswith("run.budget"))
    assert line.split() == ["run.budget", "$5.00", str(path)]
    assert "run.wait" in done.stderr
    assert "noburn trust" in done.stderr
    data = data_of(noburn(home, project, "config", "--json"), "noburn.config")
    assert data["settings"]["run.budget"] == {
        "value": {"unit": "dollars", "amount": "5"},
        "origin": str(path),
    }
    assert data["settings"]["run.wait"] == {"value": 30.0, "origin": "default"}
    assert data["ignored"] == ["run.wait", "ceilings.web_search"]
    paths = data_of(noburn(home, project, "config", "path", "--json"), "noburn.config.path")
    assert paths["user"] == str(home.path / "config" / "noburn.toml")
    assert paths["project"] == str(path)
    assert Path(paths["schema"]).exists()


def test_an_endpoint_without_prices_is_told(home: Home, project: Path) -> None:
    says(
        project,
        '[[endpoint]]\nname = "x"\nbase_url = "http://h/v1"\napi = "openai"\nprices = "grook"\n',
    )
    assert noburn(home, project, "trust").returncode == 0
    done = noburn(home, project, "config")
    assert "no models of `grook`" in done.stderr


def test_trust_and_back(home: Home, project: Path) -> None:
    path = says(project, "[run]\nwait = 60\n")
    done = noburn(home, project, "trust")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [f"trusted: {path}", "run.wait  60 s"]
    assert "already" in noburn(home, project, "trust").stdout
    listed = data_of(noburn(home, project, "trust", "--list", "--json"), "noburn.trust")
    assert [(one["path"], one["state"]) for one in listed["files"]] == [(str(path), "as accepted")]
    says(project, "[run]\nwait = 61\n")
    assert "changed" in noburn(home, project, "trust", "--list").stdout
    path.unlink()
    assert "gone" in noburn(home, project, "trust", "--list").stdout
    assert noburn(home, project, "trust").returncode == 2
    assert noburn(home, project, "trust", "--remove", str(path)).returncode == 0
    assert "no project" in noburn(home, project, "trust", "--list").stdout
    assert noburn(home, project, "trust", "--remove", str(path)).returncode == 2
    assert noburn(home, project, "trust", "--list", "--remove").returncode == 2


@pytest.mark.parametrize("command", [("config",), ("trust",), ("run", "--", "true")])
def test_a_broken_file_is_wrong_usage_everywhere(
    home: Home, project: Path, command: tuple[str, ...]
) -> None:
    path = says(project, "[run]\nwiat = 60\n")
    done = noburn(home, project, *command)
    assert done.returncode == 2
    assert str(path) in done.stderr
    assert "did you mean `run.wait`?" in done.stderr


def test_a_run_takes_its_defaults_from_the_files(home: Home, project: Path) -> None:
    says(
        project,
        '[run]\nwait = 7\nfloor = 512\non_exceed = "kill"\nbudget = "100req"\n'
        '[attributes]\nproject = "search"\ncustomer = "acme"\n[attributes.tags]\nteam = "blue"\n'
        '[attributes.from]\nuser = "user"\n',
    )
    done = noburn(home, project, "run", "--customer", "globex", "--", "env")
    assert done.returncode == 0, done.stderr
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert (told["NOBURN_WAIT_S"], told["NOBURN_OUTPUT_FLOOR"]) == ("7", "512")
    assert (told["NOBURN_PROJECT"], told["NOBURN_CUSTOMER"]) == ("search", "globex")
    assert json.loads(told["NOBURN_TAGS"]) == {"team": "blue"}
    policy = json.loads(told["NOBURN_POLICY"])
    assert (policy["fields"], policy["on_abort"]) == ({"user": "user"}, "hold")


def test_a_free_endpoint_of_a_trusted_project(home: Home, project: Path) -> None:
    """Goal: refused while nobody trusts it; then free, counted, and explained by `why`."""

    def answer(_: Seen) -> Answer:
        return Answer(body=json.dumps({**CHAT, "model": "qwen3:8b"}).encode())

    with Scripted(answer) as server:
        path = says(
            project,
            f'[[endpoint]]\nname = "local"\nbase_url = "{server.url}/v1"\napi = "openai"\n'
            'prices = "free"\ncontext_window = 4096\n',
        )
        command = ("run", "--budget", "0.01", "--", sys.executable, "-c", PROGRAM, server.url)
        done = noburn(home, project, *command)
        assert done.stdout.startswith("402 ")
        assert "endpoint.local" in done.stderr
        assert server.seen == []
        assert noburn(home, project, "trust").returncode == 0
        done = noburn(home, project, *command)
        assert done.stdout.startswith("200 "), done.stdout + done.stderr
        assert len(server.seen) == 1
    assert "1 call free" in done.stderr
    report = data_of(noburn(home, project, "report", "--by", "model", "--json"), "noburn.report")
    assert "local/qwen3:8b" in json.dumps(report)
    with reading_ledger(home.ledger) as ledger:
        query = "SELECT call FROM calls WHERE state = 'settled'"
        ((call,),) = list(ledger.execute(query))
    why = noburn(home, project, "why", call).stdout
    assert "local/qwen3:8b cost $0.00" in why
    assert f"rates: free, as declared in\n         file:{path}" in why
