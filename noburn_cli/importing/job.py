"""An import from its first file to its last, in steps that survive being killed.

Layer: importing, I/O.  Below: known_files, opening, sources, writing, batches, store.
Above: commands.
Owns: the steps.  A step's calls and how far its file was read are one transaction, so that an
import goes on where it was killed, and a file that has grown where it ended (known_files).
Everything else is read from its beginning, which changes nothing: calls are known by id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from pathlib import Path

from noburn_cli.core.imported import BY_SOURCE, ImportedCall, ListPrices
from noburn_cli.errors import InputRefused
from noburn_cli.importing import batches
from noburn_cli.importing.fields import Unread
from noburn_cli.importing.known_files import File, is_known, look_at, note
from noburn_cli.importing.mapping import Mapped
from noburn_cli.importing.opening import (
    CSV,
    JSON_LINES,
    PARQUET,
    TOO_DEEP,
    Place,
    Record,
    records,
    shape_of,
)
from noburn_cli.importing.outcome import Outcome
from noburn_cli.importing.reading import Asked, LeftOut, Reader, Source, plausible
from noburn_cli.importing.sought import Sought
from noburn_cli.importing.sources.bills import read_bill
from noburn_cli.importing.sources.registry import BILLS
from noburn_cli.importing.store import Store, open_store
from noburn_cli.importing.writing import Writer

#: A step ends after so many records or bytes: what is read again after a kill, and how long another
#: import waits.
STEP_RECORDS = 2_000
STEP_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Wanted:
    """What is to be imported, and how its records are to be understood.

    rule: which cost counts (core.imported).  zone: of times that name none.  billing: who paid for
    an agent's calls.  now_ms: the moment of the import.  again: read files that have not changed.
    columns: of a table's mapping, our word to the column.  mapping: all of it, in any words that
    differ where it does.
    """

    source: Source
    files: Sequence[Path]
    mapped: Mapped = field(default_factory=Mapped)
    rule: str = BY_SOURCE
    zone: tzinfo = timezone.utc
    billing: str = ""
    now_ms: int = 0
    again: bool = False
    columns: Mapping[str, str] = field(default_factory=dict)
    mapping: str = ""

    def choices(self) -> str:
        """A digest of all that decides what a record becomes: other choices read a file anew."""
        said = [
            sorted(self.mapped.chosen.items()), sorted(self.mapped.fixed.items()), self.rule,
            f"{self.zone}", self.billing, self.mapping,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


@dataclass
class _Job:
    """One import under way.  tell: (records so far, what is read).  lineage: see reading.Asked."""

    store: Store
    wanted: Wanted
    prices: ListPrices
    outcome: Outcome
    tell: Callable[[int, str], None]
    sought: Sought
    lineage: dict[str, str] = field(default_factory=dict)
    kept: int = 0  # Of the lineage, so many are in the file.
    refused: list[InputRefused] = field(default_factory=list)


def import_files(
    home: Path, wanted: Wanted, prices: ListPrices, *, tell: Callable[[int, str], None]
) -> Outcome:
    """Import files; what came of it.

    Raises LedgerUnavailable, NoburnError when the file of imports cannot be written; InputRefused
    when no file could be read at all.
    """
    outcome = Outcome(wanted.source.name)
    with open_store(home) as store:
        outcome.batch = batches.begin(store, wanted.source.name, wanted.now_ms)
        sought = Sought({**wanted.columns, **wanted.mapped.chosen})
        job = _Job(store, wanted, prices, outcome, tell, sought)
        job.lineage.update(store.execute("SELECT session, parent FROM lineage"))
        job.kept = len(job.lineage)
        writer = Writer(
            store, source=wanted.source.name, batch=outcome.batch, prices=prices,
            trust=wanted.source.trust, rule=wanted.rule, earliest=wanted.source.agent,
        )  # fmt: skip
        for path in wanted.files:
            _import_file(job, writer, path)
        batches.settle_bills(store, wanted.source.name)
        outcome.money = batches.money_of(store, outcome.batch, wanted.source.name)
        batches.end(store, outcome.batch, wanted.source.name, wanted.now_ms, summary=outcome.data())
    if outcome.missing and not outcome.files and not outcome.unchanged:
        raise next(iter(job.refused))
    if outcome.records:
        outcome.never.update(job.sought.never)
    return outcome


def _import_file(job: _Job, writer: Writer, path: Path) -> None:
    try:
        file = look_at(path, job.wanted.source.name, job.wanted.choices())
        if not job.wanted.again and is_known(job.store, file):
            job.outcome.unchanged += 1
            return
        writer.begin_file()
        if job.wanted.source.name in BILLS:
            _import_bill(job, writer, file)
        else:
            _import_records(job, writer, file)
    except OSError as error:
        reason = error.strerror or str(error)
        _refuse(job, path, InputRefused(f"{path} cannot be read: {reason}"))
        return
    except InputRefused as error:
        _refuse(job, path, error)
        return
    job.outcome.files += 1


def _refuse(job: _Job, path: Path, error: InputRefused) -> None:
    job.outcome.missing[f"{path}"] = error.message
    job.refused.append(error)


def _import_records(job: _Job, writer: Writer, file: File) -> None:
    wanted = job.wanted
    asked = Asked(
        f"{file.path}", wanted.mapped, wanted.zone, wanted.billing, file.state, job.lineage
    )
    reader = wanted.source.reader(asked)
    shape = shape_of(file.path)
    stream = records(file.path, place=file.place, wants=reader.wants)
    if shape in (CSV, PARQUET):
        stream = _checked(stream, job.sought, f"{file.path}")
    ended = False
    while not ended:
        with job.store.step():
            writer.begin_step()
            ended = _take_some(job, writer, reader, file, stream)
            if shape != JSON_LINES or file.by_content:
                file.place = Place()
            _note(job, file, reader, done=ended)
        job.tell(job.outcome.records, file.path.name)


def _checked(stream: Iterator[Record], sought: Sought, path: str) -> Iterator[Record]:
    """A table's records, once its heading has what is looked for.  Raises InputRefused."""
    for record in stream:
        if record.values is not None:
            sought.check_table(record.values, path)
            yield record
            break
        yield record
    yield from stream


def _take_some(
    job: _Job, writer: Writer, reader: Reader, file: File, stream: Iterator[Record]
) -> bool:
    """The next records, one at a time in memory; whether they were the last ones.

    Raises InputRefused when not even the first record of a file can be read.
    """
    first, taken, line = file.place.offset, 0, 0
    try:
        for record in stream:
            taken, line = taken + 1, record.line
            job.outcome.records += 1
            _take(job, writer, reader, file, record)
            if record.end:
                file.place = Place(record.end, record.line + 1)
            if taken >= STEP_RECORDS or record.end - first > STEP_BYTES:
                return False
    except InputRefused as error:
        if not line:
            raise
        job.outcome.not_read("the file is damaged from there on", f"{file.path}", line,
                             error.message)  # fmt: skip
    return True


def _take(job: _Job, writer: Writer, reader: Reader, file: File, record: Record) -> None:
    outcome, sought = job.outcome, job.sought
    if record.skipped:
        outcome.left["lines that tell of no call"] += 1
        return
    if record.values is None:
        outcome.not_read(record.fault, f"{file.path}", record.line)
        return
    if sought.never:
        sought.look(record.values)
    try:
        for found in reader.read(record.values):
            if isinstance(found, Unread):
                outcome.not_read(found.reason, f"{file.path}", record.line, found.what)
            elif isinstance(found, LeftOut):
                outcome.left[found.reason] += 1
            else:
                file.by_content |= not found.id
                outcome.became[writer.write(plausible(found), record.values)] += 1
    except Unread as error:
        outcome.not_read(error.reason, f"{file.path}", record.line, error.what)
    except RecursionError:
        outcome.not_read(TOO_DEEP, f"{file.path}", record.line)


def _note(job: _Job, file: File, reader: Reader | None, *, done: bool) -> None:
    """Keep how far a file was read, and which sessions are forks of which."""
    note(job.store, file, {} if reader is None else reader.state(), done=done)
    new = list(job.lineage.items())[job.kept :]
    job.store.connection.executemany("INSERT OR REPLACE INTO lineage VALUES (?, ?)", new)
    job.kept = len(job.lineage)


def _import_bill(job: _Job, writer: Writer, file: File) -> None:
    shape_of(file.path)  # What is packed is told as such.
    try:
        calls = list(read_bill(file.path, job.wanted.source.name, job.wanted.mapped))
        calls = [plausible(call) for call in calls]
    except Unread as error:
        raise InputRefused(f"{file.path}: {error.reason} {error.what}") from error
    for step in _parts(calls):
        with job.store.step():
            writer.begin_step()
            for call in step:
                job.outcome.records += 1
                job.outcome.became[writer.write(call, {})] += 1
        job.tell(job.outcome.records, file.path.name)
    with job.store.step():
        _note(job, file, None, done=True)


def _parts(calls: list[ImportedCall]) -> Iterator[list[ImportedCall]]:
    for at in range(0, len(calls), STEP_RECORDS):
        yield calls[at : at + STEP_RECORDS]
