"""`noburn margin`: what a plan earns after its tokens are paid.

Layer: commands.  Below: core.economics, render.margin; the price book only where a model is named.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.core import economics
from noburn_cli.core.money import (
    PICO_PER_NANO,
    REQUESTS,
    TOKENS,
    parse_count,
    parse_dollars,
    parse_share,
)
from noburn_cli.errors import PriceUnknown, UsageError
from noburn_cli.render.margin import outlook_data, render_comparison, render_outlook
from noburn_cli.render.table import terminal_width

if TYPE_CHECKING:
    from noburn_cli.core.models import Model

JSON_VERSION = 1
REFERENCE_NAME = "the reference rate for input; name yours with --model or --rate"
INPUT_ONLY_NOTE = (
    "All tokens are priced as input, and output costs more: say the split with --output-share."
)


@dataclass(frozen=True)
class Volume:
    """What one seat uses in a month.  calls: None when nobody said."""

    tokens: int
    output_share: Fraction
    cached_share: Fraction
    calls: int | None
    split_given: bool

    @property
    def call_input_tokens(self) -> int:
        """Input of an average call, rounded up; 0 when the number of calls is not known."""
        if not self.calls:
            return 0
        exact = self.tokens * (1 - self.output_share) / self.calls
        return -(-exact.numerator // exact.denominator)


def margin_command(
    price: Annotated[
        str,
        typer.Option(metavar="DOLLARS", help="What a seat pays a month, in dollars: 20 or '$20'."),
    ],
    tokens: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="Tokens a seat uses a month: 2M, 500k, 1.5B."),
    ] = None,
    input_tokens: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="Instead of --tokens: input tokens a seat and month."),
    ] = None,
    output_tokens: Annotated[
        str | None,
        typer.Option(metavar="TOKENS", help="Instead of --tokens: output tokens a seat and month."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL", help="Price with this model's rates. Repeat to compare."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="DOLLARS", help="Dollars per million tokens, instead of a model's rates."
        ),
    ] = None,
    output_share: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="How much of the tokens is output: 20% or 0.2."),
    ] = None,
    cached_share: Annotated[
        str,
        typer.Option(
            metavar="SHARE", help="How much of the input is read from the provider's cache."
        ),
    ] = "0",
    calls: Annotated[
        str | None,
        typer.Option(
            metavar="CALLS", help="Calls a seat makes a month; decides long-context rates."
        ),
    ] = None,
    variant: Annotated[
        str,
        typer.Option(
            metavar="VARIANT", help="How calls are processed: standard, batch, flex or priority."
        ),
    ] = "standard",
    fee_percent: Annotated[
        str,
        typer.Option(
            metavar="PERCENT", help="The card processor's percentage of a payment, such as 2.9."
        ),
    ] = "0",
    fee_fixed: Annotated[
        str,
        typer.Option(
            metavar="DOLLARS", help="The card processor's fixed fee for a payment, such as 0.30."
        ),
    ] = "0",
    overhead: Annotated[
        str,
        typer.Option(
            metavar="DOLLARS", help="Other monthly cost of serving this customer, in dollars."
        ),
    ] = "0",
    seats: Annotated[
        int, typer.Option(metavar="SEATS", min=1, help="Seats of the customer, paid at once.")
    ] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what a plan earns after its tokens are paid.

    Revenue, cost, gross margin, break-even and the tokens that still leave 70 %, for one customer
    and month. Without a model or a rate, tokens cost the reference rate of $10 per million.
    """
    plan = economics.Plan(
        price_nano=parse_dollars(price, what="--price"),
        seats=seats,
        fee_share=_parse_percent(fee_percent, what="--fee-percent"),
        fee_fixed_nano=parse_dollars(fee_fixed, what="--fee-fixed"),
        overhead_nano=parse_dollars(overhead, what="--overhead"),
    )
    volume = _read_volume(tokens, input_tokens, output_tokens, output_share, cached_share, calls)
    if model:
        _refuse_rate_beside_model(rate)
        named, notes = _price_models(plan, volume, model, variant=variant)
    else:
        named, notes = _price_flat(plan, volume, rate), []
        _refuse_split_without_model(volume, variant)
    _hint_eaten_dollar(plan)
    if as_json:
        from noburn_cli.render.jsonout import print_json  # 2 ms that a table does not need

        answers = [outlook_data(name, shown) for name, shown in named]
        print_json("margin", JSON_VERSION, {"answers": answers, "notes": notes})
    elif len(named) == 1:
        typer.echo("\n".join(render_outlook(*named[0], notes=notes, width=terminal_width())))
    else:
        typer.echo("\n".join(render_comparison(named, notes=notes, width=terminal_width())))


def _read_volume(
    tokens: str | None,
    input_tokens: str | None,
    output_tokens: str | None,
    output_share: str | None,
    cached_share: str,
    calls: str | None,
) -> Volume:
    """The month's tokens, said as a total with a share or as two counts.  Raises UsageError."""
    by_counts = input_tokens is not None or output_tokens is not None
    if by_counts == (tokens is not None):
        raise UsageError(
            "say how many tokens a seat uses, once",
            why="either --tokens, or --input-tokens and --output-tokens",
            next_step="for example: noburn margin --price 20 --tokens 2M",
        )
    if by_counts and output_share is not None:
        raise UsageError("--output-share goes with --tokens, not with counts of input and output")
    if by_counts:
        count_in = parse_count(input_tokens or "0", what="--input-tokens", unit=TOKENS)
        count_out = parse_count(output_tokens or "0", what="--output-tokens", unit=TOKENS)
        total = count_in + count_out
        share = Fraction(count_out, total) if total else economics.ZERO
    else:
        total = parse_count(tokens or "", what="--tokens", unit=TOKENS)
        share = parse_share(output_share or "0", what="--output-share")
    return Volume(
        tokens=total,
        output_share=share,
        cached_share=parse_share(cached_share, what="--cached-share"),
        calls=None if calls is None else _parse_calls(calls),
        split_given=by_counts or output_share is not None,
    )


def _parse_calls(text: str) -> int:
    calls = parse_count(text, what="--calls", unit=REQUESTS)
    if not calls:
        raise UsageError("--calls is 0, and tokens come from calls")
    return calls


def _parse_percent(text: str, *, what: str) -> Fraction:
    """`2.9` and `2.9%` alike: the option's name already says per cent."""
    return parse_share(f"{text.strip().removesuffix('%').strip()}%", what=what)


def _refuse_rate_beside_model(rate: str | None) -> None:
    if rate is not None:
        raise UsageError("--rate and --model cannot be combined", why="each of them names the rate")


def _refuse_split_without_model(volume: Volume, variant: str) -> None:
    """One flat rate cannot tell input from output; to ignore the split would mislead."""
    if volume.output_share or volume.cached_share or volume.calls or variant != "standard":
        raise UsageError(
            "a split of the tokens needs the rates of a model",
            why="without --model every token has the same rate",
            next_step="add --model NAME, or leave the split and the variant out",
        )


def _hint_eaten_dollar(plan: economics.Plan) -> None:
    if not plan.price_nano:
        typer.echo(
            "hint: the price is 0. If you wrote $20, the shell read `$2` as a variable:"
            " write 20, '$20' or 20usd.",
            err=True,
        )


def _price_flat(
    plan: economics.Plan, volume: Volume, rate: str | None
) -> list[tuple[str, economics.Outlook]]:
    """One rate for every token: the given one, or the reference."""
    if rate is None:
        name, rate_pico = REFERENCE_NAME, Fraction(economics.REFERENCE_RATE_PICO)
    else:
        nano_per_million = parse_dollars(rate, what="--rate")
        name, rate_pico = "as given", Fraction(nano_per_million * PICO_PER_NANO, 10**6)
    return [(name, economics.outlook(plan, tokens=volume.tokens, rate_pico=rate_pico))]


def _price_models(
    plan: economics.Plan, volume: Volume, models: Sequence[str], *, variant: str
) -> tuple[list[tuple[str, economics.Outlook]], list[str]]:
    """Each model's own rates today, averaged over the split."""
    from noburn_cli.core.models import is_retired, retired_warning
    from noburn_cli.prices import load_book

    book, now_ms = load_book(os.environ), time.time_ns() // 1_000_000
    notes = [] if volume.split_given else [INPUT_ONLY_NOTE]
    named = []
    for asked in models:
        found = book.resolve(asked)
        if is_retired(found, now_ms):
            typer.echo(f"warning: {retired_warning(found)}", err=True)
        rate_pico = _model_rate(found, volume, variant=variant, at_ms=now_ms)
        shown = economics.outlook(plan, tokens=volume.tokens, rate_pico=rate_pico)
        named.append((found.name, shown))
        notes += _model_notes(found, volume, variant=variant, at_ms=now_ms)
    return named, list(dict.fromkeys(notes))


def _model_rate(model: Model, volume: Volume, *, variant: str, at_ms: int) -> Fraction:
    """Pico-dollars of an average token, from the row in force and the tier of an average call.

    Raises PriceUnknown for a variant or a kind without a rate, UsageError for calls that would not
    fit the model's window.
    """
    from noburn_cli.core.cost import rate_of, tier_for

    if volume.call_input_tokens > model.context_window:
        raise UsageError(
            f"an average call would have {volume.call_input_tokens:,} input tokens",
            why=f"the window of `{model.name}` holds {model.context_window:,}",
            next_step="say more --calls",
        )
    row = model.row_at(variant, at_ms)
    if row is None:
        sold = ", ".join(dict.fromkeys(row.variant for row in model.rows))
        raise PriceUnknown(
            f"`{model.name}` has no {variant} price",
            why=f"the price book has rows for: {sold}",
            next_step="choose one of these with --variant",
        )
    tier = tier_for(row, volume.call_input_tokens)
    mix = economics.mix_of(output_share=volume.output_share, cached_share=volume.cached_share)
    rates = {kind: rate_of(model, row, tier, kind) for kind, share in mix.items() if share}
    return economics.average_rate(mix, rates)


def _model_notes(model: Model, volume: Volume, *, variant: str, at_ms: int) -> list[str]:
    """What the answer takes for granted about one model's rates."""
    notes = []
    row = model.row_at(variant, at_ms)
    if row is not None and len(row.tiers) > 1 and volume.calls is None:
        limit = row.tiers[1].above_input_tokens
        notes.append(
            f"{model.name}: calls above {limit:,} input tokens cost more;"
            " say how many calls with --calls."
        )
    later = [r for r in model.rows if r.variant == variant and r.starts_at_ms > at_ms]
    if later:
        notes.append(f"{model.name}: other rates hold from {later[0].starts_on}.")
    return notes
