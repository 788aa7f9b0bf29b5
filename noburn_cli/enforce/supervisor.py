"""`noburn run`: one command, its budget, and everything below it.

Layer: enforce.  Below: client, launch, job, watch, survivors.  Above: commands.run.
Owns: the order of things: daemon, run, watch, child, end.
Not here: the terminal (job), the environment (launch), what is printed (commands.run).
"""

from __future__ import annotations

import contextlib
import errno
import secrets
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noburn_cli import paths
from noburn_cli.client import Client
from noburn_cli.client.starting import daemon_command
from noburn_cli.core.money import Limit
from noburn_cli.enforce.host_run import RunHost
from noburn_cli.enforce.job import Job
from noburn_cli.enforce.keys import redacted
from noburn_cli.enforce.launch import LaunchSettings, child_environment, run_path
from noburn_cli.enforce.survivors import find_survivors
from noburn_cli.enforce.watch import FindStopped, Watch
from noburn_cli.errors import LimitReached, NoburnError

#: How long a killed run may take to end by itself, in seconds.
KILL_GRACE_S = 3.0

EXIT_NOT_EXECUTABLE = 126
EXIT_NOT_FOUND = 127
_NOT_FOUND = (errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    exit_code: the child's own, 128 + n for a signal, 126 or 127 when it could not be started,
        3 when noburn ended it.
    child_code: the same without noburn's word, None when there was no child.
    limited: whether a budget applied to the run's attributes when it began.
    killed_by: the message of the call, or of the person or budget, that ended it; or None.
    survivors: processes that a kill did not reach, as `pid (name)`.
    failure: why the command could not be started, or None.
    """

    run: str
    exit_code: int
    child_code: int | None
    limited: bool
    killed_by: str | None = None
    survivors: tuple[str, ...] = ()
    failure: str | None = None


def new_run_id() -> str:
    """A short id that nobody else has: `r` and ten characters."""
    return "r" + secrets.token_hex(5)


def run_supervised(
    command: Sequence[str],
    *,
    limit: Limit | None,
    settings: LaunchSettings,
    find_stopped: FindStopped | None,
    environment: Mapping[str, str],
    tell: Callable[[str], None],
) -> RunOutcome:
    """Run `command` with every guarded call below it checked, and wait for its end.

    limit: the run's own budget, or None: standing budgets apply either way.
    find_stopped: given, the first call that is stopped ends the run; asks the ledger for it.
    tell: says what budgets that let calls go have to say, a sentence each, from a thread.
    Raises Unavailable before anything was started; the command does not run unguarded.
    """
    run = run_path(new_run_id(), environment)
    attributes = {**settings.attributes, "run": run}
    with Client() as client:
        client.run_start(
            run=run,
            attrs=attributes,
            command=redacted(command, environment),
            limit=None if limit is None else {"unit": limit.unit, "amount": limit.amount},
        )
        limited = bool(client.remaining(attributes)["accounts"])
        host = _host(run, command, environment, settings)
        told = child_environment(
            host.environment, settings, run=run, home=paths.home(), daemon_command=daemon_command()
        )
        try:
            # Before the child: its very first call may be the one.
            watch = Watch(run, find_stopped=find_stopped)
        except BaseException:
            host.abandon()
            raise
        try:
            job = Job.start(command, told, enter=host.enter)
        except OSError as error:
            watch.close()
            host.abandon()
            code = EXIT_NOT_FOUND if error.errno in _NOT_FOUND else EXIT_NOT_EXECUTABLE
            _end_run(client, run, code)
            return RunOutcome(run, code, None, limited, failure=_why_not(command[0], error))
        host.start(told, root=job.group)
        outcome = _follow(job, watch, run, limited=limited, tell=tell)
        host.close(client)
        _end_run(client, run, outcome.exit_code)
    return outcome


def _host(
    run: str, command: Sequence[str], environment: Mapping[str, str], settings: LaunchSettings
) -> RunHost:
    try:
        return RunHost(run, command, environment, keep=settings.keep_keys, strict=settings.strict)
    except OSError as error:
        raise NoburnError(
            "the run's gateway could not be set up, so nothing was started",
            why=error.strerror or str(error),
            next_step="look whether 127.0.0.1 can be used, and the folder for temporary files",
        ) from error


def _follow(
    job: Job, watch: Watch, run: str, *, limited: bool, tell: Callable[[str], None]
) -> RunOutcome:
    """Wait for the child, or for what ends it."""
    watch.start(lambda: job.end(grace_s=KILL_GRACE_S), tell)
    code = job.wait()
    killed_by = watch.finish()
    if killed_by is None:
        return RunOutcome(run, code, code, limited)
    survivors = tuple(find_survivors(run, group=job.group))
    return RunOutcome(
        run, LimitReached.exit_code, code, limited, killed_by=killed_by, survivors=survivors
    )


def _end_run(client: Client, run: str, exit_code: int) -> None:
    # The child has ended whatever the daemon says; the reaper ends the run of a supervisor
    # that is gone.
    with contextlib.suppress(NoburnError):
        client.run_end(run=run, exit_code=exit_code)


def _why_not(name: str, error: OSError) -> str:
    """One sentence on a command that could not be started."""
    if error.errno == errno.ENOEXEC:
        return f"{name} cannot be executed: neither a program nor a script with a #! line"
    if error.errno not in _NOT_FOUND:
        if Path(name).is_dir():
            return f"{name} cannot be executed: it is a folder"
        return f"{name} cannot be executed: {error.strerror}"
    if shutil.which(name) is not None:
        return f"{name} cannot be executed: the interpreter of its #! line was not found"
    return f"{name}: command not found"
