"""The real daemon on a machine whose clocks a test sets.

`clocks.json` in its home says how far the wall clock and the boot clock are ahead of this
machine's, in milliseconds, and how often the machine was started anew.  Everything else is as in
life.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from noburn_daemon import __main__ as daemon

_CLOCKS = Path(os.environ["NOBURN_HOME"]) / "clocks.json"
_wall, _clock = time.time_ns, time.clock_gettime_ns
_boot_id = daemon.boot_id


def _set() -> dict[str, int]:
    told: dict[str, int] = json.loads(_CLOCKS.read_text())
    return told


def _wall_ns() -> int:
    return _wall() + _set()["wall_ms"] * 1_000_000


def _clock_ns(which: int) -> int:
    ahead_ms = _set()["boot_ms"] if which == time.CLOCK_BOOTTIME else 0
    return _clock(which) + ahead_ms * 1_000_000


time.time_ns = _wall_ns
time.clock_gettime_ns = _clock_ns
daemon.boot_id = lambda: f"{_set()['boots']:08d}{_boot_id()}"
sys.exit(daemon.main())
