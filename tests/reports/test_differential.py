"""`noburn report` says the same with its kept sums and without, whatever is asked of whatever
happened: views, zones, comparisons and imported calls as well, through the command itself."""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from noburn_cli import paths
from noburn_cli.cli import app
from noburn_cli.errors import NoburnError
from tests.reports.made_ledger import BEGIN_MS, DAY_MS, MODELS, Made, events

#: More of them are tried by hand, a thousand before a release.
EXAMPLES = int(os.environ.get("NOBURN_EXAMPLES", "3"))

_COLUMNS = (
    "customer", "feature", "model", "user", "project", "api", "state", "job", "run", "step",
)  # fmt: skip
_TIMES = ("tag.team", "source", "day", "week", "month", "hour")
_ZONES = ("UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")
_PERIODS = (
    "all", "2026-10", "2026-11", "2026", "2026-10-20..2026-11-03", "last-month", "7d", "24h",
)  # fmt: skip


def _words(
    cut: list[str], period: str, zone: str, only: list[str], more: list[str]
) -> list[str]:  # fmt: skip
    return ["--by", ",".join(cut), "--period", period, "--zone", zone, *only, *more]


_plain = st.builds(
    _words,
    st.lists(st.sampled_from([*_COLUMNS, *_TIMES]), min_size=1, max_size=3, unique=True)
    | st.sampled_from([["week", "tag.team"], ["tag.team", "month"]]),
    st.sampled_from(_PERIODS),
    st.sampled_from(_ZONES),
    st.sampled_from(
        [[], [], [], ["--customer", "acme"], ["--customer", "(none)"], ["--tag", "team=(none)"],
         ["--tag", "team=x"], ["--model", "gpt-6-luna"], ["--run", "r1"], ["--step", "a"]]
    ),
    st.sampled_from([[], [], ["--latency"], ["--top", "2"], ["--source", "ledger"]]),
)  # fmt: skip
_views = st.tuples(
    st.sampled_from(
        [["--pareto"], ["--pareto", "--by", "customer"], ["--anomalies", "--least", "$0"],
         ["--forecast"], ["--by", "api", "--compare", "--period", "2026-11"],
         ["--by", "day,user", "--compare", "--period", "7d"]]
    ),
    st.sampled_from(_ZONES),
).map(lambda both: [*both[0], "--zone", both[1]])  # fmt: skip
_imports = st.lists(
    st.tuples(
        st.integers(0, 40 * 24 * 60), st.sampled_from(["gpt-6-luna", "weird-model"]),
        st.integers(0, 999), st.sampled_from(["", "0.01", "0.5", "0"]),
        st.sampled_from(["acme", "", "new"]),
    ),
    max_size=6,
)  # fmt: skip
_untagged = ("reserve", {"customer": "acme"}, MODELS[0], False)
_tagged = ("reserve", {"tag.team": "x"}, MODELS[1], False)
_later = ("wait", DAY_MS)


def _import(folder: Path, rows: list[tuple[Any, ...]]) -> None:
    file = folder / "calls.csv"
    lines = ["id,created,model,tin,usd,who"]
    for number, (minutes, model, tokens, cost, who) in enumerate(rows):
        at_s = BEGIN_MS // 1000 + minutes * 60
        lines.append(f"i{number},{at_s},{model},{tokens},{cost},{who}")
    file.write_text("\n".join(lines) + "\n")
    mapping = "id=id,time=created,model=model,input=tin,cost=usd,customer=who"
    assert CliRunner().invoke(app, ["import", "csv", str(file), "--map", mapping]).exit_code == 0


def _data(*words: str) -> Any:
    """What the command answers as data; what it says of an error where that is its answer."""
    found = CliRunner().invoke(app, ["report", *words, "--json"])
    if found.exit_code:
        assert isinstance(found.exception, SystemExit | NoburnError), found.exception
        return str(found.exception)
    return json.loads(found.stdout)


# Several days of one week, on each a call with the tag and one without.
@example(
    done=[_untagged, _tagged, _later, _untagged, _tagged, _later, _untagged, _later, _untagged],
    rows=[], asked=[
        _words(["week", "tag.team"], "all", "UTC", [], []),
        _words(["week"], "all", "UTC", ["--tag", "team=(none)"], []),
        _words(["tag.team", "month"], "2026-10-20..2026-11-03", "UTC", [], []),
    ], ago_days=0,
)  # fmt: skip
# A correction is of no API.
@example(
    done=[_untagged, ("correct", {}, 70, 1)], rows=[], ago_days=0,
    asked=[_words(["api"], "all", "UTC", [], [])],
)  # fmt: skip
@settings(max_examples=EXAMPLES, deadline=None)
@given(
    done=st.lists(events, min_size=20, max_size=50), rows=_imports,
    asked=st.lists(_plain | _views, min_size=3, max_size=5), ago_days=st.sampled_from([0, 4, 27]),
)  # fmt: skip
def test_kept_sums_change_no_answer(
    done: list[Any], rows: list[Any], asked: list[list[str]], ago_days: int
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOBURN_HOME", f"{folder}/home")
        paths.ledger_path().parent.mkdir()
        made = Made(paths.ledger_path())
        for event in done:
            made.do(event)
        made.commit()
        if rows:
            _import(Path(folder), rows)
        now_ns = (made.now_ms - ago_days * DAY_MS) * 1_000_000
        patch.setattr(time, "time_ns", lambda: now_ns)
        for words in asked:
            kept = _data(*words)
            assert "scanned" not in kept
            assert kept == _data(*words, "--no-rollups")
        made.close()
