"""`noburn import`: its commands, one module each.

Layer: commands.  Below: the modules of this folder.  Above: noburn_cli.cli, by name.
Owns: the group and the order of its commands.  A module here imports nothing heavy before its
command runs.
"""

from __future__ import annotations

import typer

from noburn_cli.commands.importing import logs
from noburn_cli.commands.importing.detect import import_callback
from noburn_cli.commands.importing.keeping import list_command, undo_command
from noburn_cli.commands.importing.revenue_file import revenue_command
from noburn_cli.commands.importing.stripe_account import stripe_command
from noburn_cli.commands.importing.table_file import csv_command

app = typer.Typer(
    help="Bring what you have: revenue, and calls that others recorded.",
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    callback=import_callback,
)

# Words too many are refused by the command: typer would repeat them, and one may be a key.
app.command("stripe", context_settings={"allow_extra_args": True})(stripe_command)
app.command("revenue")(revenue_command)
logs.add_to(app)
app.command("csv")(csv_command)
app.command("list")(list_command)
app.command("undo")(undo_command)
