"""A disk that forgets: an SQLite VFS over real files, in which only what was synced is durable.

What SQLite sees is a real file (in memory, where the system offers that), with SQLite's own locks
and shared memory.  Beside it stands what would be left after a power failure: the bytes that were
synced, and the writes since, any part of which may have reached the disk, whole or torn.

A fault is injected between two operations of SQLite: an error, a full disk, a sync that fails and
drops what it had, the death of the process, or whatever the other thread does at that moment.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

SECTOR_BYTES = 512
#: Shared memory and its locks are the kernel's: they are no file that survives.
_SHARED = "-shm"

#: One change that is not durable yet: (offset, bytes), or (length, None) for a truncation.
Change = tuple[int, bytes | None]


class Durable:
    """What of one file is sure to be there after a power failure, and what may be."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.pending: list[Change] = []
        #: Whether the file's name would be found again, and whether its deletion is sure.
        self.is_named = False
        self.is_deleted = False
        #: How many syncs failed and dropped what they had: every open file is to hear of each.
        self.dropped = 0

    def sync(self) -> None:
        for change in self.pending:
            _apply(self.bytes, change)
        self.pending.clear()
        self.is_named = True

    def after_power_loss(self, chance: random.Random) -> bytes | None:
        """What is found when the machine is up again; None for no file."""
        if self.is_deleted and chance.random() < 0.5:
            return None
        if not self.is_named and chance.random() < 0.5:
            return None
        found = bytearray(self.bytes)
        keep = chance.choice((0.0, 0.3, 0.7, 0.95))
        for change in self.pending:
            for part in _sectors(change):
                if chance.random() < keep:
                    _apply(found, part)
        return bytes(found)


@dataclass
class Renaming:
    """A file that got another one's name, and what had that name and its log's."""

    new: str
    old: str
    replaced: Durable | None
    log: Durable | None


def _apply(found: bytearray, change: Change) -> None:
    offset, data = change
    if data is None:
        if offset < len(found):
            del found[offset:]
        return
    if len(found) < offset:
        found.extend(bytes(offset - len(found)))
    found[offset : offset + len(data)] = data


def _sectors(change: Change) -> Iterator[Change]:
    """A write falls into sectors, each of which is written or not."""
    offset, data = change
    if data is None:
        yield change
        return
    at = 0
    while at < len(data):
        end = min(len(data), at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES)
        yield offset + at, data[at:end]
        at = end


class Disk:
    """All files below a folder.

    op: called before each operation that changes something, with its kind and the file's name;
    what it raises is what SQLite gets.
    """

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.folder = str(folder)
        self._chance = chance
        self._files: dict[str, Durable] = {}
        self.op: Callable[[str, str], None] = lambda _kind, _name: None
        #: The process that wrote has died: what it still does has no effect.
        self.is_dead = False
        #: The last renaming, while a power failure may still undo it.
        self._renamed: Renaming | None = None
        self.is_restoring = False
        self.writes = 0

    def has(self, name: str | None) -> bool:
        return name is not None and name.startswith(self.folder) and not name.endswith(_SHARED)

    def file(self, name: str) -> Durable:
        return self._files.setdefault(name, Durable())

    def touch(self, kind: str, name: str) -> None:
        if self.is_dead:
            raise apsw.IOError("the process is dead")
        self.writes += 1
        self.op(kind, name.rsplit("/", 1)[-1])
        if self.is_dead:
            raise apsw.IOError("the process is dead")

    def read(self, name: str) -> None:
        if not self.is_dead:
            self.op("read", name.rsplit("/", 1)[-1])

    def delete(self, name: str) -> None:
        known = self._files.get(name)
        if known is not None:
            known.is_deleted = True

    def created(self, name: str) -> None:
        known = self._files.get(name)
        if known is None or known.is_deleted:
            self._files[name] = Durable()

    def sync(self, name: str) -> None:
        """Its bytes are durable; and all names as they are now.

        File systems that journal write what became of names in order, and a sync waits for it.
        """
        self.file(name).sync()
        self.sync_names()

    def sync_names(self) -> None:
        """What became of names until now is durable."""
        self._renamed = None
        self._files = {n: d for n, d in self._files.items() if not d.is_deleted}
        for durable in self._files.values():
            durable.is_named = True

    def rename(self, new: str, old: str) -> None:
        """A file takes another one's place; that one's log was deleted before."""
        log = f"{old}-wal"
        self._renamed = Renaming(new, old, self._files.get(old), self._files.get(log))
        self._files[old] = self._files.pop(new)

    def _settle_renaming(self) -> None:
        """Names last in order: with the renaming all that came before it, or nothing after it."""
        renamed, self._renamed = self._renamed, None
        if renamed is None:
            return
        if self._chance.random() < 0.5:
            if renamed.log is not None and renamed.log.is_deleted:
                self._files = {n: d for n, d in self._files.items() if d is not renamed.log}
            return
        self._files[renamed.new] = self._files.pop(renamed.old)
        for name, before in ((renamed.old, renamed.replaced), (f"{renamed.old}-wal", renamed.log)):
            Path(name).unlink(missing_ok=True)
            self._files.pop(name, None)
            if before is not None:
                self._files[name] = before

    def write_again(self, name: str) -> None:
        """A file's bytes are written once more, and synced."""
        if not Path(name).exists():
            return
        try:
            self.touch("write", name)
            self.file(name).pending.append((0, Path(name).read_bytes()))
            self.touch("sync", name)
        except (Partly, Dropped) as failed:
            raise failed.error from None
        self.sync(name)

    def fail_power(self) -> None:
        """Leave on disk what a power failure leaves.  All connections are closed."""
        self.is_restoring = True
        self._settle_renaming()
        for name, durable in self._files.items():
            found = durable.after_power_loss(self._chance)
            path = Path(name)
            if found is None:
                path.unlink(missing_ok=True)
                continue
            path.write_bytes(found)
            durable.bytes = bytearray(found)
            durable.pending.clear()
            durable.is_named, durable.is_deleted = True, False
        self._files = {name: d for name, d in self._files.items() if Path(name).exists()}
        for shared in Path(self.folder).glob(f"*{_SHARED}"):
            shared.unlink()
        self.is_restoring = False


class _File(apsw.VFSFile):
    """One open file of a simulated disk."""

    def __init__(self, base: str, name: Any, flags: Any, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path
        self._heard = disk.file(path).dropped
        super().__init__(base, name, flags)

    def xRead(self, amount: int, offset: int) -> bytes:
        self._disk.read(self._path)
        return super().xRead(amount, offset)

    def xWrite(self, data: Any, offset: int) -> None:
        written = bytes(data)
        try:
            self._disk.touch("write", self._path)
        except Partly as part:
            self._write(written[: int(len(written) * part.share)], offset)
            raise part.error from None
        self._write(written, offset)

    def _write(self, data: bytes, offset: int) -> None:
        if data:
            super().xWrite(data, offset)
            self._disk.file(self._path).pending.append((offset, data))

    def xTruncate(self, newsize: int) -> None:
        self._disk.touch("truncate", self._path)
        super().xTruncate(newsize)
        self._disk.file(self._path).pending.append((newsize, None))

    def xSync(self, flags: int) -> None:
        durable = self._disk.file(self._path)
        try:
            self._disk.touch("sync", self._path)
        except Dropped as failed:
            # The kernel has given the pages up and calls them clean: a later sync skips them.
            durable.pending.clear()
            durable.dropped += 1
            self._heard = durable.dropped
            raise failed.error from None
        if self._heard != durable.dropped:
            # As Linux does since 4.13: each descriptor is told once, whose sync ever failed.
            self._heard = durable.dropped
            raise apsw.IOError("an earlier sync of this file failed")
        self._disk.sync(self._path)


class Partly(Exception):
    """A write went through in part before `error`."""

    def __init__(self, share: float, error: Exception) -> None:
        super().__init__()
        self.share = share
        self.error = error


class Dropped(Exception):
    """A sync failed, and what it had is given up."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


class _Vfs(apsw.VFS):
    """SQLite's default while a simulation runs; files elsewhere are left to the system's own."""

    def __init__(self) -> None:
        self._base = apsw.vfs_names()[0]
        self.disks: list[Disk] = []
        self.slept: Callable[[int], None] = lambda _us: None
        super().__init__("noburn-simulation", self._base, makedefault=True)

    def _disk(self, name: str | None) -> Disk | None:
        return next((disk for disk in self.disks if disk.has(name)), None)

    def xOpen(self, name: Any, flags: Any) -> Any:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        disk = self._disk(path)
        if disk is None or disk.is_dead:
            return apsw.VFSFile(self._base, name, flags)
        # Made by Python, it is there already, in the place of one that was deleted.
        if not Path(path).exists() or disk.file(path).is_deleted:
            disk.created(path)
        return _File(self._base, name, flags, disk, path)

    def xDelete(self, name: str, syncdir: bool) -> None:
        disk = self._disk(name)
        if disk is not None:
            disk.touch("delete", name)
            disk.delete(name)
        super().xDelete(name, syncdir)

    def xSleep(self, microseconds: int) -> int:
        """Somebody waits for a lock that nobody will give up meanwhile: time goes on."""
        self.slept(microseconds)
        return microseconds


@contextlib.contextmanager
def simulated(disk: Disk, slept: Callable[[int], None]) -> Iterator[None]:
    """Files below the disk's folder are on that disk."""
    vfs = _Vfs()
    vfs.disks.append(disk)
    vfs.slept = slept
    try:
        yield
    finally:
        vfs.unregister()
