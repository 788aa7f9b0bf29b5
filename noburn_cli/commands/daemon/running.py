"""`noburn daemon start|stop|status|reload`: the process that keeps the ledger.

Layer: commands.  Below: client, paths.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli import paths, protocol
from noburn_cli.core.plurals import counted
from noburn_cli.errors import DaemonUnavailable, NoburnError

if TYPE_CHECKING:
    from noburn_cli.client import Client

JSON_VERSION = 1
#: A daemon answers its waiters and commits before it leaves.
STOP_S_MAX = 15.0
_LOOK_S = 0.05

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def start_command(as_json: Json = False) -> None:
    """Start the daemon; when it runs already, say so."""
    was_running = running_status() is not None
    status = _status_starting()
    if as_json:
        _print_json({"started": not was_running, **_status_data(status)})
    else:
        state = "is already running" if was_running else "started"
        typer.echo(f"noburn daemon {status['version']} {state}, pid {status['pid']}")


def stop_command(as_json: Json = False) -> None:
    """Stop the daemon and wait until it is gone; holds stay in the ledger."""
    status = running_status()
    if status is not None:
        with _client(start=False) as client:
            client.request(protocol.SHUTDOWN)
        _wait_until_gone(int(status["pid"]))
    if as_json:
        _print_json({"stopped": status is not None, "pid": status["pid"] if status else None})
    elif status is None:
        typer.echo("the daemon is not running")
    else:
        typer.echo(f"noburn daemon stopped, pid {status['pid']}")


def status_command(as_json: Json = False) -> None:
    """Show what the daemon is doing; exit 4 when it is not running."""
    status = running_status()
    if status is None:
        if as_json:
            _print_json({"running": False, "socket": str(paths.socket_path())})
        raise _not_running()
    if as_json:
        _print_json(_status_data(status))
        return
    from noburn_cli.render.table import print_table

    print_table((), _status_rows(status), align="ll")
    for warning in status["warnings"]:
        typer.echo(f"warning: {warning}", err=True)


def reload_command(as_json: Json = False) -> None:
    """Have the running daemon read its configuration again; a broken one changes nothing.

    Exit code 1 when what it says was taken and cannot be done, as with a port that is in use.
    """
    with client_of_running() as client:
        outcome = client.request(protocol.RELOAD)
    if as_json:
        _print_json({name: outcome[name] for name in ("changed", "pinned", "warnings")})
    else:
        typer.echo(f"reloaded: {', '.join(outcome['changed']) or 'nothing has changed'}")
        for key, name in sorted(outcome["pinned"].items()):
            typer.echo(f"{key} stays as {name} says; start the daemon without it to change that")
    for warning in outcome["warnings"]:
        typer.echo(f"warning: {warning}", err=True)
    if outcome["warnings"]:
        raise typer.Exit(1)


def client_of_running() -> Client:
    """A client of the daemon that runs.  Raises DaemonUnavailable when none does."""
    if running_status() is None:
        raise _not_running()
    return _client(start=False)


def _not_running() -> DaemonUnavailable:
    return DaemonUnavailable(
        "the daemon is not running",
        why=f"nothing answers at {paths.socket_path()}",
        next_step="it starts by itself on first need, or with `noburn daemon start`",
    )


def _client(*, start: bool) -> Client:
    from noburn_cli.client import Client

    return Client(start_daemon=start)


def running_status() -> dict[str, Any] | None:
    """What a running daemon says of itself; None when none is running.

    Raises DaemonUnavailable when something is there that cannot be talked to.
    """
    try:
        with _client(start=False) as client:
            return client.status()
    except DaemonUnavailable as error:
        # No file, or a stale one that nobody listens on: not running, and a start replaces it.
        if isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
            return None
        raise


def _status_starting() -> dict[str, Any]:
    with _client(start=True) as client:
        return client.status()


def _wait_until_gone(pid: int) -> None:
    """Raises NoburnError when the daemon does not leave in time."""
    deadline = time.monotonic() + STOP_S_MAX
    while _is_alive(pid):
        if time.monotonic() > deadline:
            raise NoburnError(
                f"the daemon was told to stop and is still there after {STOP_S_MAX:g} s",
                why=f"pid {pid} answers its waiters, or its disk does not answer",
                next_step="`noburn daemon logs` says more; `kill` ends it, and holds stay charged",
            )
        time.sleep(_LOOK_S)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # The number belongs to somebody else's process by now, or ever did.
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Whether it has ended and only its parent has not noticed; Linux tells."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state == "Z"


def _status_rows(status: dict[str, Any]) -> list[tuple[str, str]]:
    ledger = status["ledger"]
    rows = counted(ledger["events"], "row")
    return [
        ("version", str(status["version"])),
        ("pid", str(status["pid"])),
        ("uptime", show_duration(status["uptime_ms"])),
        ("socket", str(paths.socket_path())),
        ("ledger", f"{ledger['path']}, {rows}, {ledger['bytes']:,} bytes"),
        ("open holds", f"{status['open_holds']:,}"),
        ("waiters", f"{status['waiters']:,}"),
        ("runs", f"{status['runs']:,}"),
        ("budgets", f"{status['budgets']:,}"),
        ("connections", f"{status['connections']:,}"),
        ("durability", str(status["durability"])),
        ("log level", str(status["log_level"])),
        ("metrics", str(status["metrics"] or "not served")),
        ("notifications", _notifications(status["notifications"])),
        ("price book", str(status["book"])),
        ("ledger head", str(ledger["head"])),
    ]


def _notifications(counts: dict[str, int] | None) -> str:
    if counts is None or not any(counts.values()):
        return "none waits"
    return f"{counts['waiting']:,} wait, {counts['given_up']:,} given up"


def show_duration(duration_ms: int) -> str:
    """A duration for the eye, its two largest units: `2 h 5 min`."""
    seconds = duration_ms // 1000
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    units = ((days, "d"), (hours, "h"), (minutes, "min"), (seconds, "s"))
    shown = [f"{amount} {unit}" for amount, unit in units if amount]
    return " ".join(shown[:2]) or "0 s"


def _status_data(status: dict[str, Any]) -> dict[str, Any]:
    kept = {name: value for name, value in status.items() if name not in ("n", "ok")}
    return {"running": True, "socket": str(paths.socket_path()), **kept}


def _print_json(data: object) -> None:
    from noburn_cli.render.jsonout import print_json

    print_json("daemon", JSON_VERSION, data)
