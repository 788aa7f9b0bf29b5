"""A gate's answer in files: `--save FORMAT=FILE`, and the summary of a GitHub job.

Layer: I/O.  Below: core.gate_tables, errors.  Above: commands.gate.
One gate can be needed in several forms: annotations in the log, a comment, data for a later step;
to hold it again for each could tell another story each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from noburn_cli.core.gate_tables import TABLE_FORMATS
from noburn_cli.errors import NoburnError, UsageError

#: Where a GitHub job's summary is written: a file that is added to.
#: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
SUMMARY = "GITHUB_STEP_SUMMARY"


def read_saves(texts: Sequence[str]) -> list[tuple[str, Path]]:
    """`markdown=comment.md` as form and file.  Raises UsageError."""
    found = []
    for text in texts:
        form, equals, path = text.partition("=")
        if form not in TABLE_FORMATS or not equals or not path:
            raise UsageError(
                f"--save {text!r} is no form and file",
                next_step=f"write markdown=comment.md; forms are {', '.join(TABLE_FORMATS)}",
            )
        found.append((form, Path(path)))
    return found


def write_saves(saves: Sequence[tuple[str, Path]], shown: Callable[[str], str]) -> None:
    """Write each file.  Raises NoburnError for one that cannot be written."""
    for form, path in saves:
        _write(path, shown(form).rstrip("\n") + "\n", mode="w")


def add_to_summary(environ: Mapping[str, str], shown: Callable[[str], str]) -> None:
    """Add the Markdown to a GitHub job's summary, where there is one.  Raises NoburnError."""
    path = environ.get(SUMMARY)
    if path:
        _write(Path(path), shown("markdown"), mode="a")


def _write(path: Path, text: str, *, mode: str) -> None:
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise NoburnError(f"{path} cannot be written: {error.strerror or error}") from error
