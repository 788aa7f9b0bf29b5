"""Processes of a run that are still there after its process group was ended.

Layer: enforce (the supervisor's side).  Below: the operating system.  Above: supervisor.
A process that made a group or session of its own (a daemon, `setsid`) is not reached by a signal to
the run's group.  Its environment still names the run; Linux shows it, elsewhere nothing is found.
"""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")


def find_survivors(run: str, *, group: int) -> list[str]:
    """`pid (name)` of each process whose environment says that it belongs to `run`.

    group: the process group that was just killed; who is in it is dying, and no survivor.
    """
    if not _PROC.is_dir():
        return []
    others = (f for f in _PROC.iterdir() if f.name.isdigit() and int(f.name) != os.getpid())
    return sorted(
        f"{folder.name} ({_name(folder)})"
        for folder in others
        if _belongs(folder, run) and _group_of(int(folder.name)) not in (group, None)
    )


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _belongs(folder: Path, run: str) -> bool:
    try:
        entries = (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return False  # Somebody else's, or gone.
    # The daemon, if a process of the run started it, has no guard.
    if b"NOBURN_GUARD=1" not in entries:
        return False
    named = b"NOBURN_RUN=" + os.fsencode(run)
    return any(entry == named or entry.startswith(named + b"/") for entry in entries)


def _name(folder: Path) -> str:
    try:
        return (folder / "comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "gone"
