"""`noburn ledger`: its commands, one module each.

Layer: commands.  Below: the modules of this folder.  Above: noburn_cli.cli, by name.
Owns: the group and the order of its commands.  A module here imports nothing heavy before its
command runs.
"""

from __future__ import annotations

import typer

from noburn_cli.commands.ledger import orphans
from noburn_cli.commands.ledger.forgetting import forget_command
from noburn_cli.commands.ledger.keeping import backup_command, migrate_command, restore_command
from noburn_cli.commands.ledger.moved import export_command
from noburn_cli.commands.ledger.reconcile import reconcile_command
from noburn_cli.commands.ledger.rewriting import compact_command
from noburn_cli.commands.ledger.tailing import tail_command
from noburn_cli.commands.ledger.verifying import verify_command

app = typer.Typer(
    help="Verify, reconcile, follow, copy and compact the ledger.",
    add_completion=False,
    rich_markup_mode=None,
)

app.command("verify")(verify_command)
app.add_typer(orphans.app, name="orphans")
app.command("reconcile")(reconcile_command)
app.command("tail")(tail_command)
app.command("backup")(backup_command)
app.command("restore")(restore_command)
app.command("compact")(compact_command)
app.command("forget")(forget_command)
app.command("migrate")(migrate_command)
#: Whatever follows the word: the error names the new place before any option is looked at.
_ANYTHING = {"ignore_unknown_options": True, "allow_extra_args": True}
app.command("export", hidden=True, context_settings=_ANYTHING)(export_command)
