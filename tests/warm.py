"""`noburn …` in a process of its own, without the interpreter's start and the imports.

Most of what a test of a command costs is Python's start and the same imports, again and again.  One
process has them loaded (tests/warm_server.py) and forks for each command: the child has its own
arguments, environment, folder and streams, as one that was started.  What the start itself does is
tested with real starts (tests/commands/test_cli_shell.py, tests/test_packaging.py, tests/e2e).
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
#: What decides how an interpreter starts, and cannot be changed afterwards.
_STARTS = ("PYTHON", "LC_", "LANG")
_server: tuple[subprocess.Popen[bytes], socket.socket] | None = None


def run_noburn(
    arguments: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: Path | str | None = None,
    input: str | bytes = "",  # noqa: A002 - as subprocess.run has it
    text: bool = True,
    timeout: float = 120,
) -> subprocess.CompletedProcess[Any]:
    """Run one command to its end, as `subprocess.run(..., capture_output=True)` does.

    timeout: seconds.  Raises subprocess.TimeoutExpired after them, with the command killed.
    """
    given = input.encode() if isinstance(input, str) else input
    if _starts_otherwise(env):
        command = [sys.executable, "-m", "noburn_cli", *arguments]
        done = subprocess.run(
            command,
            env=env,
            cwd=cwd,
            input=given,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
        code, out, err = done.returncode, done.stdout, done.stderr
    else:
        code, out, err = _ask(arguments, dict(env), cwd, given, timeout)
    if text:
        return subprocess.CompletedProcess(arguments, code, out.decode(), err.decode())
    return subprocess.CompletedProcess(arguments, code, out, err)


def _starts_otherwise(env: Mapping[str, str]) -> bool:
    """Whether an interpreter with this environment would not start as the warm one did."""
    names = {name for name in (*env, *os.environ) if name.startswith(_STARTS)} - {"PYTHONPATH"}
    if any(env.get(name) != os.environ.get(name) for name in names if env.get(name) is not None):
        return True
    paths = env.get("PYTHONPATH", "").split(os.pathsep)
    return any(path not in ("", str(ROOT), str(ROOT / "daemon")) for path in paths)


def _ask(
    arguments: Sequence[str],
    env: Mapping[str, str],
    cwd: Path | str | None,
    given: bytes,
    timeout: float,
) -> tuple[int, bytes, bytes]:
    request = {"arguments": list(arguments), "env": dict(env), "cwd": str(cwd or Path.cwd())}
    with (
        tempfile.TemporaryFile() as stdin,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        read_end, write_end = os.pipe()
        try:
            descriptors = [stdin.fileno(), stdout.fileno(), stderr.fileno(), write_end]
            socket.send_fds(_warm(), [json.dumps(request).encode()], descriptors)
        finally:
            os.close(write_end)
        with os.fdopen(read_end, "rb", buffering=0) as status:
            pid = int(_line(status, 60))
            if not select.select([status], [], [], timeout)[0]:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), timeout)
            code = int(_line(status, 60))
        stdout.seek(0)
        stderr.seek(0)
        return code, stdout.read(), stderr.read()


def _line(status: Any, timeout: float) -> bytes:
    said = b""
    while not said.endswith(b"\n"):
        assert select.select([status], [], [], timeout)[0], "the warm process says nothing"
        byte = status.read(1)
        assert byte, "the warm process has ended"
        said += byte
    return said


def _warm() -> socket.socket:
    global _server
    if _server is None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.warm_server", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], cwd=ROOT,
        )  # fmt: skip
        theirs.close()
        _server = process, ours
        atexit.register(_stop)
    return _server[1]


def _stop() -> None:
    if _server is not None:
        process, ours = _server
        ours.close()
        process.wait()
