"""`run --strict`: a network in which only the run's gateway can be reached.

Layer: enforce, the supervisor's side (Linux).  Below: the kernel.  Above: host_run.
Owns: a network namespace with a loopback of its own and one listening socket in it, which a gateway
outside serves.  Unix sockets in files stay reachable, the daemon's among them.
Sources: unshare(2), setns(2), user_namespaces(7), network_namespaces(7).
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from noburn_cli.errors import NoburnError

STRICT = "NOBURN_STRICT"
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_WORDS_BYTES = 256


class Enclosure:
    """The network that a strict run's processes are put into.

    Made before the child and before any thread, since it forks.  Raises NoburnError where the
    machine does not allow it; nothing was started then.
    """

    def __init__(self) -> None:
        if not sys.platform.startswith("linux"):
            raise _refused(f"network namespaces are Linux's, and this is {sys.platform}")
        self._setns = _system_call("setns")
        listening, net, user = _made_by_a_child()
        #: Bound to the enclosed 127.0.0.1; whoever has it serves, from whatever network.
        self.socket = listening
        self._net = net
        self._user = user

    def enter(self) -> None:
        """Move this process in; between fork and exec.  Raises OSError."""
        if self._user is not None:
            _check(self._setns(self._user, _CLONE_NEWUSER))
        _check(self._setns(self._net, _CLONE_NEWNET))

    def close(self) -> None:
        """Forget it; it lasts as long as processes are in it."""
        for number in (self._net, self._user):
            if number is not None:
                os.close(number)


def _made_by_a_child() -> tuple[socket.socket, int, int | None]:
    """A listening socket in a new network, and descriptors of the network and its owner."""
    ours, theirs = socket.socketpair()
    unshare = _system_call("unshare")
    pid = os.fork()
    if pid == 0:
        _enclose(theirs, unshare)
    theirs.close()
    with ours:
        words, numbers, _, _ = socket.recv_fds(ours, _WORDS_BYTES, 3)
    os.waitpid(pid, 0)
    if words != b"ok":
        raise _refused(words.decode("utf-8", "replace") or "the process that tried it died")
    listening = socket.socket(fileno=numbers[0])
    return listening, numbers[1], numbers[2] if len(numbers) > 2 else None


def _enclose(theirs: socket.socket, unshare: Callable[[int], int]) -> None:
    """In a process of its own, which ends here: make the network and hand it over."""
    code = 1
    try:
        with_user = _unshare(unshare)
        _bring_loopback_up()
        listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        numbers = [listening.fileno(), os.open("/proc/self/ns/net", os.O_RDONLY)]
        if with_user:
            numbers.append(os.open("/proc/self/ns/user", os.O_RDONLY))
        socket.send_fds(theirs, [b"ok"], numbers)
        code = 0
    except OSError as error:
        theirs.send(str(error.strerror or error).encode()[:_WORDS_BYTES])
    finally:
        os._exit(code)


def _unshare(unshare: Callable[[int], int]) -> bool:
    """A new network, in a new user namespace where we may not make one; whether it took that."""
    user, group = os.geteuid(), os.getegid()
    if unshare(_CLONE_NEWNET) == 0:
        return False
    _check(unshare(_CLONE_NEWUSER | _CLONE_NEWNET))
    # Everybody keeps the name that he has outside: the daemon knows its owner by it.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    return True


def _bring_loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def _system_call(name: str) -> Callable[..., int]:
    function: Callable[..., int] = getattr(ctypes.CDLL(None, use_errno=True), name)
    return function


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _refused(why: str) -> NoburnError:
    return NoburnError(
        "this machine does not allow `--strict`, so nothing was started",
        why=f"a network of its own cannot be made: {why}",
        next_step="allow unprivileged user namespaces (sysctl user.max_user_namespaces, "
        "kernel.apparmor_restrict_unprivileged_userns=0), start the container with more rights, "
        "or run it without --strict",
    )
