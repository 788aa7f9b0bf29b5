"""What a service manager gives the daemon and hears from it: systemd's sockets and words, launchd's
socket.

Layer: daemon, I/O.  Below: errors.  Above: __main__, server.
Owns: the protocols of sd_listen_fds(3), sd_notify(3) and launch_activate_socket(3), without their
libraries.  Without a manager all of it does nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import socket
import sys
import time
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from noburn_cli.errors import DaemonUnavailable

#: sd_listen_fds(3): SD_LISTEN_FDS_START.
_FIRST_DESCRIPTOR = 3
#: Set in our launchd plist: the name of its socket there.
LAUNCHD_SOCKET = "NOBURN_LAUNCHD_SOCKET"

_log = logging.getLogger("noburn.service")


def inherited_socket(path: Path, environment: MutableMapping[str, str]) -> socket.socket | None:
    """The listening socket that a service manager opened at `path` for us, or None.

    The variables that told of it are taken out of the environment: no child is meant by them.
    Raises DaemonUnavailable when it opened something else: two places would each be half a daemon.
    """
    descriptors = _systemd_descriptors(environment)
    name = environment.pop(LAUNCHD_SOCKET, None)
    if not descriptors and name and sys.platform == "darwin":
        descriptors = launchd_descriptors(name, ctypes.CDLL(None))
    found = None
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
        given = socket.socket(fileno=descriptor)
        if found is None and _listens_at(given, path):
            found = given
        else:
            given.close()
    if descriptors and found is None:
        raise DaemonUnavailable(
            f"the service manager gave no socket at {path}",
            why="the socket unit and the daemon name different places",
            next_step="`noburn daemon install` writes units that agree",
        )
    if found is not None:
        found.setblocking(False)
    return found


def _systemd_descriptors(environment: MutableMapping[str, str]) -> list[int]:
    told = [environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")]
    pid, count = told[:2]
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    return list(range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count)))


def launchd_descriptors(name: str, library: Any) -> list[int]:
    """What launch_activate_socket gives for a name; library: that has the function.

    Raises DaemonUnavailable when the function fails.
    """
    array = ctypes.POINTER(ctypes.c_int)()
    count = ctypes.c_size_t()
    failed = library.launch_activate_socket(
        name.encode(), ctypes.byref(array), ctypes.byref(count)
    )  # fmt: skip
    if failed:
        raise DaemonUnavailable(
            f"launchd gave no socket `{name}`: {os.strerror(failed)}",
            why="the daemon was not started by the job that has it",
            next_step="`noburn daemon install` writes one that agrees",
        )
    found = [array[index] for index in range(count.value)]
    library.free(array)
    return found


def _listens_at(given: socket.socket, path: Path) -> bool:
    with contextlib.suppress(OSError):
        return (
            given.family == socket.AF_UNIX
            and bool(given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
            and os.path.realpath(given.getsockname()) == os.path.realpath(path)
        )
    return False


class Manager:
    """Tells systemd how we are, where it listens (NOTIFY_SOCKET, WATCHDOG_USEC)."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        usec = environment.pop("WATCHDOG_USEC", "")
        meant = environment.pop("WATCHDOG_PID", "") or str(os.getpid())
        watched = self._address and usec.isdigit() and meant == str(os.getpid())
        #: How often systemd is to hear that the loop turns, in seconds; 0 where it does not ask.
        self.watchdog_s = int(usec) / 2_000_000 if watched else 0.0
        self._said_at = 0.0

    def say(self, *words: str) -> None:
        """Send some `NAME=value`; that nobody hears it changes nothing."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
                channel.setblocking(False)
                channel.sendto("\n".join(words).encode(), address)
        except OSError as error:
            _log.debug("the service manager does not hear: %s", error)

    def say_alive(self) -> None:
        """The loop has turned: tell the watchdog, where half its time is over."""
        if self.watchdog_s and time.monotonic() - self._said_at >= self.watchdog_s:
            self._said_at = time.monotonic()
            self.say("WATCHDOG=1")

    def say_reloading(self) -> None:
        usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.say("RELOADING=1", f"MONOTONIC_USEC={usec}")
