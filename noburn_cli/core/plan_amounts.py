"""What a plan includes and what it charges beyond that, in the words of options and plans files.

Layer: core (pure).  Below: core.plans, core.plan_tables, core.money.
Above: core.plan_files, core.simulation_sold, commands.margin_plans.
Owns: `2Mtok`, `$5`, `100req` of an allowance; `12`, `20%`, `0.02/req`, `stop` of an overage.
"""

from __future__ import annotations

from noburn_cli.core.money import DOLLARS, TOKENS, parse_dollars, parse_limit
from noburn_cli.core.plan_tables import parse_markup
from noburn_cli.core.plans import Included, Overage

STOP = "stop"
_PER_REQUEST = "/req"


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
