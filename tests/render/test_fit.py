"""Tables that must fit a terminal, and the line that says how far long work has come."""

from __future__ import annotations

import io

import pytest

from noburn_cli.importing.batches import Batch
from noburn_cli.render import progress
from noburn_cli.render.budget import render_budgets
from noburn_cli.render.importing import render_batches
from noburn_cli.render.table import (
    RIGHT,
    Column,
    display_width,
    fit_table,
    prose_lines,
    wrap_line,
)

COLUMNS = [
    Column("NAME", ["a/rather/long/path/to/a/file.txt", "b"], shorten=True),
    Column("COUNT", ["1", "22"], RIGHT, give_up=1),
    Column("COST", ["$1.00", "$22.00"], RIGHT),
    Column("HOW", ["exact", "bytes"], give_up=2),
]


def test_a_pipe_gets_everything():
    lines = fit_table(COLUMNS, width=None)
    assert lines[0].split() == ["NAME", "COUNT", "COST", "HOW"]


def test_columns_go_in_their_order_and_then_names_are_shortened():
    assert fit_table(COLUMNS, width=54)[0].split() == ["NAME", "COUNT", "COST", "HOW"]
    assert fit_table(COLUMNS, width=50)[0].split() == ["NAME", "COST", "HOW"]
    assert fit_table(COLUMNS, width=42)[0].split() == ["NAME", "COST"]
    short = fit_table(COLUMNS, width=30)
    assert short[0].split() == ["NAME", "COST"]
    assert short[1].endswith("to/a/file.txt   $1.00")
    assert "…" in short[1]


@pytest.mark.parametrize("width", range(20, 60))
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(display_width, fit_table(COLUMNS, width=width))) <= width


def test_a_number_is_never_cut():
    assert fit_table([Column("COST", ["$1,000,000.00"])], width=5)[1] == "$1,000,000.00"


def test_a_sentence_breaks_under_its_own_column():
    line = "Band    thin, as many plans are"
    assert wrap_line(line, width=None) == [line]
    assert wrap_line(line, width=30, indent=8) == ["Band    thin, as many plans", "        are"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_budgets_batches_and_notes_fit_a_terminal():
    account = {
        "key": "customer=acme", "limit": 5_000_000_000, "topup": 2_000_000_000, "settled": 0,
        "held": 0, "waiting": 0, "window_start_ms": 0, "resets_at_ms": 1_796_083_200_000,
    }  # fmt: skip
    budget = {
        "name": "customer=* per month", "scope": "customer=*", "per": "month", "unit": "dollars",
        "limit": 5_000_000_000, "zone": "UTC", "accounts": [account], "action": "block",
    }  # fmt: skip
    batch = Batch(1, "csv", 0, 1, {}, 124, 512, 106_910_000_000, 0, 0, 0, 1)
    notes = prose_lines(["  sums of days, not calls: they stand beside whatever else"], width=40)
    budgets = render_budgets([budget], now_ms=1_795_818_144_712, width=60)
    lines = [*budgets, *render_batches([batch], width=60), *notes]
    assert max(map(display_width, lines)) <= 60
    assert "$7.00" in budgets[-1]
    assert notes == ["  sums of days, not calls: they stand", "  beside whatever else"]


def test_long_work_says_how_far_it_is(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    terminal = Terminal()
    shown = progress.Progress(terminal)
    shown.begin(2_000, "requests counted")
    shown.step()
    assert terminal.getvalue() == ""  # Short work stays silent.
    now[0] = 1.5
    shown.step()
    shown.step()
    assert terminal.getvalue().count("2 of 2,000 requests counted") == 1
    shown.end()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_pipe_hears_nothing(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    pipe = io.StringIO()
    shown = progress.Progress(pipe)
    shown.begin(1, "requests counted")
    shown.step()
    shown.end()
    progress.Progress(None).step()
    assert pipe.getvalue() == ""
