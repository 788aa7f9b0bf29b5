"""Fields that a person named, and whether any record has them: a misspelt one is told.

Layer: importing, pure.  Below: fields.  Above: job.
Owns: the difference between a table, whose heading says what there is and which is refused before
anything of it is kept, and JSON, where a field may stand in some records alone: there it is told at
the end that none had it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from noburn_cli.errors import InputRefused
from noburn_cli.importing.fields import ROOT, field_of


class Sought:
    """What is looked for.  fields: by what they are to be (`cost`, `customer`); "" is none."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = {word: path for word, path in fields.items() if path}
        #: Those that no record has had so far.
        self.never = dict(self._fields)

    def look(self, record: Mapping[str, Any]) -> None:
        """Note which of them a record has."""
        for word, path in [*self.never.items()]:
            if field_of(record, path) is not None:
                del self.never[word]

    def check_table(self, row: Mapping[str, Any], path: str) -> None:
        """Raises InputRefused when the heading of a table lacks one of them."""
        for word, column in self._fields.items():
            root = ROOT.match(column)
            if column not in row and (root is None or root[0] not in row):
                raise InputRefused(
                    f"{path} has no column {column!r}, from which {word} was to be taken",
                    why=f"its columns are {', '.join(row)}",
                    next_step="name one of them; nothing of this file was kept",
                )
