"""What a plan includes and what it charges beyond that, in the words of options and plans files.

Layer: core (pure).  Below: core.plans, core.money.
Above: core.plan_tables, core.plan_files, core.simulation_sold, commands.margin_plans.
Owns: `2Mtok`, `$5`, `100req` of an allowance; `12`, `20%`, `0.02/req`, `stop` of an overage.
"""

from __future__ import annotations

import re
from fractions import Fraction

from noburn_cli.core.money import DOLLARS, TOKENS, parse_dollars, parse_limit
from noburn_cli.core.plans import Included, Overage
from noburn_cli.errors import UsageError

STOP = "stop"
_PER_REQUEST = "/req"
_NUMBER = re.compile(r"\d{1,6}(\.\d{1,9})?", re.ASCII)


def parse_included(text: str) -> Included:
    """`2Mtok`, `$5` of usage at our cost, or `100req`.  Raises UsageError."""
    limit = parse_limit(text)
    if limit.unit == DOLLARS:
        return Included(cost_nano=limit.amount)
    if limit.unit == TOKENS:
        return Included(tokens=limit.amount)
    return Included(requests=limit.amount)


def parse_overage(text: str, *, what: str = "an overage") -> Overage | None:
    """`12` dollars per million tokens, `20%` on our cost, `0.02/req`, or `stop`, which is None.

    Raises UsageError.
    """
    said = text.strip()
    if said == STOP:
        return None
    if said.endswith("%"):
        return Overage(markup=parse_markup(said, what=what))
    if said.endswith(_PER_REQUEST):
        price = said.removesuffix(_PER_REQUEST)
        return Overage(per_request_nano=parse_dollars(price, what=what))
    return Overage(per_million_nano=parse_dollars(said, what=what))


def parse_markup(text: str, *, what: str = "a markup") -> Fraction:
    """Read `20%`, `+20%` or `250 %` as an exact share of our cost.  Raises UsageError."""
    number = text.strip().removeprefix("+").strip()
    digits = number.removesuffix("%").strip()
    if digits == number or not _NUMBER.fullmatch(digits):
        raise UsageError(
            f"{what} cannot be read from {text!r}",
            why="it is what the customer pays on top of our cost, in per cent",
            next_step="write it like 20%",
        )
    return Fraction(digits) / 100
