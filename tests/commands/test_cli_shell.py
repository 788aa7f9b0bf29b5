"""The shell around the commands: lazy loading, help, errors, exit codes, closed streams."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from noburn_cli import cli, errors
from noburn_cli.main import main
from noburn_cli.version import __version__

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join((str(ROOT), str(ROOT / "daemon")))
#: What a start may not pay for before it is needed.
HEAVY = (
    *("anthropic", "apsw", "asyncio", "httpx", "httpx2", "msgspec", "noburn_daemon", "numpy"),
    *("openai", "rich", "sqlite3", "stripe", "tiktoken", "uvloop"),
)


def run_python(code, *arguments, **options):
    """A fresh interpreter that finds the tree's packages, and buffers as a person's does."""
    inherited = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    environment = {**inherited, "PYTHONPATH": PATHS, "COLUMNS": "80", **options.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        text=True,
        timeout=120,
        check=False,
        **({"capture_output": True} | options),
    )


def run_noburn(*arguments, **options):
    return run_python(
        "import sys; from noburn_cli.main import main; sys.exit(main())", *arguments, **options
    )


def use_command(monkeypatch, function):
    """Put one command of the test's own into the table."""
    entry = cli.Entry("try", cli.BEGIN, "none", "none", "A command of a test.")
    monkeypatch.setattr(cli, "COMMANDS", (entry,))
    holder = cli.typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.command("try")(function)
    monkeypatch.setattr(cli, "load_command", lambda _: cli.typer.main.get_command(holder))


def _raising(error):
    def command() -> None:
        """Fail."""
        raise error

    return command


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", cli.COMMANDS, ids=lambda entry: entry.name)
def test_the_table_says_what_the_commands_docstring_says(entry):
    command = cli.load_command(entry)
    assert " ".join(command.help.split("\n\n")[0].split()) == entry.help
    assert command.name == entry.name


def test_every_command_stands_under_one_of_the_jobs():
    assert {entry.job for entry in cli.COMMANDS} == set(cli.JOBS)
    names = [entry.name for entry in cli.COMMANDS]
    assert len(names) == len(set(names))


LOADED = """
import sys
from noburn_cli.main import main
code = main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize(
    "arguments", [("--help",), ("--version",), ("margin", "--price", "20", "--tokens", "2M")]
)
def test_a_start_imports_nothing_heavy(arguments):
    ran = run_python(LOADED, *arguments)
    assert ran.returncode == 0
    loaded = set(ran.stderr.split())
    assert "noburn_cli.cli" in loaded
    assert not loaded & set(HEAVY)
    commands = {name for name in loaded if name.startswith("noburn_cli.commands.")}
    own = {name for name in commands if name.startswith(f"noburn_cli.commands.{arguments[0]}")}
    assert commands == own  # Of a command its own modules, of the overview none.
    assert bool(own) == (arguments[0] == "margin")


GROUP_OF_A_TEST = """
import sys, types
from noburn_cli import cli, main
module = types.ModuleType("noburn_cli.commands.budget")
module.app = cli.typer.Typer(help="A group that says nothing of rich.")
module.app.command("list")(lambda: None)
module.app.command("show")(lambda: None)
sys.modules[module.__name__] = module
code = main.main(sys.argv[1:])
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("arguments", [("budget", "--help"), ("budget", "list", "-h")])
def test_a_groups_help_needs_no_rich(arguments):
    ran = run_python(GROUP_OF_A_TEST, *arguments)
    assert ran.returncode == 0
    assert ran.stdout.startswith("Usage: noburn budget ")
    assert "rich" not in ran.stderr.split()


# --- help and version -----------------------------------------------------------------------------


def test_the_version_is_the_releases(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"noburn {__version__}\n"


def test_help_lists_every_command_under_its_job(capsys):
    assert main(["-h"]) == 0
    long, short = capsys.readouterr().out, (main(["--help"]), capsys.readouterr().out)[1]
    assert long == short
    for entry in cli.COMMANDS:
        assert f"  {entry.name}" in long[long.index(entry.job) :]


def test_short_help_works_below_too(capsys):
    assert main(["margin", "-h"]) == 0
    assert capsys.readouterr().out.startswith("Usage: noburn margin ")


def test_nothing_at_all_shows_the_overview_as_wrong_usage(capsys):
    assert main([]) == 2
    assert "Begin here" in capsys.readouterr().err


def test_a_slip_of_the_pen_is_answered_with_a_suggestion(capsys):
    assert main(["margn"]) == 2
    assert "Did you mean 'margin'?" in capsys.readouterr().err


def test_a_childs_options_are_the_childs():
    """Goal: after `--`, and after the child's name, nothing is read as noburn's."""
    entry = next(entry for entry in cli.COMMANDS if entry.name == "run")
    for words in (["--", "child", "--help", "-x"], ["child", "--help", "-x"]):
        command = cli.load_command(entry)
        with command.make_context("run", list(words)) as context:
            assert [*context.params["command"], *context.args] == ["child", "--help", "-x"]


# --- errors ---------------------------------------------------------------------------------------


def all_errors(base=errors.NoburnError):
    """Those of the errors module; which others there are depends on what was imported so far."""
    found = [one for below in base.__subclasses__() for one in all_errors(below)]
    return [one for one in (base, *found) if one.__module__ == errors.__name__]


def documented_codes():
    """Name -> exit code, out of the tree drawn in the errors module."""
    return {name: int(code) for name, code in re.findall(r"(\w+) \((\d)\)", errors.__doc__ or "")}


def test_the_documented_exit_codes_are_the_errors_own():
    assert documented_codes() == {one.__name__: one.exit_code for one in all_errors()}


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
def test_an_error_is_three_lines_and_its_code(monkeypatch, capsys, kind):
    use_command(monkeypatch, _raising(kind("what", why="because", next_step="do that")))
    assert main(["try"]) == kind.exit_code
    shown = capsys.readouterr()
    assert shown.err == "error: what\n  why: because\n next: do that\n"
    assert shown.out == ""


def test_a_bug_is_said_in_a_sentence(monkeypatch, capsys):
    monkeypatch.delenv("NOBURN_DEBUG", raising=False)
    use_command(monkeypatch, _raising(ZeroDivisionError("by nought")))
    assert main(["try"]) == 1
    shown = capsys.readouterr().err
    assert shown.startswith(
        "error: noburn failed: this is a bug\n  why: ZeroDivisionError: by nought"
    )
    assert "Traceback" not in shown


def test_a_bug_shows_its_traceback_when_asked(monkeypatch, capsys):
    monkeypatch.setenv("NOBURN_DEBUG", "1")
    use_command(monkeypatch, _raising(ZeroDivisionError("by nought")))
    assert main(["try"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_an_interrupt_ends_as_the_shell_expects(monkeypatch):
    use_command(monkeypatch, _raising(KeyboardInterrupt()))
    assert main(["try"]) == 130


def test_an_interrupt_by_signal_ends_the_process_with_130():
    code = """
import os, signal, sys
from noburn_cli import cli, main
def command() -> None:
    '''Wait.'''
    print("waiting", flush=True)
    signal.pause()
holder = cli.typer.Typer(add_completion=False, rich_markup_mode=None)
holder.command("try")(command)
cli.load_command = lambda _: cli.typer.main.get_command(holder)
sys.exit(main.main(["demo"]))
"""
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": PATHS},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout.readline() == "waiting\n"
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=120)
    assert child.returncode == 130
    assert "Traceback" not in err


def test_a_commands_exit_code_is_kept(monkeypatch):
    use_command(monkeypatch, _raising(cli.typer.Exit(3)))
    assert main(["try"]) == 3


def test_a_missing_file_is_no_bug(monkeypatch, capsys):
    use_command(monkeypatch, _raising(FileNotFoundError(2, "No such file or directory", "x.txt")))
    assert main(["try"]) == 1
    shown = capsys.readouterr().err
    assert "the system refused to read or write 'x.txt': No such file or directory" in shown
    assert "bug" not in shown


def test_a_folder_that_is_gone_is_named_as_what_is_missing(monkeypatch, capsys, tmp_path):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    use_command(monkeypatch, _raising(FileNotFoundError(2, "No such file or directory")))
    assert main(["try"]) == 1
    assert "the folder that noburn was started in is gone" in capsys.readouterr().err


# --- streams --------------------------------------------------------------------------------------


MARGIN = ("margin", "--price", "20", "--tokens", "2M")
each_output = pytest.mark.parametrize("arguments", [("--help",), MARGIN, (*MARGIN, "--json")])
each_buffering = pytest.mark.parametrize("unbuffered", ["", "1"])


@each_output
@each_buffering
def test_a_closed_pipe_is_quiet(arguments, unbuffered):
    reading, writing = os.pipe()
    os.close(reading)
    ran = run_noburn(
        *arguments,
        capture_output=False,
        stdout=writing,
        stderr=subprocess.PIPE,
        env={"PYTHONUNBUFFERED": unbuffered},
    )
    os.close(writing)
    assert ran.stderr == ""
    assert ran.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@each_output
@each_buffering
def test_a_full_disk_under_the_output_is_an_error(arguments, unbuffered):
    with Path("/dev/full").open("w") as full:
        ran = run_noburn(
            *arguments,
            capture_output=False,
            stdout=full,
            stderr=subprocess.PIPE,
            env={"PYTHONUNBUFFERED": unbuffered},
        )
    assert ran.returncode == 1
    assert "No space left on device" in ran.stderr
    assert "Exception ignored" not in ran.stderr


def test_a_terminal_without_unicode_gets_the_text_spelt_out():
    ran = run_noburn("margin", "--price", "20", "--tokens", "１", env={"PYTHONIOENCODING": "ascii"})
    assert ran.returncode == 2
    assert "\\uff11" in ran.stderr
    code = "from noburn_cli.main import _accept_any_text as f; f(); print('größer')"
    printed = run_python(code, env={"PYTHONIOENCODING": "ascii"})
    assert (printed.returncode, printed.stdout) == (0, "gr\\xf6\\xdfer\n")


def test_it_starts_as_a_module():
    ran = subprocess.run(
        [sys.executable, "-m", "noburn_cli", "--version"],
        env={**os.environ, "PYTHONPATH": PATHS},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert ran.stdout == f"noburn {__version__}\n"


# --- completion -----------------------------------------------------------------------------------


def complete(words):
    """What bash would offer for the last of `words`."""
    variables = {
        "_NOBURN_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    return run_python(LOADED, env=variables)


def test_completing_a_command_loads_none():
    ran = complete(["noburn", "ma"])
    assert ran.stdout.split() == ["margin"]
    everything = run_noburn(
        env={"_NOBURN_COMPLETE": "complete_bash", "COMP_WORDS": "noburn ", "COMP_CWORD": "1"}
    )
    assert everything.stdout.split() == [entry.name for entry in cli.COMMANDS]


def test_options_complete_below():
    ran = complete(["noburn", "margin", "--pr"])
    assert ran.stdout.split() == ["--price"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_program_prints_its_completion_script(shell):
    ran = run_noburn(env={"_NOBURN_COMPLETE": f"source_{shell}"})
    assert ran.returncode == 0
    assert f"_NOBURN_COMPLETE=complete_{shell}" in ran.stdout
