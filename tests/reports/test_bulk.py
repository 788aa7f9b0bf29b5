"""The benchmark's ledger in small: a true one, and its kept sums are those of a scan."""

from __future__ import annotations

from pathlib import Path

from benchmarks.reports_ledger import Builder
from noburn_cli import paths
from noburn_cli.reports.costs import daily_costs
from noburn_cli.reports.lines import read_lines
from noburn_cli.reports.query import LEDGER, Question, read_report
from noburn_cli.reports.verify import verify_ledger

_GROUPINGS = (
    ("customer", "feature", "model"), ("day",), ("run",), ("feature", "user"), ("step", "state"),
    ("tag.tier",), ("customer", "project"), ("month", "model"), ("week", "tag.tier"),
)  # fmt: skip


def test_a_ledger_made_in_bulk(tmp_path: Path) -> None:
    ledger = paths.ledger_path(tmp_path)
    Builder(ledger, 600).build(600)
    assert verify_ledger(ledger).holds
    for by in _GROUPINGS:
        question = Question(by=by, sources=(LEDGER,), latency=True, zone="Asia/Kolkata")
        kept, scanned = read_lines(tmp_path, question), read_report(ledger, question)
        assert kept.scanned is None
        assert kept.lines == scanned.lines
        assert kept.total == scanned.total
    total = read_report(ledger, Question(by=("model",))).total
    costs = list(daily_costs(tmp_path, None, None))
    assert sum(one.cost_nano for one in costs) == total.cost_nano
    assert sum(one.calls for one in costs) == total.calls
    tokens = sum(sum(one.tokens.values()) - one.tokens.get("reasoning", 0) for one in costs)
    assert tokens == total.input_tokens + total.output_tokens
    assert [one.day for one in costs] == sorted(one.day for one in costs)
