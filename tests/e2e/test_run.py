"""`noburn run` as a person or a script meets it: codes, kills, budgets, the summary.

A real daemon, a provider that bills, and programs that know nothing of us.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.core.money import Nano
from tests.e2e.conftest import Provider, World, run_program
from tests.terminal import CTRL_C, Terminal


def steps(*arguments: str) -> list[str]:
    return list(run_program("steps.py", *arguments))


def summary(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text())
    assert (document["kind"], document["version"]) == ("noburn.run", 1)
    data: dict[str, Any] = document["data"]
    return data


def alive(pid: int) -> bool:
    """Whether a process runs; its corpse does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def eventually(holds: Callable[[], object], *, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# What a script sees.


def test_exit_codes(world: World, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no program")
    text.chmod(0o755)
    lost = tmp_path / "lost"
    lost.write_text("#!/no/such/interpreter\n")
    lost.chmod(0o755)
    for command, code, says in [
        (["true"], 0, "no call was seen"),
        (["sh", "-c", "exit 5"], 5, "no budget applied"),
        (["sh", "-c", "kill -KILL $$"], 137, "0 calls"),
        (["no-such-command"], 127, "no-such-command: command not found"),
        ([str(lost)], 127, "interpreter of its #! line was not found"),
        ([str(tmp_path)], 126, "it is a folder"),
        ([str(text)], 126, "neither a program nor a script"),
    ]:
        done = world.noburn("run", "--", *command)
        assert (done.returncode, done.stdout) == (code, ""), command
        assert says in done.stderr
    ended = world.rows("SELECT exit_code FROM runs ORDER BY started_at_ms")
    assert [code for (code,) in ended] == [0, 5, 137, 127, 127, 126, 126]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--",),
        ("--budget", "2M", "--", "true"),
        ("--budget", "-1", "--", "true"),
        ("--tag", "team", "--", "true"),
        ("--tag", "a b=c", "--", "true"),
        ("--customer", "*", "--", "true"),
        ("--wait", "nan", "--", "true"),
        ("--recording", "a/b", "--", "true"),
        ("--recording", "a", "--tag", "noburn_test=b", "--", "true"),
        ("--recording", "a", "--strict", "--", "true"),
        ("--answers", "play", "--", "true"),
        ("--summary-file", "/no/such/folder/file", "--", "true"),
        ("--summary-file", "/tmp", "--", "true"),
    ],
)
def test_wrong_usage_starts_nothing(world: World, arguments: tuple[str, ...]) -> None:
    done = world.noburn("run", *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not world.ledger.exists()


def test_a_broken_environment_is_wrong_usage(world: World) -> None:
    world.environment["NOBURN_TAGS"] = "{"
    done = world.noburn("run", "--", "true")
    assert done.returncode == 2
    assert "NOBURN_TAGS" in done.stderr


def test_without_a_daemon_the_command_is_not_started(world: World, tmp_path: Path) -> None:
    world.environment["NOBURN_DAEMON"] = '["false"]'
    done = world.noburn("run", "--", "touch", str(tmp_path / "ran"))
    assert done.returncode == 4
    assert "could not be started" in done.stderr
    assert not (tmp_path / "ran").exists()


def test_streams_pass_through_unmixed(world: World) -> None:
    script = "cat; echo out; echo err >&2"
    done = subprocess.run(
        [sys.executable, "-m", "noburn_cli", "run", "--", "sh", "-c", script],
        env=world.environment,
        input="in\n",
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "in\nout\n"
    child, ours = done.stderr.split("\n", 1)
    assert child == "err"
    assert ours.startswith("noburn: run r")


def test_closed_streams_and_broken_pipes_leave_the_code(world: World) -> None:
    python = sys.executable
    run = f"{python} -m noburn_cli run --"
    for line, code in [
        (f"{run} sh -c 'exit 6' <&-", 6),
        (f"{run} sh -c 'exit 6' >&-", 6),
        (f"{run} sh -c 'exit 6' <&- >&- 2>&-", 6),
        (f"{run} sh -c 'exit 6' 2>&1 | true; exit ${{PIPESTATUS[0]}}", 6),
        (f"{run} sh -c 'sleep 0.3; exec yes' | true; exit ${{PIPESTATUS[0]}}", 141),
    ]:
        done = subprocess.run(
            ["bash", "-c", line],
            env=world.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == code, (line, done.stderr)
        assert "Traceback" not in done.stderr


def test_a_plain_environment_gets_only_what_is_ours(world: World) -> None:
    given = {"PATH": os.environ["PATH"], "NOBURN_HOME": str(world.home), "HOME": "/"}
    done = subprocess.run(
        [sys.executable, "-m", "noburn_cli", "run", "--", "env"],
        env={**given, "PYTHONPATH": world.environment.get("PYTHONPATH", "")},
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.partition("=")[0] for line in done.stdout.splitlines()}
    added = {name for name in names - set(given) if not name.startswith("NOBURN_")}
    # A shell or the loader of env may add its own `_`.
    base_urls = {"OPENAI", "ANTHROPIC", "GOOGLE_GEMINI", "GROQ"}
    assert added - {"_"} == {
        "PYTHONPATH", "NODE_OPTIONS", "CO_API_URL", *(f"{one}_BASE_URL" for one in base_urls),
    }  # fmt: skip


def test_another_system_is_refused_with_a_sentence() -> None:
    program = """
import os, signal, sys
del signal.SIGPIPE
from noburn_cli.main import main
os.name = "nt"
sys.exit(main(["run", "--", "true"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: noburn does not run on native Windows\n")


# Budgets and the summary.


def test_the_summary_file_and_the_block(world: World, provider: Provider, tmp_path: Path) -> None:
    file = tmp_path / "summary.json"
    run = ("run", "--budget", "1req", "--customer", "acme", "--summary-file", str(file))
    done = world.noburn(*run, "--", *steps("call", "call", "exit:7"))
    assert done.stdout == "status 200\nstatus 402\n"
    assert done.returncode == 7, "a block alone leaves the code"
    assert "1 call, " in done.stderr
    assert "1 blocked, 0 clamped, 0 waited, $0.00 held" in done.stderr
    assert "noburn why" in done.stderr
    data = summary(file)
    assert (data["calls"], data["blocked"], data["refused"], data["held_calls"]) == (1, 1, 0, 0)
    assert (data["exit_code"], data["command_exit_code"], data["killed_by"]) == (7, 7, None)
    assert data["limit"] == {"unit": "requests", "amount": 1}
    assert (data["limited"], data["unlimited"]) == (True, 0)
    assert data["cost_usd"] == Nano(provider.bill()["total_nano"]).exact()
    assert data["last_stopped_message"] in done.stderr


def test_fail_on_block_is_3_whatever_the_command_says(world: World, provider: Provider) -> None:
    for code in ("0", "7"):
        run = ("run", "--budget", "1req", "--fail-on-block", "--")
        assert world.noburn(*run, *steps("call", "call", f"exit:{code}")).returncode == 3
    assert world.noburn(*run, *steps("call", "exit:7")).returncode == 7
    assert world.noburn(*run, *steps("call")).returncode == 0


def test_standing_budgets_apply_and_none_is_said(world: World, provider: Provider) -> None:
    said = "no budget applied: calls are recorded, not limited"
    assert said in world.noburn("run", "--", *steps("call")).stderr
    assert world.noburn("budget", "set", "project=p", "1req").returncode == 0
    done = world.noburn("run", "--project", "p", "--", *steps("call", "call"))
    assert done.stdout == "status 200\nstatus 402\n"
    assert said not in done.stderr
    assert said in world.noburn("run", "--project", "q", "--", *steps("call")).stderr


def test_a_run_in_a_run_is_charged_to_both(world: World, provider: Provider) -> None:
    outer = ("run", "--budget", "3req", "--feature", "f", "--tag", "team=a", "--")
    done = world.noburn(*outer, *steps("run:5req:call", "run:1req:call", "call"))
    # Two in the first, one of two in the second, and none is left for the outer run itself.
    assert [line for line in done.stdout.split("\n") if line] == [
        "status 200", "status 200", "status 200", "status 402", "status 402",
    ]  # fmt: skip
    assert "3 calls" in done.stderr.rpartition("noburn: run")[2]
    runs = world.rows("SELECT DISTINCT run, feature, tags FROM calls ORDER BY run")
    assert [run.count("/") for run, _, _ in runs] == [0, 1, 1]
    assert {(feature, tags) for _, feature, tags in runs} == {("f", '{"team":"a"}')}


# Kills.


def test_kill_ends_the_whole_group_and_names_who_left_it(
    world: World, provider: Provider, tmp_path: Path
) -> None:
    file = tmp_path / "summary.json"
    run = ("run", "--budget", "1req", "--on-exceed", "kill", "--summary-file", str(file), "--")
    done = world.noburn(*run, *steps("deaf", "apart", "call", "call", "sleep:60"))
    assert done.returncode == 3, done.stderr
    assert "noburn ended the run: " in done.stderr
    deaf, apart = (int(line.split()[1]) for line in done.stdout.split("\n") if "pid" in line)
    eventually(lambda: not alive(deaf))  # It was sent SIGKILL, which takes its moment.
    assert f"outside of the run's process group: {apart} (sleep)" in done.stderr
    os.kill(apart, signal.SIGKILL)
    data = summary(file)
    assert (data["exit_code"], data["command_exit_code"], data["blocked"]) == (3, 143, 1)
    assert data["killed_by"] == data["last_stopped_message"]
    assert data["survivors"] == [f"{apart} (sleep)"]
    assert done.stderr.count(data["killed_by"]) == 1


def test_a_program_that_leaves_at_its_block_was_killed_too(
    world: World, provider: Provider
) -> None:
    """Faster than the event, or not: the code is the same."""
    for _ in range(3):
        run = ("run", "--budget", "1req", "--on-exceed", "kill", "--")
        assert world.noburn(*run, *steps("call", "call")).returncode == 3


def test_a_killed_runs_calls_in_flight_are_charged_in_its_summary(
    world: World, tmp_path: Path
) -> None:
    provider = world.provider("--default", "x-stub-delay-ms=60000")
    try:
        file = tmp_path / "summary.json"
        run = ("run", "--budget", "1req", "--on-exceed", "kill", "--wait", "0")
        done = world.noburn(*run, "--summary-file", str(file), "--", *steps("pair"))
        assert done.returncode == 3, done.stderr
        data = summary(file)
        assert (data["held_calls"], data["uncertain_calls"], data["blocked"]) == (0, 1, 1)
        assert data["cost_usd"] == data["uncertain_usd"] != "0"
        assert "1 call uncertain" in done.stderr
    finally:
        provider.close()


def test_a_call_that_waits_for_money_kills_nothing(world: World, tmp_path: Path) -> None:
    quick = world.provider("--default", "x-stub-output-tokens=20")
    assert world.noburn("run", "--", *steps("call")).returncode == 0
    ((hold,),) = world.rows("SELECT hold_nano FROM calls")
    quick.close()
    # So long that the second asks while the first is out.
    provider = world.provider(
        "--default", "x-stub-delay-ms=2500", "--default", "x-stub-output-tokens=20"
    )
    try:
        file = tmp_path / "summary.json"
        budget = Nano(hold * 3 // 2).exact()  # One at a time, and then the other.
        run = ("run", "--budget", budget, "--on-exceed", "kill", "--summary-file", str(file))
        done = world.noburn(*run, "--", *steps("pair"))
        assert done.returncode == 0, done.stderr
        assert done.stdout == "status 200\nstatus 200\n"
        assert (summary(file)["waited"], summary(file)["blocked"]) == (1, 0)
    finally:
        provider.close()


def test_a_block_while_the_daemon_was_away_still_kills(
    world: World, provider: Provider, tmp_path: Path
) -> None:
    """The daemon dies; the call brings up another and is blocked before the watch is back."""
    go = tmp_path / "go"
    run = ("run", "--budget", "1req", "--on-exceed", "kill", "--")
    process = world.start(*run, *steps("call", f"wait:{go}", "call", "sleep:60"))
    assert process.stdout is not None
    assert process.stdout.readline() == "status 200\n"
    os.kill(world.daemon_pid(), signal.SIGKILL)
    go.touch()
    _, shown = process.communicate(timeout=120)
    assert process.returncode == 3, shown
    assert "noburn ended the run: " in shown


# Ends that nobody planned.


def test_when_we_are_killed_the_child_goes_on_guarded_and_the_run_ends(
    world: World, provider: Provider, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    run = ("run", "--budget", "1req", "--")
    process = world.start(*run, *steps("call", f"wait:{go}", "call"))
    assert process.stdout is not None
    assert process.stdout.readline() == "status 200\n"
    process.kill()
    process.wait()
    ended = "SELECT exit_code FROM runs WHERE ended_at_ms IS NOT NULL"
    eventually(lambda: world.rows(ended) == [(None,)])
    go.touch()
    assert process.communicate(timeout=120)[0] == "status 402\n"


def test_ctrl_c_in_a_terminal(world: World) -> None:
    environment = {**world.environment, "TERM": "dumb"}
    with Terminal(environment) as terminal:
        run = f"{sys.executable} -m noburn_cli run --budget 3 --"
        terminal.type(f"{run} sh -c 'echo up; exec sleep 60'\n")
        terminal.wait_for("\nup\n")
        terminal.type(CTRL_C)
        terminal.wait_for(r"noburn: run r\w+: 0 calls, .* of \$3\.00\n")
        terminal.wait_for("ready> ")
        assert "code=[130]" in terminal.run("echo code=[$?]")
