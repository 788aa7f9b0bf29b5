"""Seconds that somebody writes: a number, which `nan` passes every limit without being.

Layer: commands.  Below: errors.  Above: run, top, gateway.
"""

from __future__ import annotations

import math

from noburn_cli.errors import UsageError


def check_seconds(value: float, option: str) -> float:
    """Raises UsageError for what no clock can wait for; limits are the option's own."""
    if not math.isfinite(value):
        raise UsageError(f"{option} cannot be {value}", next_step=f"write seconds: {option} 30")
    return value
