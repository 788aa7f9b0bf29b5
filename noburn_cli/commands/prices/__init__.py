"""`noburn prices`: its commands, a module for each group.

Layer: commands.  Below: the modules of this folder.  Above: noburn_cli.cli, by name.
Owns: the group and the order of its commands.  A module here imports nothing heavy before its
command runs.
"""

from __future__ import annotations

import typer

from noburn_cli.commands.prices.checking import check_command
from noburn_cli.commands.prices.comparing import diff_command
from noburn_cli.commands.prices.listing import list_command, search_command
from noburn_cli.commands.prices.showing import history_command, show_command
from noburn_cli.commands.prices.updating import update_command

app = typer.Typer(
    help="List, show, compare, update and check what models cost.",
    add_completion=False,
    rich_markup_mode=None,
)

app.command("list")(list_command)
app.command("show")(show_command)
app.command("search")(search_command)
app.command("history")(history_command)
app.command("diff")(diff_command)
app.command("update")(update_command)
app.command("check")(check_command)
