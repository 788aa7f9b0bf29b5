"""`noburn budget`: its commands, a module for each group.

Layer: commands.  Below: the modules of this folder.  Above: noburn_cli.cli, by name.
Owns: the group and the order of its commands.  A module here imports nothing heavy before its
command runs.
"""

from __future__ import annotations

import typer

from noburn_cli.commands.budget.applying import apply_command
from noburn_cli.commands.budget.listing import list_command, show_command
from noburn_cli.commands.budget.removing import rm_command, unschedule_command
from noburn_cli.commands.budget.replaying import replay_command
from noburn_cli.commands.budget.setting import set_command
from noburn_cli.commands.budget.suggesting import suggest_command
from noburn_cli.commands.budget.topping import topup_command

app = typer.Typer(
    help="Set, list, show, remove and top up budgets; apply, replay and suggest policies.",
    add_completion=False,
    rich_markup_mode=None,
)

app.command("set")(set_command)
app.command("list")(list_command)
app.command("show")(show_command)
app.command("rm")(rm_command)
app.command("topup")(topup_command)
app.command("unschedule")(unschedule_command)
app.command("apply")(apply_command)
app.command("replay")(replay_command)
app.command("suggest")(suggest_command)
