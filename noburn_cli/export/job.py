"""An export from its beginning, or from where it was cut off, to its end.

Layer: export, I/O.  Below: reading, writing, columns, whole_files.  Above: commands.export.
Owns: what is remembered beside the unfinished file, `FILE.part.json`, after each step.  Rows that
were written and not remembered are written again over themselves: none is twice, none is missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.export.columns import COLUMNS
from noburn_cli.export.reading import Border, border, steps, still_there
from noburn_cli.export.writing import PARQUET, SUFFIX, Lines, ParquetFile, Sink, TextFile
from noburn_cli.whole_files import OR_PRINT, file_to_replace

_VERSION = 1


@dataclass(frozen=True)
class Wanted:
    """What is to be exported; since and until as they were written, and as epoch ms."""

    format: str
    what: str
    since: str | None
    until: str | None
    since_ms: int | None
    until_ms: int | None


@dataclass
class _Memory:
    """How far an export is."""

    wanted: Wanted
    border: Border
    last: int = 0
    position: int = 0
    rows: int = 0


def export(
    ledger_path: Path, target: Path, wanted: Wanted, *, resume: bool,
    tell: Callable[[str, int, int], None],
) -> int:  # fmt: skip
    """Write the export into `target`, which appears when it is whole; how many rows it has.

    Raises LedgerUnavailable, UsageError when the target is no regular file, NoburnError when it
    cannot be written or taken up again.
    """
    target = file_to_replace(target, otherwise=OR_PRINT)
    kept = target.with_name(target.name + SUFFIX + ".json")
    memory = _recall(kept, ledger_path, wanted) if resume else None
    if memory is None:
        memory = _Memory(wanted, border(ledger_path))
    columns = COLUMNS[wanted.what]
    sink: Sink = (
        ParquetFile(columns, target)
        if wanted.format == PARQUET
        else TextFile(wanted.format, columns, target)
    )
    try:
        sink.begin(memory.position)
        _go_on(ledger_path, sink, memory, tell, remember=lambda: _remember(kept, memory))
        sink.finish()
    except OSError as error:
        raise NoburnError(
            f"{target} could not be written",
            why=error.strerror or str(error),
            next_step="mend that, and go on with --resume",
        ) from error
    kept.unlink(missing_ok=True)
    return memory.rows


def export_lines(ledger_path: Path, wanted: Wanted, sink: Lines) -> None:
    """Write the export to a stream.  Raises LedgerUnavailable, BrokenPipeError."""
    memory = _Memory(wanted, border(ledger_path))
    sink.begin(0)
    _go_on(ledger_path, sink, memory, lambda _what, _done, _total: None, remember=lambda: None)
    sink.finish()


def _go_on(
    ledger_path: Path, sink: Sink, memory: _Memory, tell: Callable[[str, int, int], None],
    *, remember: Callable[[], None],
) -> None:  # fmt: skip
    wanted = memory.wanted
    for last, rows in steps(
        ledger_path, wanted.what, after=memory.last, upto=memory.border.seq,
        since_ms=wanted.since_ms, until_ms=wanted.until_ms,
    ):  # fmt: skip
        memory.position = sink.write(rows)
        memory.last = last
        memory.rows += len(rows)
        remember()
        tell("rows read", last, memory.border.seq)


def _remember(kept: Path, memory: _Memory) -> None:
    """Whole or not at all."""
    unfinished = kept.with_name(kept.name + ".new")
    with unfinished.open("w", encoding="utf-8") as file:
        json.dump({"version": _VERSION, **asdict(memory)}, file)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(kept)


def _recall(kept: Path, ledger_path: Path, wanted: Wanted) -> _Memory | None:
    """What was remembered, or None when nothing was.

    Raises UsageError when something else was being exported, NoburnError when the ledger was made
    anew since.
    """
    try:
        said = json.loads(kept.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise NoburnError(f"{kept} cannot be read", next_step="export without --resume") from error
    before = Wanted(**said["wanted"])
    names = ("format", "what", "since", "until")
    changed = [name for name in names if getattr(before, name) != getattr(wanted, name)]
    if said["version"] != _VERSION or changed:
        raise UsageError(
            f"{kept} is of another export",
            why=f"it had another {' and another '.join(changed) or 'version'}",
            next_step="repeat its options, or export without --resume",
        )
    memory = _Memory(before, Border(**said["border"]), said["last"], said["position"], said["rows"])
    if not still_there(ledger_path, memory.border):
        raise NoburnError(
            "the ledger was compacted, made anew or restored since that export began",
            why="its rows are no longer the ones that were being read",
            next_step="export without --resume",
        )
    return memory
