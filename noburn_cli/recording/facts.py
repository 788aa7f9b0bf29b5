"""What pytest told of its tests while a run was recorded.

Layer: I/O, our side.  Below: enforce.test_names (the words), core.recorded_runs.  Above: making.
Not here: who writes it (enforce.pytest_tests, in each process that runs tests).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noburn_cli.core.recorded_runs import FAILED, OUTCOMES
from noburn_cli.enforce.test_names import COLLECTED, ENDED, FIXTURE_ADDED, NAME, STARTED


@dataclass(frozen=True)
class Facts:
    """What ran and how it ended.

    outcomes: of the tests that started; one that never ended (killed, crashed) has FAILED.
    fixtures: names of those that several tests share.
    left_out: names of tests that were collected and did not start.
    """

    outcomes: Mapping[str, str] = field(default_factory=dict)
    fixtures: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()

    @property
    def seen(self) -> bool:
        """Whether a pytest told anything at all."""
        return bool(self.outcomes or self.left_out)


def read_facts(folder: Path) -> Facts:
    """All that was told by the processes of a run."""
    outcomes: dict[str, str] = {}
    fixtures, collected = set(), set()
    for line in _lines(folder):
        what, name = line.get("what"), str(line.get(NAME))
        if what == COLLECTED:
            collected.add(name)
        elif what == FIXTURE_ADDED:
            fixtures.add(name)
        elif what == STARTED:
            outcomes.setdefault(name, FAILED)
        elif what == ENDED and line.get("outcome") in OUTCOMES:
            outcomes[name] = str(line["outcome"])
    return Facts(outcomes, frozenset(fixtures), frozenset(collected - outcomes.keys()))


def _lines(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of each process's file; one that a kill cut off is left out."""
    for path in sorted(folder.glob("tests-*.jsonl")):
        for text in path.read_text("utf-8", errors="replace").splitlines():
            try:
                line = json.loads(text)
            except ValueError:
                continue
            if isinstance(line, dict):
                yield line
