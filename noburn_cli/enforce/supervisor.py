"""`noburn run`: one command, its budget, and everything below it.

Layer: enforce.  Below: client, launch, job.  Above: commands.run.
Owns: the order of things: daemon, run, child, watch, end.
Not here: the terminal (job), the environment (launch), what is printed (commands.run).
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from noburn_cli import paths, protocol
from noburn_cli.client import Client
from noburn_cli.core.money import Limit
from noburn_cli.enforce.job import Job
from noburn_cli.enforce.launch import LaunchSettings, child_environment, run_path
from noburn_cli.errors import LimitReached, NoburnError

#: How long a killed run may take to end by itself, in seconds.
KILL_GRACE_S = 3.0
#: How long the watcher waits before it asks a daemon that went away again, in seconds.
WATCH_RETRY_S = 0.5

EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
_NOT_FOUND = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    exit_code: the child's own, 128 + n for a signal, 126 or 127 when it could not be started.
    killed_by: the message of the block that ended it, or None.
    failure: why the command could not be started, or None.
    """

    run: str
    exit_code: int
    killed_by: str | None = None
    failure: str | None = None


def new_run_id() -> str:
    """A short id that nobody else has: `r` and ten characters."""
    return "r" + secrets.token_hex(5)


def daemon_command() -> list[str]:
    """The command that starts the daemon with our own interpreter."""
    return [sys.executable, "-m", "noburn_daemon"]


def run_supervised(
    command: Sequence[str],
    *,
    limit: Limit | None,
    settings: LaunchSettings,
    kill_on_block: bool,
    environment: Mapping[str, str],
) -> RunOutcome:
    """Run `command` with every guarded call below it checked, and wait for its end.

    limit: the run's own budget, or None: standing budgets apply either way.
    Raises DaemonUnavailable before anything was started; the command does not run unguarded.
    """
    run = run_path(new_run_id(), environment)
    client = Client()
    client.run_start(
        run=run,
        attrs={**settings.attributes, "run": run},
        command=list(command),
        limit=None if limit is None else {"unit": limit.unit, "amount": limit.amount},
    )
    told = child_environment(
        environment, settings, run=run, home=paths.home(), daemon_command=daemon_command()
    )
    try:
        job = Job.start(command, told)
    except OSError as error:
        code = EXIT_NOT_FOUND if error.errno in _NOT_FOUND else EXIT_NOT_EXECUTABLE
        _end_run(client, run, code)
        return RunOutcome(run, code, failure=f"{command[0]}: {error.strerror}")
    watcher = _Watcher(run, job) if kill_on_block else None
    exit_code = job.wait()
    killed_by = watcher.finish() if watcher is not None else None
    if killed_by is not None:
        exit_code = LimitReached.exit_code
    _end_run(client, run, exit_code)
    return RunOutcome(run, exit_code, killed_by=killed_by)


def _end_run(client: Client, run: str, exit_code: int) -> None:
    # The child has ended whatever the daemon says; the reaper ends the run of a supervisor
    # that is gone.
    with contextlib.suppress(NoburnError):
        client.run_end(run=run, exit_code=exit_code)
    client.close()


class _Watcher:
    """Ends the job at the first call of its run that a budget blocks."""

    def __init__(self, run: str, job: Job) -> None:
        self._run = run
        self._job = job
        self._killed_by: str | None = None
        self._finished = threading.Event()
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="noburn-watch", daemon=True).start()

    def finish(self) -> str | None:
        """Stop watching; the message of the block that ended the job, if one did."""
        with self._lock:
            self._finished.set()
            return self._killed_by

    def _watch(self) -> None:
        while not self._finished.is_set():
            client = Client()
            # A daemon that went away is started again by the client; the watch goes on with it.
            with contextlib.suppress(NoburnError):
                for event in client.run_watch(run=self._run):
                    if event.get("event") == protocol.BLOCKED:
                        self._kill(str(event.get("message", "a call was blocked")))
                        return
            client.close()
            time.sleep(WATCH_RETRY_S)

    def _kill(self, message: str) -> None:
        with self._lock:
            if self._finished.is_set():
                return
            self._killed_by = message
        self._job.end(grace_s=KILL_GRACE_S)


def current_environment() -> Mapping[str, str]:
    """This process's environment."""
    return os.environ
