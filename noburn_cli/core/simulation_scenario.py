"""One business to simulate: who comes, what they use, what it costs, what they are sold.

Layer: core (pure, numpy through the shapes).  Below: core.plans, core.simulation_population,
core.simulation_usage, core.simulation_bill.  Above: core.simulation_engine and its neighbours,
core.simulation_assembly.
Owns: Scenario and its parts, and what holds in which month.
Not here: how a person says it (core.simulation_options), chance (core.simulation_engine).

Months count from 0 inside; a person says month 1 for the first.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from noburn_cli.core.plans import Plan
from noburn_cli.core.simulation_bill import Load
from noburn_cli.core.simulation_population import TRIAL_MONTH_DAYS, Group, Population, expected
from noburn_cli.core.simulation_usage import Shape
from noburn_cli.errors import UsageError

CUSTOMERS_MAX = 1_000_000
MONTHS_MAX = 120
DRAWS_MAX = 100_000
#: Sums that are kept: of each future, month and segment some 64 bytes.
_SUMS_MAX = 5_000_000


@dataclass(frozen=True)
class Savings:
    """What makes the same usage cheaper at the provider; shares from 0 to 1.

    cache_hits: of requests, answered from our own (semantic) cache: no call.  prompt_cached: of the
    input, read from the provider's prompt cache.  None for both: as each segment has it.
    routed: of the calls that are left, sent to a model that costs 1 / `route_ratio`.
    """

    cache_hits: float | None = None
    routed: float = 0.0
    route_ratio: float = 10.0
    prompt_cached: float | None = None


@dataclass(frozen=True)
class Segment:
    """Customers of one plan.

    share: of the customers at the start, and of those who come.
    tokens, requests: a customer's mean in the first month, all seats together.
    token_nano: nano-dollars of an average token with nothing saved; request_nano: of a request on
    top.  prompt_saves: the part of a token's cost that a prompt cache of all input would save.
    cache_hits, prompt_cached: what is saved today.
    churn: the chance of leaving, a month.
    trial_keeps: the share of trials that stay when they are over.
    """

    plan: Plan
    share: float
    tokens: float
    token_nano: float
    requests: float = 0.0
    request_nano: float = 0.0
    prompt_saves: float = 0.9
    cache_hits: float = 0.0
    prompt_cached: float = 0.0
    churn: float = 0.0
    trial_keeps: float = 1.0

    @property
    def name(self) -> str:
        return self.plan.name or self.plan.kind.value

    @property
    def paying(self) -> bool:
        """Whether it is for money at all: a free tier is not."""
        plan = self.plan
        sells = plan.credits is not None and plan.credits.price_nano
        return bool(plan.price_nano or plan.minimum_nano or plan.overage or sells)

    @property
    def trial_months(self) -> float:
        return self.plan.trial_days / TRIAL_MONTH_DAYS


@dataclass(frozen=True)
class Change:
    """What is different from a month on.

    month: the first in which it holds, from 0.  plan: whose price, None for every paid plan's.
    price_nano: the new price.  rate_factor: on what tokens cost, with earlier changes multiplied.
    leave: the share of the plan's customers who leave over it, once.
    """

    month: int
    plan: str | None = None
    price_nano: int | None = None
    rate_factor: float = 1.0
    leave: float = 0.0


@dataclass(frozen=True)
class Scenario:
    """Everything that decides the outcome, chance apart.

    customers: at the start, past their trials.  growth: new customers a month, as a share of those
    expected at its start; arrivals: and so many more.
    steadiness: the share of a month's variance (of scores) that belongs to the customer; the rest
    is drawn anew every month.
    usage_growth, rate_growth: from one month to the next, of usage and of what a token costs.
    fixed_nano: what a month costs beside the customers.  target: the margin that is wanted.
    """

    segments: tuple[Segment, ...]
    shape: Shape
    savings: Savings = field(default_factory=Savings)
    customers: int = 200
    growth: float = 0.0
    arrivals: float = 0.0
    months: int = 24
    steadiness: float = 1.0
    usage_growth: float = 0.0
    rate_growth: float = 0.0
    fixed_nano: float = 0.0
    target: float = 0.7
    changes: tuple[Change, ...] = ()
    seed: int = 1
    draws: int = 1000

    def __post_init__(self) -> None:
        for what, value, most in (
            ("customers", self.customers, CUSTOMERS_MAX),
            ("months", self.months, MONTHS_MAX),
            ("draws", self.draws, DRAWS_MAX),
        ):
            least = 0 if what == "customers" and self.arrivals else 1
            if not least <= value <= most:
                raise UsageError(
                    f"{what} are from {least} to {most:,}",
                    why=f"{value:,} were asked for",
                    next_step="say --arrivals as well, where nobody is there yet"
                    if what == "customers" and not value
                    else "",
                )
        if self.draws * self.months * len(self.segments) > _SUMS_MAX:
            raise UsageError(
                "so many futures of so many months would not fit in memory",
                why=f"futures x months x plans are {_SUMS_MAX:,} at most",
                next_step="a thousand futures tell the 5th and the 95th of a hundred well",
            )
        if max(population(self).arrivals) * self.months > 10 * CUSTOMERS_MAX:
            raise UsageError(
                "growth would bring more customers than can be simulated",
                why=f"at most {10 * CUSTOMERS_MAX:,} over the whole time",
                next_step="ask for fewer months, or less growth",
            )

    def plan_in(self, segment: Segment, month: int) -> Plan:
        """The plan with the price that holds in a month."""
        plan = segment.plan
        for change in self.changes:
            meant = change.plan == segment.plan.name or (change.plan is None and segment.paying)
            if change.price_nano is not None and change.month <= month and meant:
                plan = replace(plan, price_nano=change.price_nano)
        return plan

    def leaving_in(self, segment: Segment, month: int) -> float:
        """The share who leave at the start of a month over what changes in it."""
        kept = 1.0
        for change in self.changes:
            meant = change.plan == segment.plan.name or (change.plan is None and segment.paying)
            if change.month == month and meant:
                kept *= 1 - change.leave
        return 1 - kept

    def rate_factor(self, month: int) -> float:
        """What a token costs in a month, as a multiple of the first month's."""
        factor = (1 + self.rate_growth) ** month
        for change in self.changes:
            if change.month <= month:
                factor *= change.rate_factor
        return float(factor)

    def load_in(self, segment: Segment, month: int) -> Load:
        """The month of a customer at the mean."""
        grown = (1 + self.usage_growth) ** month
        tokens, requests = segment.tokens * grown, segment.requests * grown
        full = tokens * segment.token_nano + requests * segment.request_nano
        cost = full * self.saved_factor(segment) * self.rate_factor(month)
        return Load(tokens=tokens, cost_nano=cost, requests=requests)

    def cache_hits(self, segment: Segment) -> float:
        found = self.savings.cache_hits
        return segment.cache_hits if found is None else found

    def prompt_cached(self, segment: Segment) -> float:
        found = self.savings.prompt_cached
        return segment.prompt_cached if found is None else found

    def saved_factor(self, segment: Segment) -> float:
        """The part of the undiminished cost that is left."""
        saved = self.savings
        routing = 1 - saved.routed * (1 - 1 / saved.route_ratio)
        prompt = 1 - segment.prompt_saves * self.prompt_cached(segment)
        return (1 - self.cache_hits(segment)) * routing * prompt


def population(scenario: Scenario) -> Population:
    """How many customers are expected, by segment."""
    months = range(scenario.months)
    groups = tuple(
        Group(
            share=segment.share,
            churn=segment.churn,
            trial_days=segment.plan.trial_days,
            trial_keeps=segment.trial_keeps,
            leaving=tuple(scenario.leaving_in(segment, month) for month in months),
        )
        for segment in scenario.segments
    )
    return expected(groups, float(scenario.customers), scenario.growth, scenario.arrivals)
