"""`noburn margin`: what a plan earns after its tokens are paid.

Layer: commands.  Below: commands.margin_asking, core.margin_outlook, render.margin…, charts.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import typer

from noburn_cli.commands import margin_options as opt
from noburn_cli.commands.margin_asking import Question, read_question
from noburn_cli.core.margin_month import Scenario
from noburn_cli.core.margin_outlook import Outlook, Span, Swept, outlook, swept
from noburn_cli.core.margin_quantities import NAMES, SOLVABLE, TOKENS_USED, quantity
from noburn_cli.core.margin_solving import Answer, answer
from noburn_cli.core.money import parse_share
from noburn_cli.core.plans import Kind
from noburn_cli.errors import LimitReached, UsageError
from noburn_cli.render.table import terminal_width

JSON_VERSION = 1
_NOBODY_SAID = (
    "Nobody said how many tokens a seat uses: the month is that of the most that keep the target."
)


def margin_command(
    price: opt.Price = None,
    tokens: opt.Tokens = None,
    input_tokens: opt.InputTokens = None,
    output_tokens: opt.OutputTokens = None,
    model: opt.Model = None,
    rate: opt.Rate = None,
    use: opt.Use = None,
    output_share: opt.OutputShare = None,
    cached_share: opt.CachedShare = None,
    batch_share: opt.BatchShare = None,
    calls: opt.Calls = None,
    variant: opt.Variant = None,
    seats: opt.Seats = None,
    fee_percent: opt.FeePercent = None,
    fee_fixed: opt.FeeFixed = None,
    overhead: opt.Overhead = None,
    overhead_request: opt.OverheadRequest = None,
    included: opt.IncludedUsage = None,
    overage: opt.OveragePrice = None,
    yearly_discount: opt.YearlyDiscount = None,
    yearly_share: opt.YearlyShare = None,
    tax: opt.Tax = None,
    tax_included: opt.TaxIncluded = False,
    free_users_per_payer: opt.FreeUsers = None,
    conversion: opt.Conversion = None,
    free_tokens: opt.FreeTokens = None,
    cache: opt.Cache = None,
    routed: opt.Routed = None,
    route_ratio: opt.RouteRatio = None,
    route_model: opt.RouteModel = None,
    plans: opt.Plans = None,
    plan: opt.PlanNames = None,
    target: opt.Target = "70%",
    solve: opt.Solve = None,
    sweep: opt.Sweep = None,
    points: opt.Points = 9,
    plot: opt.Plot = False,
    save: opt.Save = None,
    fail_below_target: opt.FailBelowTarget = False,
    as_json: opt.Json = False,
) -> None:
    """Show what a plan earns after its tokens are paid.

    Revenue, cost, gross margin, break-even and the tokens that still leave the target, for one
    customer and month. Without a model or a rate, tokens cost the reference rate of $10 per
    million. --solve says what would reach the target, --sweep shows a quantity's curve.
    """
    _run(opt.Asked(**locals()))


def _run(asked: opt.Asked) -> None:
    if asked.save is not None:
        from noburn_cli.charts.pictures import check_path

        check_path(Path(asked.save))
    keep = parse_share(asked.target, what="--target")
    question = read_question(asked)
    shown = [outlook(name, scenario, target=keep) for name, scenario in question.rows]
    if asked.volume_open:
        shown = [_at_the_most(one) for one in shown]
        question = question._replace(notes=(*question.notes, _NOBODY_SAID))
    unpriced = _without_overage(shown, asked.solve)
    solved = [None if one in unpriced else _solved(one, asked.solve) for one in shown]
    for one in unpriced:
        said = f"`{one.name}` has no overage whose price could be sought."
        question = question._replace(notes=(*question.notes, said))
    curves = _sweeps(asked, shown, keep)
    _hint_eaten_dollar(asked, shown)
    if asked.as_json:
        _print_json(shown, question, solved, curves)
    else:
        _print_text(asked, shown, question, solved, curves)
    if asked.save is not None:
        _save(asked.save, curves, keep, quiet=asked.as_json)
    if asked.fail_below_target:
        _fail_below_target(shown, keep)


def _at_the_most(shown: Outlook) -> Outlook:
    """The month of the most tokens that keep the target; of none, where none or any does."""
    tokens = shown.keeping_target.value or 0
    return outlook(shown.name, shown.scenario._replace(tokens=tokens), target=shown.target)


def _without_overage(shown: list[Outlook], name: str | None) -> list[Outlook]:
    """Of several plans those that the question is not about; none where it is about none."""
    found = [one for one in shown if one.scenario.plan.overage is None]
    return found if name == "overage" and len(found) < len(shown) else []


def _solved(shown: Outlook, name: str | None) -> Answer | None:
    if name is None:
        return None
    sought = quantity(name, shown.scenario.plan, among=SOLVABLE)
    return answer(shown.scenario, sought, keep=shown.target)


def _sweeps(asked: opt.Asked, shown: list[Outlook], keep: Fraction) -> list[Swept]:
    """The curves that were asked for: --plot and --save alone are about tokens."""
    if asked.sweep is None and not asked.plot and asked.save is None:
        return []
    widest = Span(TOKENS_USED, 0, max(_span(one) for one in shown), asked.points, _drawn(asked))
    rows = [
        (one.name, one.scenario, widest if asked.sweep is None else _range(asked, one.scenario))
        for one in shown
    ]
    return swept(rows, target=keep)


def _drawn(asked: opt.Asked) -> bool:
    return asked.plot or asked.save is not None


def _span(shown: Outlook) -> int:
    """So many tokens that the break-even, or what is used, lies in the middle."""
    return 2 * max(shown.break_even.value or 0, shown.scenario.seat_tokens, 1)


def _range(asked: opt.Asked, scenario: Scenario) -> Span:
    text = asked.sweep or ""
    name, equals, span = text.partition("=")
    low, dots, high = span.partition("..")
    sought = quantity(name.strip(), scenario.plan, among=NAMES)
    if not equals or not dots:
        raise UsageError(
            f"--sweep cannot be read from {text!r}",
            why="expected a quantity with the values it begins and ends with",
            next_step="write it like tokens=0..4M, price=10..50 or cache=0..60%",
        )
    first, last = sought.read(low.strip()), sought.read(high.strip())
    if not sought.low <= first < last <= sought.high:
        raise UsageError(
            f"--sweep {name.strip()} runs from {sought.show(first)} to {sought.show(last)}",
            why=f"it can be from {sought.show(sought.low)} to {sought.show(sought.high)}, upwards",
        )
    return Span(sought, first, last, asked.points, _drawn(asked))


def _hint_eaten_dollar(asked: opt.Asked, shown: list[Outlook]) -> None:
    plan = shown[0].scenario.plan
    sold = plan.overage is not None or not plan.included.unlimited
    if asked.price is not None and not plan.price_nano and not sold:
        typer.echo(
            "hint: the price is 0. If you wrote $20, the shell read `$2` as a variable:"
            " write 20, '$20' or 20usd.",
            err=True,
        )


def _print_text(
    asked: opt.Asked,
    shown: list[Outlook],
    question: Question,
    solved: list[Answer | None],
    curves: list[Swept],
) -> None:
    lines = _answers(shown, question)
    lines += _solved_lines(shown, solved)
    if asked.sweep is not None:
        from noburn_cli.render.margin_sweep import render_sweep

        lines += ["", *render_sweep(curves, width=terminal_width())]
    if asked.plot:
        from noburn_cli.charts.terminal import curve, style_of
        from noburn_cli.render.margin_sweep import curve_of

        lines += ["", *curve(curve_of(curves, target=shown[0].target), style_of())]
    typer.echo("\n".join(lines))


def _answers(shown: list[Outlook], question: Question) -> list[str]:
    if len(shown) == 1:
        from noburn_cli.render.margin import render_outlook

        return render_outlook(shown[0], notes=question.notes, width=terminal_width())
    from noburn_cli.render.margin_comparison import render_comparison

    return render_comparison(shown, notes=question.notes, width=terminal_width())


def _solved_lines(shown: list[Outlook], solved: list[Answer | None]) -> list[str]:
    lines: list[str] = []
    for one, found in zip(shown, solved, strict=True):
        if found is not None:
            from noburn_cli.render.margin_solved import render_solved

            named = len(shown) > 1
            lines += render_solved(one, found, named=named, width=terminal_width())
    return ["", *lines] if lines else []


def _print_json(
    shown: list[Outlook],
    question: Question,
    solved: list[Answer | None],
    curves: list[Swept],
) -> None:
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.margin_data import answer_data, outlook_data, sweep_data

    answers = []
    for place, one in enumerate(shown):
        data = outlook_data(one)
        found = solved[place]
        if found is not None:
            data["solved"] = answer_data(found)
        if curves:
            data["sweep"] = sweep_data(curves[place])
        answers.append(data)
    print_json("margin", JSON_VERSION, {"answers": answers, "notes": list(question.notes)})


def _save(name: str, curves: list[Swept], keep: Fraction, *, quiet: bool) -> None:
    from noburn_cli.charts.pictures import save
    from noburn_cli.render.margin_sweep import curve_of

    save(curve_of(curves, target=keep), Path(name))
    if not quiet:
        typer.echo(f"Saved {name}.", err=True)


def _fail_below_target(shown: list[Outlook], target: Fraction) -> None:
    """Raises LimitReached, after everything was shown, for the first plan that leaves less."""
    from noburn_cli.core.money import show_percent

    for one in shown:
        share = one.month.margin_share
        if one.scenario.plan.kind is Kind.FREE and len(shown) > 1:
            continue  # A free plan among others is paid for by them.
        if share is None or share < target:
            name = f" of `{one.name}`" if one.name else ""
            left = "no revenue" if share is None else show_percent(share)
            raise LimitReached(
                f"the margin{name} is {left}, below {show_percent(target)}",
                why="--fail-below-target asks for at least that much",
            )
