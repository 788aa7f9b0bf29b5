"""The gate in a terminal: what a narrow one gives up, and what it keeps."""

from __future__ import annotations

from noburn_cli.render.gate_table import render_gate
from noburn_cli.render.table import display_width
from tests.gate_results import added, gate, grown, removed


def test_a_narrow_terminal_keeps_the_month_and_the_difference() -> None:
    """Goal: eighty columns hold the table; what it costs and by how much goes last."""
    result = gate(grown(), added(), removed())
    heads = {}
    for width in (None, 100, 80, 60):
        table = render_gate(result, width=width, show_all=False)
        table = table[: table.index("")]
        heads[width] = table[0]
        assert width is None or max(map(display_width, table)) <= width
        assert "+$" in table[1]
    assert " A CALL " in heads[None]
    for head in heads.values():
        assert all(one in head for one in ("PROMPT", "A MONTH", "CHANGE"))
