"""From options to scenarios: what each plan's customer uses, at which rates, with which levers.

Layer: commands.  Below: commands.margin_plans, commands.margin_rates, core.margin_month,
core.plan_use_words.
Above: commands.margin.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from noburn_cli.commands.margin_options import Asked
from noburn_cli.commands.margin_plans import chosen_plans, read_file
from noburn_cli.commands.margin_rates import Rates
from noburn_cli.core.economics import REFERENCE_RATE_PICO
from noburn_cli.core.margin_month import (
    REFERENCE_NAME,
    FreeUsers,
    Levers,
    Scenario,
    free_user_nano,
)
from noburn_cli.core.money import PICO_PER_NANO, TOKENS, parse_count, parse_share, show_dollars
from noburn_cli.core.plan_usage import STANDARD, PricedUse, Use, rate_of_million
from noburn_cli.core.plan_use_words import parse_calls, parse_use, share_of_output
from noburn_cli.core.plans import ZERO, Included, Kind, Plan
from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from noburn_cli.core.plan_files import PlansFile


class Question(NamedTuple):
    """(name, scenario) of every row, and what the answers take for granted."""

    rows: tuple[tuple[str, Scenario], ...]
    notes: tuple[str, ...]


def read_question(asked: Asked) -> Question:
    """Every plan with every model that was asked for.  Raises UsageError and what prices raise."""
    if asked.rate is not None and asked.model:
        raise UsageError("--rate and --model cannot be combined", why="each of them names the rate")
    file, rates = read_file(asked), Rates()
    plans = chosen_plans(asked, file)
    rows = []
    for name, plan in plans:
        models: Sequence[str | None] = asked.model or (None,)
        for model in models:
            said = _uses(asked, file, name, model)
            uses = tuple(rates.price(use) for use in said)
            scenario = Scenario(plan, uses, rates_name=_rates_name(said, uses))
            if file is not None and _scales(asked, file, name):
                scenario = scenario._replace(tokens=_count(asked.tokens or "", "--tokens"))
            _check_calls(scenario)
            scenario = scenario._replace(levers=_levers(asked, scenario, rates))
            free = _free(asked, file, scenario, rates)
            rows.append((_row_name(name, uses, asked), scenario._replace(free=free)))
    return Question(tuple(rows), (*_at_reference(rows), *dict.fromkeys(rates.notes)))


def _at_reference(rows: Sequence[tuple[str, Scenario]]) -> list[str]:
    """What the rates of a table rest on, which has no room to say it."""
    if len(rows) < 2 or not any(scenario.at_reference for _, scenario in rows):
        return []
    per_million = show_dollars(REFERENCE_RATE_PICO * 10**6 // PICO_PER_NANO)
    return [f"{per_million} per million tokens is {REFERENCE_NAME}."]


def _check_calls(scenario: Scenario) -> None:
    """Raises UsageError where a plan counts requests, and nobody said how many there are."""
    plan = scenario.plan
    if plan.counts_requests and scenario.stated_tokens and not scenario.calls_per_token:
        raise plan.requests_unknown("say --calls 1000, or `calls` in --use or in the plans file")


def _row_name(name: str, uses: Sequence[PricedUse], asked: Asked) -> str:
    """A plan's name, a model's, or both where models are compared on plans of a file."""
    models = " + ".join(dict.fromkeys(use.use.model for use in uses if use.use.model))
    if not name:
        return models
    return f"{name} / {models}" if len(asked.model or []) > 1 else name


def _rates_name(said: Sequence[Use], uses: Sequence[PricedUse]) -> str:
    """Whose rates they are.  said: the uses as they were before they had rates."""
    if all(use.model is None and use.rate_pico is None for use in said):
        return REFERENCE_NAME
    if len(uses) == 1:
        return uses[0].use.model or "as given"
    parts = (f"{one.use.name} on {one.use.model or 'a rate'}" for one in uses)
    return f"on average: {', '.join(parts)}"


_ONE = "tokens"
#: Of what is asked for in tokens only the rate counts: the volume is found.
_ANY_VOLUME = "1M"


def _scales(asked: Asked, file: PlansFile, name: str) -> bool:
    """Whether --tokens is another volume of what the file says is used."""
    return asked.tokens is not None and not asked.use and bool(file.uses_of(name))


def _uses(asked: Asked, file: PlansFile | None, plan: str, model: str | None) -> list[Use]:
    """What a seat uses: by --use, by --tokens or counts, or by the file."""
    of_file = () if file is None else file.uses_of(plan)
    counted = asked.input_tokens is not None or asked.output_tokens is not None
    if asked.use:
        return [_filled(use, asked, model) for use in _uses_given(asked)]
    if of_file and not counted:
        return [_overlaid(use, asked, model) for use in of_file]
    return [_use_of_tokens(asked, model, counted=counted)]


def _uses_given(asked: Asked) -> list[Use]:
    others = {
        "--tokens": asked.tokens, "--input-tokens": asked.input_tokens,
        "--output-tokens": asked.output_tokens, "--output-share": asked.output_share,
        "--cached-share": asked.cached_share, "--batch-share": asked.batch_share,
        "--calls": asked.calls, "--variant": asked.variant,
    }  # fmt: skip
    for option, value in others.items():
        if value is not None:
            raise UsageError(
                f"{option} does not go with --use",
                why="each --use says its own tokens",
                next_step=f'say it there: --use "chat=tokens:400k,{_key_of(option)}:…"',
            )
    uses = [parse_use(text, number=place) for place, text in enumerate(asked.use or [], start=1)]
    names = [use.name for use in uses]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two of --use are called `{name}`", next_step="give each its name")
    return uses


def _key_of(option: str) -> str:
    return option.removeprefix("--").removesuffix("-share").removesuffix("-tokens")


def _filled(use: Use, asked: Asked, model: str | None) -> Use:
    """A use that names no rate takes that of the options."""
    if use.model is not None or use.rate_pico is not None:
        return use
    if model is not None:
        return use._replace(model=model)
    return use if asked.rate is None else use._replace(rate_pico=_rate(asked.rate))


def _overlaid(use: Use, asked: Asked, model: str | None) -> Use:
    """A use of the file with what options say in place of it."""
    if model is not None:
        use = use._replace(model=model, rate_pico=None)
    elif asked.rate is not None:
        use = use._replace(model=None, rate_pico=_rate(asked.rate))
    if asked.calls is not None:
        raise UsageError("--calls goes with --tokens alone", next_step="say `calls` in the file")
    output = _share(asked.output_share, "--output-share")
    cached = _share(asked.cached_share, "--cached-share")
    batch = _share(asked.batch_share, "--batch-share")
    return use._replace(
        output=use.output if output is None else output,
        split_given=use.split_given or output is not None,
        cached=use.cached if cached is None else cached,
        batch=use.batch if batch is None else batch,
        variant=asked.variant or use.variant,
    )


def _use_of_tokens(asked: Asked, model: str | None, *, counted: bool) -> Use:
    """The month's tokens, said as a total with a share or as two counts.  Raises UsageError."""
    if counted == (asked.tokens is not None) and not asked.volume_open:
        raise UsageError(
            "say how many tokens a seat uses, once",
            why="either --tokens, or --input-tokens and --output-tokens, or --use",
            next_step="for example: noburn margin --price 20 --tokens 2M",
        )
    if counted and asked.output_share is not None:
        raise UsageError("--output-share goes with --tokens, not with counts of input and output")
    if counted:
        count_in = _count(asked.input_tokens or "0", "--input-tokens")
        count_out = _count(asked.output_tokens or "0", "--output-tokens")
        total, output = count_in + count_out, share_of_output(count_in, count_out)
    else:
        total = _count(asked.tokens or _ANY_VOLUME, "--tokens")
        output = _share(asked.output_share, "--output-share") or ZERO
    return Use(
        name=_ONE,
        tokens=total,
        model=model,
        rate_pico=None if asked.rate is None else _rate(asked.rate),
        output=output,
        cached=_share(asked.cached_share, "--cached-share") or ZERO,
        batch=_share(asked.batch_share, "--batch-share") or ZERO,
        variant=asked.variant or STANDARD,
        calls=None if asked.calls is None else parse_calls(asked.calls, what="--calls"),
        split_given=counted or asked.output_share is not None,
    )


def _count(text: str, what: str) -> int:
    return parse_count(text, what=what, unit=TOKENS)


def _share(text: str | None, what: str) -> Fraction | None:
    return None if text is None else parse_share(text, what=what)


def _rate(text: str) -> Fraction:
    return rate_of_million(text, what="--rate")


def _levers(asked: Asked, scenario: Scenario, rates: Rates) -> Levers:
    hits = _share(asked.cache, "--cache") or ZERO
    routed = _share(asked.routed, "--routed") or ZERO
    if asked.route_ratio is not None and asked.route_model is not None:
        raise UsageError("--route-ratio and --route-model say the same", next_step="say one")
    ratio = None if asked.route_ratio is None else _ratio(asked.route_ratio)
    if asked.route_model is not None:
        ratio = _ratio_of_model(asked.route_model, scenario, rates)
    if routed and ratio is None:
        raise UsageError(
            "routing needs a cheaper model to route to",
            next_step="say --route-ratio 10, or --route-model NAME",
        )
    return Levers(hits, routed, ratio)


def _ratio(text: str) -> Fraction:
    plain = text.strip().removesuffix("x")
    if not plain.replace(".", "", 1).isascii() or not plain.replace(".", "", 1).isdecimal():
        raise UsageError(f"--route-ratio cannot be read from {text!r}", next_step="write 10")
    ratio = Fraction(plain)
    if ratio < 1:
        raise UsageError("--route-ratio is below 1: that model is dearer")
    return ratio


def _ratio_of_model(name: str, scenario: Scenario, rates: Rates) -> Fraction:
    """How many times cheaper the same tokens are on another model.  Raises UsageError."""
    uses = tuple(rates.price(one.use._replace(model=name, rate_pico=None)) for one in scenario.uses)
    other = scenario._replace(uses=uses).rate_pico
    if not 0 < other < scenario.rate_pico:
        raise UsageError(
            f"`{name}` is not cheaper for these tokens", next_step="choose a cheaper model"
        )
    return scenario.rate_pico / other


def _free(asked: Asked, file: PlansFile | None, scenario: Scenario, rates: Rates) -> FreeUsers:
    """The free users that a customer pays for, by options or by the file; none on a free plan."""
    if asked.free_users_per_payer is not None and asked.conversion is not None:
        raise UsageError(
            "--free-users-per-payer and --conversion say the same", next_step="say one"
        )
    users = None
    if asked.free_users_per_payer is not None:
        users = Fraction(parse_count(asked.free_users_per_payer, what="--free-users-per-payer"))
    elif asked.conversion is not None:
        from noburn_cli.core.plan_files import users_per_payer

        users = users_per_payer(parse_share(asked.conversion, what="--conversion"))
    tier = None if file is None else file.free
    if scenario.plan.kind is Kind.FREE and tier is not None:
        return FreeUsers()
    if asked.free_tokens is not None:
        tokens = _count(asked.free_tokens, "--free-tokens")
        if users is None and (asked.sweep or "").partition("=")[0].strip() == "free":
            users = ZERO  # The sweep says how many.
        if users is None:
            raise UsageError(
                "--free-tokens needs a number of free users",
                next_step="say --free-users-per-payer 20, or --conversion 5%",
            )
        of_one = scenario._replace(tokens=tokens, plan=Plan(0, included=Included(tokens=tokens)))
        return FreeUsers(users, Fraction(of_one.usage().cost_nano))
    if tier is not None and file is not None:
        uses = tuple(rates.price(use) for use in file.uses_of(tier.plan))
        nano = free_user_nano(file.plan(tier.plan), uses, scenario.levers)
        return FreeUsers(tier.users_per_payer if users is None else users, nano)
    if users is not None:
        raise UsageError("nobody said what a free user uses", next_step="say --free-tokens 50k")
    return FreeUsers()
