"""Kept sums are those of a scan, whatever happened in between; what is in doubt is made anew."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli import paths
from noburn_cli.reports.lines import read_lines, read_top
from noburn_cli.reports.query import LEDGER, Question, read_report
from noburn_cli.reports.rollups import cache
from noburn_cli.reports.top import top_lines
from noburn_cli.reports.totals import Report
from tests.reports.made_ledger import BEGIN_MS, DAY_MS, HOUR_MS, Made, events

#: More of them are tried by hand, a thousand before a release.
EXAMPLES = int(os.environ.get("NOBURN_EXAMPLES", "8"))

_columns = st.lists(
    st.sampled_from(
        ["customer", "feature", "model", "user", "project", "api", "state", "job", "run", "step",
         "tag.team", "tag.tier", "day", "week", "month", "hour"]
    ),
    max_size=3, unique=True,
)  # fmt: skip
_where = st.dictionaries(
    st.sampled_from(["customer", "feature", "model", "user", "job", "tag.team", "project"]),
    st.sampled_from(["acme", "globex", "chat", "gpt-6-luna", "(none)", "x", "p", "j1"]),
    max_size=2,
)
_moment = st.none() | st.integers(-1, 60 * 24 * 40).map(lambda minutes: BEGIN_MS + minutes * 61_003)
_days = st.none() | st.integers(0, 40).map(lambda days: BEGIN_MS + HOUR_MS + days * DAY_MS)
questions = st.builds(
    Question,
    by=_columns.map(tuple),
    since_ms=_moment | _days,
    until_ms=_moment | _days,
    where=_where,
    run=st.none() | st.sampled_from(["r1", "r2", "r1/r2"]),
    step=st.none() | st.sampled_from(["a", "b"]),
    zone=st.sampled_from(["UTC", "UTC", "Asia/Kolkata", "America/New_York"]),
    sources=st.just((LEDGER,)),
    latency=st.booleans(),
)
_runs = st.lists(
    st.one_of(
        *[st.tuples(st.just("do"), events)] * 8,
        st.tuples(st.just("ask"), questions),
        st.tuples(st.just("compact"), st.sampled_from(["2026-11", "2026-12"])),
        st.tuples(st.just("forget"), st.just("acme")),
        st.tuples(st.just("new process"), st.none()),
    ),
    min_size=5, max_size=60,
)  # fmt: skip


def _same(home: Path, question: Question) -> Report:
    """Goal: the answer from kept sums is that of a scan, line by line."""
    kept = read_lines(home, question)
    scanned = read_report(paths.ledger_path(home), question)
    assert kept.scanned is None
    by_keys = ({line.keys: line for line in found.lines} for found in (kept, scanned))
    assert next(by_keys) == next(by_keys)
    assert len(kept.lines) == len(scanned.lines)
    assert replace(kept, lines=()) == replace(scanned, lines=())
    if not question.latency:
        assert read_top(home, question, 2) == top_lines(scanned, 2)
    return kept


@settings(max_examples=EXAMPLES, deadline=None)
@given(steps=_runs, last=questions, chunk=st.sampled_from([1, 3, 200_000]))
def test_kept_sums_are_those_of_a_scan(
    steps: list[tuple[str, Any]], last: Question, chunk: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(cache, "CHUNK_ROWS", chunk)
        home = Path(folder)
        made = Made(paths.ledger_path(home))
        for word, what in steps:
            if word == "do":
                made.do(what)
            elif word == "ask":
                made.commit()
                _same(home, what)
            elif word == "compact" and made.now_ms > BEGIN_MS + 20 * DAY_MS:
                made.compact(what)
            elif word == "forget":
                made.forget(what)
        made.commit()
        _same(home, last)
        _same(home, Question(by=("customer", "state"), sources=(LEDGER,), latency=True))
        made.close()
