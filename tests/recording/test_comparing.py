"""Recordings in a project's folder against its baseline: what the gate says, what is written."""

from __future__ import annotations

import pytest

from noburn_cli.core.gate_model import ERROR, RECORDED, WARNING
from noburn_cli.core.gate_tables import RecordingSpec
from noburn_cli.core.recorded_files import format_recording
from noburn_cli.core.recorded_findings import findings
from noburn_cli.core.recorded_runs import FAILED, ModelUse, RateKey, RecordedTest, Recording
from noburn_cli.errors import UsageError
from noburn_cli.recording.comparing import judge, update_baseline
from noburn_cli.recording.places import recording_path, write_whole

AT = RateKey("gpt-6-luna", "standard", 0)
SPEC = RecordingSpec()


def ran(name, calls, **more):
    use = ModelUse(AT, calls, {"input": 1_000 * calls}, 250_000 * calls)
    return RecordedTest(f"tests/test_agent.py::{name}", uses=(use,) if calls else (), **more)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_agent.py").touch()

    def record(*tests, name="agents", rate=250_000, not_run=()):
        by_name = {test.name: test for test in tests}
        rates = {AT: {"input": rate}}
        made = Recording(name, "r1", by_name, frozenset(not_run), rates)
        write_whole(recording_path(tmp_path, name), format_recording(made))
        return judge([name], SPEC, tmp_path)

    record.root = tmp_path
    return record


def said(result, level):
    return [one.text for one in findings(result) if one.level == level]


def test_a_dearer_test_is_named_with_its_reasons(project):
    first = project(ran("plan", 12), ran("other", 2))
    assert said(first, ERROR)[0].startswith("the recorded run has nothing to be compared with")
    assert update_baseline(first, SPEC, project.root)
    assert not update_baseline(project(ran("plan", 13), ran("other", 2)), SPEC, project.root)

    result = project(ran("plan", 40), ran("new", 1), ran("other", 1, outcome=FAILED))
    (error,) = [one for one in findings(result) if one.level == ERROR]
    assert (error.rule, error.subject) == (RECORDED, "tests/test_agent.py::plan")
    assert error.path == "tests/test_agent.py"
    assert error.text == (
        "tests/test_agent.py::plan takes more than its baseline: calls 12 → 40, "
        "tokens 12,000 → 40,000 (in 12,000 → 40,000, out 0 → 0); "
        "$0.01 instead of $0.003 (+233.3 %)"
    )
    assert said(result, WARNING) == [
        "tests/test_agent.py::other proves nothing: it failed",
        "1 line without a baseline, $0.00025: tests/test_agent.py::new",
    ]
    assert update_baseline(result, SPEC, project.root)
    lines = (project.root / "noburn-baseline.json").read_text().splitlines()
    assert [line for line in lines if '"calls": 40' in line] == [
        '   {"model": "gpt-6-luna", "calls": 40, "input": 40000, "cost_usd": "0.01"}'
    ]
    assert not said(judge(["agents"], SPEC, project.root), ERROR)


def test_part_of_the_tests_says_nothing_of_the_others(project):
    update_baseline(project(ran("plan", 12), ran("other", 2)), SPEC, project.root)
    before = (project.root / "noburn-baseline.json").read_text()
    part = project(ran("plan", 12), not_run=["tests/test_agent.py::other"])
    assert findings(part) == ()
    assert not update_baseline(part, SPEC, project.root)
    gone = project(ran("plan", 12))
    assert said(gone, WARNING) == [
        "1 line of the baseline not there any more: tests/test_agent.py::other"
    ]
    assert update_baseline(gone, SPEC, project.root)
    assert "other" in before
    assert "other" not in (project.root / "noburn-baseline.json").read_text()
    assert said(project(), ERROR) == ["no test ran in the recording agents"]


def test_a_price_is_told_apart(project):
    update_baseline(project(ran("plan", 12)), SPEC, project.root)
    dear = ModelUse(AT, 12, {"input": 12_000}, 6_000_000)
    result = project(RecordedTest("tests/test_agent.py::plan", uses=(dear,)), rate=500_000)
    assert said(result, ERROR) == []
    assert said(result, WARNING) == [
        "prices changed: the same calls are $0.003 dearer than in the baseline"
    ]


def test_shards_and_what_cannot_be_read(project):
    project(ran("plan", 12), name="shard-1")
    project(ran("other", 2), name="shard-2")
    assert judge(["shard-1", "shard-2"], SPEC, project.root).recording.calls == 14
    project(ran("plan", 1), name="shard-2")
    with pytest.raises(UsageError, match=r"no shards of one run"):
        judge(["shard-1", "shard-2"], SPEC, project.root)
    with pytest.raises(UsageError, match=r"no recording 'agents'"):
        judge(["agents"], SPEC, project.root)
    with pytest.raises(UsageError, match=r"cannot be called"):
        judge(["../agents"], SPEC, project.root)
    (project.root / "noburn-baseline.json").write_text("[]")
    with pytest.raises(UsageError, match=r"noburn-baseline\.json cannot be read"):
        judge(["shard-1"], SPEC, project.root)
