"""`noburn import csv`: anybody's table, by a mapping.

Layer: commands.  Below: options, importing.sources.mapped.
Owns: how a mapping is written: pairs on the command line, or a TOML file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from noburn_cli.commands.importing import options
from noburn_cli.errors import InputRefused, UsageError

_FILE_BYTES_MAX = 1 << 20
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".gz", ".parquet")


def csv_command(
    files: Annotated[
        list[Path],
        typer.Argument(help="CSV, JSON lines, JSON or Parquet; gzip too.", metavar="FILE…"),
    ],
    mapping: Annotated[
        str,
        typer.Option(
            "--map",
            help="A TOML file with [columns], or time=created,model=model_name,input=tokens_in,"
            "output=tokens_out,cost=usd,customer=tenant.",
            metavar="MAP",
        ),
    ],
    source: Annotated[
        str,
        typer.Option(help="What the calls' source is called in reports.", metavar="NAME"),
    ] = "csv",
    fixed: options.Set = None,
    zone: options.Zone = "UTC",
    cost: options.Cost = "auto",
    again: options.Again = False,
    as_json: options.AsJson = False,
) -> None:
    """Bring calls from any table, by a mapping of its columns."""
    from noburn_cli.importing.finding import files_under
    from noburn_cli.importing.reading import Source
    from noburn_cli.importing.sources.mapped import columns_from, reader
    from noburn_cli.importing.sources.registry import SOURCES

    if source in SOURCES or not source.replace("-", "").replace("_", "").isalnum():
        raise UsageError(
            f"--source cannot be {source!r}", why="it is a source of its own, or no plain name"
        )
    columns = columns_from(*_read(mapping))
    found = Source(
        source, source, columns.trust, lambda asked: reader(columns, asked), "a table by --map"
    )
    chosen = options.Chosen(
        fixed=fixed, zone=zone, cost=cost, again=again, mapping=f"{columns}",
        columns={**columns.columns, **columns.attributes},
    )  # fmt: skip
    wanted = chosen.wanted(found, files_under(files, SUFFIXES))
    options.run_import(wanted, as_json=as_json)


def _read(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(columns by word, settings).  Raises UsageError, InputRefused."""
    if "=" in text and not text.endswith(".toml"):
        pairs = [pair.partition("=") for pair in text.split(",")]
        if any(not equals for _, equals, _ in pairs):
            raise UsageError(
                f"--map cannot be read from {text!r}",
                next_step="write it like time=created,model=model_name,cost=usd",
            )
        return {word.strip(): column.strip() for word, _, column in pairs}, {}
    document = _toml(Path(text))
    columns = document.pop("columns", None)
    settings = document.pop("settings", {})
    if document or not isinstance(columns, dict) or not isinstance(settings, dict):
        raise UsageError(
            f"{text} is no mapping",
            why="it has a table [columns] of our words and your columns, and perhaps [settings]",
        )
    return columns, settings


def _toml(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
        if len(content) > _FILE_BYTES_MAX:
            raise InputRefused(f"{path} is larger than {_FILE_BYTES_MAX:,} bytes")
        return tomllib.loads(content.decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputRefused(f"the mapping {path} cannot be read: {reason}") from error
