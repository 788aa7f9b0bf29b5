"""What `noburn run` injects: every Python below it guarded, and the program otherwise as before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from noburn_cli.enforce.launch import INJECT_FOLDER, LaunchSettings, child_environment

REPOSITORY = Path(__file__).parents[2]
ASK = """
import openai
def ask():
    with openai.OpenAI(api_key="any", max_retries=0, timeout=30) as client:
        client.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": "hi"}], max_tokens=20
        )
"""


@pytest.fixture
def guest(home, stub):
    """Runs Python code as a child of a run, with nothing of ours on its path but the hook."""
    base = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment = child_environment(
        {**base, "OPENAI_BASE_URL": stub.url + "/v1"},
        LaunchSettings(attributes={"customer": "acme", "tag.team": "x"}),
        run="r1",
        home=home.folder,
        daemon_command=[sys.executable, "-m", "noburn_daemon"],
    )
    home.client.status()  # The daemon runs before its guests, as under `noburn run`.

    def run(*arguments, python=sys.executable, path=()):
        more = {"PYTHONPATH": os.pathsep.join([environment["PYTHONPATH"], *map(str, path)])}
        return subprocess.run(
            [python, *arguments], env={**environment, **more}, cwd="/",
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip

    return run


def test_every_way_to_a_process_is_guarded(home, stub, guest, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        ASK
        + """
import multiprocessing, os, subprocess, sys, threading
if __name__ == "__main__":
    ask()
    child = os.fork()
    if not child:
        ask()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    ask()  # The parent's connections are its own again.
    for method in ("spawn", "fork"):
        process = multiprocessing.get_context(method).Process(target=ask)
        process.start()
        process.join()
        assert process.exitcode == 0
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    subprocess.run([sys.executable, "-P", "-s", "-c", "import runpy; "
        "runpy.run_path(%r)['ask']()" % __file__], check=True)
"""
    )
    ran = guest(str(program))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert stub.wait_idle()
    assert home.cost_nano() == stub.bill_nano() > 0
    assert home.states() == ["settled"] * 7
    assert set(home.calls("run, customer, tags")) == {("r1", "acme", '{"team":"x"}')}


def test_an_isolated_interpreter_is_not_guarded(home, stub, guest):
    """The hook comes by PYTHONPATH; this is what docs/threat-model.md says it cannot see."""
    assert guest("-I", "-c", ASK + "ask()").returncode == 0
    assert len(stub.bill.calls) == 1
    assert home.states() == []


def test_the_program_keeps_its_own_sitecustomize(guest, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.theirs = __file__")
    code = "import sys, sitecustomize; print(sys.theirs == sitecustomize.__file__, sys.theirs)"
    ran = guest("-c", code, path=[tmp_path])
    assert (ran.stderr, ran.stdout) == ("", f"True {tmp_path / 'sitecustomize.py'}\n")


def test_only_the_hooks_folder_is_added_to_the_path(guest):
    code = "import json, sys; print(json.dumps(sys.path))"
    bare = {name: text for name, text in os.environ.items() if not name.startswith("PYTHON")}
    plain = subprocess.run(
        [sys.executable, "-c", code], env=bare, cwd="/", capture_output=True, text=True, check=True
    )
    expected = json.loads(plain.stdout)
    expected.insert(1, str(INJECT_FOLDER))
    assert json.loads(guest("-c", code).stdout) == expected
    files = sorted(path.name for path in INJECT_FOLDER.glob("*.*"))
    assert files == ["sitecustomize.py", "usercustomize.py"]


def test_it_costs_a_program_without_llm_calls_next_to_nothing(guest):
    code = "import sys; print(sorted(m for m in sys.modules if m.startswith('noburn')))"
    assert guest("-c", code).stdout == "[]\n"


def test_a_version_that_cannot_be_hooked_is_not_passed_unguarded(guest, tmp_path):
    names = ("Client", "AsyncClient", "SyncByteStream", "AsyncByteStream", "HTTPError")
    (tmp_path / "httpx2.py").write_text("".join(f"class {name}: pass\n" for name in names))
    ran = guest("-c", "import httpx2", path=[tmp_path])
    assert ran.returncode == 1
    assert "noburn does not know this version of httpx2" in ran.stderr


def pythons():
    """Every interpreter found here by its version, as (major, minor); stand-ins left out."""
    found = {shutil.which(f"python3.{minor}") for minor in range(8, 15)}
    found |= {str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin/python")}
    versions = {}
    for path in sorted(filter(None, found)):
        asked = subprocess.run(
            [path, "-S", "-E", "-c", "import sys; print(*sys.version_info[:2])"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if asked.returncode == 0:
            versions[tuple(map(int, asked.stdout.split()))] = path
    return versions


PYTHONS = pythons()


@pytest.mark.parametrize("version", sorted(v for v in PYTHONS if v >= (3, 10)))
def test_guests_run_on_any_python_with_nothing_but_its_library(guest, version):
    """Another environment: none of our dependencies, no site-packages at all."""
    names = [
        ".".join(path.relative_to(REPOSITORY).with_suffix("").parts)
        for folder in ("client", "enforce", "providers")
        for path in sorted((REPOSITORY / "noburn_cli" / folder).glob("*.py"))
        if path.stem not in ("supervisor", "launch", "job", "__init__")
    ]
    code = "\n".join(f"import {name}" for name in names) + "\nprint('done')"
    ran = guest("-c", code, python=PYTHONS[version])
    assert (ran.stderr, ran.stdout) == ("", "done\n")


@pytest.mark.parametrize("version", sorted(v for v in PYTHONS if v < (3, 10)))
def test_an_older_python_runs_but_cannot_load_what_would_be_unguarded(guest, version, tmp_path):
    (tmp_path / "httpx.py").write_text("class Client: pass\nclass AsyncClient: pass\n")
    ran = guest("-c", "print('fine')", python=PYTHONS[version], path=[tmp_path])
    assert (ran.stderr, ran.stdout) == ("", "fine\n")
    refused = guest("-c", "import httpx; print('loaded')", python=PYTHONS[version], path=[tmp_path])
    assert refused.stdout == ""
    assert "noburn guards Python 3.10 and later" in refused.stderr
