"""The calls of the past at other prices: what they would cost, exactly, model by model.

Layer: core (pure; calls are given).  Below: core.pricebook, core.usage, errors.
Above: commands.prices (`update --impact`), render.price_impact.
Not here: reading the calls (reports.usages), what was charged for them (the ledger).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone

from noburn_cli.core.cost import call_cost, tier_cost
from noburn_cli.core.models import Model, RateRow
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.rate_schedules import from_day, schedule_at, variants_of
from noburn_cli.core.variants import STANDARD
from noburn_cli.errors import ModelUnknown, PriceUnknown

_EVER = date(1970, 1, 1)
_NOT_ONE_PRICE = "compacted, and their sums are not those of one price"


@dataclass(frozen=True)
class PriceList:
    """A book on the day of a moment: what a call costs that is made then, hour by hour.

    name: how the list is called where costs stand side by side.
    """

    name: str
    book: PriceBook
    at_ms: int


@dataclass
class RepricedModel:
    """The calls of one model.  Amounts in nano-dollars.

    charged: what the ledger has for them.  costs: one per price list, in their order.
    by_sums: how many of the calls were priced by the sums that compacting left of them.
    """

    model: str
    calls: int = 0
    charged: int = 0
    by_sums: int = 0
    costs: list[int] = field(default_factory=list)


@dataclass
class NotRepriced:
    """Calls for which no other cost can be told.  charged: nano-dollars, as the ledger has them."""

    calls: int = 0
    charged: int = 0


class Repricing:
    """Costs of calls at several price lists, summed per model; nothing is kept of a call."""

    def __init__(self, lists: Sequence[PriceList]) -> None:
        self.lists = tuple(lists)
        self.models: dict[str, RepricedModel] = {}
        #: By the reason, in words.
        self.left_out: dict[str, NotRepriced] = {}
        self._found: dict[tuple[int, str], Model] = {}

    def add(
        self, model: str, variant: str, usage: Mapping[str, int], charged: int, *, made_ms: int
    ) -> None:
        """One settled call, reserved at `made_ms`: its weekday and hour stay what they were."""
        try:
            costs = [
                call_cost(self._model(place, model), usage, variant=variant, at_ms=made_ms)
                for place in range(len(self.lists))
            ]
        except (ModelUnknown, PriceUnknown) as error:
            self.leave_out(error.message, charged=charged)
            return
        self._count(model, costs, charged=charged, calls=1)

    def add_sums(
        self,
        model: str,
        usage: Mapping[str, int],
        charged: int,
        *,
        calls: int,
        since_ms: int,
        until_ms: int,
    ) -> None:
        """Calls of which only sums are left, reserved from `since_ms` up to `until_ms`.

        Sums do not tell variants, tiers and hours.  But where they come to what was charged, at the
        standard price of that time and to half a nano-dollar a call, that was the price of each:
        then the other lists' standard price is theirs as well, if it is one for all that time
        and has the same tiers.
        """
        last_ms = until_ms - 1
        try:
            then = self.lists[0].book.resolve(model)
            found = [(then, _only_row(then, since_ms, last_ms))]
            for place in range(len(self.lists)):
                other = self._model(place, model)
                found.append((other, _only_row(other, since_ms, last_ms)))
            charge, *costs = (tier_cost(of, row, row.tiers[0], usage) for of, row in found)
        except (ModelUnknown, PriceUnknown) as error:
            self.leave_out(error.message, charged=charged, calls=calls)
            return
        tiers = {tuple(tier.above_input_tokens for tier in row.tiers) for _, row in found}
        if len(tiers) > 1 or 2 * abs(charge - charged) > calls + 1:
            self.leave_out(_NOT_ONE_PRICE, charged=charged, calls=calls)
            return
        self._count(model, costs, charged=charged, calls=calls, by_sums=calls)

    def _count(
        self, model: str, costs: Sequence[int], *, charged: int, calls: int, by_sums: int = 0
    ) -> None:
        name = self._found[0, model].name
        line = self.models.get(name)
        if line is None:
            line = self.models[name] = RepricedModel(name, costs=[0] * len(costs))
        line.calls += calls
        line.charged += charged
        line.by_sums += by_sums
        line.costs = [so_far + cost for so_far, cost in zip(line.costs, costs, strict=True)]

    def leave_out(self, reason: str, *, charged: int, calls: int = 1) -> None:
        """Calls that cannot be priced anew."""
        if calls:
            entry = self.left_out.setdefault(reason, NotRepriced())
            entry.calls += calls
            entry.charged += charged

    def total(self) -> RepricedModel:
        """All models together."""
        whole = RepricedModel("", costs=[0] * len(self.lists))
        for line in self.models.values():
            whole.calls += line.calls
            whole.charged += line.charged
            whole.by_sums += line.by_sums
            whole.costs = [a + b for a, b in zip(whole.costs, line.costs, strict=True)]
        return whole

    def _model(self, place: int, name: str) -> Model:
        found = self._found.get((place, name))
        if found is None:
            one = self.lists[place]
            found = self._found[place, name] = _always(one.book.resolve(name), one.at_ms)
        return found


def _only_row(model: Model, from_ms: int, until_ms: int) -> RateRow:
    """The standard row of all that time.  Raises PriceUnknown where there are several, or none."""
    row, *others = model.rows_between(STANDARD, from_ms, until_ms)
    if others:
        raise PriceUnknown(_NOT_ONE_PRICE)
    return row


def _always(model: Model, at_ms: int) -> Model:
    """The model as if its terms of one day had always held, at all their hours and regions."""
    day = datetime.fromtimestamp(at_ms / 1000, timezone.utc).date()
    rows = (
        schedule_at([row for row in model.rows if row.variant == variant], day)
        for variant in variants_of(model.rows)
    )
    return replace(
        model,
        rows=tuple(row for schedule in rows for row in from_day(schedule, _EVER)),
        uplifts=tuple(
            replace(one, starts_on=_EVER, starts_at_ms=0)
            for one in model.uplifts
            if one.starts_at_ms <= at_ms
        ),
    )
