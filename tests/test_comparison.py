"""What docs/comparison.md says was measured is what the committed results say."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks.comparison.fifty import MODES, TOOLS, Result, table

ROOT = Path(__file__).resolve().parents[1]
RESULTS = sorted((ROOT / "benchmarks/comparison/results").glob("fifty-*.json"))


def test_the_table_is_that_of_the_newest_results() -> None:
    data = json.loads(RESULTS[-1].read_text(encoding="utf-8"))
    results = [Result(**one) for one in data["results"]]
    text = (ROOT / "docs/comparison.md").read_text(encoding="utf-8")
    assert "\n".join(table(results)) in text
    assert data["date"] in text
    assert {(one.tool, one.mode) for one in results} == {
        (tool.name, mode) for tool in TOOLS for mode in MODES
    }
