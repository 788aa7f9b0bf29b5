"""Ids that a caller makes: unique without asking anybody, sortable by time.

Layer: client.  Below: nothing of ours.
"""

from __future__ import annotations

import os
import time


def new_call_id() -> str:
    """A fresh call id of 32 characters: the time in ms, as 11 hex digits, then 80 random bits.

    The kernel's randomness is asked each time, so that forked processes never make the same id.
    """
    return f"{time.time_ns() // 1_000_000:011x}-{os.urandom(10).hex()}"
