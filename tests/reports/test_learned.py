"""Which of a ledger's calls teach: written by the daemon's own book, read as `estimate` reads."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from noburn_cli.core.learning import DAY_MS, Shape
from noburn_cli.learning import Learning
from tests.daemon.parts import MODEL, START_MS
from tests.daemon.taught import Taught, teach

_CHAT = {"feature": "chat"}
_SYSTEM = {"feature": "chat", "tag.prompt": "system.md"}


def _bill(output: int, **more: int) -> dict[str, int]:
    return {"input": 10, "output": output, **more}


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite3"


def test_the_most_specific_group_with_enough_calls_answers(ledger: Path) -> None:
    calls = [Taught(_bill(output, cache_read=30), attrs=_SYSTEM) for output in range(1, 21)]
    calls += [Taught(_bill(100), attrs=_CHAT) for _ in range(5)]
    calls += [Taught(_bill(500), attrs={"feature": "search"}) for _ in range(19)]
    now_ms = teach(ledger, calls, start_ms=START_MS)
    learning = Learning(ledger, now_ms=now_ms)

    prompt = learning.expected_output(model=MODEL, feature="chat", prompt="system.md")
    assert prompt is not None
    assert (prompt.basis, prompt.name, prompt.calls) == ("prompt", "system.md", 20)
    assert (prompt.median, prompt.high, prompt.cache_share) == (10, 18, 3 / 4)
    feature = learning.expected_output(model=MODEL, feature="chat", prompt="other.md")
    assert feature is not None
    assert (feature.basis, feature.calls, feature.shape) == ("feature", 25, Shape(13, 100, 28))
    # Nineteen calls of a feature are too few: all of the model's answer.
    whole = learning.expected_output(model=MODEL, feature="search")
    assert whole is not None
    assert (whole.basis, whole.calls, whole.high) == ("model", 44, 500)
    assert learning.expected_output(model="gpt-6.1-sol") is None
    assert (whole.first_ms, whole.last_ms) == (START_MS, now_ms - 60_000)


def test_only_whole_bills_teach_and_capped_ones_say_at_least(ledger: Path) -> None:
    failed = {"failure": "aborted: 9 tokens were received"}
    silent = [
        Taught(end="void"), Taught(end="lose"), Taught(end="nothing"),
        Taught(_bill(9), more=failed),
        Taught(_bill(9), reserve={"api": "anthropic_batches"}),
        Taught({"input": 10}, reserve={"output": None}),
    ]  # fmt: skip
    told = [Taught(_bill(40)) for _ in range(12)] + [Taught(_bill(60), cap=60) for _ in range(8)]
    now_ms = teach(ledger, [*silent, *told], start_ms=START_MS)
    found = Learning(ledger, now_ms=now_ms).expected_output(model=MODEL)
    assert found is not None
    assert (found.calls, found.capped) == (20, 8)
    assert found.shape == Shape(40, 60, 48, high_at_least=True, mean_at_least=True)


def test_older_calls_teach_nothing(ledger: Path) -> None:
    now_ms = teach(ledger, [Taught(_bill(7)) for _ in range(30)], start_ms=START_MS)
    assert Learning(ledger, now_ms=now_ms, days=30).expected_output(model=MODEL) is not None
    late = now_ms + 30 * DAY_MS - 20 * 60_000
    assert Learning(ledger, now_ms=late, days=30).expected_output(model=MODEL) is not None
    assert Learning(ledger, now_ms=late + 1, days=30).expected_output(model=MODEL) is None


def test_no_ledger_teaches_nothing_and_a_broken_one_says_why(ledger: Path) -> None:
    nothing = Learning(ledger, now_ms=START_MS)
    assert not nothing.has_ledger
    assert nothing.expected_output(model=MODEL) is None
    assert nothing.failure is None
    ledger.write_bytes(b"this is no ledger" * 100)
    broken = Learning(ledger, now_ms=START_MS)
    assert broken.expected_output(model=MODEL) is None
    assert broken.failure is not None
    assert str(ledger) in broken.failure.message


def test_without_a_ledger_its_database_is_not_loaded(ledger: Path) -> None:
    import subprocess

    program = (
        "import sys; from pathlib import Path; from noburn_cli.learning import Learning\n"
        "Learning(Path(sys.argv[1]), now_ms=1).expected_output(model='m')\n"
        "assert not {'apsw', 'sqlite3', 'msgspec'} & set(sys.modules), sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program, str(ledger)], check=False)
    assert done.returncode == 0
