"""The ledger's time: the wall clock once, and from then on the boot clock.

Layer: daemon.  Below: the operating system's clocks.  Above: server.
Owns: now_ms, which never goes back and never jumps, so that nobody opens a new window by setting
the clock; a jump of the wall clock is only told.  A restart of the daemon goes on from the same
anchor; a restart of the machine takes the wall clock anew, and never before the last moment in
the ledger.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

JUMP_MS = 2_000
#: macOS has no CLOCK_BOOTTIME: its CLOCK_MONOTONIC counts sleep too.
_BOOT_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


def boot_ms() -> int:
    """Milliseconds since the machine started, sleep included; not settable."""
    return time.clock_gettime_ns(_BOOT_CLOCK) // 1_000_000


def boot_id() -> str:
    """What tells this start of the machine from every other."""
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return subprocess.run(
                ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"],
                capture_output=True, text=True, timeout=5, check=True,
            ).stdout.strip()  # fmt: skip
        return ""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""


class Clock:
    """Milliseconds since the epoch, anchored."""

    def __init__(
        self, *, kept: Mapping[str, str], last_ms: int, boot: str,
        wall: Callable[[], int] = wall_ms, since_boot: Callable[[], int] = boot_ms,
    ) -> None:  # fmt: skip
        """kept: what `anchor` said before; last_ms: the last moment in the ledger."""
        self._wall = wall
        self._since_boot = since_boot
        self.boot = boot
        if boot and kept.get("clock_boot") == boot:
            self._offset = int(kept["clock_offset_ms"])
        else:
            self._offset = max(wall(), last_ms) - since_boot()
        self._last = max(last_ms, 0)

    def now_ms(self) -> int:
        now = self._since_boot() + self._offset
        if now > self._last:
            self._last = now
        return self._last

    @property
    def anchor(self) -> dict[str, str]:
        """What a later daemon on this machine goes on from."""
        return {"clock_boot": self.boot, "clock_offset_ms": str(self._offset)}

    def jump_ms(self) -> int:
        """How far the wall clock is ahead of the ledger's time; 0 below JUMP_MS."""
        ahead = self._wall() - self.now_ms()
        return ahead if abs(ahead) >= JUMP_MS else 0
