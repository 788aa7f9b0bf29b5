"""Moments of the ledger for the eye, in UTC.

Layer: render.
"""

from __future__ import annotations

from datetime import datetime, timezone


def second_of(at_ms: int) -> str:
    """`2026-11-27 14:03:05`, of milliseconds since the epoch."""
    return f"{datetime.fromtimestamp(at_ms / 1000, tz=timezone.utc):%Y-%m-%d %H:%M:%S}"
