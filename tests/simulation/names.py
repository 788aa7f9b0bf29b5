"""What becomes of the ledger's files by name: the system's own calls go by the simulated disk.

SQLite has its VFS (disk); a file that is made anew is synced, renamed and removed by Python.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import apsw

from tests.simulation.disk import Disk, Dropped, Partly

#: Names of operations, as faults know them; besides, a file is synced as SQLite does it.
UNLINK, RENAME, SYNC_FOLDER = "unlink", "rename", "sync the folder"


@contextlib.contextmanager
def names_on(disk: Disk) -> Iterator[None]:
    """While it lasts, `os` meets the disk's faults where it touches the ledger's files."""
    real_unlink, real_rename, real_fsync = os.unlink, os.rename, os.fsync

    def unlink(path: Any, **more: Any) -> None:
        name = os.fspath(path)
        if _is_ledgers(disk, name) and Path(name).exists():
            _touch(disk, UNLINK, name)
            disk.delete(name)
        real_unlink(path, **more)

    def rename(source: Any, target: Any, **more: Any) -> None:
        if _is_ledgers(disk, os.fspath(target)):
            _touch(disk, RENAME, os.fspath(target))
            disk.rename(os.fspath(source), os.fspath(target))
        real_rename(source, target, **more)

    def fsync(descriptor: int) -> None:
        name = _name_of(descriptor)
        if name == disk.folder:
            _touch(disk, SYNC_FOLDER, name)
            disk.sync_names()
        elif _is_ledgers(disk, name):
            _touch(disk, "sync", name)
            disk.sync(name)
        else:
            real_fsync(descriptor)

    with (
        mock.patch.object(os, "unlink", unlink),
        mock.patch.object(os, "rename", rename),
        mock.patch.object(os, "fsync", fsync),
    ):
        yield


def _is_ledgers(disk: Disk, name: str) -> bool:
    is_ledgers = Path(name).name.startswith("ledger.sqlite3")
    return is_ledgers and disk.has(name) and not disk.is_restoring


def _name_of(descriptor: int) -> str:
    """The path of an open file."""
    if hasattr(fcntl, "F_GETPATH"):  # macOS
        return os.fsdecode(fcntl.fcntl(descriptor, fcntl.F_GETPATH, bytes(1024)).rstrip(b"\0"))
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _touch(disk: Disk, kind: str, name: str) -> None:
    """Raises OSError where the disk fails, or the process is dead."""
    try:
        disk.touch(kind, name)
    except (apsw.Error, Partly, Dropped) as error:
        raise OSError(errno.EIO, "the disk failed", name) from error
