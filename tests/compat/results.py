"""What a cell can come to, and the three sides from which it is seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

CELLS = ("allowed", "blocked", "clamped", "waited", "stopped", "aborted")
#: How guests call their modes, and how the page does.
MODES = {"sync": "sync", "async": "async", "stream": "stream", "astream": "async stream"}
EXACT, COVERED, MISSING = "=", "≥", "–"


@dataclass
class Cell:
    """What a cell came to: EXACT, COVERED, MISSING (not applicable), or why it does not hold."""

    verdict: str
    why: str = ""

    @property
    def holds(self) -> bool:
        return not self.why


@dataclass
class Row:
    sdk: str
    name: str
    mode: str
    cells: dict[str, Cell] = field(default_factory=dict)


@dataclass(frozen=True)
class Sdk:
    """One program: its label on the page, how it is started, and what needs saying of it.

    apis: whose base URLs name the stub: only its own, or one provider stands for another.
    no_cap: rows whose calls have no output cap.
    """

    label: str
    command: Sequence[str]
    way: str
    apis: Sequence[str]
    no_cap: frozenset[str] = frozenset()


@dataclass
class Report:
    """An SDK's version as installed, and its rows; `failure` when its program did not run."""

    sdk: Sdk
    version: str = ""
    rows: list[Row] = field(default_factory=list)
    failure: str = ""


@dataclass(frozen=True)
class Seen:
    """One cell as all three have it: the program, the ledger, the provider."""

    error: dict[str, Any] | None
    calls: list[dict[str, Any]]
    billed_nano: int
    requests: int
    billed_calls: int

    @property
    def charged_nano(self) -> int:
        """Settled at cost, everything else that may be billed at its hold."""
        return sum(
            call["hold_nano"] if call["cost_nano"] is None else call["cost_nano"]
            for call in self.calls
            if call["state"] not in ("blocked", "refused", "voided")
        )

    @property
    def states(self) -> list[str]:
        return [call["state"] for call in self.calls]
