"""Tables: aligned for the eye, and harmless to the terminal."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.render.table import display_width, format_table, print_table, safe_text


def test_columns_line_up():
    rows = [("gpt-6-luna", 1), ("claude-opus-5-5", 1_000)]
    assert format_table(("MODEL", "CALLS"), rows, align="lr") == [
        "MODEL            CALLS",
        "gpt-6-luna           1",
        "claude-opus-5-5   1000",
    ]


def test_wide_and_combining_characters_take_their_columns():
    rows = [("日本", "1"), ("e\u0301te\u0301", "2"), ("abcd", "3")]
    assert format_table((), rows) == ["日本  1", "e\u0301te\u0301   2", "abcd  3"]


def test_a_table_without_rows_is_its_heading():
    assert format_table(("A", "B"), []) == ["A  B"]
    assert format_table((), []) == []


@pytest.mark.parametrize("align", ["lrr", "x"])
def test_an_alignment_that_does_not_fit_is_refused(align):
    with pytest.raises(ValueError, match="align"):
        format_table(("A", "B"), [("1", "2")], align=align)


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="another length"):
        format_table(("A", "B"), [("1",)])


@given(
    st.lists(st.tuples(st.text(), st.text(), st.text()), min_size=1), st.sampled_from(["", "rlr"])
)
def test_no_cell_reaches_the_terminal_as_a_command(rows, align):
    """Goal: a customer's name cannot move the cursor, break a line or turn the text around."""
    lines = format_table(("A", "B", "C"), rows, align=align)
    assert len(lines) == len(rows) + 1
    assert all(line.isprintable() for line in lines)


def test_controls_are_spelt_out():
    assert safe_text("a\x1b[31mb\n\u202ec") == "a\\x1b[31mb\\n\\u202ec"


def test_widths_are_columns():
    assert [display_width(text) for text in ("abc", "日", "e\u0301", "")] == [3, 2, 1, 0]


def test_a_table_goes_where_it_is_sent():
    target = io.StringIO()
    print_table(("A",), [("1",)], file=target)
    assert target.getvalue() == "A\n1\n"
