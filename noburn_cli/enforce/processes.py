"""The processes of a run and their connections, as the system shows them.

Layer: enforce, the supervisor's side.  Below: the operating system.  Above: bypass.
Linux: /proc.  Elsewhere: ps, without connections.
"""

from __future__ import annotations

import contextlib
import ipaddress
import subprocess
from pathlib import Path

_PROC = Path("/proc")
_ESTABLISHED = "01"


def processes_below(root: int) -> list[tuple[int, str]]:
    """(pid, name of its program) of `root` and each process that descends from it.

    A process whose parent has ended is no descendant any more; its run's end names it (survivors).
    """
    parents = _parents() if _PROC.is_dir() else _parents_by_ps()
    children: dict[int, list[int]] = {}
    for pid, (parent, _) in parents.items():
        children.setdefault(parent, []).append(pid)
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        if pid in parents:
            found.append((pid, parents[pid][1]))
    return found


def connections_of(pid: int) -> set[str]:
    """The other machines that a process is connected to, as ADDRESS:PORT; Linux only."""
    inodes = set()
    with contextlib.suppress(OSError):
        for descriptor in (_PROC / str(pid) / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(descriptor.readlink())
                if target.startswith("socket:["):
                    inodes.add(target[8:-1])
    if not inodes:
        return set()
    found = set()
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            lines = (_PROC / str(pid) / "net" / table).read_text().splitlines()[1:]
            for fields in map(str.split, lines):
                if fields[3] == _ESTABLISHED and fields[9] in inodes:
                    address, port = _address(fields[2])
                    if not address.is_loopback:
                        found.add(f"{address}:{port}")
    return found


def _address(text: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """An address of /proc/net/tcp: words in this machine's order, in hexadecimal digits."""
    digits, _, port = text.partition(":")
    words = [digits[place : place + 8] for place in range(0, len(digits), 8)]
    packed = b"".join(bytes.fromhex(word)[::-1] for word in words)
    address = ipaddress.ip_address(packed)
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address, int(port, 16)


def _parents() -> dict[int, tuple[int, str]]:
    """By process, its parent and its name."""
    found = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                head, _, rest = (folder / "stat").read_text(errors="replace").rpartition(")")
                found[int(folder.name)] = (int(rest.split()[1]), head.partition("(")[2])
    return found


def _parents_by_ps() -> dict[int, tuple[int, str]]:
    found = {}
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(
            ["ps", "-axo", "pid=,ppid=,comm="],  # noqa: S607 - the system's own
            capture_output=True, text=True, timeout=10, check=False,
        )  # fmt: skip
        for line in done.stdout.splitlines():
            pid, parent, name = line.split(None, 2)
            found[int(pid)] = (int(parent), name.rpartition("/")[2])
    return found
