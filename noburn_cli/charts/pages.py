"""One HTML page with charts that can be pointed at: everything inside, nothing from elsewhere.

Layer: charts.  Below: charts.model, charts.pictures (its colours), errors; plotly's JavaScript,
where the extra is installed (the file inside its package; the package itself is not imported).
Above: commands.
Owns: the page's frame, and how a chart becomes what plotly.js draws.

The page's own policy forbids every request, so that what it shows of customers stays where it is.
Texts from outside are escaped twice: as JSON inside the page, and against the few tags that
plotly.js reads in labels (https://plotly.com/chart-studio-help/adding-HTML-and-links-to-charts/).
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from noburn_cli.charts.model import Axis, Bars, Curve, ticks
from noburn_cli.charts.pictures import COLOURS
from noburn_cli.errors import NoburnError

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data: blob:; base-uri 'none'; form-action 'none'"
)
_CSS = """
:root { color-scheme: light dark;
  --ink: #1b1f24; --dim: #57606a; --paper: #ffffff; --line: #d0d7de; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --dim: #8b949e; --paper: #0d1117; --line: #30363d; }
}
body { margin: 0 auto; max-width: 72rem; padding: 1rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
figure { margin: 1rem 0; } .chart { width: 100%; height: 26rem; }
figcaption, .dim { color: var(--dim); font-size: .9rem; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; }
th, td { text-align: right; padding: .25rem .75rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
"""
#: Draws every figure, and again when the reader changes between light and dark.
_DRAW = """
(function () {
  var dark = window.matchMedia("(prefers-color-scheme: dark)");
  function draw() {
    var style = getComputedStyle(document.documentElement);
    var ink = style.getPropertyValue("--ink"), line = style.getPropertyValue("--line");
    document.querySelectorAll(".chart").forEach(function (place) {
      var figure = JSON.parse(document.getElementById(place.id + "-data").textContent);
      figure.layout.font.color = ink;
      ["xaxis", "yaxis"].forEach(function (name) {
        figure.layout[name].gridcolor = line; figure.layout[name].zerolinecolor = line;
      });
      Plotly.react(place, figure.data, figure.layout,
        { responsive: true, displayModeBar: false });
    });
  }
  draw();
  dark.addEventListener("change", draw);
})();
"""


def plotly_script() -> Path:
    """The file plotly.min.js inside the installed package, for a page or a server.

    Raises NoburnError where the extra is missing.
    """
    found = find_spec("plotly")
    for folder in (found.submodule_search_locations or []) if found is not None else []:
        script = Path(folder) / "package_data" / "plotly.min.js"
        if script.is_file():
            return script
    raise NoburnError(
        "a page with charts needs plotly, which is not installed",
        next_step="pip install 'noburn-cli[charts]'",
    )


def figure_data(shown: Curve | Bars) -> dict[str, Any]:
    """What plotly.js draws: `data` and `layout`; colours of text and grid are the page's."""
    return _curve_data(shown) if isinstance(shown, Curve) else _bars_data(shown)


def figure_html(name: str, shown: Curve | Bars) -> str:
    """One figure for a page, to be drawn by the page's script.  name: unique in the page."""
    ident = html.escape(name, quote=True)
    # `<` would end the script element: https://html.spec.whatwg.org/#script-data-state
    data = json.dumps(figure_data(shown), allow_nan=False).replace("<", "\\u003c")
    caption = html.escape(shown.title)
    return (
        f'<figure><div class="chart" id="{ident}" role="img" aria-label="{caption}"></div>'
        f'<script type="application/json" id="{ident}-data">{data}</script>'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def page(title: str, body: Sequence[str]) -> str:
    """A whole page around parts that are HTML already: figures, headings, tables.

    Raises NoburnError where the extra is missing.
    """
    # A `</script` inside the library would end its element.
    script = plotly_script().read_text("utf-8").replace("</script", "<\\/script")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_CSS}</style></head>\n<body>"
        f"<h1>{html.escape(title)}</h1>\n" + "\n".join(body) + f"\n<script>{script}</script>"
        f"\n<script>{_DRAW}</script></body></html>\n"
    )


def table_html(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of texts, each escaped."""
    head = "".join(f"<th>{html.escape(one)}</th>" for one in headers)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _text(text: str) -> str:
    """A text in which plotly.js finds no tag."""
    return html.escape(text, quote=False)


def _layout(x: dict[str, Any], y: dict[str, Any], *, legend: bool) -> dict[str, Any]:
    return {
        "font": {"family": "system-ui, sans-serif"}, "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)", "margin": {"t": 24, "r": 16, "l": 64, "b": 56},
        "showlegend": legend, "legend": {"orientation": "h", "y": 1.08},
        "hovermode": "closest", "xaxis": x, "yaxis": y, "shapes": [], "annotations": [],
    }  # fmt: skip


def _axis_data(axis: Axis, limits: tuple[float, float]) -> dict[str, Any]:
    places = ticks(*limits, most=8)
    return {
        "title": {"text": _text(axis.label)}, "tickvals": places, "automargin": True,
        "ticktext": [_text(axis.show(place)) for place in places],
    }  # fmt: skip


def _curve_data(shown: Curve) -> dict[str, Any]:
    data: list[dict[str, Any]] = []
    for number, line in enumerate(shown.lines):
        colour, xs = COLOURS[number % len(COLOURS)], list(line.xs)
        if line.low:
            edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
            data.append({"x": xs, "y": list(line.low), **edge})
            fill = {"fill": "tonexty", "fillcolor": f"{colour}30"}
            data.append({"x": xs, "y": list(line.high), **edge, **fill})
        said = [
            "" if y is None else f"{shown.x.show(x)}: {shown.y.show(y)}"
            for x, y in zip(xs, line.ys, strict=True)
        ]
        data.append({
            "x": xs, "y": list(line.ys), "name": _text(line.name), "mode": "lines",
            "line": {"color": colour, "width": 2}, "text": [_text(one) for one in said],
            "hoverinfo": "text+name",
        })  # fmt: skip
    x, y = _axis_data(shown.x, shown.x_range()), _axis_data(shown.y, shown.y_range())
    layout = _layout(x, y, legend=len(shown.lines) > 1)
    dashed = {"type": "line", "line": {"color": "#888888", "width": 1, "dash": "dash"}}
    dotted = {"type": "line", "line": {"color": "#888888", "width": 1, "dash": "dot"}}
    small = {"showarrow": False, "font": {"size": 11}}
    for level in shown.levels:
        layout["shapes"].append(
            {**dashed, "xref": "paper", "x0": 0, "x1": 1, "y0": level.y, "y1": level.y}
        )
        layout["annotations"].append({
            **small, "xref": "paper", "x": 1, "xanchor": "right", "y": level.y,
            "yanchor": "bottom", "text": _text(level.label),
        })  # fmt: skip
    for mark in shown.marks:
        layout["shapes"].append(
            {**dotted, "yref": "paper", "y0": 0, "y1": 1, "x0": mark.x, "x1": mark.x}
        )
        layout["annotations"].append({
            **small, "yref": "paper", "y": 0, "yanchor": "bottom", "x": mark.x,
            "xanchor": "right", "textangle": -90, "text": _text(mark.label),
        })  # fmt: skip
    return {"data": data, "layout": layout}


def _bars_data(shown: Bars) -> dict[str, Any]:
    labels = [_text(label) for label in shown.labels]
    data = [
        {
            "type": "bar", "orientation": "h", "y": list(range(len(labels))),
            "x": list(one.values), "name": _text(one.name), "hoverinfo": "text",
            "marker": {"color": COLOURS[number % len(COLOURS)]},
            "text": ["" if v is None else _text(shown.axis.show(v)) for v in one.values],
        }
        for number, one in enumerate(shown.series)
    ]  # fmt: skip
    values = [value for one in shown.series for value in one.values if value is not None]
    limits = (min(0.0, *values, 0.0), max(0.0, *values, 0.0)) if values else (0.0, 1.0)
    y = {
        "tickvals": list(range(len(labels))), "ticktext": labels, "autorange": "reversed",
        "automargin": True,
    }  # fmt: skip
    layout = _layout(_axis_data(shown.axis, limits), y, legend=len(shown.series) > 1)
    return {"data": data, "layout": layout}
