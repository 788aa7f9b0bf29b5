"""The folder of endings that could not be delivered: its files, and who may touch one.

Layer: beside paths, the lowest but errors; standard library only, Python 3.10 (it travels into
guests).  Above: client.journal, which writes and sends; the daemon, which reads the folder itself.
Owns: one file per process, one frame (without `n`) per line; the locks.

No line is lost: who appends or takes a file holds its flock, and looks whether the name still means
that file.  Who takes a file renames it first, so that nobody waits for it, and holds the lock until
all of it is answered; one that dies leaves a file that the next one takes.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SUFFIX = ".jsonl"
#: A line that no daemon will ever take stays for a person to look at.
_BAD_SUFFIX = ".bad"
#: Someone who renames holds the lock for microseconds; after that many tries, another name.
_TRIES = 50
_TRY_PAUSE_S = 0.001


class Taken:
    """A file that nobody else has: its lines, in the order in which they were written."""

    def __init__(self, path: Path, lines: list[bytes]) -> None:
        self._path = path
        self.lines = lines

    def finish(self, refused: list[bytes]) -> None:
        """Every line was answered: the file goes; `refused` ones are kept beside it.

        Raises OSError.
        """
        if refused:
            _keep(self._path.with_suffix(_BAD_SUFFIX), refused)
        self._path.unlink()


def append(folder: Path, line: bytes) -> None:
    """Keep one line, its end included.  Raises OSError when the disk does not take it."""
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


def files(folder: Path) -> list[Path]:
    """What lies there, oldest first by name.  Raises OSError."""
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == _SUFFIX)
    except FileNotFoundError:
        return []


@contextmanager
def take(path: Path) -> Iterator[Taken | None]:
    """A file for oneself; None when somebody else has it or has taken it away.

    Left before `finish`, it stays for the next one.  Raises OSError.
    """
    with _locked(path, os.O_RDONLY) as file:
        if file is None:
            yield None
            return
        taken = path if _is_aside(path) else path.rename(_aside(path))
        yield Taken(taken, _lines(file))


def _aside(own: Path) -> Path:
    """A name that nobody else writes to; sorted, such names are in the order of their making."""
    return own.with_name(f"{own.stem}-{time.time_ns():016x}{_SUFFIX}")


def _is_aside(path: Path) -> bool:
    return path.stem.count("-") > 1


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
