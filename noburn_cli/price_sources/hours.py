"""Models whose price changes by the hour: kept by hand, and compared with the sources hour by hour.

Layer: pure, but for what genai-prices does.  Below: core.models, price_sources.genai, merging.
Above: price_sources.making, price_sources.comparing.
genai-prices' daily hours carry neither a first day nor days of the week, so they cannot be turned
into rows (https://github.com/pydantic/genai-prices/issues/582); `[hourly]` of the hand-kept part
names the models, whose rows stand in pricing.toml by hand.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta, timezone

from noburn_cli.core.models import STANDARD, Model
from noburn_cli.price_sources.genai import tiers_at
from noburn_cli.price_sources.merging import Inputs, differences

_HOURS = 24
_SATURDAY = 5


def on_a_working_day(at: datetime) -> datetime:
    """The same hour of that day or of the next on which peak hours hold, which have no weekends."""
    while at.weekday() >= _SATURDAY:
        at += timedelta(days=1)
    return at


def hour_differences(model: Model, inputs: Inputs) -> list[str]:
    """What differs at some hour of the next working day, each difference once."""
    day = on_a_working_day(datetime.combine(inputs.today, time(), timezone.utc))
    facts = inputs.manual["hourly"][model.name]
    first = inputs.first[model.provider, facts.get("first", model.name)]
    second = None if inputs.second is None else inputs.second.get(facts["second"])
    dearest = None if second is None else second.tiers(STANDARD, model.family)
    found: dict[str, None] = {}
    outputs = []
    for hour in range(_HOURS):
        at = datetime(day.year, day.month, day.day, hour, tzinfo=timezone.utc)
        row = model.row_at(STANDARD, int(at.timestamp()) * 1000)
        if row is None:
            return [f"{model.name}: no row at {at:%H:%M}"]
        found |= dict.fromkeys(differences(model.name, row, tiers_at(first, model.family, at)))
        outputs.append((row.tiers[0].rates.get("output", 0), row))
    if dearest is not None:
        _, row = max(outputs, key=lambda pair: pair[0])
        found |= dict.fromkeys(differences(f"{model.name} at its dearest hour", row, dearest))
    return list(found)
