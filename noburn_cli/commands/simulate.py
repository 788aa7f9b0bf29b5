"""`noburn simulate`: what plans earn over months, with many customers who differ.

Layer: commands.  Below: core.simulation_*, simulation_inputs, plans_file, render.simulation.
numpy is imported with the first of them, inside the command: `noburn --help` does without.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.errors import LimitReached, UsageError

if TYPE_CHECKING:
    from noburn_cli.core.plan_files import PlansFile
    from noburn_cli.core.simulation_assembly import Sample
    from noburn_cli.core.simulation_assumptions import Assumption
    from noburn_cli.core.simulation_findings import Findings
    from noburn_cli.core.simulation_options import Layer, Options
    from noburn_cli.core.simulation_sold import Sold

JSON_VERSION = 1


def _said(metavar: str, text: str) -> typer.models.OptionInfo:
    """An option of OPTIONS: read there, so a text here."""
    found: typer.models.OptionInfo = typer.Option(metavar=metavar, help=text)
    return found


def simulate_command(
    price: Annotated[
        str | None, _said("DOLLARS", "Price of a seat and month: 29 or '$29'.")
    ] = None,
    tokens: Annotated[
        str | None, _said("TOKENS", "What a seat uses a month on average: 600k, 2M.")
    ] = None,
    customers: Annotated[
        str | None,
        _said("COUNT", "Customers at the start; those who pay, where free users come along."),
    ] = None,
    plans: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Plans; plans.toml of the project unless told."),
    ] = None,
    mix: Annotated[
        str | None,
        typer.Option(metavar="PLAN=SHARE,…", help="Customers by plan: free=60%,pro=40%."),
    ] = None,
    scenario: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="These options in a file; simulate.toml unless told."),
    ] = None,
    months: Annotated[str | None, _said("COUNT", "Months that are simulated: 24.")] = None,
    growth: Annotated[
        str | None, _said("SHARE", "New customers a month, of those there: 5%.")
    ] = None,
    arrivals: Annotated[str | None, _said("COUNT", "New customers a month besides.")] = None,
    churn: Annotated[str | None, _said("SHARE", "Customers who leave a month: 3.3%.")] = None,
    trial_keeps: Annotated[str | None, _said("SHARE", "Trials that stay: 100%.")] = None,
    sigma: Annotated[
        str | None, _said("NUMBER", "Log-normal usage: 2 gives the top tenth 76 % of spend.")
    ] = None,
    alpha: Annotated[str | None, _said("NUMBER", "Pareto usage: 1.16 is 80 to 20.")] = None,
    heavy: Annotated[
        str | None,
        _said(
            "WORDS", "Heavy users: '5% use 5x' (the average), '5% use 5x the rest', '10% make 76%'."
        ),
    ] = None,
    distribution: Annotated[
        str | None, _said("SHAPE", "What --heavy is solved for: log-normal or pareto.")
    ] = None,
    sample: Annotated[
        str | None,
        _said("FILE|ledger", "Usage as measured: a CSV with a line per customer, or the ledger."),
    ] = None,
    steadiness: Annotated[
        str | None,
        _said(
            "SHARE",
            "What of a month's difference is the customer's own: 80%; 100%: every month alike.",
        ),
    ] = None,
    usage_growth: Annotated[
        str | None, _said("SHARE", "Growth of a customer's usage a month: 2%, -1%.")
    ] = None,
    rate_growth: Annotated[
        str | None, _said("SHARE", "Change of what tokens cost, a month: -3%.")
    ] = None,
    change: Annotated[
        list[str] | None,
        typer.Option(
            metavar="month=N,…",
            help="What is different from a month on: month=12,price=39,leave=5% or "
            "month=6,rate=-30%; plan=NAME for one plan. Repeat for more.",
        ),
    ] = None,
    model: Annotated[str | None, _said("MODEL", "Price tokens with this model's rates.")] = None,
    rate: Annotated[str | None, _said("DOLLARS", "Or dollars per million tokens.")] = None,
    output_share: Annotated[
        str | None, _said("SHARE", "How much of the tokens is output, with --model.")
    ] = None,
    requests: Annotated[str | None, _said("COUNT", "Requests of a seat and month.")] = None,
    request_cost: Annotated[
        str | None, _said("DOLLARS", "What a request costs, tokens apart.")
    ] = None,
    product: Annotated[
        str | None, _said("KIND", "What a cache may hit: support, repeating or coding.")
    ] = None,
    cache: Annotated[
        str | None,
        _said(
            "SHARE|on", "Requests that a semantic cache answers; on: as the product's kind has it."
        ),
    ] = None,
    routed: Annotated[str | None, _said("SHARE", "Calls routed to a cheaper model.")] = None,
    route_ratio: Annotated[
        str | None, _said("TIMES", "How many times cheaper that model is: 10.")
    ] = None,
    prompt_cached: Annotated[
        str | None, _said("SHARE", "Input read from the provider's prompt cache.")
    ] = None,
    seats: Annotated[str | None, _said("COUNT", "Seats of a customer.")] = None,
    included: Annotated[
        str | None, _said("AMOUNT", "Included in the price: '$5' of usage, 500ktok or 100req.")
    ] = None,
    overage: Annotated[
        str | None,
        _said(
            "PRICE",
            "Beyond it: 20% on our cost, dollars per million tokens (12), a request (0.02/req), or "
            "stop.",
        ),
    ] = None,
    trial_days: Annotated[str | None, _said("DAYS", "Free days at the start.")] = None,
    fee_percent: Annotated[
        str | None, _said("PERCENT", "The card processor's percentage, such as 2.9.")
    ] = None,
    fee_fixed: Annotated[
        str | None, _said("DOLLARS", "The card processor's fixed fee, such as 0.30.")
    ] = None,
    overhead: Annotated[
        str | None, _said("DOLLARS", "Other monthly cost of serving a customer.")
    ] = None,
    fixed: Annotated[
        str | None, _said("DOLLARS", "Costs of a month that no customer causes, for break-even.")
    ] = None,
    target: Annotated[str | None, _said("SHARE", "The margin that is wanted: 70%.")] = None,
    work: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LEVER=DOLLARS",
            help="What the work for a change costs once: routing=3000, semantic_cache=5000; "
            "repeat for more.",
        ),
    ] = None,
    draws: Annotated[str | None, _said("COUNT", "Futures that are drawn: 1000.")] = None,
    seed: Annotated[str | None, _said("NUMBER", "The same seed gives the same figures.")] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a report with plots there.")
    ] = None,
    plot: Annotated[bool, typer.Option("--plot", help="Draw the margin by month as well.")] = False,
    fail_below_target: Annotated[
        bool,
        typer.Option(
            "--fail-below-target", help="Exit with 3 where the expected margin misses it."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Simulate what plans earn over months, with customers who differ.

    Margin by month with its spread, who is under water, when flat pricing turns, what caching and
    routing win back, the cheapest way to the target, and which assumption matters most.
    """
    from noburn_cli.core.simulation_options import flags_layer

    flags = flags_layer(
        {
            "price": price, "tokens": tokens, "customers": customers, "months": months,
            "growth": growth, "arrivals": arrivals, "churn": churn, "trial_keeps": trial_keeps,
            "sigma": sigma, "alpha": alpha, "heavy": heavy, "distribution": distribution,
            "sample": sample, "steadiness": steadiness, "usage_growth": usage_growth,
            "rate_growth": rate_growth, "model": model, "rate": rate, "output_share": output_share,
            "requests": requests, "request_cost": request_cost, "product": product,
            "cache": cache, "routed": routed, "route_ratio": route_ratio,
            "prompt_cached": prompt_cached, "seats": seats, "included": included,
            "overage": overage, "trial_days": trial_days, "fee_percent": fee_percent,
            "fee_fixed": fee_fixed, "overhead": overhead, "fixed": fixed, "target": target,
            "draws": draws, "seed": seed,
        },
        mix=mix, work=work or [], changes=change or [],
    )  # fmt: skip
    options, file = _read(flags, scenario, plans)
    if file is None and options.value("price") == 0 and options.value("overage") is None:
        typer.echo(
            "hint: the price is 0. If you wrote $29, the shell read `$2` as a variable:"
            " write 29, '$29' or 29usd.",
            err=True,
        )
    if html is not None:
        _check_page(html)
    found, assumptions = _found(options, file)
    if html is not None:
        _write_page(html, found, assumptions)
    _show(found, assumptions, as_json=as_json, plot=plot)
    if fail_below_target and not found.reached:
        from noburn_cli.core.simulation_words import percent

        share = found.expected.total.margin_share
        raise LimitReached(
            f"the expected margin is {percent(share)}, below the target of "
            f"{percent(found.scenario.target)}",
            next_step="the ways there are listed above",
        )


def _read(
    flags: Layer, scenario: str | None, plans: str | None
) -> tuple[Options, PlansFile | None]:
    """What holds, and the plans; no file of plans where a price was said.  Raises UsageError."""
    from noburn_cli.core.simulation_options import layer_of, settle
    from noburn_cli.plans_file import load_plans
    from noburn_cli.simulation_inputs import read_scenario

    own = read_scenario(scenario, Path.cwd())
    if plans is not None and "price" in flags.values:
        raise UsageError(
            "a plans file and a price each say what is sold",
            next_step="leave one of --plans and --price out",
        )
    if flags.mix and "price" in flags.values:
        raise UsageError(
            "a mix is of the plans of a file, and a price makes one plan",
            next_step="leave one of --mix and --price out",
        )
    # A price on the command line is a plan of its own, whatever file lies here.
    price_first = "price" in flags.values or (plans is None and own and "price" in own.values)
    file = None if price_first else load_plans(os.environ, Path.cwd(), plans)
    layers = [] if file is None else [layer_of(f"{file.origin} [simulation]", file.simulation)]
    return settle([*layers, *([] if own is None else [own]), flags]), file


def _found(options: Options, file: PlansFile | None) -> tuple[Findings, list[Assumption]]:
    """Assemble, simulate, and list what was assumed."""
    from noburn_cli.core.simulation_assembly import assemble, needs_use, work_of
    from noburn_cli.core.simulation_assumptions import assumptions_of
    from noburn_cli.core.simulation_findings import find
    from noburn_cli.core.simulation_sold import plans_of
    from noburn_cli.render.progress import Progress
    from noburn_cli.simulation_inputs import price_uses, read_sample

    sold = plans_of(options, file)
    source = options.value("sample")
    sample = None if source is None else read_sample(source)
    needs_use(sold, sample)
    uses = [use for one in sold for use in one.uses]
    scenario = assemble(options, sold, price_uses(uses, os.environ), file=file, sample=sample)
    progress = Progress(sys.stderr).within(scenario.draws, "futures drawn")
    try:
        found = find(
            scenario,
            product=options.value("product"),
            work_nano=work_of(options),
            progress=progress.reach,
        )
    finally:
        progress.end()
    return found, assumptions_of(options, scenario, rate_name=_rate_name(sold, sample))


def _rate_name(sold: list[Sold], sample: Sample | None) -> str:
    """Whose rates the tokens are priced at."""
    uses = [use for one in sold for use in one.uses]
    named = list(dict.fromkeys(use.model for use in uses if use.model))
    if named:
        return ", ".join(named)
    if any(use.rate_pico is not None for use in uses):
        return "as given"
    if not uses and sample is not None and sample.cost_nano and sample.tokens:
        return sample.origin
    return "the reference rate for input; name yours with --model or --rate"


def _show(found: Findings, assumptions: list[Assumption], *, as_json: bool, plot: bool) -> None:
    if as_json:
        from noburn_cli.render.jsonout import print_json
        from noburn_cli.render.simulation_data import simulation_data

        print_json("simulate", JSON_VERSION, simulation_data(found, assumptions))
        return
    from noburn_cli.render.simulation import render_simulation
    from noburn_cli.render.table import terminal_width

    typer.echo("\n".join(render_simulation(found, assumptions, width=terminal_width())))
    if plot:
        from noburn_cli.charts.terminal import curve, style_of
        from noburn_cli.render.simulation_charts import margin_curve

        typer.echo("\n" + "\n".join(curve(margin_curve(found), style_of())))


def _check_page(path: Path) -> None:
    """What is missing is told before a minute is spent.  Raises UsageError."""
    from noburn_cli.charts.pages import plotly_script
    from noburn_cli.whole_files import file_to_replace

    plotly_script()
    if not path.name or path.is_dir() or not path.parent.is_dir():
        raise UsageError(
            f"the report cannot be written to {str(path)!r}",
            why="it is a folder" if path.is_dir() else f"there is no folder {path.parent}",
            next_step="name a file in a folder that is there, such as report.html",
        )
    file_to_replace(path)


def _write_page(path: Path, found: Findings, assumptions: list[Assumption]) -> None:
    """The report, whole or not at all.  Raises NoburnError."""
    from noburn_cli.render.simulation_page import simulation_page
    from noburn_cli.whole_files import appearing

    text = simulation_page(found, assumptions)
    with appearing(path) as part:
        part.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {path}", err=True)
