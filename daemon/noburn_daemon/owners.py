"""Who is at the other end of a socket, and whether that process still lives.

Layer: daemon.  Below: the operating system, foreigners.  Above: server, reaper, peer.
Owns: an owner's name `boot:pid:start`: a pid alone is reused, with its start time it is not; and
Processes, all that the daemon asks the system about other processes.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from noburn_daemon.foreigners import Foreigners, is_foreign

_LOCAL_PEERPID = 0x002  # sys/un.h on macOS
_LOCAL_PEERCRED = 0x001
_SOL_LOCAL = 0


class Peer(NamedTuple):
    """pid is 0 when the system does not tell, as for a peer in another container."""

    pid: int
    uid: int


def peer_of(connection: socket.socket) -> Peer:
    """The process that connected.  Raises OSError."""
    if sys.platform == "darwin":
        pid = connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID)
        # struct xucred: version, uid, group count, groups.
        _, uid = struct.unpack_from("iI", connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, 76))
        return Peer(pid, uid)
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", raw)
    return Peer(pid, uid)


def may_talk(peer: Peer, *, own_uid: int) -> bool:
    """Only the daemon's own user may; not even root, who has other ways."""
    return peer.uid == own_uid


def started_at(pid: int) -> str:
    """When a process started, as the system tells it; "" when there is none, or only its corpse.

    Raises OSError when it cannot be looked at, as without a free descriptor: that is no death.
    """
    if sys.platform == "darwin":
        return _started_at_by_ps(pid)
    try:
        shown = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""
    # proc(5): the name in parentheses may hold anything; the state is the third field, the start
    # time the 22nd.
    fields = shown[shown.rindex(")") + 2 :].split()
    return "" if fields[0] in "ZX" else fields[19]


def _started_at_by_ps(pid: int) -> str:
    try:
        shown = subprocess.run(
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"ps did not answer: {error}") from error
    return shown.stdout.strip().replace(" ", "_").replace(":", ".")


def owner_name(boot: str, pid: int) -> str:
    """The owner that a process is.  Raises OSError when it cannot be looked at."""
    return f"{boot[:8]}:{pid}:{started_at(pid)}"


def is_alive(owner: str, *, boot: str) -> bool:
    """Whether the very process lives: same boot, same pid, same start.  Raises OSError likewise."""
    owner_boot, _, rest = owner.partition(":")
    pid, _, start = rest.partition(":")
    if owner_boot != boot[:8] or not pid.isdigit() or not start:
        return False
    return started_at(int(pid)) == start


class Processes:
    """The processes of one start of this machine.

    Everything that the daemon learns of others comes through here, so that a simulation can stand
    in for the system.
    """

    def __init__(self, boot: str) -> None:
        self._boot = boot
        self._foreign = Foreigners(boot)

    def owner_of(self, connection: socket.socket) -> str | None:
        """Who connected, as an owner; None when it is not to be talked to.  Raises OSError."""
        peer = peer_of(connection)
        if not may_talk(peer, own_uid=os.geteuid()):
            return None
        if not peer.pid:
            return self._foreign.owner_of(connection)
        return owner_name(self._boot, peer.pid)

    def is_alive(self, owner: str) -> bool:
        """Whether that very process lives.  Raises OSError when it cannot be looked at."""
        if is_foreign(owner):
            return self._foreign.is_alive(owner)
        return is_alive(owner, boot=self._boot)

    def open_exit(self, owner: str) -> int | None:
        """A descriptor that becomes readable when the process ends; None where there is none."""
        if is_foreign(owner):
            return self._foreign.open_exit(owner)
        open_pidfd = getattr(os, "pidfd_open", None)
        if open_pidfd is None:
            return None
        try:
            return int(open_pidfd(int(owner.split(":")[1])))
        except (OSError, ValueError):
            return None

    def close_exit(self, descriptor: int) -> None:
        """Give such a descriptor back."""
        os.close(descriptor)
