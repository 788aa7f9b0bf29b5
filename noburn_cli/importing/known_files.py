"""Files that were read before: the same, grown, or under another name.

Layer: importing, I/O.  Below: store, opening (places).  Above: job.
Owns: the table `files`, and where a file is gone on with.  A file that has grown under its name is
read on from where it ended, one of the same beginning, length and time is passed over; what was
asked of a file is a part of its name here, because other choices read it anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from noburn_cli.importing.opening import Place
from noburn_cli.importing.store import Store

HEAD_BYTES = 1 << 16


@dataclass
class File:
    """One file on its way.

    source, asked: whose it is, and the digest of what is asked of it.
    by_content: whether calls in it have no ids.  Equal ones are told apart by their number in the
    file, so that it is always read from its beginning.
    state: what its reader said of itself when it was last read.
    """

    path: Path
    source: str
    asked: str
    size: int
    modified_ns: int
    place: Place = field(default_factory=Place)
    by_content: bool = False
    state: dict[str, Any] | None = None

    @cached_property
    def head(self) -> str:
        """A digest of its first bytes."""
        return _digest(self.path, self.head_bytes)

    @property
    def head_bytes(self) -> int:
        return min(self.size, HEAD_BYTES)


def look_at(path: Path, source: str, asked: str) -> File:
    """The file as it is now.  Raises OSError."""
    found = path.stat()
    return File(path, source, asked, found.st_size, found.st_mtime_ns)


def is_known(store: Store, file: File) -> bool:
    """Whether a file was read to its end; else, where to go on with it is noted in it."""
    sql = (
        "SELECT size, modified_ns, head, head_bytes, offset, line, done, state FROM files "
        "WHERE source = ? AND path = ? AND asked = ?"
    )
    values = (file.source, f"{file.path}", file.asked)
    row = next(iter(store.execute(sql, values)), None)
    if row is None:
        return _is_renamed(store, file)
    size, modified_ns, head, head_bytes, offset, line, done, state = row
    if done and (size, modified_ns) == (file.size, file.modified_ns):
        return True
    if offset and offset <= file.size and _digest(file.path, head_bytes) == head:
        file.place, file.state = Place(offset, line), json.loads(state)
    return False


def _is_renamed(store: Store, file: File) -> bool:
    """Whether a file of the same beginning, length and time was read under another name."""
    sql = (
        "SELECT 1 FROM files WHERE source = ? AND head = ? AND size = ? AND modified_ns = ? "
        "AND done AND asked = ?"
    )
    values = (file.source, file.head, file.size, file.modified_ns, file.asked)
    return file.size > 0 and next(iter(store.execute(sql, values)), None) is not None


def note(store: Store, file: File, state: dict[str, Any], *, done: bool) -> None:
    """Keep how far a file was read, and what its reader must know to go on."""
    store.execute(
        "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            file.source, f"{file.path}", file.size, file.modified_ns, file.head, file.head_bytes,
            file.place.offset, file.place.line, int(done), json.dumps(state), file.asked,
        ),
    )  # fmt: skip


def _digest(path: Path, length: int) -> str:
    with path.open("rb") as opened:
        return hashlib.sha256(opened.read(length)).hexdigest()
