"""Endings of calls that could not be delivered, kept until a daemon takes them.

Layer: client.  Below: protocol, connection, paths.  Above: opening, both clients.
Owns: the folder `journal`: one file per process, one frame (without `n`) per line.

No line is lost: who appends or takes a file holds its flock, and looks whether the name still means
that file.  A replayer renames the file before it sends, so that nobody waits for it, and holds the
lock until all is answered; a replayer that dies leaves a file that the next one takes.  Sending a
line twice is harmless: endings are idempotent.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noburn_cli import protocol
from noburn_cli.client.connection import Connection
from noburn_cli.client.retry import REPLY_S
from noburn_cli.errors import DaemonUnavailable, FrameRefused, NoburnError

_SUFFIX = ".jsonl"
#: A line that no daemon will ever take stays for a person to look at.
_BAD_SUFFIX = ".bad"
_BATCH = 256
#: Someone who renames holds the lock for microseconds; after that many tries, another name.
_TRIES = 50
_TRY_PAUSE_S = 0.001

#: What the daemon says of an ending that it will never book again.
_ANSWERED = frozenset({protocol.CONFLICT, protocol.CLOSED, protocol.NOT_FOUND})
_LATER = frozenset({protocol.UNKNOWN, protocol.LEDGER, protocol.DRAINING})


def append(folder: Path, frame: Mapping[str, Any]) -> None:
    """Keep one frame.  Raises OSError when the disk does not take it."""
    line = protocol.encode(frame)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    own = folder / f"{os.getpid()}-{_start_ticks()}{_SUFFIX}"
    for _ in range(_TRIES):
        with _locked(own, os.O_CREAT | os.O_APPEND | os.O_WRONLY) as file:
            if file is not None:
                _write_line(file, line)
                return
        time.sleep(_TRY_PAUSE_S)
    other = _aside(own)
    with _locked(other, os.O_CREAT | os.O_APPEND | os.O_WRONLY) as file:
        if file is None:
            raise BlockingIOError(f"{other} is locked by somebody else")
        _write_line(file, line)


def keep(folder: Path, frame: Mapping[str, Any], error: NoburnError) -> None:
    """Keep what `error` kept from being delivered.  Raises DaemonUnavailable if that fails, too."""
    try:
        append(folder, frame)
    except OSError as problem:
        raise DaemonUnavailable(
            f"`{frame['op']}` of call {frame['call']} could be neither delivered nor kept",
            why=f"{error.message}; {problem}",
            next_step="the call stays charged at its hold: see `noburn ledger orphans`",
        ) from problem


def replay(folder: Path, connection: Connection) -> int:
    """Send what lies in `folder`, and delete each file once all of it was answered.

    Returns how many lines were answered.  Raises Lost or Late; what is left stays in place.
    """
    answered = 0
    for path in _files(folder):
        with _locked(path, os.O_RDONLY) as file:
            if file is None:
                continue
            taken = path if _is_aside(path) else path.rename(_aside(path))
            lines = _lines(file)
            count, refused = _send(lines, connection)
            answered += count
            if count + len(refused) < len(lines):
                continue
            if refused:
                _keep(taken.with_suffix(_BAD_SUFFIX), refused)
            taken.unlink()
    return answered


def _aside(own: Path) -> Path:
    """A name that nobody else writes to; sorted, such names are in the order of their making."""
    return own.with_name(f"{own.stem}-{time.time_ns():016x}{_SUFFIX}")


def _is_aside(path: Path) -> bool:
    return path.stem.count("-") > 1


def _files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX)
    except FileNotFoundError:
        return []


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[int | None]:
    """The file at `path`, locked; None when somebody else has it or has taken it away."""
    try:
        file = os.open(path, flags | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        yield None
        return
    try:
        yield file if _lock(file) and _is_at(file, path) else None
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def _write_line(file: int, line: bytes) -> None:
    """Append a whole line, or nothing: half a line would spoil the next one, too."""
    size = os.fstat(file).st_size
    try:
        written = os.write(file, line)
        if written < len(line):  # A full disk takes a part; the rest says why.
            os.write(file, line[written:])
    except OSError:
        os.ftruncate(file, size)
        raise


def _lines(file: int) -> list[bytes]:
    with os.fdopen(os.dup(file), "rb") as stream:
        return [line for line in stream.read().split(b"\n") if line]


def _send(lines: list[bytes], connection: Connection) -> tuple[int, list[bytes]]:
    """How many lines were answered, and those that no daemon will ever take."""
    answered = 0
    refused: list[bytes] = []
    for start in range(0, len(lines), _BATCH):
        batch = lines[start : start + _BATCH]
        frames = [(line, frame) for line in batch if (frame := _frame(line)) is not None]
        refused.extend(line for line in batch if _frame(line) is None)
        replies = connection.exchange_all(
            [frame for _, frame in frames], deadline=time.monotonic() + REPLY_S
        )
        for (line, _), reply in zip(frames, replies, strict=True):
            if reply.get("ok") or reply.get("error") in _ANSWERED:
                answered += 1
            elif reply.get("error") not in _LATER:
                refused.append(line)
    return answered, refused


def _frame(line: bytes) -> dict[str, Any] | None:
    try:
        return protocol.decode(line)
    except FrameRefused:
        return None


def _keep(path: Path, lines: list[bytes]) -> None:
    file = os.open(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600)
    with os.fdopen(file, "ab") as stream:
        stream.write(b"".join(line + b"\n" for line in lines))


def _start_ticks() -> int:
    """When this process started, in the kernel's ticks; 0 where /proc doesn't tell."""
    try:
        stat = Path("/proc/self/stat").read_bytes()
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[19])  # Field 22 of proc_pid_stat(5).
