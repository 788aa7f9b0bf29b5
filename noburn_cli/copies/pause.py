"""A while without a daemon: stopped, and kept from starting, until the file is another one.

Layer: copies, I/O.  Below: client, paths, protocol.  Above: copies.restore, copies.migration.
Owns: the daemon's lock (`daemon.lock`) while no daemon may have it.
A client that needs the daemon meanwhile tries again for some seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from noburn_cli import paths, protocol
from noburn_cli.client import Client
from noburn_cli.errors import DaemonUnavailable

#: A daemon answers its waiters and commits before it leaves.
LEAVE_S_MAX = 15.0
_LOOK_S = 0.02


@contextlib.contextmanager
def without_daemon(home: Path) -> Iterator[bool]:
    """Stop the daemon and hold its lock; yields whether one was running.

    It is started again afterwards, whatever happened, when it was running.
    Raises DaemonUnavailable when it does not leave in time.
    """
    was_running = _stop(home)
    lock = _take_lock(paths.lock_path(home))
    try:
        yield was_running
    finally:
        os.close(lock)
        if was_running:
            with Client(home=home) as client:
                client.status()


def _stop(home: Path) -> bool:
    try:
        with Client(home=home, start_daemon=False) as client:
            client.request(protocol.SHUTDOWN)
    except DaemonUnavailable as error:
        if isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
            return False
        raise
    return True


def _take_lock(path: Path) -> int:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LEAVE_S_MAX
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                os.close(descriptor)
                raise DaemonUnavailable(
                    f"the daemon was told to stop and is still there after {LEAVE_S_MAX:g} s",
                    why="it answers its waiters, its disk does not answer, or another was started",
                    next_step="`noburn daemon logs` says more; then try again",
                ) from error
            time.sleep(_LOOK_S)
        else:
            return descriptor
