"""One pass over the journal against a second, slower one that keeps everything and looks back."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from statistics import median_low
from typing import Any

from noburn_cli.core.calibration import Tally
from noburn_cli.core.learning import CALLS_MIN
from noburn_cli.reports.calibration import read_calibration
from noburn_cli.reports.query import Question
from tests.daemon.parts import START_MS
from tests.daemon.taught import Taught, teach

#: Of gpt-6-luna, in nano-dollars a token.
_PLAIN, _READ, _OUT = 100, 10, 500


def _cost(plain: int, read: int, output: int) -> int:
    return _PLAIN * plain + _READ * read + _OUT * output


def _calls(seed: int) -> list[Taught]:
    """Fewer than 40: up to there a group learns anew from each call."""
    chance = random.Random(seed)
    calls = []
    for _ in range(39):
        usage = {
            "input": chance.randint(1, 60),
            "cache_read": chance.choice((0, 40)),
            "output": chance.randint(1, 900),
        }
        attrs = {"feature": chance.choice(("chat", "chat", "search"))}
        calls.append(Taught(usage, attrs=attrs))
    return calls


def _percent(part: int, whole: int) -> int:
    return (200 * part + whole) // (2 * whole)


def _looked_back(calls: list[Taught]) -> dict[str, Tally]:
    """By feature: every call against all before it, worked out from its own group alone."""
    lines: dict[str, Tally] = {}
    for number, call in enumerate(calls):
        used: Any = call.usage
        cost = _cost(used["input"], used["cache_read"], used["output"])
        went_in = used["input"] + used["cache_read"]
        tally = lines.setdefault(call.attrs["feature"], Tally())
        tally.calls += 1
        tally.hold_used.counts[_percent(cost, _cost(100, 0, 1_000))] += 1
        tally.input_used.counts[went_in] += 1  # of a bound of 100
        before: list[Any] = [one.usage for one in calls[:number] if one.attrs == call.attrs]
        read_in, whole_in = 0, 1
        if len(before) < CALLS_MIN:
            before = [one.usage for one in calls[:number]]
        else:
            read_in = sum(one["cache_read"] for one in before)
            whole_in = read_in + sum(one["input"] for one in before)
        if len(before) < CALLS_MIN:
            continue
        outputs = sorted(one["output"] for one in before)
        read = went_in * read_in // whole_in
        low, high, mean = (
            _cost(went_in - read, read, output)
            for output in (
                median_low(outputs),
                outputs[-(-9 * len(outputs) // 10) - 1],
                (2 * sum(outputs) + len(outputs)) // (2 * len(outputs)),
            )
        )
        tally.estimated += 1
        tally.settled += cost
        tally.expected += mean
        tally.below_median += cost <= low
        tally.below_high += cost <= high
        tally.errors.counts[min(900, _percent(low - cost, cost))] += 1
    return lines


def test_one_pass_finds_what_looking_back_finds(tmp_path: Path) -> None:
    for seed in range(4):
        path = tmp_path / f"{seed}.sqlite3"
        calls = _calls(seed)
        teach(path, calls, start_ms=START_MS)
        found = read_calibration(path, Question(by=("feature",)))
        lines = {keys[0]: tally for keys, tally in found.lines}
        expected = _looked_back(calls)
        assert sum(tally.estimated for tally in expected.values()) == 19
        assert {name: _facts(tally) for name, tally in lines.items()} == {
            name: _facts(tally) for name, tally in expected.items()
        }
        assert sum(lines[name].estimated for name in lines) == found.total.estimated


def _facts(tally: Tally) -> dict[str, Any]:
    facts = {name: getattr(tally, name) for name in Tally.__dataclass_fields__}
    spreads = ("errors", "input_used", "hold_used")
    return facts | {name: Counter(facts[name].counts) for name in spreads}
