"""What comes between `noburn run` and a program: launchers, servers, kernels, environments."""

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
GUESTS = REPOSITORY / ".venv" / "guests" / "current" / "bin"
needs_guests = pytest.mark.skipif(not GUESTS.exists(), reason="scripts/setup-guests was not run")
ASK = """
import os, sys, json, urllib.request
def ask():
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "hi"}],
            "max_completion_tokens": 20}
    url = os.environ["STUB"] + "/v1/chat/completions"
    request = urllib.request.Request(url, data=json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
        return answer.status
"""


@pytest.fixture
def guest(desk, tmp_path):
    """Runs a program as a child of a run of this test's customer."""
    presence = tmp_path / "presence"
    presence.mkdir(mode=0o700)
    bare = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment = child_environment(
        {**bare, "STUB": desk.stub.url, "OPENAI_BASE_URL": desk.stub.url + "/v1"},
        LaunchSettings(attributes={"customer": desk.customer}),
        run="r1",
        home=desk.home.folder,
        daemon_command=[sys.executable, "-m", "noburn_daemon"],
    )
    environment["NOBURN_PRESENCE"] = str(presence)
    desk.home.client.status()

    def run(*command, **variables):
        ran = subprocess.run(
            [str(part) for part in command], env={**environment, **variables}, cwd=tmp_path,
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    run.presence = presence
    return run


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(ASK + "\nif __name__ == '__main__':\n    print(ask())\n")
    return path


def guarded(desk, calls=1):
    assert desk.states_when_ended() == ["settled"] * calls
    assert desk.cost_nano() == desk.bill_nano() > 0


@needs_guests
@pytest.mark.parametrize("launcher", ["opentelemetry-instrument", "ddtrace-run"])
def test_a_launcher_that_puts_its_own_sitecustomize_first(desk, guest, program, launcher):
    off = {f"OTEL_{what}_EXPORTER": "none" for what in ("TRACES", "METRICS", "LOGS")}
    off |= {"DD_TRACE_ENABLED": "false", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}
    code = ASK + (
        "print(ask(), 'opentelemetry.instrumentation.auto_instrumentation' in sys.modules"
        " or 'ddtrace' in sys.modules)"
    )
    assert guest(GUESTS / launcher, GUESTS / "python", "-c", code, **off) == "200 True\n"
    guarded(desk)


@needs_guests
def test_workers_of_a_preloading_gunicorn(desk, guest, program):
    """The application is loaded, and calls, before the fork; so does each worker."""
    server = program.with_name("server.py")
    server.write_text(
        ASK
        + """
import signal
ask()
def application(environ, start_response):
    start_response("200 OK", [])
    return [b""]
def post_worker_init(worker):
    print(ask(), flush=True)
    os.kill(os.getppid(), signal.SIGTERM)
"""
    )
    out = guest(GUESTS / "gunicorn", "--preload", "-w", "1", "-b", "127.0.0.1:0",
                "--config", server, "server:application")  # fmt: skip
    assert out == "200\n"
    # Preloaded as an application, and read as its own configuration.
    guarded(desk, calls=3)
    assert len(list(guest.presence.iterdir())) == 2


@needs_guests
def test_a_jupyter_kernel(desk, guest, program):
    code = f"""
import nbformat
from nbclient import NotebookClient
book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell({ASK + "print(ask())"!r})])
NotebookClient(book, kernel_name="python3").execute()
print(book.cells[0].outputs[0].text)
"""
    out = guest(GUESTS / "python", "-c", code, PYDEVD_DISABLE_FILE_VALIDATION="1")
    assert out == "200\n\n"
    guarded(desk)


@pytest.mark.skipif(shutil.which("uv") is None and not (REPOSITORY / ".venv/bin/uv").exists(),
                    reason="no uv here")  # fmt: skip
def test_uv_run(desk, guest, program):
    uv = shutil.which("uv") or REPOSITORY / ".venv/bin/uv"
    out = guest(uv, "run", "--no-project", "--offline", "--python", sys.executable, program)
    assert out == "200\n"
    guarded(desk)


def test_children_with_an_environment_of_the_programs_making(desk, guest, program):
    """Cleared, copied, with another path: they are guarded as well, and keep the rest."""
    code = f"""
import os, subprocess, sys
command = [sys.executable, {str(program)!r}]
def start(**more):
    print(subprocess.run(command, check=True, text=True, capture_output=True, **more).stdout)
stub = os.environ["STUB"]
upstream = os.environ["OPENAI_BASE_URL"]
start(env={{"STUB": stub, "OPENAI_BASE_URL": upstream}})
start(env={{**os.environ, "PYTHONPATH": "/nowhere"}})
os.environ["PYTHONPATH"] = "/nowhere"
start()
seen = subprocess.run([sys.executable, "-c", "import os; print(os.environ['PYTHONPATH'])"],
                      capture_output=True, text=True).stdout
print(seen.strip() == {str(INJECT_FOLDER)!r} + os.pathsep + "/nowhere")
pid = os.posix_spawn(sys.executable, command, {{"STUB": stub, "OPENAI_BASE_URL": upstream}})
os.waitpid(pid, 0)
os.execl(sys.executable, *command)
"""
    out = guest(sys.executable, "-c", code)
    assert out.split() == ["200", "200", "200", "True", "200", "200"]
    guarded(desk, calls=5)


def test_every_guarded_process_leaves_word(guest):
    code = """
import os, subprocess, sys
child = os.fork()
if not child:
    print(os.getpid(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(os.getpid(), flush=True)
subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], check=True)
for flag in "IES":
    subprocess.run([sys.executable, "-" + flag, "-c", ""], check=True)
"""
    pids = guest(sys.executable, "-c", code).split()
    assert sorted(path.name for path in guest.presence.iterdir()) == sorted(pids)


def test_base_urls_are_the_gateways_for_children_and_the_originals_here(desk, guest):
    gateway = "http://127.0.0.1:9"
    variables = {
        "NOBURN_GATEWAY": gateway,
        "NOBURN_BASE_URLS": json.dumps(
            {
                "OPENAI_BASE_URL": desk.stub.url + "/v1",
                "ANTHROPIC_BASE_URL": None,
                "CO_API_URL": "x",
            }
        ),
        "OPENAI_BASE_URL": gateway + "/openai/v1",
        "ANTHROPIC_BASE_URL": gateway + "/anthropic",
        "CO_API_URL": "http://theirs",
    }
    code = """
import os, subprocess, sys, urllib.request
names = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "CO_API_URL")
print(*(os.environ.get(name) for name in names))
show = ["sh", "-c", "echo $OPENAI_BASE_URL $ANTHROPIC_BASE_URL $CO_API_URL"]
for env in (None, os.environ, dict(os.environ), {**os.environ, "OPENAI_BASE_URL": "http://own"}):
    print(subprocess.run(show, env=env, capture_output=True, text=True).stdout.strip())
os.execvpe("sh", show, os.environ)
"""
    theirs = f"{gateway}/openai/v1 {gateway}/anthropic http://theirs"
    assert guest(sys.executable, "-c", code, **variables).splitlines() == [
        f"{desk.stub.url}/v1 None http://theirs",
        *[theirs] * 3,
        f"http://own {gateway}/anthropic http://theirs",
        theirs,
    ]


def test_a_sitecustomize_that_hides_ours_and_does_not_hand_over(desk, guest, program, tmp_path):
    """Set by a shell, past all launchers: where the user's packages are in use, we come later."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import sys; sys.theirs = True")
    environment = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--system-site-packages",
                    environment], check=True)  # fmt: skip
    command = f"PYTHONPATH={other}:$PYTHONPATH {environment}/bin/python {program}"
    assert guest("sh", "-c", command) == "200\n"
    guarded(desk)
