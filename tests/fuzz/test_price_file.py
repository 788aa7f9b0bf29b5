"""A book with something wrong in it is read or refused by name; what is written is read alike."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.pricebook_file import generated_of
from noburn_cli.errors import PriceBookInvalid
from noburn_cli.price_sources.writing import render_overlay

SHIPPED = (Path(__file__).resolve().parents[2] / "pricing.toml").read_text("utf-8")
#: The head and some models of every shape: tiers, variants, fees, dates.
PARTS = SHIPPED.split("\n[[model]]\n")
SMALL = "\n[[model]]\n".join([PARTS[0], *PARTS[1:200:40]])


def read(text: str) -> None:
    generated_of(text)
    with contextlib.suppress(PriceBookInvalid):
        PriceBook.from_texts([("x", text)])


@settings(deadline=None)
@given(st.integers(0, len(SMALL)), st.integers(0, 40), st.text(max_size=12))
def test_a_book_with_one_place_changed(at: int, cut: int, put: str) -> None:
    read(SMALL[:at] + put + SMALL[at + cut :])


@settings(deadline=None)
@given(st.data())
def test_a_book_with_lines_gone_twice_or_moved(data: st.DataObject) -> None:
    lines = SMALL.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        lines.insert(data.draw(st.integers(0, len(lines))), lines[at])
        if data.draw(st.booleans()):
            lines.pop(at)
    read("\n".join(lines))


def test_what_an_update_writes_says_the_same_over_any_book() -> None:
    """Goal: nothing of an earlier file shows through a model that lies over it."""
    models = PriceBook.from_texts([("x", SHIPPED)]).models()
    over = render_overlay(models, {}, {"source": "test"})
    older = SHIPPED.replace("output_min = 16\n", "output_min = 17\n")
    older = older.replace('\ntokenizer = "', '\nretires_on = 2020-01-01\nnote = "x"\ntokenizer = "')
    older = "\n".join(
        line for line in older.split("\n") if not line.startswith(("retires_on = 202", "note = "))
        or line == "retires_on = 2020-01-01"
    )  # fmt: skip
    assert PriceBook.from_texts([("a", older), ("b", over)]).models() == models
