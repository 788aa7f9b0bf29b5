"""Processes of another PID namespace, such as a container that shares the home folder.

Layer: daemon.  Below: the operating system.  Above: owners.
Owns: their names `boot:ns.…:`, and whether one of them lives.

The system gives no pid for such a peer (SO_PEERCRED says 0), and /proc does not show it.  But it
gives a descriptor of the very process (SO_PEERPIDFD, Linux 6.5), which tells its end; since Linux
6.9 its inode number is the process's own until the machine restarts, so that the process is known
again when it connects to the next daemon.  Without either, a connection stands for its process.

A daemon that was restarted cannot look for those of before: each has RETURN_S to connect again, and
counts as gone then.  Nothing is lost by that: a late bill corrects an orphan.
Source, looked up 2026-11-27: socket(7), pidfd_open(2); `fs/pidfs.c` of Linux.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
import struct
import time
from collections.abc import Callable

#: Not in Python's socket module yet; include/uapi/asm-generic/socket.h.
SO_PEERPIDFD = 77
#: How long a process of before has to connect to a daemon that was restarted.
RETURN_S = 30.0
_FOREIGN = "ns."
_KEPT_MAX = 1_024


def is_foreign(owner: str) -> bool:
    """Whether an owner's name is that of a process of another namespace."""
    return owner.partition(":")[2].startswith(_FOREIGN)


class Foreigners:
    """Those that connected to this daemon, and for a while those that did to the one before."""

    def __init__(self, boot: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._boot = boot[:8]
        self._clock = clock
        self._until = clock() + RETURN_S
        self._pidfds: dict[str, int] = {}
        self._connections: dict[str, socket.socket] = {}
        self._dead: set[str] = set()

    def owner_of(self, connection: socket.socket) -> str:
        """The name of who connected."""
        pidfd = peer_pidfd(connection)
        if pidfd is None:
            owner = self._name(secrets.token_hex(8))
            self._connections[owner] = connection
            return owner
        owner = self._name(_inode(pidfd) or secrets.token_hex(8))
        if owner in self._pidfds:
            os.close(pidfd)
        else:
            self._forget_dead()
            self._pidfds[owner] = pidfd
        return owner

    def is_alive(self, owner: str) -> bool:
        """Whether it lives; of one that has not come back yet, for a while."""
        if owner in self._dead or not owner.startswith(f"{self._boot}:"):
            return False
        pidfd = self._pidfds.get(owner)
        if pidfd is not None:
            return not _has_ended(pidfd)
        connection = self._connections.get(owner)
        if connection is not None:
            if connection.fileno() >= 0:
                return True
            self._bury(owner)
            return False
        return self._clock() < self._until

    def open_exit(self, owner: str) -> int | None:
        """A descriptor that becomes readable when it ends; None where there is none (yet)."""
        pidfd = self._pidfds.get(owner)
        return None if pidfd is None else os.dup(pidfd)

    def _name(self, number: str) -> str:
        return f"{self._boot}:{_FOREIGN}{number}:"

    def _forget_dead(self) -> None:
        if len(self._pidfds) >= _KEPT_MAX:
            for owner in [one for one, pidfd in self._pidfds.items() if _has_ended(pidfd)]:
                self._bury(owner)

    def _bury(self, owner: str) -> None:
        """It does not come back: its name is never given again."""
        if self._clock() < self._until:  # later on, whoever is not known is gone
            self._dead.add(owner)
        self._connections.pop(owner, None)
        pidfd = self._pidfds.pop(owner, None)
        if pidfd is not None:
            os.close(pidfd)


def peer_pidfd(connection: socket.socket) -> int | None:
    """A descriptor of the process that connected; None where the system gives none."""
    with contextlib.suppress(OSError):
        raw = connection.getsockopt(socket.SOL_SOCKET, SO_PEERPIDFD, struct.calcsize("i"))
        pidfd = int(struct.unpack("i", raw)[0])
        os.set_inheritable(pidfd, False)
        return pidfd
    return None


def _inode(pidfd: int) -> str:
    """The process's own number, "" where descriptors of all processes have one number."""
    with contextlib.suppress(OSError):
        own = os.fstat(pidfd)
        other = os.pidfd_open(os.getpid())
        try:
            unique = os.fstat(other).st_ino != own.st_ino
        finally:
            os.close(other)
        return str(own.st_ino) if unique else ""
    return ""


def _has_ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))
