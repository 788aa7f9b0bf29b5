"""`noburn daemon`: its commands, one module for what belongs together.

Layer: commands.  Below: the modules of this folder.  Above: noburn_cli.cli, by name.
Owns: the group and the order of its commands.  A module here imports nothing heavy before its
command runs.
"""

from __future__ import annotations

import typer

from noburn_cli.commands.daemon.installing import install_command, uninstall_command
from noburn_cli.commands.daemon.logs import logs_command
from noburn_cli.commands.daemon.notify import app as notify_app
from noburn_cli.commands.daemon.running import (
    reload_command,
    start_command,
    status_command,
    stop_command,
)

app = typer.Typer(
    help="Start, stop and install the ledger's daemon.",
    add_completion=False,
    rich_markup_mode=None,
)

app.command("start")(start_command)
app.command("stop")(stop_command)
app.command("status")(status_command)
app.command("logs")(logs_command)
app.command("reload")(reload_command)
app.command("install")(install_command)
app.command("uninstall")(uninstall_command)
app.add_typer(notify_app, name="notify")
