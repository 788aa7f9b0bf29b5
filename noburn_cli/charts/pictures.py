"""Charts as pictures: svg and png files, drawn by matplotlib.

Layer: charts.  Below: charts.model, whole_files, errors; matplotlib, where the extra is
installed.  Above: commands.
Owns: how a curve and bars look on paper, and which endings are pictures.

The same chart gives the same bytes: no date, no random ids.  Texts are drawn as they are, so that a
`$` or a name from outside begins no formula.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.charts.model import Axis, Bars, Curve, ticks
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.whole_files import appearing, file_to_replace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ENDINGS = (".svg", ".png")
#: Inches, and dots in each: 1280 by 720.
_SIZE, _DOTS = (8.0, 4.5), 160
#: Okabe and Ito's colours, told apart by colour-blind people as well.
#: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_STYLES = ("-", "--", "-.", ":")


def check_path(path: Path) -> None:
    """Raises UsageError for an ending that is no picture, a folder that is not there, what is no
    regular file, or without matplotlib."""
    if path.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"a chart cannot be saved as {path.name!r}",
            why=f"the ending says the form: {' or '.join(ENDINGS)}",
            next_step="name it like margin.svg or margin.png",
        )
    if not path.parent.is_dir():
        raise UsageError(
            f"a chart cannot be saved as {str(path)!r}",
            why=f"there is no folder {path.parent}",
            next_step="make it, or name a file in one that is there",
        )
    if find_spec("matplotlib") is None:
        raise NoburnError(
            "pictures need matplotlib, which is not installed",
            next_step="pip install 'noburn-cli[charts]'",
        )
    file_to_replace(path)


def save(shown: Curve | Bars, path: Path) -> None:
    """Draw a chart into a file, which is replaced only by a whole one.

    Raises UsageError as `check_path`, and NoburnError where the file cannot be written.
    """
    check_path(path)
    with _quiet():
        data = _drawn(shown, path.suffix.lower().removeprefix("."))
    with appearing(path) as part:
        part.write_bytes(data)


@contextmanager
def _quiet() -> Iterator[None]:
    """matplotlib warns of characters that its font lacks; the picture shows a box for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _drawn(shown: Curve | Bars, form: str) -> bytes:
    from io import BytesIO

    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Not pyplot: it looks for a screen, and keeps every figure.
    settings: Any = {
        "text.parse_math": False, "svg.hashsalt": "noburn", "svg.fonttype": "none",
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "grid.alpha": 0.25, "font.size": 10,
    }  # fmt: skip
    with mpl.rc_context(settings):
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        if isinstance(shown, Curve):
            _draw_curve(shown, axes)
        else:
            _draw_bars(shown, axes)
        axes.set_title(shown.title, loc="left")
        target = BytesIO()
        metadata = {"Date": None} if form == "svg" else {"Software": None}
        figure.savefig(target, format=form, dpi=_DOTS, metadata=metadata)
    return target.getvalue()


def _draw_curve(shown: Curve, axes: Axes) -> None:
    for number, line in enumerate(shown.lines):
        colour = COLOURS[number % len(COLOURS)]
        if line.low:
            axes.fill_between(list(line.xs), line.low, line.high, color=colour, alpha=0.18, lw=0)
        ys = [float("nan") if y is None else y for y in line.ys]
        style = _STYLES[number // len(COLOURS) % len(_STYLES)]
        axes.plot(list(line.xs), ys, style, color=colour, label=line.name, lw=1.8)
    x, y = shown.x_range(), shown.y_range()
    axes.set_xlim(*x)
    room = (y[1] - y[0]) * 0.04
    axes.set_ylim(y[0] - room, y[1] + room)
    for level in shown.levels:
        axes.axhline(level.y, color="#555555", lw=0.9, ls=(0, (4, 3)))
        axes.annotate(
            level.label, (1, level.y), xycoords=("axes fraction", "data"), ha="right", va="bottom",
            color="#555555", fontsize=8,
        )  # fmt: skip
    for mark in shown.marks:
        axes.axvline(mark.x, color="#999999", lw=0.8, ls=":")
        if mark.y is not None:
            axes.plot([mark.x], [mark.y], "o", color="#333333", ms=4)
        axes.annotate(
            mark.label, (mark.x, 0.02), xycoords=("data", "axes fraction"), rotation=90,
            ha="right", va="bottom", color="#555555", fontsize=7,
        )  # fmt: skip
    _ticks(axes.xaxis, shown.x, x)
    _ticks(axes.yaxis, shown.y, y)
    axes.set_xlabel(shown.x.label)
    axes.set_ylabel(shown.y.label)
    if len(shown.lines) > 1:
        axes.legend(frameon=False, fontsize=9)


def _draw_bars(shown: Bars, axes: Axes) -> None:
    places = list(range(len(shown.labels)))
    height = 0.8 / max(len(shown.series), 1)
    for number, one in enumerate(shown.series):
        values = [0.0 if value is None else value for value in one.values]
        offset = (number - (len(shown.series) - 1) / 2) * height
        drawn = axes.barh(
            [place + offset for place in places], values, height=height * 0.9, label=one.name,
            color=COLOURS[number % len(COLOURS)],
        )  # fmt: skip
        texts = ["" if value is None else shown.axis.show(value) for value in one.values]
        axes.bar_label(drawn, texts, padding=3, fontsize=8)
    axes.set_yticks(places, list(shown.labels))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.12)
    low, high = axes.get_xlim()
    _ticks(axes.xaxis, shown.axis, (low, high))
    axes.set_xlabel(shown.axis.label)
    if len(shown.series) > 1:
        axes.legend(frameon=False, fontsize=9)


def _ticks(axis: Any, described: Axis, limits: tuple[float, float]) -> None:
    places = ticks(*limits, most=8)
    axis.set_ticks(places, [described.show(place) for place in places])
