"""The options of `noburn margin`: their names, their help, and what was given.

Layer: commands.  Below: nothing of ours.  Above: commands.margin, commands.margin_asking.
Owns: Asked, whose fields are the command's parameters by name.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

import typer

_Text = str | None


def _option(metavar: str, help_text: str) -> object:
    return typer.Option(metavar=metavar, help=help_text)


Price = Annotated[_Text, _option("DOLLARS", "What a seat pays a month, in dollars: 20 or '$20'.")]
Tokens = Annotated[_Text, _option("TOKENS", "Tokens a seat uses a month: 2M, 500k, 1.5B.")]
InputTokens = Annotated[
    _Text, _option("TOKENS", "Instead of --tokens: input tokens a seat and month.")
]
OutputTokens = Annotated[
    _Text, _option("TOKENS", "Instead of --tokens: output tokens a seat and month.")
]
Model = Annotated[
    list[str] | None, _option("MODEL", "Price with this model's rates. Repeat to compare.")
]
Rate = Annotated[
    _Text, _option("DOLLARS", "Dollars per million tokens, instead of a model's rates.")
]
Use = Annotated[
    list[str] | None,
    _option(
        "NAME=KEY:VALUE,…",
        "One feature's tokens, such as 'chat=model:gpt-6.1-sol,tokens:400k,output:20%,cached:30%,"
        "batch:10%'; also rate, input, calls, hits, variant. Repeat for a mix.",
    ),
]
OutputShare = Annotated[_Text, _option("SHARE", "How much of the tokens is output: 20% or 0.2.")]
CachedShare = Annotated[
    _Text, _option("SHARE", "How much of the input is read from the provider's cache.")
]
BatchShare = Annotated[
    _Text, _option("SHARE", "How much of the tokens is processed at the batch price.")
]
Calls = Annotated[
    _Text,
    _option(
        "CALLS",
        "Calls a seat makes a month; decides long-context rates and overhead per request.",
    ),
]
Variant = Annotated[
    _Text, _option("VARIANT", "How calls are processed: standard, batch, flex or priority.")
]
Seats = Annotated[
    int | None, typer.Option(metavar="SEATS", min=1, help="Seats of the customer, paid at once.")
]
FeePercent = Annotated[
    _Text, _option("PERCENT", "The card processor's percentage of a payment, such as 2.9.")
]
FeeFixed = Annotated[
    _Text, _option("DOLLARS", "The card processor's fixed fee for a payment, such as 0.30.")
]
Overhead = Annotated[
    _Text, _option("DOLLARS", "Other monthly cost of serving this customer, in dollars.")
]
OverheadRequest = Annotated[
    _Text, _option("DOLLARS", "Other cost of serving a request; say how many with --calls.")
]
IncludedUsage = Annotated[
    _Text,
    _option("AMOUNT", "What the price includes a seat and month: 2Mtok, '$5' of usage, 1000req."),
]
OveragePrice = Annotated[
    _Text,
    _option(
        "PRICE",
        "Beyond that: dollars per million tokens (12), our cost and a share ('20%'), a request "
        "(0.02/req), or stop.",
    ),
]
YearlyDiscount = Annotated[_Text, _option("SHARE", "Off the price for who pays by the year.")]
YearlyShare = Annotated[_Text, _option("SHARE", "How many of those who pay, pay by the year.")]
Tax = Annotated[_Text, _option("PERCENT", "Sales tax or VAT, which is not ours.")]
TaxIncluded = Annotated[
    bool,
    typer.Option(
        "--tax-included", help="The price contains the tax; else as the file has it, or on top."
    ),
]
FreeUsers = Annotated[_Text, _option("USERS", "Users of a free tier for each customer who pays.")]
Conversion = Annotated[
    _Text, _option("SHARE", "Instead: how many of all users pay; the others are free.")
]
FreeTokens = Annotated[_Text, _option("TOKENS", "Tokens a free user uses a month.")]
Cache = Annotated[
    _Text, _option("SHARE", "How many of the calls a semantic cache answers, at no cost.")
]
Routed = Annotated[_Text, _option("SHARE", "How much is routed to a cheaper model.")]
RouteRatio = Annotated[_Text, _option("TIMES", "How many times cheaper that model is.")]
RouteModel = Annotated[_Text, _option("MODEL", "Instead: that model, at its rates.")]
Plans = Annotated[
    _Text, _option("FILE", "Plans from this file (docs/plans.md); else plans.toml, where it is.")
]
PlanNames = Annotated[
    list[str] | None, _option("NAME", "This plan of the file; options stand in for what it says. "
    "Repeat to compare."),
]  # fmt: skip
Target = Annotated[str, _option("SHARE", "The margin to aim at.")]
Solve = Annotated[
    _Text,
    _option("QUANTITY", "What would reach the target: price, tokens, overage, cache or routing."),
]
Sweep = Annotated[
    _Text,
    _option(
        "QUANTITY=FROM..TO",
        "The month over a quantity: one of these, or seats, cached, batch, output, free.",
    ),
]
Points = Annotated[int, typer.Option(metavar="COUNT", min=2, max=1000, help="Rows of a sweep.")]
Plot = Annotated[
    bool, typer.Option("--plot", help="Draw the curve here; without --sweep, over tokens.")
]
Save = Annotated[_Text, _option("FILE", "Draw the curve into margin.svg or margin.png.")]
FailBelowTarget = Annotated[
    bool,
    typer.Option("--fail-below-target", help="Exit with 3 when a plan misses the target."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Asked(NamedTuple):
    """The options as they were given, by name; None was not."""

    price: str | None = None
    tokens: str | None = None
    input_tokens: str | None = None
    output_tokens: str | None = None
    model: list[str] | None = None
    rate: str | None = None
    use: list[str] | None = None
    output_share: str | None = None
    cached_share: str | None = None
    batch_share: str | None = None
    calls: str | None = None
    variant: str | None = None
    seats: int | None = None
    fee_percent: str | None = None
    fee_fixed: str | None = None
    overhead: str | None = None
    overhead_request: str | None = None
    included: str | None = None
    overage: str | None = None
    yearly_discount: str | None = None
    yearly_share: str | None = None
    tax: str | None = None
    tax_included: bool = False
    free_users_per_payer: str | None = None
    conversion: str | None = None
    free_tokens: str | None = None
    cache: str | None = None
    routed: str | None = None
    route_ratio: str | None = None
    route_model: str | None = None
    plans: str | None = None
    plan: list[str] | None = None
    target: str = "70%"
    solve: str | None = None
    sweep: str | None = None
    points: int = 9
    plot: bool = False
    save: str | None = None
    fail_below_target: bool = False
    as_json: bool = False

    @property
    def volume_open(self) -> bool:
        """Whether tokens are what is asked for, and nobody said how many there are."""
        said = (self.tokens, self.input_tokens, self.output_tokens, self.use, self.calls)
        swept = (self.sweep or "").partition("=")[0].strip() == "tokens"
        return not any(said) and (swept or self.solve == "tokens")
