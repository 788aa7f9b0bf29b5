"""A backup put in the ledger's place, and what that loses.

Layer: copies, I/O.  Below: backup, migration, pause, reports.verify.  Above: commands.ledger.
Owns: what a backup lacks that the present ledger has, and the exchange of the files.

The present file keeps its content under another name; at every moment one whole file has the
ledger's name.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from noburn_cli.copies.backup import (
    Tell,
    copy_plain,
    head_row,
    removing,
    settle_on_disk,
    sync_folder,
)
from noburn_cli.copies.migration import look, migrate_file
from noburn_cli.copies.pause import without_daemon
from noburn_cli.core.plurals import counted
from noburn_cli.errors import LedgerUnavailable, NoburnError, UsageError
from noburn_cli.ledger_file import BUSY_MS, SCHEMA, open_ledger
from noburn_cli.reports.verify import verify_ledger

if TYPE_CHECKING:
    import apsw

_SUFFIX = ".restoring"
_ASIDE = ".before-restore-"

#: What the rows after one tell: calls reserved, and the money of what ended.
_LATER = """
    SELECT count(*) FILTER (WHERE kind = 'reserve'),
      coalesce(sum(cost_nano) FILTER (WHERE kind IN ('settle', 'lose', 'orphan')), 0),
      count(*), min(at_ms)
    FROM journal WHERE seq > ?
"""


@dataclass(frozen=True)
class Lost:
    """What the present ledger has that the backup does not.

    continues: whether the backup is the present ledger's own past.
    rows, calls, cost_nano: after the backup's last row, as the present ledger tells them.
    since_ms: when they begin; None when nothing is lost.
    unread: why nobody knows what the present ledger has, or "".
    """

    continues: bool
    rows: int = 0
    calls: int = 0
    cost_nano: int = 0
    since_ms: int | None = None
    unread: str = ""


@dataclass(frozen=True)
class Restored:
    """What was put in place, where the file before is now, and what was lost."""

    head_seq: int
    head: str
    rows: int
    open_holds: int
    aside: Path | None
    lost: Lost


def restore(backup: Path, home: Path, ledger_path: Path, *, force: bool, tell: Tell) -> Restored:
    """Check a backup, stop the daemon, exchange the files, start the daemon again.

    force: also when the present ledger has more than the backup, is another one, or is whole and
    cannot be read.
    Raises LedgerUnavailable for a broken or newer backup, NoburnError when something would be lost
    without `force`.
    """
    if not backup.is_file():
        raise UsageError(f"there is no backup {backup}")
    if ledger_path.exists() and backup.samefile(ledger_path):
        raise UsageError("the ledger cannot be restored from itself")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = ledger_path.with_name(ledger_path.name + _SUFFIX)
    with removing(part):
        head_seq, head, rows = _prepare(backup, part, tell)
        with without_daemon(home):
            lost = _compare(ledger_path, head_seq, head)
            if (lost.rows or not lost.continues) and not force:
                raise _would_lose(backup, lost)
            aside = _exchange(part, ledger_path)
            open_holds = _open_holds(ledger_path)
    return Restored(head_seq, head, rows, open_holds, aside, lost)


def _prepare(backup: Path, part: Path, tell: Tell) -> tuple[int, str, int]:
    """A checked copy of the backup in our schema: its last row, that row's link, its rows."""
    standing = look(backup)
    if standing.schema > standing.ours:
        raise LedgerUnavailable(
            f"the backup {backup} was written by a newer noburn (schema {standing.schema})",
            why=f"this one knows schema {standing.ours}",
            next_step="upgrade noburn, and restore then",
        )
    copy_plain(backup, part, tell)
    if standing.steps:
        migrate_file(part)
        part.with_name(f"{part.name}.schema-{standing.schema}").unlink(missing_ok=True)
    verdict = verify_ledger(part, tell=lambda done, total: tell("rows checked", done, total))
    if not verdict.holds:
        raise LedgerUnavailable(
            f"the backup {backup} is broken, and was not restored",
            why="its chain, texts or balances are not what was written",
            next_step="use another backup; the present ledger is as it was",
        )
    settle_on_disk(part)
    return verdict.head_seq, verdict.head, verdict.rows


def _compare(ledger_path: Path, head_seq: int, head: str) -> Lost:
    """What is lost: nothing of a file that is not there, or is damaged or empty.

    One that is whole and cannot be read now, as it is newer, locked or not ours to read, may have
    anything.
    """
    import apsw

    if not ledger_path.exists():
        return Lost(continues=True)
    try:
        connection = apsw.Connection(str(ledger_path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(BUSY_MS)
            return _compare_rows(connection, head_seq, head)
        finally:
            connection.close()
    except (apsw.CorruptError, apsw.NotADBError):
        return Lost(continues=True)
    except apsw.Error as error:
        return Lost(continues=False, unread=str(error))


def _compare_rows(connection: apsw.Connection, head_seq: int, head: str) -> Lost:
    """The same of an open file, whose schema is ours or an older one.  Raises apsw.Error."""
    if connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None:
        return Lost(continues=True)
    version = next(iter(connection.execute("PRAGMA user_version")))[0]
    if version > SCHEMA:
        return Lost(
            continues=False,
            unread=f"a newer noburn wrote it (schema {version}, this one reads {SCHEMA})",
        )
    if head_row(connection) == (head_seq, head):
        return Lost(continues=True)
    row = connection.execute("SELECT chain FROM journal WHERE seq = ?", (head_seq,)).fetchone()
    continues = row is not None and bytes(row[0]).hex() == head
    found = connection.execute(_LATER, (head_seq if continues else 0,)).fetchone()
    calls, cost_nano, rows, since_ms = found or (0, 0, 0, None)
    return Lost(continues, rows, calls, cost_nano, since_ms)


def _exchange(part: Path, ledger_path: Path) -> Path | None:
    """Give the new file the name, and the present one another."""
    _fold_log(ledger_path)
    aside = None
    if ledger_path.exists():
        stamp = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
        aside = _free_name(ledger_path.with_name(f"{ledger_path.name}{_ASIDE}{stamp}"))
        try:
            os.link(ledger_path, aside)
        except OSError:  # A file system without links: for a moment nothing has the name.
            ledger_path.rename(aside)
        aside.chmod(0o600)
        for ending in ("-wal", "-shm"):  # of a file too damaged to fold its log in
            log = ledger_path.with_name(ledger_path.name + ending)
            with contextlib.suppress(FileNotFoundError):
                log.rename(aside.with_name(aside.name + ending))
    part.rename(ledger_path)
    sync_folder(ledger_path.parent)
    return aside


def _fold_log(path: Path) -> None:
    """Bring what is left of a daemon's log into the file; closing the last connection does it."""
    import apsw

    if not path.exists():
        return
    with contextlib.suppress(apsw.Error):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close()


def _open_holds(path: Path) -> int:
    connection = open_ledger(path)
    try:
        row = connection.execute("SELECT count(*) FROM calls WHERE state = 'held'").fetchone()
        return 0 if row is None else int(row[0])
    finally:
        connection.close()


def _free_name(path: Path) -> Path:
    number = 2
    free = path
    while free.exists():
        free = path.with_name(f"{path.name}-{number}")
        number += 1
    return free


def _would_lose(backup: Path, lost: Lost) -> NoburnError:
    from noburn_cli.core.money import show_dollars

    if lost.unread:
        return NoburnError(
            "the present ledger may have more than the backup, and cannot be read",
            why=lost.unread,
            next_step="`--force` restores all the same, and keeps the present file aside",
        )
    if not lost.continues:
        why = "the present ledger is another one, or has been compacted or made anew since"
    else:
        why = f"it lacks {counted(lost.rows, 'row')} that the present ledger has"
    return NoburnError(
        f"{backup} is behind the present ledger: {counted(lost.calls, 'call')} and "
        f"{show_dollars(lost.cost_nano)} would be lost",
        why=why,
        next_step="`--force` restores all the same, and keeps the present file aside",
    )
