"""A run's keys: virtual in the child, real with a hold; what passes no guard has none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Provider, World

REAL = "sk-proj-real0123456789abcdefREAL"
CLAUDE = "sk-ant-api03-real0123456789abcdef"

#: What a program may do with what it finds, one word each.
PROGRAM = """
import json, os, subprocess, sys, urllib.error, urllib.request
BODY = json.dumps({"model": "gpt-6-luna", "max_completion_tokens": 20,
                   "messages": [{"role": "user", "content": "hello"}]})

def say(*words):
    print(*words, flush=True)

for word in sys.argv[1:]:
    if word == "sdk":
        import openai
        with openai.OpenAI() as client:
            say(word, client.chat.completions.create(**json.loads(BODY)).usage.completion_tokens)
            say("models", client.models.list().data[0].id)
    elif word == "show":
        say(os.environ["OPENAI_API_KEY"], os.environ.get("ANTHROPIC_API_KEY"))
    elif word == "dotenv":
        import dotenv
        say(word, dotenv.load_dotenv(), os.environ["OPENAI_API_KEY"])
    elif word == "override":
        import dotenv
        say(word, dotenv.load_dotenv(override=True))
    elif word in ("-I", "-S"):  # No hook: the key in the environment, at the provider's own URL.
        code = (
            "import os, urllib.request, urllib.error, sys, time\\n"
            "r = urllib.request.Request(sys.argv[1] + '/v1/chat/completions', sys.argv[2].encode(),"
            " {'authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']})\\n"
            "try: print(urllib.request.urlopen(r).status, flush=True)\\n"
            "except urllib.error.HTTPError as error: print(error.code, flush=True)\\n"
            "time.sleep(4)\\n"
        )
        subprocess.run([sys.executable, word, "-c", code, os.environ["STUB"], BODY], check=True)
    elif word == "sleep":
        import time
        time.sleep(4)
    elif word == "curl":
        subprocess.run(
            "curl -sS -o /dev/null -w '%{http_code}\\\\n' "
            '"$OPENAI_BASE_URL/chat/completions" -H "Authorization: Bearer $OPENAI_API_KEY" '
            "-H 'content-type: application/json' -d '" + BODY + "'",
            shell=True, check=True,
        )
"""


@pytest.fixture
def locked(world: World, tmp_path: Path) -> Iterator[Provider]:
    """A provider that takes the real key alone, and a program that calls it."""
    (tmp_path / "program.py").write_text(PROGRAM)
    world.environment |= {"OPENAI_API_KEY": REAL, "ANTHROPIC_API_KEY": CLAUDE, "HOME": "/nowhere"}
    os.environ["STUB_KEY"] = REAL
    provider = world.provider(
        "--required-key-from", "STUB_KEY", "--default", "x-stub-output-tokens=15"
    )
    del os.environ["STUB_KEY"]
    world.environment["STUB"] = provider.url
    yield provider
    provider.close()


def run(
    world: World, folder: Path, *words: str, arguments: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    file = folder / "summary.json"
    return subprocess.run(
        [sys.executable, "-m", "noburn_cli", "run", "--summary-file", str(file), *arguments,
         "--", sys.executable, str(folder / "program.py"), *words],
        env=world.environment, cwd=folder, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def bypass(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "summary.json").read_text())["data"]["bypass"]
    return found


def test_the_key_comes_with_the_hold(world: World, locked: Provider, tmp_path: Path) -> None:
    done = run(world, tmp_path, "show", "sdk", "curl", "-I", "-S")
    lines = done.stdout.splitlines()
    openai_key, anthropic_key = lines[0].split()
    assert openai_key.startswith("sk-noburn-vk-")
    assert anthropic_key.startswith("sk-ant-noburn-vk-")
    # Hooked and by the gateway: allowed.  Past both: the provider's own refusal.
    assert lines[1:] == ["sdk 15", "models gpt-6-luna", "200", "401", "401"], done.stderr
    assert world.rows("SELECT state, count(*) FROM calls GROUP BY 1") == [("settled", 2)]
    ((cost,),) = world.rows("SELECT sum(cost_nano) FROM calls")
    assert cost == locked.bill()["total_nano"] > 0
    unguarded = bypass(tmp_path)["processes"]
    assert len(unguarded) == 2
    assert all(one["name"].startswith("python") for one in unguarded)
    said = "without a guard, and without a key: python"
    assert said in done.stderr
    (name,) = {name for (name,) in world.rows("SELECT run FROM runs")}
    assert said in world.noburn("report", "--run", name).stdout
    reported = json.loads(world.noburn("report", "--run", name, "--json").stdout)["data"]
    assert reported["bypass"]["processes"] == unguarded


def test_real_keys_are_nowhere(world: World, locked: Provider, tmp_path: Path) -> None:
    done = run(world, tmp_path, "sdk", "curl")
    assert done.returncode == 0, done.stderr
    places = [*world.home.rglob("*"), tmp_path / "summary.json"]
    stored = b"".join(path.read_bytes() for path in places if path.is_file())
    daemon = Path(f"/proc/{world.daemon_pid()}/environ").read_bytes()
    for key in (REAL, CLAUDE):
        assert key.encode() not in stored + daemon
        assert key not in done.stdout + done.stderr
    assert b"noburn-vk-" not in daemon


def test_keys_in_dotenv_files(world: World, locked: Provider, tmp_path: Path) -> None:
    del world.environment["OPENAI_API_KEY"]
    (tmp_path / ".env").write_text(f"REALLY={REAL}\nOPENAI_API_KEY=${{REALLY}}\n")
    done = run(world, tmp_path, "dotenv", "sdk")
    assert done.stdout.startswith("dotenv True sk-noburn-vk-")
    assert "sdk 15" in done.stdout, done.stderr
    # An explicit override brings the real one, which is guarded all the same.
    assert "sdk 15" in run(world, tmp_path, "override", "sdk").stdout
    assert world.rows("SELECT DISTINCT state FROM calls") == [("settled",)]


def test_a_key_may_be_kept_and_other_logins_are_named(
    world: World, locked: Provider, tmp_path: Path
) -> None:
    login = tmp_path / ".codex" / "auth.json"
    login.parent.mkdir()
    login.write_text("{}")
    world.environment["HOME"] = str(tmp_path)
    done = run(world, tmp_path, "show", arguments=("--keep-key", "OPENAI_API_KEY"))
    assert done.stdout.startswith(REAL)
    assert "not covered by virtual keys: codex's login, OPENAI_API_KEY" in done.stderr
    assert bypass(tmp_path)["credentials"] == [
        {"what": "codex's login"}, {"what": "OPENAI_API_KEY"},
    ]  # fmt: skip


def test_a_run_in_a_run_uses_the_keys_of_the_outer_one(
    world: World, locked: Provider, tmp_path: Path
) -> None:
    inner = [sys.executable, "-m", "noburn_cli", "run", "--", sys.executable]
    done = subprocess.run(
        [sys.executable, "-m", "noburn_cli", "run", "--", *inner,
         str(tmp_path / "program.py"), "sdk", "curl", "sleep"],
        env=world.environment, cwd=tmp_path, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["sdk 15", "models gpt-6-luna", "200"], done.stderr
    assert [run.count("/") for (run,) in world.rows("SELECT run FROM calls")] == [1, 1]
    # Neither the inner supervisor nor its gateway is a process without a guard.
    assert "without a guard" not in done.stderr


def test_a_daemon_that_a_guest_starts_is_no_guest(
    world: World, locked: Provider, tmp_path: Path
) -> None:
    """Its environment is a copy of a guarded program's, which children of one get made guests."""
    program = (
        "import subprocess, time, httpx2\n"
        "from noburn_cli.client import Client\n"
        "before = Client().status()['pid']\n"
        "Client().shutdown()\n"
        "while (pid := Client().status()['pid']) == before:\n"  # It is still leaving.
        "    time.sleep(0.05)\n"
        "print(pid)\n"
    )
    (tmp_path / "program.py").write_text(program)
    done = run(world, tmp_path)
    assert done.stdout, done.stderr
    inherited = Path(f"/proc/{done.stdout.strip()}/environ").read_bytes().split(b"\0")
    assert b"NOBURN_GUARD=0" in inherited
    assert not any(b"enforce/inject" in one for one in inherited)
