"""Charts in a terminal, as pictures and in a page: what stands where, and what stays outside."""

from __future__ import annotations

import fcntl
import io
import json
import os
import re
import struct
import sys
import termios
from dataclasses import replace
from pathlib import Path

import pytest

from noburn_cli.charts import pages, pictures, terminal
from noburn_cli.charts.model import Axis, Bars, Curve, Level, Line, Mark, Series, ticks
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.render.table import display_width

NASTY = "\x1b[31m<b>$x$</b></script>"
XS = [float(x) for x in range(41)]


def percent(value):
    return f"{value * 100:.0f} %"


FALLING = Line("pro", XS, [1 - x / 20 for x in XS])
CURVE = Curve(
    "Margin by tokens",
    Axis("millions", lambda x: f"{x:.0f}M"),
    Axis("margin", percent),
    [FALLING],
    [Level(0.0, "break-even"), Level(0.7, "target")],
    [Mark(6.0, "6M: the target", 0.7), Mark(20.0, "20M: break-even", 0.0)],
)
BARS = Bars(
    "Spend",
    ["acme", "世界", NASTY],
    [Series("now", [3.0, 0.001, -1.0]), Series("before", [2.0, None, 0.0])],
    Axis("dollars", lambda value: f"${value:.2f}"),
)


def test_ticks_are_round_and_few():
    assert ticks(0, 1, most=6) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    for low, high, most in ((0, 4e6, 6), (-1.0, 1.0, 5), (0.0, 0.37, 8), (3, 3.0001, 4)):
        found = ticks(low, high, most=most)
        assert 2 <= len(found) <= most
        assert low <= found[0] + 1e-9 * abs(high)
        assert found[-1] <= high + 1e-9 * abs(high)
    assert ticks(1, 1, most=5) == []


def test_a_curve_puts_its_points_levels_and_marks_where_they_belong():
    """0 % is the middle row of -100 % to 100 %, and 20 of 40 the middle column."""
    style = terminal.Style(width=71, height=17, unicode=False)
    lines = terminal.curve(CURVE, style)
    assert lines[0] == "Margin by tokens"
    plot = lines[1:18]
    assert [row.split("+")[0].strip() for row in plot if "+" in row[:9]] == [
        "100 %", "50 %", "0 %", "-50 %", "-100 %",
    ]  # fmt: skip
    left = plot[0].index("+") + 1
    zero = plot[8]
    width = 71 - left
    assert zero[left + round((width - 1) / 2)] == "B"
    assert zero.rstrip().endswith("break-even")
    assert plot[0][left] == "*"
    assert "---" in zero
    assert lines[-2:] == ["A  6M: the target", "B  20M: break-even"]
    assert "\n".join(lines).isascii()
    assert all(len(line) <= 71 for line in lines)


def test_a_name_of_a_level_hides_no_mark():
    """A mark near the right end of a level moves the level's name to the left of it."""
    marked = replace(CURVE, marks=[Mark(39.0, "late", 0.7)])
    lines = terminal.curve(marked, terminal.Style(unicode=False))
    (target,) = [line for line in lines if " target " in line]
    assert target.index("target") < target.index("A")


def test_one_line_is_dots_and_several_are_told_apart_without_colour():
    alone = "\n".join(terminal.curve(CURVE, terminal.Style()))
    assert re.search("[\u2801-\u28ff]", alone)
    flat = Line("team", XS, [0.2] * len(XS))
    lines = terminal.curve(
        Curve("", CURVE.x, CURVE.y, [FALLING, flat]), terminal.Style(unicode=False)
    )
    assert lines[-1] == "* pro  x team"
    assert sum(line.count("x") for line in lines[:-1]) > 20


def test_a_band_is_drawn_and_a_gap_is_left():
    band = Line("mean", [0, 10, 20], [0.5, None, 0.5], [0.4, 0.3, 0.4], [0.6, 0.7, 0.6])
    shown = "\n".join(
        terminal.curve(Curve("", Axis(""), Axis("", percent), [band]), terminal.Style())
    )
    assert shown.count("░") > 100
    with pytest.raises(ValueError, match="different lengths"):
        Line("x", [1, 2], [1])


def test_bars_are_as_long_as_their_values_and_fit():
    lines = terminal.bars(BARS, terminal.Style(width=60, unicode=False))
    assert max(display_width(line) for line in lines) <= 60
    acme, before, small = lines[1], lines[2], lines[3]
    assert acme.count("#") * 2 // 3 - before.count("#") in (0, 1, -1)
    assert small.count("#") == 1  # What is above 0 never looks like none.
    assert "\x1b" not in "".join(lines)
    assert "\\x1b[31m" in lines[5]


def test_colour_is_for_terminals_that_want_it(tmp_path):
    plain = terminal.style_of(io.StringIO(), {"TERM": "xterm"})
    assert (plain.colour, plain.width) == (False, terminal.WIDTH)
    with (tmp_path / "ascii").open("w", encoding="ascii") as file:
        assert not terminal.style_of(file, {}).unicode
    coloured = terminal.curve(CURVE, terminal.Style(colour=True))
    bare = [re.sub(r"\x1b\[\d+m", "", line) for line in coloured]
    assert bare == terminal.curve(CURVE, terminal.Style())
    assert all(line.count("\x1b[0m") == len(re.findall(r"\x1b\[3\dm", line)) for line in coloured)


def test_a_terminal_says_what_it_can_show(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    leader, follower = os.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 63, 0, 0))
    with os.fdopen(follower, "w", encoding="utf-8") as file:
        seen = terminal.style_of(file, {"TERM": "xterm"})
        assert (seen.width, seen.unicode, seen.colour) == (63, True, True)
        assert not terminal.style_of(file, {"TERM": "xterm", "NO_COLOR": "1"}).colour
        dumb = terminal.style_of(file, {"TERM": "dumb"})
        assert (dumb.unicode, dumb.colour) == (False, False)
    os.close(leader)


def test_pictures_are_whole_and_the_same_each_time(tmp_path):
    for shown, name in ((CURVE, "curve"), (BARS, "bars")):
        pictures.save(shown, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        pictures.save(shown, tmp_path / f"{name}.svg")
        first = (tmp_path / f"{name}.svg").read_bytes()
        pictures.save(shown, tmp_path / f"{name}.svg")
        assert (tmp_path / f"{name}.svg").read_bytes() == first
    svg = (tmp_path / "bars.svg").read_text("utf-8")
    assert "&lt;b&gt;$x$&lt;/b&gt;" in svg  # No formula, no tag.
    assert {path.suffix for path in tmp_path.iterdir()} == {".png", ".svg"}  # No part is left.
    with pytest.raises(UsageError, match="cannot be saved"):
        pictures.save(CURVE, tmp_path / "curve.pdf")
    with pytest.raises(UsageError, match="cannot be saved"):
        pictures.save(CURVE, tmp_path / "none" / "curve.svg")
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(UsageError, match="no regular file"):
        pictures.save(CURVE, tmp_path / "folder.svg")


def test_a_page_holds_everything_and_asks_nobody():
    body = [pages.figure_html("a", CURVE), pages.figure_html("b", BARS)]
    whole = pages.page(NASTY, [*body, pages.table_html([NASTY], [[NASTY]])])
    ours = whole.replace(
        pages.plotly_script().read_text("utf-8").replace("</script", "<\\/script"), ""
    )
    assert len(ours) < 20_000
    assert not re.search(r"(src|href)\s*=|https?://|@import|url\(", ours)
    assert "default-src 'none'" in ours
    assert "<b>" not in ours
    assert ours.count("</script>") == 4  # Two figures' data, the library, the drawing.
    found = re.findall(r'<script type="application/json" id="(\w+)-data">(.*?)</script>', ours)
    figures = {name: json.loads(text) for name, text in found}
    assert figures["a"]["data"][0]["y"][0] == 1
    assert figures["a"]["layout"]["annotations"][0]["text"] == "break-even"
    assert figures["b"]["layout"]["yaxis"]["ticktext"][2].endswith(
        "&lt;b&gt;$x$&lt;/b&gt;&lt;/script&gt;"
    )


def test_without_the_extra_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for module in (pictures, pages):
        monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(NoburnError) as caught:
        pictures.save(CURVE, Path(tmp_path / "x.svg"))
    assert "noburn-cli[charts]" in caught.value.next_step
    assert caught.value.exit_code == 1  # as of every library that is missing: not wrong usage
    with pytest.raises(NoburnError) as caught:
        pages.plotly_script()
    assert "noburn-cli[charts]" in caught.value.next_step
