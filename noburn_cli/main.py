"""Where `noburn` starts, and the only place that turns an error into an exit code.

Layer: commands, the very top.  Below: noburn_cli.cli.
Owns: what a person sees when something goes wrong, and the codes 0-4 and 128 + n of DESIGN §7.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TextIO

from noburn_cli.errors import NoburnError

EXIT_FAILED = 1
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_BROKEN_PIPE = 128 + 13  # SIGPIPE, a name that not every system has
COMPLETE_VARIABLE = "_NOBURN_COMPLETE"
DEBUG_VARIABLE = "NOBURN_DEBUG"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code; never raises."""
    _accept_any_text()
    try:
        _check_system()
        code = _run(sys.argv[1:] if arguments is None else arguments)
        if sys.stdout is not None:  # It is None when we were started with it closed.
            sys.stdout.flush()
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        code = EXIT_BROKEN_PIPE
    except NoburnError as error:
        code = _report(error)
    except OSError as error:
        code = _report(_system_refused(error))
    except Exception as error:  # noqa: BLE001 -- the last net: a bug of ours, said in a sentence
        code = _report_bug(error)
    _silence_closed_streams()
    return int(code)


def _check_system() -> None:
    """Say where noburn runs before something that only exists there is missing.

    Raises NoburnError on a system that is not POSIX.
    """
    if os.name != "posix":
        raise NoburnError(
            "noburn does not run on native Windows",
            why="it stands on Unix sockets, process groups and signals",
            next_step="run it in WSL, on Linux or on macOS",
        )


def _accept_any_text() -> None:
    """Spell out what the terminal's encoding lacks: a customer's name must not end a report."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _run(arguments: Sequence[str]) -> int:
    """Hand the line to typer, which shows usage errors and help itself."""
    from noburn_cli.cli import build_group, prepare_completion

    if os.environ.get(COMPLETE_VARIABLE):
        prepare_completion()
    try:
        build_group().main(list(arguments), prog_name="noburn", complete_var=COMPLETE_VARIABLE)
    except SystemExit as ended:
        return _exit_code(ended)
    return 0


def _exit_code(ended: SystemExit) -> int:
    """The code of a SystemExit, with a pipe that broke under typer told apart from a failure."""
    if isinstance(ended.__context__, BrokenPipeError):
        return EXIT_BROKEN_PIPE
    if ended.code is None:
        return 0
    if isinstance(ended.code, int):
        return ended.code
    print(ended.code, file=sys.stderr)  # noqa: T201 -- as the interpreter would
    return EXIT_FAILED


def _has_folder() -> bool:
    try:
        os.getcwd()  # noqa: PTH109 -- pathlib is loaded by those who need it
    except OSError:
        return False
    return True


def _system_refused(error: OSError) -> NoburnError:
    """A full disk under standard output, or a file that a command did not look after itself."""
    if error.filename is None and not _has_folder():
        return NoburnError(
            "the folder that noburn was started in is gone",
            next_step="change to one that exists (`cd ~`), and try again",
        )
    where = "" if error.filename is None else f" {error.filename!r}"
    return NoburnError(
        f"the system refused to read or write{where}: {error.strerror or error}",
        next_step="look at the disk and the permissions of what noburn reads and writes",
    )


def _report(error: NoburnError) -> int:
    """Show an error of ours on standard error; its exit code."""
    _show(error.lines(), error)
    return error.exit_code


def _report_bug(error: Exception) -> int:
    """Show an exception that nobody planned, without burying the person in a traceback."""
    lines = [
        "error: noburn failed: this is a bug",
        f"  why: {type(error).__name__}: {error}",
        f" next: run it with {DEBUG_VARIABLE}=1, and report that to the project's issue tracker",
    ]
    _show(lines, error)
    return EXIT_FAILED


def _show(lines: Sequence[str], error: Exception) -> None:
    if sys.stderr is None:
        return
    try:
        if os.environ.get(DEBUG_VARIABLE) == "1":
            import traceback

            sys.stderr.write("".join(traceback.format_exception(error)))
        from noburn_cli.render.table import remark_lines  # 3 ms that a good end does not need

        sys.stderr.write("\n".join(remark_lines(lines, sys.stderr)) + "\n")
    except OSError:
        return  # Nobody is listening; the exit code still tells.


def _silence_closed_streams() -> None:
    """Let the interpreter's own flush at exit find nothing to complain about."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            _silence_if_closed(stream)


def _silence_if_closed(stream: TextIO) -> None:
    """Point a stream that cannot be flushed at nothing."""
    try:
        stream.flush()
    except (OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
