"""Imported calls in a report: added, marked, and never counted beside the ledger's own."""

from __future__ import annotations

from pathlib import Path

import apsw

from noburn_cli import paths, resources
from noburn_cli.core.imported import ListPrices
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.importing.job import Wanted, import_files
from noburn_cli.importing.sources.registry import SOURCES
from noburn_cli.render.report import report_data
from noburn_cli.render.report_columns import report_columns
from noburn_cli.render.report_notes import notes
from noburn_cli.render.report_views import render_outlook, render_pareto
from noburn_cli.reports.imported import UNPRICED
from noburn_cli.reports.lines import read_lines
from noburn_cli.reports.outlook import read_outlook
from noburn_cli.reports.pareto import read_pareto
from noburn_cli.reports.query import IMPORTED, LEDGER, Question
from tests.reports.made_ledger import Made

_CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "imports"
_BY = Question(by=("source",))


def _bring(home: Path, source: str) -> None:
    prices = ListPrices(PriceBook.from_texts([resources.shipped_prices()]))
    files = sorted(_CORPUS.glob(f"{source.replace('-', '_')}*"))
    wanted = Wanted(SOURCES[source], files, now_ms=1_795_000_000_000)
    import_files(home, wanted, prices, tell=lambda *_: None)


def _calls(home: Path, question: Question = _BY) -> dict[str, int]:
    return {line.keys[0]: line.sums.calls for line in read_lines(home, question).lines}


def _named(home: Path) -> list[tuple[str, int]]:
    connection = apsw.Connection(str(paths.imports_path(home)), flags=apsw.SQLITE_OPEN_READONLY)
    sql = "SELECT provider_id, min(reserved_at_ms) FROM calls WHERE provider_id NOTNULL GROUP BY 1"
    try:
        return [(str(one), int(at_ms)) for one, at_ms in connection.execute(sql)]
    finally:
        connection.close()


def test_imported_calls_are_added_once_and_marked(tmp_path: Path) -> None:
    _bring(tmp_path, "litellm")
    alone = _calls(tmp_path)  # No ledger yet.
    assert set(alone) == {"litellm"}
    (first, at_ms), (second, later_ms), *_ = _named(tmp_path)
    made = Made(paths.ledger_path(tmp_path), begin_ms=min(at_ms, later_ms) - 1)
    made.do(("reserve", {"customer": "acme"}, "gpt-6-luna", False))
    made.do(("reserve", {"customer": "acme"}, "gpt-6-luna", False))
    made.do(("reserve", {"customer": "acme"}, "gpt-6-luna", False))
    made.end("settle", 0, usage={"output": 9}, provider_id=first)
    made.commit()
    both = _calls(tmp_path)
    assert both == {"ledger": 3, "litellm": alone["litellm"] - 1}
    # What both know is kept beside the sums, and looked for again only in what is new.
    question = Question(by=("customer",))
    report = read_lines(tmp_path, question)
    assert (report.total.calls, report.imported.doubled) == (sum(both.values()), 1)
    made.end("settle", 1, usage={"output": 9}, provider_id=second)
    made.commit()
    report = read_lines(tmp_path, question)
    assert report.imported.doubled == 2
    scanned = read_lines(tmp_path, question, rollups=False)
    assert (report.lines, report.imported) == (scanned.lines, scanned.imported)
    assert any(f"{alone['litellm'] - 2:,} from litellm" in note for note in notes(report))
    assert report_data(report)["imported"]["left_out_as_known"] == 2
    only = {source: read_lines(tmp_path, Question((), sources=(source,))) for source in (
        LEDGER, IMPORTED)}  # fmt: skip
    assert only[LEDGER].total.calls == 3
    assert only[IMPORTED].total.calls == alone["litellm"]
    made.end("settle", 2, usage={"output": 9}, provider_id="nobody else's")
    made.close()
    _bring(tmp_path, "helicone")
    assert read_lines(tmp_path, question).imported.doubled >= 2


def test_calls_without_a_price_are_told_line_by_line(tmp_path: Path) -> None:
    """Goal: which lines have them is what the state says, and kept sums change nothing of it."""
    _bring(tmp_path, "litellm")
    report = read_lines(tmp_path, Question(by=("model",)))
    by_state = read_lines(tmp_path, Question(by=("model", "state")))
    told = {line.keys[:1]: line.sums.calls for line in by_state.lines if line.keys[1] == UNPRICED}
    assert told
    assert {keys: one.paid for keys, one in report.imported.unpriced_by.items()} == told
    assert report.imported.unpriced == (sum(told.values()), 0)


def test_the_views_say_what_they_cannot_add_up(tmp_path: Path) -> None:
    """Goal: a call without a price is no $0.00 in the Pareto view, and the forecast names it."""
    _bring(tmp_path, "litellm")
    found = read_pareto(tmp_path, Question(by=("model",)))
    shown = {line.split()[0]: line.split()[1] for line in render_pareto(found, top=None, width=None)
             if line.startswith(("a-model", "gpt"))}  # fmt: skip
    assert shown["a-model-of-our-own"] == "?"
    outlook = read_outlook(tmp_path, Question(by=()), now_ms=1_795_000_000_000)
    assert outlook.unpriced == 1
    assert "In no amount: 1 imported call" in render_outlook(outlook, width=None)[-1]


def test_what_a_plan_pays_for_is_told_beside_the_cost(tmp_path: Path) -> None:
    """Goal: an agent's calls are not shown as $0.00, and one without a list price is no cost."""
    _bring(tmp_path, "claude-code")
    report = read_lines(tmp_path, Question(by=("model",)))
    assert report.imported.unpriced == (0, 1)
    cells = {one.header: list(one.cells) for one in report_columns(report)}
    notional = dict(zip(cells["MODEL"], cells["NOTIONAL"], strict=True))
    assert notional["claude-made-up-9"] == "?"
    assert notional["TOTAL"].endswith(" + ?")
    assert set(cells["COST"]) == {"$0.00"}
    amounts = [line.sums.notional_nano for line in report.lines]
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[0] > 0
