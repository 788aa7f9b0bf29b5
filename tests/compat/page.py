"""docs/compatibility.md from what the programs, the ledger and the bill said."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from tests.compat.results import CELLS, MODES, Cell, Report

PAGE = Path(__file__).parents[2] / "docs" / "compatibility.md"
HEAD = """\
# Compatibility: what holds, for which SDK

Made by `python -m tests.compat.matrix --write`, from the calls that `tests/compat` makes: each cell
is one call of a real SDK under `noburn run`, against a provider on the same machine that keeps a
bill of its own. A test says when this page is stale.

- `=`: our books are equal to the provider's bill, to the nano-dollar. Under *blocked*: nothing
  left, the program saw one error with our words, and did not try again.
- `≥`: nobody told the usage, so the call is charged at its hold, which is never below the bill.
- `–`: the API has no such thing (an embedding has no output that could be clamped).
- `✗`: does not hold; the note says why.

*Clamped*: an uncapped call, or one capped at more than its budget affords, with `--lower-caps`.
*Waited*: somebody else held the money, and let go of it. *Stopped*: the run was stopped in the
middle of the answer. *Aborted*: the program closed the stream, cancelled the call, or ran out of
patience.

| SDK | version | by | call | mode | allowed | blocked | clamped | waited | stopped | aborted |
|---|---|---|---|---|---|---|---|---|---|---|
"""


class Notes:
    """Footnotes, each text once."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def mark(self, cell: Cell) -> str:
        if cell.holds:
            return cell.verdict
        if cell.why not in self.texts:
            self.texts.append(cell.why)
        return f"{cell.verdict} [{self.texts.index(cell.why) + 1}]"


def as_page(reports: Sequence[Report]) -> str:
    """The page; the same for the same results, whatever the patch versions are."""
    notes = Notes()
    lines = []
    for report in reports:
        version = ".".join(report.version.split(".")[:2])
        if report.failure:
            mark = notes.mark(Cell("✗", f"{report.sdk.label}: {stable(report.failure)}"))
            lines.append(
                f"| {report.sdk.label} | {version} | {report.sdk.way} | {mark} |" + " |" * 7
            )
        for row in report.rows:
            cells = [
                notes.mark(_stable(row.cells.get(cell, Cell("✗", "not reached")))) for cell in CELLS
            ]
            name = [report.sdk.label, version, report.sdk.way, f"`{row.name}`", MODES[row.mode]]
            lines.append("| " + " | ".join([*name, *cells]) + " |")
    tail = [f"{number}. {text}" for number, text in enumerate(notes.texts, 1)]
    return HEAD + "\n".join([*lines, "", *tail]).rstrip() + "\n"


def _stable(cell: Cell) -> Cell:
    return Cell(cell.verdict, stable(cell.why))


def stable(text: str) -> str:
    """A reason without what differs from run to run, in one line of a table."""
    text = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1", " ".join(text.split()))
    return re.sub(r"\b[0-9a-f]{8,}(-[0-9a-f]+)*\b|\bs\d+-\d+-\w+", "…", text).replace("|", "/")[
        :300
    ]
