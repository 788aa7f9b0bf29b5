"""What is sold to whom: plans of the file or of the options, and who is on which.

Layer: core (pure).  Below: core.plans, core.plan_files, core.plan_usage, core.simulation_options.
Above: core.simulation_assembly, commands.simulate.
Owns: Sold, and which of file and options says the plan and its usage.
Not here: what the usage costs (core.simulation_assembly).
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from noburn_cli.core.money import parse_share
from noburn_cli.core.plan_amounts import parse_included, parse_overage
from noburn_cli.core.plan_files import PlansFile
from noburn_cli.core.plan_usage import Use
from noburn_cli.core.plans import UNLIMITED, Plan
from noburn_cli.core.simulation_options import Options
from noburn_cli.errors import UsageError

#: Options of which a plan of the file has its own, and of which a use has.
_OF_A_PLAN = (
    "seats", "included", "overage", "trial_days", "fee_percent", "fee_fixed", "overhead",
)  # fmt: skip
_OF_A_USE = ("model", "rate", "output_share")


@dataclass(frozen=True)
class Sold:
    """A plan, the part of the customers on it, and what a seat of it uses."""

    plan: Plan
    share: float
    uses: tuple[Use, ...]


def plans_of(options: Options, file: PlansFile | None) -> list[Sold]:
    """What is sold to whom.  file: None where a price was said, or there is no plans file.

    Raises UsageError.
    """
    if file is None:
        return [Sold(_own_plan(options), 1.0, _own_uses(options))]
    _refuse_beside(options, file)
    _refuse_requests_alone(options, file)
    shares = _mix(options, file)
    own = _own_uses(options)
    return [
        Sold(file.plan(name), share, own or file.uses_of(name)) for name, share in shares.items()
    ]


def _refuse_beside(options: Options, file: PlansFile) -> None:
    """What would be passed over in silence is refused: the plans file says it."""
    for key in _OF_A_PLAN:
        if options.said(key):
            raise UsageError(
                f"`{key}` is said, and the plans are those of {file.origin}",
                why="each plan there has its own",
                next_step="say it there, or say a --price, which makes a plan of the options",
            )


def _refuse_requests_alone(options: Options, file: PlansFile) -> None:
    """Requests stand in for all that the file says is used: its tokens would be taken for none."""
    alone = options.said("requests") and not options.said("tokens")
    if alone and any(file.uses_of(name) for name in file.plans):
        raise UsageError(
            f"`requests` is said without tokens, and {file.origin} says what is used",
            why="they would stand in for it, and its tokens be taken for none",
            next_step="say --tokens as well, or `calls` in the plans file",
        )


def _own_plan(options: Options) -> Plan:
    """The one plan that the options say."""
    price = options.value("price")
    if price is None:
        raise UsageError(
            "nothing is sold",
            why="there is neither a price nor a plans file",
            next_step="for example: noburn simulate --price 29 --tokens 600k --customers 200",
        )
    said, beyond = options.value("included"), options.value("overage")
    included = None if said is None else parse_included(said)
    overage = None if beyond is None else parse_overage(beyond, what="overage")
    return Plan(
        price_nano=price,
        seats=options.value("seats"),
        included=overage.nothing if overage is not None and included is None
        else included or UNLIMITED,
        overage=overage,
        fee_share=options.value("fee_percent"),
        fee_fixed_nano=options.value("fee_fixed"),
        overhead_nano=options.value("overhead"),
        trial_days=options.value("trial_days"),
    )  # fmt: skip


def _own_uses(options: Options) -> tuple[Use, ...]:
    """What the options say that a seat uses; nothing where they don't."""
    tokens, requests = options.value("tokens"), options.value("requests")
    if tokens is None and requests is None:
        _refuse_split(options)
        return ()
    model, rate = options.value("model"), options.value("rate")
    if model is not None and rate is not None:
        raise UsageError("a rate and a model each say what tokens cost", next_step="say one")
    return (
        Use(
            name="usage",
            tokens=tokens or 0,
            model=model,
            rate_pico=rate,
            output=options.value("output_share"),
            calls=requests or None,
            split_given=options.said("output_share"),
        ),
    )


def _refuse_split(options: Options) -> None:
    """Without tokens of their own the options price nobody's; a rate prices a sample's."""
    measured = options.value("sample") is not None
    for key in _OF_A_USE:
        if options.said(key) and not (measured and key == "rate"):
            raise UsageError(
                f"`{key}` is said, and no tokens that it would be for",
                why="a sample has its cost or takes a rate" if measured
                else "what customers use is said elsewhere, with its own",
                next_step="say --tokens as well",
            )  # fmt: skip


def _mix(options: Options, file: PlansFile) -> dict[str, float]:
    """The part of the customers on each plan; all of them together are 1."""
    if options.mix:
        shares = {
            name: parse_share(text, what=f"mix: {name}") for name, text in options.mix.items()
        }
        for name in shares:
            file.plan(name)
        if sum(shares.values()) != 1:
            raise UsageError(
                "the parts of the mix are not the whole",
                why=f"they add up to {float(sum(shares.values())):.2%}",
                next_step="say them so that they make 100 %",
            )
        return {name: float(share) for name, share in shares.items() if share}
    free = file.free
    paying = [name for name in file.plans if free is None or name != free.plan]
    if not paying:
        raise UsageError("only the free plan is sold", next_step="add a plan with a price")
    shares = dict.fromkeys(paying, Fraction(1, len(paying)))
    if free is not None:
        payers = 1 / (1 + free.users_per_payer)
        shares = {name: share * payers for name, share in shares.items()}
        shares[free.plan] = 1 - payers
    return {name: float(share) for name, share in shares.items() if share}
