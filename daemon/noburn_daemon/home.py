"""The daemon's folder: private, locked by one daemon, with a socket that is nobody else's.

Layer: daemon.  Below: paths, errors.  Above: __main__.
Owns: the checks before anything is opened.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import sys
from pathlib import Path

from noburn_cli.errors import DaemonUnavailable

#: sizeof(sun_path) less its final NUL: unix(7); sys/un.h on macOS.
SOCKET_PATH_BYTES_MAX = 103 if sys.platform == "darwin" else 107
#: How many connections may wait to be accepted.
BACKLOG = 1024


def make_private(folder: Path) -> None:
    """Create the folder with mode 0700, or make it so.

    Raises DaemonUnavailable when it belongs to somebody else or its mode can't be narrowed.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        check_folder(folder, owner=found.st_uid, own_uid=os.geteuid())
        if stat.S_IMODE(found.st_mode) != 0o700:
            folder.chmod(0o700)
            if stat.S_IMODE(folder.stat().st_mode) != 0o700:
                raise DaemonUnavailable(
                    f"{folder} cannot be made private",
                    why="its file system does not keep modes",
                    next_step="set NOBURN_HOME to a folder on a local disk",
                )
    except OSError as error:
        raise DaemonUnavailable(f"{folder} cannot be used: {error.strerror or error}") from error


def check_folder(folder: Path, *, owner: int, own_uid: int) -> None:
    """Raises DaemonUnavailable when the folder belongs to somebody else."""
    if owner != own_uid:
        raise DaemonUnavailable(
            f"{folder} belongs to another user",
            why="whoever owns it could replace the ledger",
            next_step="set NOBURN_HOME to a folder of your own",
        )


def take_lock(path: Path) -> int:
    """The lock's descriptor, to be kept open for as long as the daemon lives.

    Raises DaemonUnavailable when another daemon has it, or the file system has no locks.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DaemonUnavailable(
            f"another daemon has {path.parent}", next_step="`noburn daemon status` shows it"
        ) from error
    except OSError as error:
        os.close(descriptor)
        raise DaemonUnavailable(
            f"{path} cannot be locked: {error.strerror}",
            why="its file system lacks locks, as some network drives do",
            next_step="set NOBURN_HOME to a folder on a local disk",
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def take_away(path: Path, made: os.stat_result) -> None:
    """Remove our own socket, and not what somebody has put in its place since."""
    with contextlib.suppress(OSError):
        if os.path.samestat(path.stat(), made):
            path.unlink()


def bind(path: Path) -> socket.socket:
    """A socket of mode 0600 that is to have this path, and that nobody finds before `publish`.

    Only with the lock held.  A daemon that fails while it reads its ledger keeps no caller waiting.
    Raises DaemonUnavailable.
    """
    length = len(os.fsencode(path))
    if length > SOCKET_PATH_BYTES_MAX:
        raise DaemonUnavailable(
            f"the socket's path is too long: {path}",
            why=f"it has {length} bytes, the system allows {SOCKET_PATH_BYTES_MAX}",
            next_step="set NOBURN_HOME to a shorter path",
        )
    hidden = hidden_path(path)
    with contextlib.suppress(FileNotFoundError):
        hidden.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(str(hidden))
    except OSError as error:
        listener.close()
        raise DaemonUnavailable(f"cannot listen on {path}: {error.strerror}") from error
    finally:
        os.umask(before)
    listener.setblocking(False)
    return listener


def hidden_path(path: Path) -> Path:
    """Where a socket lies until somebody listens; not longer than its path."""
    return path.with_name("daemon.new")


def publish(path: Path) -> None:
    """Give the socket its path, now that somebody listens; a stale one is replaced.

    Raises OSError.
    """
    hidden_path(path).rename(path)
