"""`noburn estimate` with a ledger: what is expected is what past calls had, and says so."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.taught import Taught, teach

#: gpt-6-luna costs $0.1 in, $0.01 cached and $0.5 out per million: 100, 10 and 500 nano a token.
_LUNA = ("--model", "gpt-6-luna")
_OUTPUTS = range(10, 201, 10)


@pytest.fixture
def text(tmp_path: Path) -> str:
    """Four tokens."""
    path = tmp_path / "a.txt"
    path.write_text("hello world hello world")
    return str(path)


@pytest.fixture
def taught(home: Any) -> Any:
    """20 calls of feature=chat with 10 to 200 tokens of output, three quarters of input cached."""
    bills = [{"input": 10, "cache_read": 30, "output": output} for output in _OUTPUTS]
    calls = [Taught(bill, attrs={"feature": "chat"}) for bill in bills]
    teach(home.ledger, calls, start_ms=time.time_ns() // 1_000_000 - 3_600_000)
    return home


def _row(home: Any, *arguments: str) -> dict[str, Any]:
    document = json.loads(home.said("estimate", *arguments, *_LUNA, "--json"))
    assert document["kind"] == "noburn.estimate"
    row: dict[str, Any] = document["data"]["estimates"][0]
    return row


def test_what_was_learned_is_expected_to_the_nano_dollar(taught: Any, text: str) -> None:
    row = _row(taught, text, "--feature", "chat", "--calls", "3")
    assert row["output_tokens"] == {"low": 100, "high": 180}
    assert row["learned"]["output_mean"] == 105
    assert (row["learned"]["cache_read_share"], row["learned"]["calls"]) == (0.75, 20)
    assert (row["learned"]["basis"], row["learned"]["name"]) == ("feature", "chat")
    # Of four tokens one is plain and three are cached: 100 + 3 * 10; an output token costs 500.
    assert row["cost"] == {"low": "0.00015039", "high": "0.00027039"}
    assert row["mean_cost"] == {"low": "0.00015789", "high": "0.00015789"}
    # The worst case knows nothing of it.
    unlearned = _row(taught, text, "--no-learning", "--calls", "3")
    assert (unlearned["learned"], unlearned["output_tokens"]) == (None, None)
    assert unlearned["worst_cost"] == row["worst_cost"]
    assert unlearned["cost"] == {"low": "0.0000012", "high": "0.0000012"}


def test_it_is_labelled_and_what_is_unknown_says_so(taught: Any, text: str) -> None:
    models = (*_LUNA, "--model", "gpt-6.1-sol")
    done = taught.noburn("estimate", text, "--feature", "search", *models)
    assert done.returncode == 0
    few = "fewer than 20 calls of feature=search in the last 30 days"
    assert done.stderr.splitlines() == [
        f"note: gpt-6-luna: {few}; those of the model answer instead",
        f"note: gpt-6.1-sol: {few}, nor of the model: the output is unknown",
    ]
    lines = done.stdout.splitlines()
    assert "EXPECTED" in lines[0]
    # What a cache served of other prompts says nothing of this one: four plain tokens.
    assert "$0.0000504–$0.0000904" in lines[1]
    assert " + output" in lines[2]
    assert any(
        line.startswith(
            "gpt-6-luna: expected output 100 (p90 180) learned from 20 calls of the model since 20"
        )
        for line in lines
    ), lines
    assert "75 % of their input was read from a cache" in taught.said(
        "estimate", text, *_LUNA, "--feature", "chat"
    )


def test_calls_of_a_running_daemon_teach_at_once(home: Any, reserve: Any, text: str) -> None:
    home.said("daemon", "start")
    with home.client() as client:
        for number in range(20):
            attrs = {"feature": "chat", "tag.prompt": "prompts/system.md"}
            assert client.reserve(reserve(f"c{number}", attrs=attrs))["ok"]
            # A cap of 100 ended every other answer.
            output = 100 if number % 2 else 40
            client.settle(f"c{number}", {"input": 50, "output": output})
    learned = _row(home, text, "--prompt", "prompts/system.md")["learned"]
    assert (learned["basis"], learned["calls"], learned["capped"]) == ("prompt", 20, 10)
    assert (learned["output_median"], learned["output_median_at_least"]) == (40, False)
    assert (learned["output_p90"], learned["output_p90_at_least"]) == (100, True)
    shown = home.said("estimate", text, *_LUNA, "--prompt", "prompts/system.md")
    assert "expected output 40 (p90 ≥ 100) learned from 20 calls" in shown
    assert "; 10 of them ended at their cap." in shown


def test_a_limit_is_not_loosened_by_what_was_learned(taught: Any, text: str) -> None:
    done = taught.noburn("estimate", text, *_LUNA, "--max-cost", "0.001")
    assert done.returncode == 3
    assert "the worst case on `gpt-6-luna`" in done.stderr
    assert taught.noburn("estimate", text, *_LUNA, "--max-cost", "0.07").returncode == 0


def test_options_that_contradict_each_other_are_refused(home: Any, text: str) -> None:
    for more in (("--out-tokens", "5"), ("--no-learning",), ("--compare",)):
        done = home.noburn("estimate", text, "--feature", "chat", *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"--feature and {more[0]} do not go together" in done.stderr


def test_without_a_ledger_all_is_as_it_was(home: Any, text: str) -> None:
    plain = home.noburn("estimate", text, *_LUNA)
    assert (plain.returncode, plain.stderr) == (0, "")
    assert "No output was expected" in plain.stdout
    asked = home.noburn("estimate", text, *_LUNA, "--feature", "chat")
    assert asked.stdout == plain.stdout
    assert asked.stderr == "note: nothing was learned from past calls: there is no ledger yet\n"
    assert not home.ledger.exists()


def test_a_ledger_that_cannot_be_read_is_told_and_stops_nothing(home: Any, text: str) -> None:
    home.ledger.write_bytes(b"this is no ledger" * 100)
    done = home.noburn("estimate", text, *_LUNA)
    assert done.returncode == 0
    assert done.stderr.startswith("note: nothing was learned from past calls: the ledger at ")
    assert "No output was expected" in done.stdout
