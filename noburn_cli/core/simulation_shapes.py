"""Heavy users in words: `5% use 5x`, `5% use 5x the rest`, `10% make 76%`.

Layer: core (pure, no numpy).  Below: errors.  Above: core.simulation_options,
core.simulation_usage, which solves it for a shape's parameter.
Owns: Heavy, and the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from noburn_cli.errors import UsageError

#: Nearer to 1 a Pareto's mean is made by customers of whom there is less than one in the world.
ALPHA_LEAST = 1.05
_SHARE = r"(\d{1,3}(?:\.\d{1,6})?)\s*%"
_TIMES = re.compile(
    rf"(?:the )?(?:top )?{_SHARE}\s+use\s+(\d{{1,6}}(?:\.\d{{1,6}})?)\s*x(\s+the\s+rest)?",
    re.ASCII | re.IGNORECASE,
)
_MAKE = re.compile(rf"(?:the )?(?:top )?{_SHARE}\s+make\s+{_SHARE}", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Heavy:
    """What is known of the heavy users: the top `top` of customers make `share` of all usage."""

    top: float
    share: float

    @classmethod
    def times_the_average(cls, top: float, times: float) -> Heavy:
        """The top 5 % use 5 times the average each: a quarter of everything."""
        return cls(top, top * times)

    @classmethod
    def times_the_rest(cls, top: float, times: float) -> Heavy:
        """The top 5 % use 5 times what the others do: 5 x 5 of 5 x 5 + 95."""
        return cls(top, top * times / (top * times + 1 - top))


def parse_heavy(text: str) -> Heavy:
    """Read the words.  Raises UsageError."""
    plain = text.strip()
    times = _TIMES.fullmatch(plain)
    make = _MAKE.fullmatch(plain)
    if times is not None:
        top, factor = float(times[1]) / 100, float(times[2])
        return (Heavy.times_the_rest if times[3] else Heavy.times_the_average)(top, factor)
    if make is not None:
        return Heavy(float(make[1]) / 100, float(make[2]) / 100)
    raise UsageError(
        f"heavy users cannot be read from {text!r}",
        why="expected which part of the customers, and what they use",
        next_step="write it like '5% use 5x', '5% use 5x the rest' or '10% make 76%'",
    )
