"""Starting the daemon on first need, once, however many processes need it at the same moment.

Layer: client.  Below: paths, errors, connection.  Above: opening.
Owns: the file `start.lock` in the home folder; who holds its flock starts the daemon.
Not here: what the daemon does when it is the second (its own lock).
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import sys
import time
from pathlib import Path

from noburn_cli import paths
from noburn_cli.client.connection import connect
from noburn_cli.client.retry import Late
from noburn_cli.errors import DaemonUnavailable
from noburn_cli.providers.credentials import KEY_VARIABLES

START_S = 10.0
_LOOK_AGAIN_S = 0.02
_LOG_LINES = 10
_LOG_BYTES = 4096
#: The folder that `noburn run` puts on PYTHONPATH: the daemon is no guest.
_INJECT_FOLDER = Path(__file__).parents[1] / "enforce" / "inject"
#: The shell ends at once and leaves the daemon to init: no zombie for a process that isn't ours.
#: Its output, the daemon's pid, is a pipe that the daemon does not get.
_SCRIPT = '"$@" >&2 & echo $!'


def ensure_daemon(home: Path | None = None) -> None:
    """Return when a daemon accepts connections; start it if none does.

    Raises DaemonUnavailable with the end of the daemon's log when it does not come up.
    """
    home = paths.home() if home is None else home
    deadline = time.monotonic() + START_S
    if _is_up(home, deadline):
        return
    lock = _open_lock(home)
    try:
        while not _is_up(home, deadline):
            if _try_lock(lock):
                # It may have come up between our look and the lock.
                if not _is_up(home, deadline):
                    _start(home, deadline)
                return
            if time.monotonic() >= deadline:
                raise _failed(home, "another process is starting it and does not get done", 0)
            time.sleep(_LOOK_AGAIN_S * random.uniform(0.5, 1.5))  # noqa: S311
    finally:
        os.close(lock)


def _is_up(home: Path, deadline: float) -> bool:
    try:
        connect(str(paths.socket_path(home)), deadline=deadline).close()
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    except Late:
        return True  # Somebody listens, with a long queue.
    except OSError as error:
        raise DaemonUnavailable(
            "the daemon's socket cannot be used",
            why=f"{paths.socket_path(home)}: {error}",
            next_step="set NOBURN_HOME to a shorter path, in a folder of yours",
        ) from error
    return True


def _open_lock(home: Path) -> int:
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(home / "start.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise DaemonUnavailable(
            f"noburn's folder {home} cannot be used",
            why=str(error),
            next_step="make it writable, or set NOBURN_HOME to another folder",
        ) from error


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise DaemonUnavailable(
            "the file system of noburn's folder has no working locks",
            why=str(error),
            next_step="set NOBURN_HOME to a folder on a local disk",
        ) from error
    return True


def _start(home: Path, deadline: float) -> None:
    log = os.open(
        paths.log_path(home), os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600
    )
    try:
        log_bytes = os.fstat(log).st_size
        pid = _launch(home, log)
    finally:
        os.close(log)
    while True:
        # Looked at before the socket: a daemon that serves and then ends is not a failure.
        alive = _is_alive(pid)
        if _is_up(home, deadline):
            return
        if not alive:
            raise _failed(home, "it ended at once", log_bytes)
        if time.monotonic() >= deadline:
            raise _failed(home, f"it did not listen within {START_S:g} s", log_bytes)
        time.sleep(_LOOK_AGAIN_S)


def _launch(home: Path, log: int) -> int:
    """Start the daemon detached from us; its pid."""
    import subprocess  # A guest that finds the daemon running never pays for it.

    command = daemon_command()
    try:
        shell = subprocess.run(
            ["/bin/sh", "-c", _SCRIPT, "noburn", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
            cwd="/",
            env=_environment(home),
            check=False,
        )
        return int(shell.stdout)
    except (OSError, ValueError) as error:
        raise DaemonUnavailable(
            "the noburn daemon could not be started",
            why=f"{command[0]}: {error}",
            next_step="start it by hand: `noburn daemon start`",
        ) from error


def daemon_command() -> list[str]:
    """The command that starts the daemon: `NOBURN_DAEMON`, a JSON list, or our own interpreter.

    Raises DaemonUnavailable when the variable is something else.
    """
    told = os.environ.get("NOBURN_DAEMON")
    if not told:
        return [sys.executable, "-m", "noburn_daemon"]
    try:
        command = json.loads(told)
    except ValueError:
        command = None
    if not isinstance(command, list) or not command or not all(type(c) is str for c in command):
        raise DaemonUnavailable(
            "the noburn daemon could not be started",
            why=f"NOBURN_DAEMON is not a JSON list of words: {told!r}",
            next_step="unset NOBURN_DAEMON",
        )
    return command


def _environment(home: Path) -> dict[str, str]:
    """Ours, without what would put the guard in front of the daemon itself.

    It starts in `/`, so that it finds no modules in somebody's working folder and keeps none busy.
    """
    environment = dict(os.environ)
    environment["NOBURN_GUARD"] = "0"
    for name in KEY_VARIABLES:
        # It outlives whoever starts it, and keys are lent to it, never left with it.
        environment.pop(name, None)
    environment["NOBURN_HOME"] = str(home.absolute())
    entries = [
        str(Path(entry).absolute())
        for entry in environment.pop("PYTHONPATH", "").split(os.pathsep)
        if entry and Path(entry).absolute() != _INJECT_FOLDER.absolute()
    ]
    if entries:
        environment["PYTHONPATH"] = os.pathsep.join(entries)
    return environment


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _failed(home: Path, what: str, log_bytes: int) -> DaemonUnavailable:
    log = paths.log_path(home)
    tail = _log_tail(log, log_bytes)
    return DaemonUnavailable(
        f"the noburn daemon could not be started: {what}",
        why=tail or f"its log {log} says nothing",
        next_step=f"mend what the log says ({log}); `noburn daemon start` tries again",
    )


def _log_tail(log: Path, log_bytes: int) -> str:
    """The last lines that were written after the first `log_bytes` bytes."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(log_bytes, size - _LOG_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    return "\n".join(lines[-_LOG_LINES:])
