"""Answers that were paid for: kept while a provider is down, by several at once, under any name."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from noburn_cli.core.recorded_runs import FAILED, PASSED, RecordedTest, Recording
from noburn_cli.enforce.answers import KEEP
from noburn_cli.errors import NoburnError
from noburn_cli.recording import cassettes
from noburn_cli.recording.facts import Facts
from noburn_cli.recording.session import Answers, RecordedRun

ONE, OTHER = "tests/test_a.py::test_one", "tests/test_a.py::test_other"
KEEPER = """
import sys
from pathlib import Path
from noburn_cli.recording import cassettes
test = f"tests/test_{sys.argv[2]}.py::test"
kept = cassettes.Kept(test, "POST", "http://host/v1", {}, b"{}", 200, {}, b"ok", 1)
cassettes.save(Path(sys.argv[1]), [kept], quiet=[], gone=lambda _: False, keys=[sys.argv[2]])
"""


def kept(test: str, status: int = 200, answer: bytes = b"ok") -> cassettes.Kept:
    return cassettes.Kept(test, "POST", "http://host/v1", {}, b"{}", status, {}, answer, 1)


def save(folder: Path, *news: cassettes.Kept, keys: tuple[str, ...] = ()) -> cassettes.Saved:
    return cassettes.save(folder, news, quiet=(), gone=lambda _: False, keys=keys)


def answers(folder: Path) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in cassettes.load(folder):
        found[one.test] = found.get(one.test, 0) + 1
    return found


@pytest.fixture
def keeping(tmp_path: Path):
    """One run that keeps: what it was answered, how its tests ended, what it says."""

    def run(*spooled: tuple[str, int, str], environment=None, **tests: RecordedTest) -> str:
        made = Answers(KEEP, tmp_path, "agents")
        spool = tmp_path / "spool"
        spool.mkdir(exist_ok=True)
        made.prepare(spool)
        made.environment(environment or {}, ["pytest"])
        for number, (test, status, text) in enumerate(spooled):
            values = {"test": test, "method": "POST", "url": "http://host/v1", "headers": {}}
            values |= {"body": "", "status": status, "answer_headers": {}, "at_ns": number}
            values["answer"] = base64.b64encode(text.encode()).decode()
            (spool / "answers" / f"{number}.json").write_text(json.dumps(values))
        outcomes = {test.name: test.outcome for test in tests.values()}
        recording = Recording("agents", tests={test.name: test for test in tests.values()})
        said = made.finish(Facts(outcomes), recording)
        for path in (spool / "answers").iterdir():
            path.unlink()
        (spool / "answers").rmdir()
        return "\n".join(said)

    return run


def test_a_provider_that_is_down_takes_nothing_away(keeping, tmp_path):
    folder = tmp_path / ".noburn/answers/agents"
    key = "sk-a-real-key-of-nobody"
    with_key = {"OPENAI_API_KEY": key}
    keeping(
        *[(ONE, 200, f"a {key}"), (ONE, 200, "b"), (OTHER, 200, "c")],
        environment=with_key,
        one=RecordedTest(ONE),
        other=RecordedTest(OTHER),
    )
    assert answers(folder) == {ONE: 2, OTHER: 1}
    assert cassettes.keys_of(folder) == ("OPENAI_API_KEY",)
    assert b"a REDACTED" in [one.answer for one in cassettes.load(folder)]

    # No connection for one, errors for the other; and once more, swallowed by tests that pass.
    for outcome in (FAILED, PASSED):
        said = keeping(
            (OTHER, 503, "down"),
            one=RecordedTest(ONE, outcome=outcome, failed=2),
            other=RecordedTest(OTHER, outcome=outcome, failed=1),
        )
        assert answers(folder) == {ONE: 2, OTHER: 1}
        assert cassettes.keys_of(folder) == ("OPENAI_API_KEY",)
        assert f"1 test got failures only, and kept what was answered before: {OTHER}" in said

    # What a test is answered anew replaces it; one that calls no more has none.
    said = keeping((OTHER, 200, "d"), one=RecordedTest(ONE), other=RecordedTest(OTHER))
    assert answers(folder) == {OTHER: 1}
    assert "3 earlier answers replaced or gone" in said


def test_several_keep_at_once(tmp_path):
    folder = tmp_path / "agents"
    command = [sys.executable, "-c", KEEPER, str(folder)]
    keepers = [subprocess.Popen([*command, name]) for name in "abc"]
    assert [keeper.wait() for keeper in keepers] == [0, 0, 0]
    assert answers(folder) == {f"tests/test_{name}.py::test": 1 for name in "abc"}
    assert cassettes.keys_of(folder) == ("a", "b", "c")
    (folder / "README").write_text("ours")  # What a project puts there stays.

    long = f"{'a' * 120}/{'ü' * 120}/test_a.py::test"
    alike = ("a/b.py::test", "a.b.py::test", long)
    save(folder, *map(kept, alike))
    assert len(list(folder.iterdir())) == 3 + len(alike) + 2
    assert set(alike) < set(answers(folder))


def test_what_cannot_be_read_is_told_before_the_run_is_paid(tmp_path):
    folder = tmp_path / ".noburn/answers/agents"
    save(folder, kept(ONE))
    (folder / "tests.test_a.py.yaml").write_text("interactions: [")
    with pytest.raises(NoburnError, match="cannot be read"):
        Answers(KEEP, tmp_path, "agents")


def test_what_cannot_be_put_away_is_left_and_named(tmp_path):
    run = RecordedRun("agents", folder=tmp_path, environment={}, attributes={}, answers=KEEP)
    with pytest.raises(NoburnError) as caught:
        run.finish(tmp_path / "no-ledger", "r1")
    run.close()
    left = Path(str(caught.value.next_step).rpartition("what was answered is left in ")[2])
    assert (left / "answers").is_dir()
    shutil.rmtree(left)
