"""`noburn daemon install|uninstall`: the units of systemd or launchd for this user.

Layer: commands.  Below: units, client.starting, commands.daemon.running.
Owns: what the person is told to do next.  Nothing is started or stopped here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli import paths
from noburn_cli.commands.daemon.running import JSON_VERSION, Json, running_status
from noburn_cli.errors import DaemonUnavailable

if TYPE_CHECKING:
    from noburn_cli.units import Units

_TRY_S = 30
_ASK_S = 5


def install_command(
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the files, and write nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Have systemd or launchd start the daemon on first need; writes this user's units."""
    from noburn_cli import units

    found = _units()
    if only_print:
        for unit in found.units:
            typer.echo(f"# {unit.path}\n{unit.text}")
        return
    _check_command(_command())
    for unit in found.units:
        units.check(unit)
    done = {str(unit.path): units.write(unit) for unit in found.units}
    manager = _manager(found)
    then = _to_enable(found)
    if as_json:
        _print_json({"files": done, "manager": manager is None, "next": then})
        return
    for path, word in done.items():
        typer.echo(f"{path}: {'is up to date' if word == 'kept' else word}")
    if manager is not None:
        typer.echo(f"no {found.manager} of yours answers here: {manager}")
        typer.echo("where it does, this starts the daemon on first need:")
    else:
        typer.echo("to have it started on first need, now and at each login:")
    typer.echo(f"  {then}")


def uninstall_command(as_json: Json = False) -> None:
    """Remove this user's units; the ledger stays where it is."""
    from noburn_cli import units

    found = _units()
    for unit in found.units:
        units.check(unit)
    removed = [str(unit.path) for unit in found.units if units.remove(unit)]
    then = _to_forget(found) if removed else ""
    if as_json:
        _print_json({"removed": removed, "next": then or None})
        return
    if not removed:
        typer.echo("there are no units of noburn for this home")
        return
    for path in removed:
        typer.echo(f"{path}: removed")
    typer.echo(f"to end what was started by them:\n  {then}")


def _units() -> Units:
    from noburn_cli.units import units_for

    return units_for(sys.platform, paths.home(), _command(), os.environ)


def _command() -> list[str]:
    from noburn_cli.client.starting import daemon_command

    return daemon_command()


def _check_command(command: list[str]) -> None:
    """Raises DaemonUnavailable when a manager, which has no PYTHONPATH of ours, cannot run it."""
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    try:
        tried = subprocess.run(
            [*command, "--help"], env=bare, cwd="/", capture_output=True, text=True,
            timeout=_TRY_S, check=False,
        )  # fmt: skip
        why = tried.stderr.strip().splitlines()[-1:] if tried.returncode else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = [str(error)]
    if why is not None:
        raise DaemonUnavailable(
            f"the daemon cannot be started by {' '.join(command)}",
            why=why[0] if why else "it ended at once",
            next_step="install noburn-cli into an environment that stays where it is",
        )


def _manager(found: Units) -> str | None:
    """Why no manager of this user answers, or None when one does."""
    domain = f"gui/{os.getuid()}"
    ask = ["launchctl", "print", domain] if found.manager == "launchd" else [
        "systemctl", "--user", "show-environment"]  # fmt: skip
    try:
        asked = subprocess.run(ask, capture_output=True, text=True, timeout=_ASK_S, check=False)
    except FileNotFoundError:
        return f"there is no {ask[0]}"
    except subprocess.TimeoutExpired:
        return f"{ask[0]} does not answer"
    if asked.returncode == 0:
        return None
    return (asked.stderr.strip().splitlines() or [f"{ask[0]} says no"])[-1]


def _to_enable(found: Units) -> str:
    """The exact command that puts the units to work."""
    # A daemon that runs already has the home's lock, and would keep the manager's out.
    first = "noburn daemon stop; " if _is_running() else ""
    if found.manager == "launchd":
        return f"{first}launchctl bootstrap gui/{os.getuid()} '{found.units[0].path}'"
    enable = f"systemctl --user enable --now {found.name}.socket"
    return f"{first}systemctl --user daemon-reload && {enable}"


def _to_forget(found: Units) -> str:
    if found.manager == "launchd":
        return f"launchctl bootout gui/{os.getuid()}/{found.name}"
    return (
        f"systemctl --user stop {found.name}.socket {found.name}.service; "
        "systemctl --user daemon-reload"
    )


def _is_running() -> bool:
    try:
        return running_status() is not None
    except DaemonUnavailable:
        return True


def _print_json(data: object) -> None:
    from noburn_cli.render.jsonout import print_json

    print_json("daemon.install", JSON_VERSION, data)
