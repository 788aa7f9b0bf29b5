"""`noburn report --calibration`: the journal against itself, in closed form."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.daemon.parts import START_MS
from tests.daemon.taught import Taught, teach

#: gpt-6-luna costs $0.1 in, $0.01 cached and $0.5 out per million: 100, 10 and 500 nano a token.
#: A reserve has 100 tokens of input and 1,000 of output at most: 510,000 nano are held.
_BOUND, _HELD = 100, 510_000


def _bill(output: int, given: int = 10, **more: int) -> dict[str, int]:
    return {"input": given, "output": output, **more}


@pytest.fixture
def judged(home: Any) -> Any:
    """50 calls of 100 tokens, then 10 of 200: in two features, with one bill above its hold."""
    calls = [Taught(_bill(100), attrs={"feature": "chat"}) for _ in range(30)]
    calls += [Taught(_bill(100), attrs={"feature": "search"}) for _ in range(20)]
    calls += [Taught(_bill(200), attrs={"feature": "search"}) for _ in range(10)]
    calls += [Taught(_bill(2_000, 160), attrs={"feature": "chat"}), Taught(end="lose")]
    teach(home.ledger, calls, start_ms=START_MS)
    return home


def _data(home: Any, *arguments: str) -> dict[str, Any]:
    document = json.loads(home.said("report", "--calibration", "--json", *arguments))
    assert (document["kind"], document["version"]) == ("noburn.report.calibration", 1)
    data: dict[str, Any] = document["data"]
    return data


def test_errors_bias_and_bounds_in_closed_form(judged: Any) -> None:
    data = _data(judged)
    (row,) = data["rows"]
    assert row == {"key": {"model": "gpt-6-luna"}, **data["total"]}
    # The first 20 find nothing; what was lost has no bill.
    assert (row["calls"], row["estimated"], row["above_hold"]) == (61, 41, 1)
    # 51,000 nano for 100 tokens out, 101,000 for 200: -49.5 % (half up) until 200 is what is known.
    ranges = {one["from_percent"]: one["calls"] for one in data["histogram"]}
    assert (ranges[-10], ranges[-50], sum(ranges.values())) == (30, 10, 41)
    assert row["error_median_percent"] == 0
    assert row["below_median_share"] == f"{30 / 41:.6f}"
    # Bills: 30 at 51,000 with 10 at 101,000, and the last one at 1,016,000.
    assert row["settled_usd"] == "0.003556"
    (above,) = data["above_hold"]
    assert (above["cost_usd"], above["hold_usd"], above["bound"]) == (
        "0.001016", "0.00051", "bytes",
    )  # fmt: skip
    assert (row["input_used_median_percent"], row["above_input_bound"]) == (10, 1)
    assert row["hold_used_median_percent"] == 10


def test_lines_filters_and_period(judged: Any) -> None:
    rows = _data(judged, "--by", "feature,basis")["rows"]
    estimated = {tuple(row["key"].values()): (row["calls"], row["estimated"]) for row in rows}
    assert estimated == {
        ("chat", "feature"): (11, 11), ("chat", "unknown"): (20, 0),
        ("search", "model"): (20, 20), ("search", "feature"): (10, 10),
    }  # fmt: skip
    only = _data(judged, "--feature", "search", "--by", "bound")
    assert [row["key"] for row in only["rows"]] == [{"bound": "bytes"}]
    assert (only["total"]["calls"], only["total"]["above_hold"]) == (30, 0)
    # What lies before the period teaches, and is in no line.
    begun = datetime.fromtimestamp(START_MS / 1000, tz=timezone.utc)
    then = (begun + timedelta(minutes=20)).isoformat()
    late = _data(judged, "--since", then)["total"]
    assert late["calls"] == late["estimated"] == 41
    early = _data(judged, "--until", then)["total"]
    assert (early["calls"], early["estimated"]) == (20, 0)
    assert _data(judged, "--model", "gpt-6.1-sol")["rows"] == []


def test_the_table_its_histogram_and_who_was_above(judged: Any) -> None:
    done = judged.noburn("report", "--calibration", "--by", "feature")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        *("FEATURE", "CALLS", "ESTIMATED", "ERROR", "10–90", "%", "≤", "MEDIAN", "≤", "P90"),
        *("BIAS", "INPUT", "USED", "HOLD", "USED", "ABOVE", "HOLD"),
    ]
    assert [line.split()[0] for line in lines[1:4]] == ["chat", "search", "TOTAL"]
    assert any(line.split()[:4] == ["-10", "to", "+10", "%"] and "█" * 40 in line for line in lines)
    assert "1 settled above their hold:" in lines
    assert lines[-1].endswith("tells more")
    assert "$0.001016 on `gpt-6-luna`, held $0.00051 (bytes)" in lines[-1]


def test_csv_has_every_number(judged: Any) -> None:
    read = list(csv.DictReader(io.StringIO(judged.said("report", "--calibration", "--csv"))))
    assert [(row["model"], row["calls"], row["above_hold"]) for row in read] == [
        ("gpt-6-luna", "61", "1")
    ]


def test_what_cannot_be_asked(home: Any) -> None:
    assert home.noburn("report", "--calibration").returncode == 4
    done = home.noburn("report", "--calibration", "--by", "day")
    assert (done.returncode, done.stdout) == (2, "")
    assert "a calibration has no lines by 'day'" in done.stderr
