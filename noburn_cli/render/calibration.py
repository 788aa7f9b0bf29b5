"""How a calibration looks: a line per model, the errors as a histogram, CSV, or data.

Layer: render.  Below: core.calibration, core.money, render.table.  Above: commands.calibrating.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from noburn_cli.core.calibration import (
    ERROR_PERCENT_MAX,
    USED_PERCENT_MAX,
    AboveHold,
    Calibration,
    Spread,
    Tally,
)
from noburn_cli.core.learning import CALLS_MIN, DAYS
from noburn_cli.core.money import Nano, show_count, show_dollars, show_percent
from noburn_cli.render.table import RIGHT, Column, fit_table, safe_text, wrap_line

_NOTHING = "-"
_BAR_COLUMNS = 40
_QUANTILES = (10, 50, 90)
_SHARE_PLACES = 6
NUMBERS = (
    "calls", "estimated", "free", "error_p10_percent", "error_median_percent", "error_p90_percent",
    "below_median_share", "below_p90_share", "settled_usd", "expected_usd", "bias_share",
    "input_used_p10_percent", "input_used_median_percent", "input_used_p90_percent",
    "above_input_bound", "hold_used_p10_percent", "hold_used_median_percent",
    "hold_used_p90_percent", "above_hold",
)  # fmt: skip


def render_calibration(found: Calibration, *, width: int | None = None) -> list[str]:
    """The lines, their total where there are several, the histogram, and what the words mean.

    width: columns of the terminal, or None for a pipe.
    """
    lines = fit_table(list(_columns(found)), width=width)
    if found.total.errors:
        lines += ["", *_histogram(found)]
    for note in ("", *_notes(found)):
        lines += wrap_line(note, width=width)
    return lines


def _columns(found: Calibration) -> Iterator[Column]:
    """Every column, with the order in which a narrow terminal gives them up."""
    tallies = [tally for _, tally in found.lines]
    names = [keys for keys, _ in found.lines]
    if len(tallies) > 1:
        tallies.append(found.total)
        names.append(("TOTAL", *[""] * (len(found.by) - 1)))
    for place, name in enumerate(found.by):
        yield Column(name.upper(), [keys[place] for keys in names], shorten=True)
    shown: tuple[tuple[str, list[str], int | None], ...] = (
        ("CALLS", [show_count(one.calls) for one in tallies], 6),
        ("ESTIMATED", [show_count(one.estimated) for one in tallies], None),
        ("ERROR", [_signed(one.errors.quantile(50), ERROR_PERCENT_MAX) for one in tallies], None),
        ("10–90 %", [_range(one.errors) for one in tallies], None),
        ("≤ MEDIAN", [_part(one.below_median, one.estimated) for one in tallies], 4),
        ("≤ P90", [_part(one.below_high, one.estimated) for one in tallies], 5),
        ("BIAS", [_bias(one) for one in tallies], None),
        ("INPUT USED", [_used(one.input_used) for one in tallies], 2),
        ("HOLD USED", [_used(one.hold_used) for one in tallies], 3),
        ("ABOVE HOLD", [show_count(one.above_hold) for one in tallies], 7),
    )
    for header, cells, give_up in shown:
        yield Column(header, cells, RIGHT, give_up)


def _signed(percent: int | None, most: int) -> str:
    if percent is None:
        return _NOTHING
    return f"{'≥ ' if percent >= most else ''}{percent:+,} %" if percent else "0 %"


def _range(errors: Spread) -> str:
    if not errors:
        return _NOTHING
    low, high = (_signed(errors.quantile(at), ERROR_PERCENT_MAX) for at in (10, 90))
    return f"{low} to {high}"


def _used(spread: Spread) -> str:
    percent = spread.quantile(50)
    if percent is None:
        return _NOTHING
    return f"{'≥ ' if percent >= USED_PERCENT_MAX else ''}{percent:,} %"


def _part(part: int, whole: int) -> str:
    return show_percent(Fraction(round(Fraction(1000 * part, whole)), 1000)) if whole else _NOTHING


def _bias(tally: Tally) -> str:
    share = _bias_share(tally)
    if share is None:
        return _NOTHING
    tenths = round(share * 1000)
    return f"{'+' if tenths > 0 else ''}{show_percent(Fraction(tenths, 1000))}"


def _bias_share(tally: Tally) -> Fraction | None:
    if not tally.settled:
        return None
    return Fraction(tally.expected - tally.settled, tally.settled)


def _histogram(found: Calibration) -> Iterator[str]:
    """A bar per range of the error, as long as its part of the calls."""
    ranges = list(found.histogram())
    counted = len(found.total.errors)
    most = max(calls for _, _, calls in ranges)
    labels = [_label(low, high) for low, high, _ in ranges]
    wide = max(map(len, labels))
    yield f"Error of the estimate in per cent of the bill, {show_count(counted)} calls:"
    for label, (_, _, calls) in zip(labels, ranges, strict=True):
        bar = "█" * -(-calls * _BAR_COLUMNS // most)
        yield f"{label:>{wide}}  {_part(calls, counted):>6}  {bar}".rstrip()


def _label(low: int | None, high: int | None) -> str:
    if low is None:
        return f"below {high:+} %"
    if high is None:
        return f"{low:+} % and more"
    return f"{low:+} to {high - 1:+} %"


def _notes(found: Calibration) -> Iterator[str]:
    """What the columns say, for those that hold something."""
    total = found.total
    yield (
        f"Estimated: calls of which at least {CALLS_MIN} earlier ones of their prompt, feature or "
        f"model had ended within {DAYS} days."
    )
    if total.estimated:
        yield (
            "Error: the estimate from earlier calls at the median output and the input that was "
            "billed, less the bill. ≤ MEDIAN and ≤ P90: bills within it; 50 % and 90 % were aimed "
            "at. Bias: of the sum, at the mean output."
        )
        yield (
            f"Their bills come to {show_dollars(total.settled)}; "
            f"{show_dollars(total.expected)} was expected."
        )
    if total.free:
        yield f"{show_count(total.free)} cost nothing, and have no error in per cent."
    yield "Input and hold used: what was billed in per cent of the bound and of the hold, median."
    if total.above_input:
        yield f"{show_count(total.above_input)} were billed more input than their bound said."
    if found.forgotten:
        yield (
            f"{show_count(found.forgotten)} groups of earlier calls were forgotten for want of "
            "room: their later calls began anew."
        )
    if total.above_hold:
        named = len(found.above)
        more = f", the first {named:,} of them" if total.above_hold > named else ""
        yield f"{show_count(total.above_hold)} settled above their hold{more}:"
        for one in found.above:
            yield _above(one)


def _above(one: AboveHold) -> str:
    return (
        f"  {one.call}: {show_dollars(one.cost)} on `{safe_text(one.model)}`, held "
        f"{show_dollars(one.hold)} ({one.bound}); `noburn why {one.call}` tells more"
    )


def calibration_csv(found: Calibration) -> str:
    """The lines as CSV with a heading; no total."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*found.by, *NUMBERS))
    for keys, tally in found.lines:
        writer.writerow((*keys, *("" if n is None else n for n in numbers(tally).values())))
    return text.getvalue()


def calibration_data(found: Calibration) -> dict[str, Any]:
    """The same as data: per cents whole, shares to six places, amounts exact."""
    return {
        "by": list(found.by),
        "rows": [
            {"key": dict(zip(found.by, keys, strict=True)), **numbers(tally)}
            for keys, tally in found.lines
        ],
        "total": numbers(found.total),
        "histogram": [
            {"from_percent": low, "below_percent": high, "calls": calls}
            for low, high, calls in found.histogram()
        ],
        "above_hold": [
            {
                "call": one.call, "at_ms": one.at_ms, "model": one.model, "bound": one.bound,
                "cost_usd": Nano(one.cost).exact(), "hold_usd": Nano(one.hold).exact(),
            }
            for one in found.above
        ],
        "forgotten_groups": found.forgotten,
    }  # fmt: skip


def numbers(tally: Tally) -> dict[str, int | str | None]:
    """The numbers of one line by NUMBERS' names."""
    values = (
        tally.calls, tally.estimated, tally.free,
        *(tally.errors.quantile(at) for at in _QUANTILES),
        _share(tally.below_median, tally.estimated), _share(tally.below_high, tally.estimated),
        Nano(tally.settled).exact(), Nano(tally.expected).exact(),
        _share(tally.expected - tally.settled, tally.settled),
        *(tally.input_used.quantile(at) for at in _QUANTILES), tally.above_input,
        *(tally.hold_used.quantile(at) for at in _QUANTILES), tally.above_hold,
    )  # fmt: skip
    return dict(zip(NUMBERS, values, strict=True))


def _share(part: int, whole: int) -> str | None:
    if not whole:
        return None
    scaled = round(Fraction(part, whole) * 10**_SHARE_PLACES)
    sign = "-" if scaled < 0 else ""
    units, rest = divmod(abs(scaled), 10**_SHARE_PLACES)
    return f"{sign}{units}.{rest:0{_SHARE_PLACES}d}"
