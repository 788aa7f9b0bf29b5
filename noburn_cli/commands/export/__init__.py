"""`noburn export`: the ledger's content for other programs, a command for each format.

Layer: commands.  Below: the modules of this folder.  Above: noburn_cli.cli, by name.
Owns: the group, and that `noburn export --otel` is short for `noburn export otel`, as `--json` is
short for a format elsewhere.  A module here imports nothing heavy before its command runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from typer.core import TyperGroup

from noburn_cli.commands.export.otel import otel_command
from noburn_cli.commands.export.tables import csv_command, jsonl_command, parquet_command

if TYPE_CHECKING:  # typer 0.28 carries click inside.
    from typer._click.core import Context


class _Formats(TyperGroup):
    """The group, which takes `--otel` in the place of a format."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if args[:1] == ["--otel"]:
            args = ["otel", *args[1:]]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_Formats,
    help="Write the ledger as CSV, JSON lines or Parquet, or send it as OpenTelemetry.",
    add_completion=False,
    rich_markup_mode=None,
)

app.command("csv")(csv_command)
app.command("jsonl")(jsonl_command)
app.command("parquet")(parquet_command)
app.command("otel")(otel_command)
