"""`noburn report`: sums from the ledger's file, exact, grouped as asked."""

from __future__ import annotations

import csv
import io
import json
import os
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.reports.totals import Line, Sums, make_report

BY_STATE = """\
STATE      CALLS  TOKENS IN  TOKENS OUT        COST   SHARE        HELD   UNCERTAIN  BLOCKED  CLAMPED
settled        2        700         455  $0.0002885  45.7 %           -           -        0        1
orphaned       1          0           0  $0.0001717  27.2 %           -  $0.0001717        0        0
uncertain      1          0           0  $0.0001717  27.2 %           -  $0.0001717        0        0
held           1          0           0       $0.00     0 %  $0.0001717           -        0        0
voided         1          0           0       $0.00     0 %           -           -        0        0
blocked        0          0           0       $0.00     0 %           -           -        1        0
refused        0          0           0       $0.00     0 %           -           -        1        0
TOTAL          6        700         455  $0.0006319   100 %  $0.0001717  $0.0003434        2        1

2 uncertain: charged at the hold because no bill came; `noburn ledger orphans` lists them.
Held is money of calls still in flight; no cost includes it.
1 of the blocked were refused: no bound, no price or no recorded answer.
"""  # noqa: E501


def _rows(home: Any, *arguments: str) -> list[dict[str, Any]]:
    document = json.loads(home.said("report", "--json", *arguments))
    assert (document["kind"], document["version"]) == ("noburn.report", 1)
    rows: list[dict[str, Any]] = document["data"]["rows"]
    return rows


def test_report_by_state(filled: Any) -> None:
    done = filled.noburn("report", "--by", "state")
    assert (done.stdout, done.stderr, done.returncode) == (BY_STATE, "", 0)


def test_json_is_exact(filled: Any) -> None:
    document = json.loads(filled.said("report", "--json", "--by", "customer"))["data"]
    costs = {row["key"]["customer"]: row["cost_usd"] for row in document["rows"]}
    assert costs == {"acme": "0.0006319", "globex": "0", "(none)": "0"}
    assert document["total"]["cost_usd"] == "0.0006319"
    assert document["total"]["share"] == "1.000000"
    assert sum(Decimal(cost) for cost in costs.values()) == Decimal("0.0006319")


def test_several_columns_and_filters(filled: Any) -> None:
    rows = _rows(filled, "--by", "customer,state", "--customer", "acme")
    states = {row["key"]["state"] for row in rows}
    assert states == {"settled", "uncertain", "orphaned", "held"}
    assert {row["key"]["customer"] for row in rows} == {"acme"}


def test_tag_and_missing_tag(filled: Any) -> None:
    rows = {row["key"]["tag.team"]: row["calls"] for row in _rows(filled, "--by", "tag.team")}
    assert rows == {"x": 1, "(none)": 5}
    assert [row["calls"] for row in _rows(filled, "--tag", "team=x")] == [1]


@pytest.mark.parametrize(("run", "calls"), [("r1", 1), ("r2", 1), ("r1/r2", 1), ("r", 0)])
def test_a_run_holds_the_runs_inside_it(filled: Any, run: str, calls: int) -> None:
    assert sum(row["calls"] for row in _rows(filled, "--run", run)) == calls


def test_a_run_is_named_by_its_beginning_or_as_the_last_one(home: Any, reserve: Any) -> None:
    home.said("daemon", "start")
    with home.client() as client:
        for run in ("r10", "r20", "r20/r31"):
            client.run_start(run=run, attrs={}, command=["agent"], limit=None)
            assert client.reserve(reserve(f"c-{run[-3:]}", attrs={"run": run}))["ok"]
            client.settle(f"c-{run[-3:]}", {"input": 1}, latency_ms=1, status=200)
    told = {name: sum(row["calls"] for row in _rows(home, "--run", name))
            for name in ("r1", "r20", "r3", "last", "r4")}  # fmt: skip
    assert told == {"r1": 1, "r20": 2, "r3": 1, "last": 1, "r4": 0}
    refused = home.noburn("report", "--run", "r")
    assert (refused.returncode, "several runs begin with 'r'" in refused.stderr) == (2, True)
    assert "without filters" in home.noburn("report", "--run", "r4").stderr


def test_calls_without_an_attribute(filled: Any) -> None:
    rows = _rows(filled, "--by", "state", "--customer", "(none)")
    assert [row["key"]["state"] for row in rows] == ["refused"]


@pytest.fixture
def stepped(home: Any, reserve: Any) -> Any:
    """Calls in the steps of a graph, and one in none; gpt-6-luna as in `filled`."""
    home.said("budget", "set", "step=research", "0.01")
    with home.client() as client:
        steps = ["graph", "graph/research", "graph/research/tool:search",
                 "graph/research/tool:search", "graph/research/tool:read/agent", ""]  # fmt: skip
        for number, step in enumerate(steps):
            attrs = {"customer": "acme", "run": "r1", "step": step}
            assert client.reserve(reserve(f"s{number}", attrs=attrs))["ok"]
            client.settle(f"s{number}", {"input": 100, "output": 10 * (number + 1)})
    return home


def test_the_tree_of_steps(stepped: Any) -> None:
    lines = stepped.said("report", "--run", "r1", "--by", "step").splitlines()
    assert lines[0].split("  ")[0] == "STEP"
    assert lines[1].split()[:6] == ["graph", "5", "500", "150", "$0.000015", "$0.000125"]
    shown = [line[: lines[0].index("CALLS")].rstrip() for line in lines]
    assert shown[1:] == [
        "graph", "  research", "    tool:search", "    tool:read", "      agent", "(none)",
        "TOTAL",
    ]  # fmt: skip


def test_each_step_tells_its_own_cost_and_that_of_all_below(stepped: Any) -> None:
    rows = {row["key"]["step"]: row for row in _rows(stepped, "--by", "step")}
    own = {step: row["cost_usd"] for step, row in rows.items()}
    assert own == {
        "graph": "0.000015",
        "graph/research": "0.00002",
        "graph/research/tool:search": "0.000055",
        "graph/research/tool:read": "0",
        "graph/research/tool:read/agent": "0.000035",
        "(none)": "0.00004",
    }
    below = {step: row["with_below"] for step, row in rows.items()}
    assert below["graph"]["cost_usd"] == "0.000125"
    assert below["graph/research"]["cost_usd"] == "0.00011"
    assert below["graph/research/tool:read"]["calls"] == 1
    assert rows["graph/research/tool:read"]["depth"] == 2
    document = json.loads(stepped.said("report", "--json", "--by", "step"))["data"]
    assert sum(Decimal(row["cost_usd"]) for row in document["rows"]) == Decimal("0.000165")
    assert document["total"]["cost_usd"] == "0.000165"


def test_steps_as_csv_and_among_other_columns(stepped: Any) -> None:
    read = list(csv.DictReader(io.StringIO(stepped.said("report", "--csv", "--by", "step"))))
    assert sum(Decimal(row["cost_usd"]) for row in read) == Decimal("0.000165")
    assert (read[0]["step"], read[0]["with_below_cost_usd"]) == ("graph", "0.000125")
    rows = _rows(stepped, "--by", "customer,step")
    assert len(rows) == 5
    assert {tuple(row["key"]) for row in rows} == {("customer", "step")}


@pytest.mark.parametrize(
    ("step", "calls"), [("research", 4), ("graph/research", 4), ("tool:read", 1), ("search", 0)]
)
def test_a_step_holds_the_steps_below_it(stepped: Any, step: str, calls: int) -> None:
    assert sum(row["calls"] for row in _rows(stepped, "--step", step)) == calls


def test_a_budget_of_a_step_is_charged_for_all_below_it(stepped: Any) -> None:
    shown = json.loads(stepped.said("budget", "list", "--json"))
    assert "0.00011" in json.dumps(shown)


def test_period(filled: Any) -> None:
    assert sum(row["calls"] for row in _rows(filled, "--since", "1h")) == 6
    assert _rows(filled, "--until", "2020-01-01") == []
    done = filled.noburn("report", "--since", "1h", "--until", "2020-01-01")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--since is not before --until" in done.stderr


def test_csv(filled: Any) -> None:
    read = list(csv.DictReader(io.StringIO(filled.said("report", "--csv", "--by", "model"))))
    assert [row["model"] for row in read] == ["gpt-6-luna", "gpt-6.1-sol", "gpt-x"]
    assert [row["cost_usd"] for row in read] == ["0.0006319", "0", "0"]


def test_no_ledger(home: Any) -> None:
    done = home.noburn("report")
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.splitlines()[0] == f"error: there is no ledger at {home.ledger}"
    assert not home.ledger.exists()  # Looking makes nothing.


def test_misspelt_column(home: Any) -> None:
    done = home.noburn("report", "--by", "custmer")
    assert done.returncode == 2
    assert "did you mean customer" in done.stderr


def test_needs_no_daemon_and_leaves_the_file_alone(filled: Any) -> None:
    filled.stop()
    before = filled.ledger.read_bytes()
    assert "TOTAL" in filled.said("report")
    assert filled.ledger.read_bytes() == before


amounts = st.integers(min_value=0, max_value=10**15)


@given(st.lists(st.tuples(st.text(max_size=3), amounts, amounts), max_size=20))
def test_total_is_the_sum_and_shares_make_one(rows: list[tuple[str, int, int]]) -> None:
    """Goal: what a report adds up is what its lines say."""
    lines = [
        Line((key,), Sums(calls=1, cost_nano=cost, held_nano=held)) for key, cost, held in rows
    ]
    report = make_report(("model",), lines)
    assert report.total.cost_nano == sum(cost for _, cost, _ in rows)
    assert report.total.held_nano == sum(held for _, _, held in rows)
    shares = [report.share(line) for line in report.lines]
    if report.total.cost_nano:
        assert sum((share for share in shares if share is not None), Fraction(0)) == 1
    else:
        assert all(share is None for share in shares)


# What else is asked of it: periods, comparison, views, formats.


def test_views_and_formats(here: Any, filled: Any, tmp_path: Any) -> None:
    """Goal: every way to ask answers from one ledger, and the exact sums agree."""
    total = json.loads(here.said("report", "--json"))["data"]["total"]
    scanned = json.loads(here.said("report", "--json", "--no-rollups"))["data"]["total"]
    assert total == scanned
    for column in ("hour", "day", "week", "month", "user", "step", "tag.team"):
        rows = json.loads(here.said("report", "--json", "--by", column))["data"]["rows"]
        assert sum(Decimal(row["cost_usd"]) for row in rows) == Decimal(total["cost_usd"])
    found = json.loads(here.said("report", "--pareto", "--json"))["data"]
    assert (found["served"], found["served_total"], found["rows"][0]["share"]) == (
        "customer", 2, "1.000000",
    )  # fmt: skip
    assert "is 100 % of the spend and serves 1 of 2 customers (50 %)" in here.said(
        "report", "--pareto"
    )
    unusual = json.loads(here.said("report", "--anomalies", "--times", "3", "--json"))["data"]
    assert (unusual["rows"], unusual["rule"]["times"]) == ([], "3.000000")
    outlook = json.loads(here.said("report", "--forecast", "--json"))["data"]
    assert (outlook["spent_usd"], outlook["expected_usd"]) == (total["cost_usd"], None)
    told = here.noburn("report", "--forecast", "--period", "2026-10")
    assert "it needs 7 whole days" in told.stdout
    assert "a forecast is of this month" in told.stderr
    compared = here.said("report", "--by", "customer", "--period", "2w", "--compare")
    assert compared.splitlines()[0].split()[7:9] == ["BEFORE", "CHANGE"]
    assert "new" in compared
    markdown = here.said("report", "--by", "customer", "--format", "markdown").splitlines()
    assert markdown[0].startswith("| customer | calls |")
    assert markdown[2].startswith("| `acme` | ")
    target = tmp_path / "report.parquet"
    here.said("report", "--by", "customer,state", "--format", "parquet", "--output", str(target))
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(target)
    assert sum(table["cost_usd"].to_pylist()) == Decimal(total["cost_usd"])
    assert {"customer", "state"} <= set(table.schema.names)
    top = here.said("report", "--by", "state", "--top", "2", "--chart", "--latency")
    assert "(5 others)" in top
    assert "cost by state" in top


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--period", "moth"), "--period cannot be read"),
        (("--period", "month", "--since", "1h"), "two ways to say one thing"),
        (("--compare",), "no period before one that has no beginning"),
        (("--pareto", "--forecast"), "views of their own"),
        (("--pareto", "--by", "day"), "looks at one column"),
        (("--anomalies", "--times", "0.5"), "--times cannot be read"),
        (("--format", "xml"), "unknown format"),
        (("--format", "csv", "--json"), "two forms of one output"),
        (("--format", "parquet"), "written to a file"),
        (("--zone", "Europe/Berln"), "Europe/Berlin"),
        (("--source", "others"), "unknown source"),
        (("--output", os.devnull), "no regular file"),
    ],
)
def test_wrong_use_is_told_before_anything_is_read(
    here: Any, arguments: tuple[str, ...], said: str
) -> None:
    done = here.noburn("report", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not list(here.path.iterdir())


def test_a_name_is_no_formula(home: Any, reserve: Any) -> None:
    home.said("budget", "set", "global", "1")
    with home.client() as client:
        assert client.reserve(reserve("s1", attrs={"customer": "=HYPERLINK(1)"}))["ok"]
    assert "\n'=HYPERLINK(1)," in home.said("report", "--by", "customer", "--csv")
