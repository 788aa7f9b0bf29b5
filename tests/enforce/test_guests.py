"""Interpreters below `noburn run`: other customisations, other environments, forks, reloads."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from noburn_cli.enforce.launch import LaunchSettings, child_environment

REPOSITORY = Path(__file__).parents[2]
ASK = """
import sys
def ask(module="httpx2", verify=True, **body):
    import importlib
    httpx = importlib.import_module(module)
    with httpx.Client(timeout=30, verify=verify) as client:
        asked = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "hi"}],
                 "max_completion_tokens": 20, **body}
        import os
        return client.post(os.environ["OPENAI_BASE_URL"] + "/chat/completions", json=asked)
"""


@pytest.fixture
def guest(desk):
    """Runs an interpreter as a child of a run of this test's customer."""
    bare = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment = child_environment(
        {**bare, "OPENAI_BASE_URL": desk.stub.url + "/v1"},
        LaunchSettings(attributes={"customer": desk.customer}),
        run="r1",
        home=desk.home.folder,
        daemon_command=[sys.executable, "-m", "noburn_daemon"],
    )
    desk.home.client.status()

    def run(*arguments, python=sys.executable, path=(), **variables):
        paths = os.pathsep.join([environment["PYTHONPATH"], *map(str, path)])
        return subprocess.run(
            [python, *arguments], env={**environment, "PYTHONPATH": paths, **variables}, cwd="/",
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip

    return run


def said(ran):
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def test_a_module_that_is_loaded_again_is_guarded_again(desk, guest):
    code = """
import importlib, httpx2
importlib.reload(httpx2._client)
importlib.reload(httpx2)
print(ask().status_code)
"""
    code = ASK + code
    assert said(guest("-c", code)) == "200\n"
    code = ASK + (
        "import httpx2, importlib\nfor name in [n for n in sys.modules if 'httpx2' in n]:"
        " del sys.modules[name]\nprint(ask().status_code)"
    )
    assert said(guest("-c", code)) == "200\n"
    assert desk.states() == ["settled"] * 2


def test_a_usercustomize_runs_as_before(guest, tmp_path):
    where = subprocess.run(
        [sys.executable, "-c", "import site; print(site.getusersitepackages())"],
        env={**os.environ, "PYTHONUSERBASE": str(tmp_path)},
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages",
                    str(environment)], check=True)  # fmt: skip
    Path(where).mkdir(parents=True)
    (Path(where) / "usercustomize.py").write_text("import sys; sys.theirs = 'user'")
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "sitecustomize.py").write_text("import sys; sys.also = 'venv'")
    code = "import sys; print(sys.theirs, sys.also, 'noburn_cli' in sys.modules)"
    ran = guest("-c", code, python=str(environment / "bin" / "python"),
                PYTHONUSERBASE=str(tmp_path))  # fmt: skip
    assert said(ran) == "user venv False\n"


def test_a_sitecustomize_that_fails_is_reported_as_before(guest, tmp_path):
    (tmp_path / "sitecustomize.py").write_text("raise ValueError('theirs')")
    ran = guest("-c", "print('goes on')", path=[tmp_path])
    assert ran.stdout == "goes on\n"
    assert "ValueError: theirs" in ran.stderr


def test_what_a_start_loads_beside_the_programs_own(guest):
    code = "import sys; print(*sorted(sys.modules))"
    plain = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/",
        env={name: text for name, text in os.environ.items() if not name.startswith("PYTHON")},
    ).stdout.split()  # fmt: skip
    added = set(said(guest("-c", code)).split()) - set(plain)
    assert added <= {
        "sitecustomize", "usercustomize", "importlib.machinery", "importlib",
        "importlib._bootstrap", "importlib._bootstrap_external", "_warnings", "warnings",
    }  # fmt: skip


def test_the_first_hooked_import_brings_no_heavy_modules(guest):
    """What the guard itself needs, beside what httpx2 has loaded anyway."""
    heavy = ["msgspec", "apsw", "typer", "rich", "uvloop", "tiktoken", "platformdirs", "sqlite3"]
    code = f"import httpx2, sys; print([name for name in {heavy} if name in sys.modules])"
    assert said(guest("-c", code)) == "[]\n"


def test_forkserver(desk, guest, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        ASK
        + """
import multiprocessing
if __name__ == "__main__":
    process = multiprocessing.get_context("forkserver").Process(target=ask)
    process.start()
    process.join()
    print(process.exitcode)
"""
    )
    assert said(guest(str(program))) == "0\n"
    assert desk.states() == ["settled"]


def test_a_fork_while_threads_call(desk, guest, tmp_path):
    """A child that is forked off in the middle of everything neither hangs nor ends our calls."""
    program = tmp_path / "program.py"
    program.write_text(
        ASK
        + """
import functools, os, ssl, threading, warnings
warnings.simplefilter("ignore")  # 3.12 warns of forks in threaded programs.
# Loaded once: a fork in the middle of an import hangs any Python, and one while another thread
# makes a TLS context leaves OpenSSL's locks taken for ever in the child.
ask = functools.partial(ask, verify=ssl.create_default_context())
ask()
threads = [threading.Thread(target=lambda: [ask() for _ in range(4)]) for _ in range(4)]
for thread in threads:
    thread.start()
children = []
for _ in range(3):
    child = os.fork()
    if not child:
        os._exit(0 if ask().status_code == 200 else 1)
    children.append(child)
print([os.waitpid(child, 0)[1] for child in children])
for thread in threads:
    thread.join()
"""
    )
    assert said(guest(str(program))) == "[0, 0, 0]\n"
    assert desk.states() == ["settled"] * 20
    assert desk.cost_nano() == desk.bill_nano()


def test_an_explicit_url_that_nobody_named_is_refused(desk, guest):
    code = ASK + (
        "import os; os.environ['OPENAI_BASE_URL'] = os.environ['OPENAI_BASE_URL']"
        ".replace('127.0.0.1', 'localhost')\nprint(ask().status_code)"
    )
    assert said(guest("-c", code)) == "200\n"  # The variable itself was changed: still named.
    code = ASK + (
        "import httpx2, os; url = os.environ['OPENAI_BASE_URL'].replace('127.0.0.1', 'localhost')\n"
        "answer = httpx2.post(url + '/chat/completions', json={'model': 'gpt-6-luna', "
        "'messages': [{'role': 'user', 'content': 'hi'}]})\n"
        "print(answer.status_code, 'not told about' in answer.text)"
    )
    assert said(guest("-c", code)) == "402 True\n"
    assert desk.states() == ["settled", "refused"]


def test_a_daemon_that_cannot_be_started_lets_nothing_out(desk, guest):
    ran = guest("-c", ASK + "r = ask(); print(r.status_code, r.json()['error']['message'])",
                NOBURN_HOME=str(desk.home.folder / "other"), NOBURN_DAEMON='["false"]')  # fmt: skip
    assert said(ran).startswith("402 noburn: ")
    ran = guest("-c", ASK + "r = ask(); print(r.status_code, r.headers['x-should-retry'])",
                NOBURN_HOME="/dev/null/home")  # fmt: skip
    assert said(ran) == "402 false\n"
    assert desk.stub.requests == []


def test_a_run_inside_a_run_is_charged_to_both(desk, guest):
    limit = {"unit": "dollars", "amount": 50_000_000}
    for run in ("r9", "r9/r8"):
        desk.home.client.run_start(run=run, attrs={}, command=["x"], limit=limit)
    said(guest("-c", ASK + "assert ask().status_code == 200", NOBURN_RUN="r9/r8"))
    cost = desk.cost_nano()
    assert cost > 0
    left = desk.home.client.remaining(attrs={"run": "r9/r8"})
    assert sorted(account["settled"] for account in left["accounts"]) == [cost, cost]
    for run in ("r9/r8", "r9"):
        desk.home.client.run_end(run=run, exit_code=0)


def foreign_pythons():
    candidates = (Path.home() / ".pyenv/versions").glob("3.*/bin/python")
    return sorted(
        str(path) for path in candidates if re.fullmatch(r"3\.1[0234]\..*", path.parts[-3])
    )


@pytest.mark.parametrize("python", foreign_pythons(), ids=lambda path: Path(path).parts[-3])
def test_a_foreign_environment_is_guarded(desk, guest, python, tmp_path):
    """Its interpreter, its httpx, nothing of ours installed."""
    packages = tmp_path / "packages"
    for name in (
        "httpx",
        "httpcore",
        "h11",
        "anyio",
        "idna",
        "certifi",
        "sniffio",
        "exceptiongroup",
    ):
        found = next(
            (Path(entry) / name for entry in sys.path if (Path(entry) / name).is_dir()), None
        )
        if found is not None:
            shutil.copytree(found, packages / name, ignore=shutil.ignore_patterns("__pycache__"))
    typing_file = next(Path(e) / "typing_extensions.py" for e in sys.path
                       if (Path(e) / "typing_extensions.py").is_file())  # fmt: skip
    shutil.copy(typing_file, packages)
    ran = guest("-s", "-c", "import httpx, sys, json; print(json.dumps(sys.path))", python=python,
                path=[packages])  # fmt: skip
    if "ModuleNotFoundError" in ran.stderr:
        pytest.skip(ran.stderr.strip().splitlines()[-1])
    assert not any(entry.startswith(str(REPOSITORY / ".venv")) for entry in json.loads(ran.stdout))
    code = ASK + "print(ask('httpx').status_code, ask('httpx', stream=True).status_code)"
    assert said(guest("-s", "-c", code, python=python, path=[packages])) == "200 200\n"
    assert desk.states() == ["settled"] * 2
    assert desk.cost_nano() == desk.bill_nano()
