"""An import from its first file to its last, in steps that survive being killed.

Layer: importing, I/O.  Below: opening, sources, writing, batches, store.  Above: commands.
Owns: which files are read and from where on.  A step's calls and how far its file was read are one
transaction, so that an import goes on where it was killed, and a file that has grown where it
ended.  A file that is the same as last time, or another one's content under a new name, is passed
over.  Everything else is read from its beginning, which changes nothing: calls are known by id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timezone, tzinfo
from functools import cached_property
from pathlib import Path

from noburn_cli.core.imported import BY_SOURCE, ImportedCall, ListPrices
from noburn_cli.errors import InputRefused
from noburn_cli.importing import batches
from noburn_cli.importing.fields import Unread
from noburn_cli.importing.mapping import Mapped
from noburn_cli.importing.opening import JSON_LINES, TOO_DEEP, Place, Record, records, shape_of
from noburn_cli.importing.outcome import Outcome
from noburn_cli.importing.reading import Asked, LeftOut, Reader, Source, plausible
from noburn_cli.importing.sources.bills import read_bill
from noburn_cli.importing.sources.registry import BILLS
from noburn_cli.importing.store import Store, open_store
from noburn_cli.importing.writing import Writer

#: A step ends after so many records or bytes: what is read again after a kill, and how long another
#: import waits.
STEP_RECORDS = 2_000
STEP_BYTES = 32 * 1024 * 1024
HEAD_BYTES = 1 << 16


@dataclass(frozen=True)
class Wanted:
    """What is to be imported, and how its records are to be understood.

    rule: which cost counts (core.imported).  zone: of times that name none.  billing: who paid for
    an agent's calls.  now_ms: the moment of the import.  again: read files that have not changed.
    mapping: of a table's columns, in any words that differ where it does.
    """

    source: Source
    files: Sequence[Path]
    mapped: Mapped = field(default_factory=Mapped)
    rule: str = BY_SOURCE
    zone: tzinfo = timezone.utc
    billing: str = ""
    now_ms: int = 0
    again: bool = False
    mapping: str = ""

    def choices(self) -> str:
        """A digest of all that decides what a record becomes: other choices read a file anew."""
        said = [
            sorted(self.mapped.chosen.items()), sorted(self.mapped.fixed.items()), self.rule,
            f"{self.zone}", self.billing, self.mapping,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:16]


@dataclass
class _File:
    """One file on its way.

    by_content: whether calls in it have no ids.  Equal ones are told apart by their number in the
    file, so that it is always read from its beginning.
    """

    path: Path
    size: int
    modified_ns: int
    place: Place = field(default_factory=Place)
    by_content: bool = False
    state: dict[str, object] | None = None

    @cached_property
    def head(self) -> str:
        """A digest of its first bytes."""
        return _digest(self.path, self.head_bytes)

    @property
    def head_bytes(self) -> int:
        return min(self.size, HEAD_BYTES)


@dataclass
class _Job:
    """One import under way.  tell: (records so far, what is read).  lineage: see reading.Asked."""

    store: Store
    wanted: Wanted
    prices: ListPrices
    outcome: Outcome
    tell: Callable[[int, str], None]
    lineage: dict[str, str] = field(default_factory=dict)
    kept: int = 0  # Of the lineage, so many are in the file.


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
        job = _Job(store, wanted, prices, outcome, tell)
        job.lineage.update(store.execute("SELECT session, parent FROM lineage"))
        job.kept = len(job.lineage)
        writer = Writer(
            store, source=wanted.source.name, batch=outcome.batch, prices=prices,
            trust=wanted.source.trust, rule=wanted.rule, earliest=wanted.source.agent,
        )  # fmt: skip
        for path in wanted.files:
            _import_file(job, writer, path)
        batches.settle_bills(store, wanted.source.name)
        outcome.money = batches.money_of(store, outcome.batch)
        batches.end(store, outcome.batch, wanted.now_ms, outcome.data())
    if outcome.missing and not outcome.files and not outcome.unchanged:
        raise InputRefused(next(iter(outcome.missing.values())))
    return outcome


def _import_file(job: _Job, writer: Writer, path: Path) -> None:
    try:
        file = _look(path)
        if _is_known(job, file):
            job.outcome.unchanged += 1
            return
        writer.begin_file()
        if job.wanted.source.name in BILLS:
            _import_bill(job, writer, file)
        else:
            _import_records(job, writer, file)
    except OSError as error:
        job.outcome.missing[f"{path}"] = f"{path} cannot be read: {error.strerror or error}"
        return
    except InputRefused as error:
        job.outcome.missing[f"{path}"] = error.message
        return
    job.outcome.files += 1


def _look(path: Path) -> _File:
    found = path.stat()
    return _File(path, found.st_size, found.st_mtime_ns)


def _digest(path: Path, length: int) -> str:
    with path.open("rb") as opened:
        return hashlib.sha256(opened.read(length)).hexdigest()


def _is_known(job: _Job, file: _File) -> bool:
    """Whether a file was read to its end; else, where to go on with it is noted in it."""
    if job.wanted.again:
        return False
    store, source = job.store, job.wanted.source.name
    sql = (
        "SELECT size, modified_ns, head, head_bytes, offset, line, done, state FROM files "
        "WHERE source = ? AND path = ? AND asked = ?"
    )
    row = next(iter(store.execute(sql, (source, f"{file.path}", job.wanted.choices()))), None)
    if row is None:
        return _is_renamed(job, file)
    size, modified_ns, head, head_bytes, offset, line, done, state = row
    if done and (size, modified_ns) == (file.size, file.modified_ns):
        return True
    if offset and offset <= file.size and _digest(file.path, head_bytes) == head:
        file.place, file.state = Place(offset, line), json.loads(state)
    return False


def _is_renamed(job: _Job, file: _File) -> bool:
    """Whether a file of the same beginning, length and time was read under another name."""
    sql = (
        "SELECT 1 FROM files WHERE source = ? AND head = ? AND size = ? AND modified_ns = ? "
        "AND done AND asked = ?"
    )
    values = (
        job.wanted.source.name, file.head, file.size, file.modified_ns, job.wanted.choices(),
    )  # fmt: skip
    return file.size > 0 and next(iter(job.store.execute(sql, values)), None) is not None


def _import_records(job: _Job, writer: Writer, file: _File) -> None:
    wanted = job.wanted
    asked = Asked(
        f"{file.path}", wanted.mapped, wanted.zone, wanted.billing, file.state, job.lineage
    )
    reader = wanted.source.reader(asked)
    goes_on = shape_of(file.path) == JSON_LINES
    stream = records(file.path, place=file.place, wants=reader.wants)
    ended = False
    while not ended:
        with job.store.step():
            ended = _take_some(job, writer, reader, file, stream)
            if not goes_on or file.by_content:
                file.place = Place()
            _note(job, file, reader, done=ended)
        job.tell(job.outcome.records, file.path.name)


def _take_some(
    job: _Job, writer: Writer, reader: Reader, file: _File, stream: Iterator[Record]
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


def _take(job: _Job, writer: Writer, reader: Reader, file: _File, record: Record) -> None:
    outcome = job.outcome
    if record.skipped:
        outcome.left["lines that tell of no call"] += 1
        return
    if record.values is None:
        outcome.not_read(record.fault, f"{file.path}", record.line)
        return
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


def _note(job: _Job, file: _File, reader: Reader | None, *, done: bool) -> None:
    """Keep how far a file was read, and what its reader must know to go on."""
    state = {} if reader is None else reader.state()
    job.store.execute(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            job.wanted.source.name, f"{file.path}", file.size, file.modified_ns, file.head,
            file.head_bytes, file.place.offset, file.place.line, int(done), json.dumps(state),
            job.wanted.choices(),
        ),
    )  # fmt: skip
    new = list(job.lineage.items())[job.kept :]
    job.store.connection.executemany("INSERT OR REPLACE INTO lineage VALUES (?, ?)", new)
    job.kept = len(job.lineage)


def _import_bill(job: _Job, writer: Writer, file: _File) -> None:
    try:
        calls = list(read_bill(file.path, job.wanted.source.name, job.wanted.mapped))
        calls = [plausible(call) for call in calls]
    except Unread as error:
        raise InputRefused(f"{file.path}: {error.reason} {error.what}") from error
    for step in _parts(calls):
        with job.store.step():
            for call in step:
                job.outcome.records += 1
                job.outcome.became[writer.write(call, {})] += 1
        job.tell(job.outcome.records, file.path.name)
    with job.store.step():
        _note(job, file, None, done=True)


def _parts(calls: list[ImportedCall]) -> Iterator[list[ImportedCall]]:
    for at in range(0, len(calls), STEP_RECORDS):
        yield calls[at : at + STEP_RECORDS]


def files_under(paths: Iterable[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """The files that paths name: a folder means every file below it that ends so, in order.

    Raises InputRefused for a path that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                one for one in path.rglob("*") if one.name.endswith(suffixes) and one.is_file()
            )
        elif path.exists():
            found.append(path)
        else:
            raise InputRefused(f"{path} does not exist")
    return list(dict.fromkeys(one.absolute() for one in found))
