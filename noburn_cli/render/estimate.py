"""How estimates look: a table for the eye, and data for `--json`.

Layer: render.  Below: core.estimates, core.money, render.table.  Above: commands.estimate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from noburn_cli.core.estimate_sums import whole
from noburn_cli.core.estimates import COUNTING_PROVIDERS, Estimate, Span
from noburn_cli.core.money import Nano, show_count, show_dollars, show_percent
from noburn_cli.core.offline_counts import MeasuredError
from noburn_cli.render.learned import learned_data, learned_notes
from noburn_cli.render.table import RIGHT, Column, fit_table, wrap_line

UNKNOWN = "unknown"


def render_estimates(
    rows: Sequence[Estimate],
    sums: Sequence[Estimate],
    *,
    width: int | None = None,
    was_asked: bool = False,
) -> list[str]:
    """One row per input and model; a total where several are of one model, or paid together.

    The cost column is the input's cost alone where no output was expected, and says so; where some
    rows have learned of one, the others say that theirs is missing.
    width: columns of the terminal, or None for a pipe.
    was_asked: the provider, to count: then that is not advised again.
    """
    by_model = Counter(one.model for one in rows)
    several = [one for one in sums if by_model[one.model] > 1]
    all_of_them = whole(rows)
    shown = [*rows, *several, *([] if all_of_them is None else [all_of_them])]
    with_output = all(one.with_output for one in shown) or any(one.learned for one in shown)
    lines = fit_table(_columns(shown, with_output=with_output), width=width)
    for note in ("", *_notes(shown, with_output=with_output, was_asked=was_asked)):
        lines += wrap_line(note, width=width)
    return lines


def _columns(shown: Sequence[Estimate], *, with_output: bool) -> list[Column]:
    """Every column, with the order in which a narrow terminal gives them up."""
    one_source = len({one.source for one in shown}) == 1
    one_each = all(one.requests == 1 for one in shown)
    sizes = [_size(one) for one in shown]
    return [
        Column(
            "INPUT", [one.source for one in shown], give_up=4 if one_source else None, shorten=True
        ),
        Column(
            "REQUESTS",
            [show_count(one.requests) for one in shown],
            align=RIGHT,
            give_up=1 if one_each else 3,
        ),
        Column("MODEL", [one.model for one in shown]),
        Column("TOKENS", [tokens for tokens, _ in sizes], align=RIGHT),
        Column("COUNTED", [how for _, how in sizes], give_up=5),
        Column("WINDOW", [show_percent(one.window_share) for one in shown], RIGHT, give_up=2),
        Column(
            "EXPECTED" if with_output else "INPUT COST",
            [_expected(one, with_output=with_output) for one in shown],
            align=RIGHT,
        ),
        Column("WORST CASE", [show_dollars(one.worst) for one in shown], align=RIGHT),
    ]


def _size(one: Estimate) -> tuple[str, str]:
    """The input's tokens, and how they are known."""
    if one.input_tokens is None:
        return f"≤ {show_count(one.bound_tokens)}", one.bound_how
    return _tokens(one.input_tokens), one.how


def _tokens(span: Span) -> str:
    if span.low == span.high:
        return show_count(span.low)
    return f"{show_count(span.low)}–{show_count(span.high)}"


def _dollars(span: Span) -> str:
    low, high = show_dollars(span.low), show_dollars(span.high)
    return low if low == high else f"{low}–{high}"


def _expected(one: Estimate, *, with_output: bool) -> str:
    if one.cost is None:
        return UNKNOWN
    return _dollars(one.cost) + ("" if one.with_output or not with_output else " + output")


def _notes(shown: Sequence[Estimate], *, with_output: bool, was_asked: bool) -> list[str]:
    """What the words in the table mean, for those that occur."""
    calls = shown[0].calls
    times = "" if calls == 1 else f" Costs are for {show_count(calls)} calls of each request."
    notes = [f"Worst case: the input's bound and the most output that the request allows.{times}"]
    notes += learned_notes(shown)
    if not with_output:
        notes.append("No output was expected: say how much with --out-tokens 500 or 200-800.")
    hows = {one.how for one in shown if one.input_tokens is not None}
    bounds = {one.bound_how for one in shown}
    notes += _error_notes(shown, was_asked=was_asked)
    if "assumed" in hows:
        assumed = [one for one in shown if one.input_tokens is not None and one.how == "assumed"]
        more = "; --count asks the provider" if not was_asked and _countable(assumed) else ""
        notes.append(f"assumed: a range, not a count{more}.")
    unknown = [one for one in shown if one.input_tokens is None]
    if unknown:
        more = "; --count may tell more" if not was_asked and _countable(unknown) else ""
        notes.append(f"≤: only the most is known for this tokeniser{more}.")
    if "window" in bounds:
        notes.append("window: only the context window limits this input.")
    return notes


def _countable(shown: Sequence[Estimate]) -> bool:
    """Whether --count could say more of one of them: not every provider counts for others."""
    return any(one.provider in COUNTING_PROVIDERS for one in shown)


def _error_notes(shown: Sequence[Estimate], *, was_asked: bool) -> list[str]:
    """How far such estimates were off, once for each kind of model and text."""
    models: dict[MeasuredError, dict[str, None]] = {}
    for one in shown:
        if one.error is not None:
            models.setdefault(one.error, {})[one.model] = None
    more = "" if was_asked else "; --count asks the provider"
    return [
        f"estimated, {', '.join(names)}: ±{_share(error.p95)} for 95 of 100 texts, "
        f"±{_share(error.median)} for half of them, measured on {error.measured_on} against "
        f"{error.against}{more}."
        for error, names in models.items()
    ]


def _share(per_mille: int) -> str:
    return f"{per_mille / 10:g} %"


def estimates_data(rows: Sequence[Estimate], sums: Sequence[Estimate]) -> dict[str, Any]:
    """The same as data: exact dollars as strings, spans as `{low, high}`."""
    all_of_them = whole(rows)
    return {
        "estimates": [_data(one) for one in rows],
        "totals": [_data(one) for one in sums],
        "all": None
        if all_of_them is None
        else {**_data(all_of_them), "model": None, "provider": None},
    }


def _error_data(error: MeasuredError) -> dict[str, Any]:
    """Relative errors as shares of the true count."""
    shares = {"median": error.median, "p95": error.p95, "worst": error.worst}
    return {
        **{name: share / 1000 for name, share in shares.items()},
        "texts": error.texts,
        "corpus": error.corpus,
        "against": error.against,
        "measured_on": error.measured_on,
    }


def _data(one: Estimate) -> dict[str, Any]:
    share = one.window_share
    return {
        "source": one.source,
        "model": one.model,
        "provider": one.provider,
        "requests": one.requests,
        "calls": one.calls,
        "input_tokens": one.input_tokens,
        "counted": one.how or None,
        "input_tokens_error": None if one.error is None else _error_data(one.error),
        "input_tokens_max": one.bound_tokens,
        "input_tokens_max_how": one.bound_how,
        "output_tokens": one.output_tokens,
        "output_tokens_max": one.output_max,
        "window_share": round(share.numerator / share.denominator, 6),
        "cost": None
        if one.cost is None
        else {"low": Nano(one.cost.low), "high": Nano(one.cost.high)},
        "cost_includes_output": one.with_output,
        "worst_cost": Nano(one.worst),
        "learned": None if one.learned is None else learned_data(one.learned),
        "mean_cost": None
        if one.cost_mean is None
        else {"low": Nano(one.cost_mean.low), "high": Nano(one.cost_mean.high)},
    }
