"""A report as a table in Markdown, for a page or a message.

Layer: render (pure).  Below: render.markdown (escaping), report_columns, report_notes.
Above: commands.report.
"""

from __future__ import annotations

from noburn_cli.render.markdown import code, plain, table
from noburn_cli.render.report_columns import report_columns
from noburn_cli.render.report_notes import notes
from noburn_cli.reports.totals import Report


def report_markdown(report: Report) -> list[str]:
    """The table with its total, and what the numbers alone do not say."""
    columns = report_columns(report)
    width = len(report.by)
    rows = [
        [
            code(cell) if place < width and cell not in ("", "TOTAL") else plain(cell)
            for place, cell in enumerate(cells)
        ]
        for cells in zip(*(column.cells for column in columns), strict=True)
    ]
    align = "".join(column.align for column in columns)
    lines = table([plain(column.header.lower()) for column in columns], align, rows)
    said = [plain(note) for note in notes(report) if note]
    return [*lines, *(["", *said] if said else [])]
