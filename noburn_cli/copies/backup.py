"""A backup: the whole ledger at one moment, in one file that proves itself.

Layer: copies, I/O.  Below: reports.verify, ledger_file.  Above: commands.ledger, copies.restore.
Owns: that a backup has its name only when it is complete, checked and on the disk.
SQLite's own backup reads inside one transaction: the daemon goes on writing, to its log, and
neither waits for the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.errors import LedgerUnavailable, NoburnError
from noburn_cli.ledger_file import open_ledger
from noburn_cli.reports.verify import Verdict, verify_ledger

if TYPE_CHECKING:
    import apsw

#: "nobu", which the daemon writes into every ledger it makes.
APPLICATION_ID = 0x6E6F6275
_STEP_PAGES = 2_000
_SUFFIX = ".part"

#: (what is done, done, total)
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Backup:
    """What a backup holds: up to which row, its link, and how large it is."""

    path: Path
    rows: int
    head_seq: int
    head: str
    bytes: int


def back_up(ledger_path: Path, target: Path, tell: Tell) -> Backup:
    """Copy the ledger as it is now into a new file of its owner alone, and check the copy.

    A file of that name is replaced when it is a ledger, and nothing else is.
    Raises LedgerUnavailable without a ledger, NoburnError when the copy does not hold or there is
    no room.
    """
    _check_target(ledger_path, target)
    part = target.with_name(target.name + _SUFFIX)
    with removing(part):
        copy_pages(ledger_path, part, tell)
        verdict = verify_ledger(part, tell=lambda done, total: tell("rows checked", done, total))
        if not verdict.holds:
            raise _broken(ledger_path)
        settle_on_disk(part)
        part.rename(target)
        sync_folder(target.parent)
    return _described(target, verdict)


def copy_pages(source: Path, target: Path, tell: Tell) -> None:
    """Copy a database at one moment, while others write it.

    Raises LedgerUnavailable when it cannot be read, NoburnError when it cannot be written.
    """
    origin = open_ledger(source)
    try:
        _copy(origin, target, tell)
    finally:
        origin.close()


def copy_plain(source: Path, target: Path, tell: Tell) -> None:
    """Copy a database of whatever schema.  Raises LedgerUnavailable, NoburnError."""
    import apsw

    try:
        origin = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    except apsw.Error as error:
        raise LedgerUnavailable(f"{source} cannot be read", why=str(error)) from error
    try:
        _copy(origin, target, tell)
    finally:
        origin.close()


def _copy(origin: apsw.Connection, target: Path, tell: Tell) -> None:
    import apsw

    try:
        target.unlink(missing_ok=True)
        target.touch(mode=0o600)
        copy = apsw.Connection(str(target))
        try:
            # Inside one transaction the copy never begins again, however much is written meanwhile.
            origin.execute("BEGIN")
            origin.execute("SELECT 1 FROM sqlite_schema").fetchall()
            with copy.backup("main", origin, "main") as step:
                while not step.done:
                    step.step(_STEP_PAGES)
                    tell("pages copied", step.page_count - step.remaining, step.page_count)
            copy.execute("PRAGMA journal_mode = DELETE")  # One file, without a log beside it.
        finally:
            copy.close()
    except (apsw.Error, OSError) as error:
        raise NoburnError(
            f"the ledger could not be copied to {target}",
            why=str(error),
            next_step="check the folder's permissions and free space",
        ) from error


def is_ledger(path: Path) -> bool:
    """Whether a file is a noburn ledger, by the mark in its header (sqlite.org/fileformat2)."""
    with path.open("rb") as file:
        header = file.read(72)
    return header[:6] == b"SQLite" and int.from_bytes(header[68:72], "big") == APPLICATION_ID


def settle_on_disk(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def head_row(connection: apsw.Connection) -> tuple[int, str]:
    """(seq, link in hex) of the last row."""
    row = connection.execute("SELECT seq, chain FROM journal ORDER BY seq DESC LIMIT 1").fetchone()
    return (0, "") if row is None else (int(row[0]), bytes(row[1]).hex())


def _check_target(ledger_path: Path, target: Path) -> None:
    if not target.parent.is_dir():
        raise NoburnError(f"there is no folder {target.parent}", next_step="make it first")
    if target.is_dir() or (target.exists() and not target.is_file()):
        raise NoburnError(f"{target} is not a file", next_step="name the file to write")
    if target.exists() and target.samefile(ledger_path):
        raise NoburnError("the ledger cannot be backed up onto itself")
    if target.exists() and target.stat().st_size and not is_ledger(target):
        raise NoburnError(
            f"{target} is there and is not a ledger",
            why="it would be replaced",
            next_step="choose another name, or remove it",
        )


@contextlib.contextmanager
def removing(part: Path) -> Iterator[None]:
    """Leave nothing of an unfinished copy behind, whatever happens."""
    try:
        yield
    finally:
        for ending in ("", "-journal", "-wal", "-shm"):
            part.with_name(part.name + ending).unlink(missing_ok=True)


def _described(path: Path, verdict: Verdict) -> Backup:
    return Backup(path, verdict.rows, verdict.head_seq, verdict.head, path.stat().st_size)


def _broken(ledger_path: Path) -> LedgerUnavailable:
    return LedgerUnavailable(
        f"the ledger at {ledger_path} does not hold, and was not backed up",
        why="a backup that is broken is worse than none",
        next_step="`noburn ledger verify` says what is wrong",
    )
