"""The quantities that a founder can turn: how each is read, shown, and put into a scenario.

Layer: core (pure).  Below: core.margin_month, core.money, core.plans.  Above: core.margin_solving,
`noburn margin` (--solve, --sweep).
Owns: QUANTITIES: the names, the grid that each lies on, and what each changes.

A quantity is a whole number on its grid: nano-dollars, tokens, seats, hundredths of a per cent.
Within the borders of core.plan_billing every line of a month is linear in each of them.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from noburn_cli.core.margin_month import FreeUsers, Scenario
from noburn_cli.core.money import (
    AMOUNT_MAX,
    NANO_PER_DOLLAR,
    TOKENS,
    parse_count,
    parse_dollars,
    parse_share,
    show_count,
    show_dollars,
    show_percent,
)
from noburn_cli.core.plans import SEATS_MAX, Overage, Plan
from noburn_cli.errors import UsageError

#: Steps of a share: a hundredth of a per cent.
SHARE_STEPS = 10_000
#: Steps of a number of free users: a hundredth.
USER_STEPS = 100
NANO_PER_CENT = NANO_PER_DOLLAR // 100


class Quantity(NamedTuple):
    """One quantity.

    what: what it is, with its unit.  after: what is said after a value of it.
    low, high: the least and the most that it can be.
    better_up: whether more of it is better for the margin, as a rule.
    charged_nano: the step in which it can be charged, 1 where any value can.
    read: from what a person writes.  show: for the eye.  get, put: in a scenario.
    """

    name: str
    what: str
    after: str
    high: int
    better_up: bool
    charged: int
    read: Callable[[str], int]
    show: Callable[[int], str]
    get: Callable[[Scenario], int]
    put: Callable[[Scenario, int], Scenario]
    low: int = 0


def _share_of(text: str) -> int:
    return math.floor(parse_share(text if text.strip() != "1" else "100%") * SHARE_STEPS)


def _show_share(value: int) -> str:
    return show_percent(Fraction(value, SHARE_STEPS), places=2)


def _plan(scenario: Scenario, **changes: object) -> Scenario:
    return scenario._replace(plan=replace(scenario.plan, **changes))  # type: ignore[arg-type]


def _share(
    name: str, of_what: str, get: Callable[[Scenario], Fraction],
    put: Callable[[Scenario, Fraction], Scenario], *, better_up: bool = True,
) -> Quantity:  # fmt: skip
    return Quantity(
        name=name, what=f"share {of_what}", after=f" {of_what}", high=SHARE_STEPS,
        better_up=better_up, charged=1, read=_share_of, show=_show_share,
        get=lambda scenario: math.floor(get(scenario) * SHARE_STEPS),
        put=lambda scenario, value: put(scenario, Fraction(value, SHARE_STEPS)),
    )  # fmt: skip


def _put_hits(scenario: Scenario, share: Fraction) -> Scenario:
    return scenario._replace(levers=scenario.levers._replace(hits=share))


def _put_routed(scenario: Scenario, share: Fraction) -> Scenario:
    if scenario.levers.ratio is None:
        raise UsageError(
            "routing needs a cheaper model to route to",
            why="how much it saves depends on how much cheaper that model is",
            next_step="say --route-ratio 10, or --route-model NAME",
        )
    return scenario._replace(levers=scenario.levers._replace(routed=share))


def _split(scenario: Scenario, **shares: Fraction) -> Scenario:
    uses = tuple(priced.with_shares(**shares) for priced in scenario.uses)
    return scenario._replace(uses=uses)


def _mean(scenario: Scenario, name: str) -> Fraction:
    """A share of the uses, weighed by their tokens."""
    stated = scenario.stated_tokens
    weighed = sum(
        (priced.use.tokens * getattr(priced.use, name) for priced in scenario.uses), Fraction(0)
    )
    return weighed / stated if stated else Fraction(0)


def _free(scenario: Scenario, value: int) -> Scenario:
    return scenario._replace(free=FreeUsers(Fraction(value, USER_STEPS), scenario.free.nano))


def _users(text: str) -> int:
    return parse_count(text, what="a number of free users") * USER_STEPS


def _show_users(value: int) -> str:
    return f"{Fraction(value, USER_STEPS).__float__():,.10g}"


def _tokens(text: str) -> int:
    return parse_count(text, what="a number of tokens", unit=TOKENS)


PRICE = Quantity(
    "price", "dollars a seat and month", " a seat and month", AMOUNT_MAX, True, NANO_PER_CENT,
    lambda text: parse_dollars(text, what="a price"), show_dollars,
    lambda scenario: scenario.plan.price_nano,
    lambda scenario, value: _plan(scenario, price_nano=value),
)  # fmt: skip
TOKENS_USED = Quantity(
    "tokens", "tokens a seat and month", " tokens a seat and month", AMOUNT_MAX, False, 1,
    _tokens, show_count, lambda scenario: scenario.seat_tokens,
    lambda scenario, value: scenario._replace(tokens=value),
)  # fmt: skip
SEATS = Quantity(
    "seats", "seats of the customer", " seats", SEATS_MAX, True, 1,
    lambda text: parse_count(text, what="a number of seats"), show_count,
    lambda scenario: scenario.plan.seats,
    lambda scenario, value: _plan(scenario, seats=value), low=1,
)  # fmt: skip
CACHE = _share(
    "cache", "of the calls that a semantic cache answers",
    lambda scenario: scenario.levers.hits, _put_hits,
)  # fmt: skip
ROUTING = _share(
    "routing", "of the tokens that go to the cheaper model",
    lambda scenario: scenario.levers.routed, _put_routed,
)  # fmt: skip
CACHED = _share(
    "cached", "of the input read from the provider's cache",
    lambda scenario: _mean(scenario, "cached"),
    lambda scenario, share: _split(scenario, cached=share),
)  # fmt: skip
BATCH = _share(
    "batch", "of the tokens at the batch price",
    lambda scenario: _mean(scenario, "batch"),
    lambda scenario, share: _split(scenario, batch=share),
)  # fmt: skip
OUTPUT = _share(
    "output", "of the tokens that is output",
    lambda scenario: _mean(scenario, "output"),
    lambda scenario, share: _split(scenario, output=share), better_up=False,
)  # fmt: skip
FREE = Quantity(
    "free", "free users for each customer who pays", " free users for each who pays",
    10**6 * USER_STEPS, False, 1, _users, _show_users,
    lambda scenario: math.floor(scenario.free.per_payer * USER_STEPS), _free,
)  # fmt: skip


def overage_of(plan: Plan) -> Quantity:
    """The price of usage beyond the allowance, in what this plan counts it in.

    Raises UsageError for a plan without one.
    """
    over = plan.overage
    if over is not None and over.markup is not None:
        return Quantity(
            "overage", "markup on our cost", " on top of our cost", 1000 * SHARE_STEPS, True, 1,
            _markup, _show_share,
            lambda scenario: math.floor((_over(scenario).markup or 0) * SHARE_STEPS),
            lambda scenario, value: _plan(
                scenario, overage=Overage(markup=Fraction(value, SHARE_STEPS))
            ),
        )  # fmt: skip
    if over is not None and over.per_request_nano is not None:
        return Quantity(
            "overage", "dollars per request beyond", " per request beyond", AMOUNT_MAX, True, 1,
            lambda text: parse_dollars(text, what="an overage"), show_dollars,
            lambda scenario: _over(scenario).per_request_nano or 0,
            lambda scenario, value: _plan(scenario, overage=Overage(per_request_nano=value)),
        )  # fmt: skip
    if over is not None:
        return Quantity(
            "overage", "dollars per million tokens beyond", " per million tokens beyond",
            AMOUNT_MAX, True, NANO_PER_CENT,
            lambda text: parse_dollars(text, what="an overage"), show_dollars,
            lambda scenario: _over(scenario).per_million_nano or 0,
            lambda scenario, value: _plan(scenario, overage=Overage(per_million_nano=value)),
        )  # fmt: skip
    sold = plan.credits
    if sold is not None and sold.price_nano is not None:
        return Quantity(
            "overage", "dollars per credit", " a credit", AMOUNT_MAX, True, 1,
            lambda text: parse_dollars(text, what="a credit"), show_dollars,
            lambda scenario: (scenario.plan.credits and scenario.plan.credits.price_nano) or 0,
            _put_credit,
        )  # fmt: skip
    raise UsageError(
        "this plan has no overage whose price could be sought",
        why="its usage is included, or stops",
        next_step="say what is included with --included 1Mtok and --overage 12",
    )


def _over(scenario: Scenario) -> Overage:
    assert scenario.plan.overage is not None
    return scenario.plan.overage


def _put_credit(scenario: Scenario, value: int) -> Scenario:
    assert scenario.plan.credits is not None
    return _plan(scenario, credits=replace(scenario.plan.credits, price_nano=value))


def _markup(text: str) -> int:
    from noburn_cli.core.plan_amounts import parse_markup

    return math.floor(parse_markup(text) * SHARE_STEPS)


_FIXED = {
    one.name: one
    for one in (PRICE, TOKENS_USED, SEATS, CACHE, ROUTING, CACHED, BATCH, OUTPUT, FREE)
}
#: What can be solved for, and what can be swept over.
SOLVABLE = ("price", "tokens", "overage", "cache", "routing")
NAMES = (*SOLVABLE, "seats", "cached", "batch", "output", "free")


def quantity(name: str, plan: Plan, *, among: tuple[str, ...] = NAMES) -> Quantity:
    """A quantity by its name.  Raises UsageError naming the nearest."""
    if name not in among:
        near = difflib.get_close_matches(name, among, n=1, cutoff=0.4)
        raise UsageError(
            f"there is no quantity {name!r} here",
            why=f"known are {', '.join(among)}",
            next_step=f"did you mean {near[0]}?" if near else "choose one of them",
        )
    return overage_of(plan) if name == "overage" else _FIXED[name]
