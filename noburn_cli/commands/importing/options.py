"""What every import of calls can be told: whose calls, which zone, which cost counts.

Layer: commands.  Below: importing.mapping, importing.job.  Above: logs, table_file.
Owns: the options' words, and how an import is run and told about.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.errors import InputRefused, UsageError

if TYPE_CHECKING:
    from noburn_cli.importing.job import Wanted
    from noburn_cli.importing.mapping import Mapped
    from noburn_cli.importing.reading import Source

JSON_VERSION = 1

_FROM = "The field that names the {0}: a column, or a path like metadata.tenant."
CustomerFrom = Annotated[
    str | None, typer.Option("--customer-from", help=_FROM.format("customer"), metavar="FIELD")
]
FeatureFrom = Annotated[
    str | None, typer.Option("--feature-from", help=_FROM.format("feature"), metavar="FIELD")
]
UserFrom = Annotated[
    str | None, typer.Option("--user-from", help=_FROM.format("user"), metavar="FIELD")
]
ProjectFrom = Annotated[
    str | None, typer.Option("--project-from", help=_FROM.format("project"), metavar="FIELD")
]
Attribute = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        help="A further attribute and its field: tag.team=metadata.team. May be repeated.",
        metavar="NAME=FIELD",
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A value for calls that have none: customer=acme. May be repeated.",
        metavar="NAME=VALUE",
    ),
]
Zone = Annotated[
    str,
    typer.Option(help="The time zone of times that name none: Europe/Berlin.", metavar="ZONE"),
]
Cost = Annotated[
    str,
    typer.Option(
        help="Which cost counts: source (what the file says), list (our price book at the call's "
        "date), or auto (docs/import.md).",
        metavar="RULE",
    ),
]
Again = Annotated[
    bool, typer.Option("--again", help="Read files that have not changed since last time, too.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class Chosen:
    """The options of one import, as they were written."""

    fields: dict[str, str | None] = field(default_factory=dict)
    attribute: list[str] | None = None
    fixed: list[str] | None = None
    zone: str = "UTC"
    cost: str = "auto"
    billing: str = ""
    again: bool = False
    mapping: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)

    def mapped(self) -> Mapped:
        """Whose calls.  Raises UsageError."""
        from noburn_cli.importing.mapping import Mapped, parse_chosen, parse_fixed

        return Mapped(
            parse_chosen(self.fields, self.attribute or []), parse_fixed(self.fixed or [])
        )

    def wanted(self, source: Source, files: list[Path]) -> Wanted:
        """The whole import.  Raises UsageError."""
        from noburn_cli.core.imported import COST_RULES
        from noburn_cli.importing.job import Wanted
        from noburn_cli.importing.sources.mapped import zone_of

        if self.cost not in COST_RULES:
            raise UsageError(
                f"--cost cannot be {self.cost!r}", why=f"known are {', '.join(COST_RULES)}"
            )
        return Wanted(
            source, files, self.mapped(), self.cost, zone_of(self.zone), self.billing,
            int(time.time() * 1000), self.again, self.columns, self.mapping,
        )  # fmt: skip


def run_import(wanted: Wanted, *, as_json: bool) -> None:
    """Import, and say what came of it.

    Raises InputRefused when records were there, and not one could be read.
    """
    from noburn_cli import paths
    from noburn_cli.core.imported import ListPrices
    from noburn_cli.importing.job import import_files
    from noburn_cli.prices import load_book
    from noburn_cli.render.importing import outcome_data, render_outcome
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.progress import Progress
    from noburn_cli.render.table import prose_lines, terminal_width

    source = wanted.source
    prices = ListPrices(load_book(os.environ))
    progress = Progress(sys.stderr)
    progress.begin(0, "records read")
    try:
        outcome = import_files(
            paths.home(), wanted, prices, tell=lambda records, _file: progress.reach(records)
        )
    finally:
        progress.end()
    if as_json:
        print_json("import", JSON_VERSION, outcome_data(outcome))
    else:
        lines = render_outcome(outcome, source.title, agent=source.agent)
        typer.echo("\n".join(prose_lines(lines, width=terminal_width())))
    if outcome.unread and not outcome.became.total() and not outcome.left.total():
        raise InputRefused(
            f"nothing could be read as {source.title}",
            why="every record was refused, for the reasons above",
            next_step=f"`noburn import {source.name}` reads {source.format}",
        )
