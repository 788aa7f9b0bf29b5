"""How often prompts are called, from the ledger's own calls; read-only.

Layer: I/O.  Below: reports.query (the ledger).  Above: gating.comparing.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from noburn_cli.core.budgets import NONE
from noburn_cli.core.holds import HoldState
from noburn_cli.core.recorded_tags import PLAYED_TAG, TEST_TAG
from noburn_cli.errors import InputRefused

DAYS = 30


class Volumes:
    """Calls of the last DAYS whole days (UTC), by feature and model; the ledger is read once.

    Those of recorded tests are left out.

    notes: what a reader should know of the numbers that were asked for.
    """

    def __init__(self, ledger_path: Path, *, now_ms: int) -> None:
        self._path = ledger_path
        today = datetime.fromtimestamp(now_ms / 1000, timezone.utc).date()
        self._until, self._since = today, today - timedelta(days=DAYS)
        self._lines: list[tuple[str, str, str, int]] | None = None
        self.notes: dict[str, None] = {}

    def calls(self, name: str, *, feature: str | None, model: str) -> int:
        """Calls in DAYS days of a feature on a model; of the feature on any, where that is none.

        name: the prompt's, for messages.  model: as the price book calls it.
        Raises LedgerUnavailable without a ledger; InputRefused where it has no such call: a prompt
        that is never called would cost nothing, whatever is in it.
        """
        lines = [one for one in self._read() if feature is None or one[1] == feature]
        exact = [one for one in lines if one[2] == model]
        counted = exact or (lines if feature is not None else [])
        if not sum(one[3] for one in counted):
            whose = f"of feature {feature}" if feature is not None else f"on `{model}`"
            raise InputRefused(
                f"{name}: the ledger has no call {whose} in the last {DAYS} days",
                why='`calls_per_month = "ledger"` asks for real ones',
                next_step="name the calls' `feature`, or a number of calls",
            )
        self._note(feature or f"`{model}`", min(one[0] for one in counted))
        return sum(one[3] for one in counted)

    def _note(self, whose: str, first_day: str) -> None:
        first = self._since.isoformat()
        if first_day > first:
            self.notes[
                f"calls of {whose} are those since {first_day}: the ledger has none in the days "
                f"from {first} on"
            ] = None

    def _read(self) -> list[tuple[str, str, str, int]]:
        """(day, feature, model, calls)."""
        if self._lines is None:
            from noburn_cli.reports.query import Question, read_report  # apsw

            # What tests call is no production, and a played answer was no call at all.
            question = Question(
                by=("day", "feature", "model", "state"),
                where={TEST_TAG: NONE, PLAYED_TAG: NONE},
                since_ms=_start_ms(self._since.isoformat()),
                until_ms=_start_ms(self._until.isoformat()),
            )
            report = read_report(self._path, question)
            self._lines = [
                (line.keys[0], line.keys[1], line.keys[2], line.sums.calls)
                for line in report.lines
                if line.keys[3] != HoldState.VOIDED  # It never left, and was billed nothing.
            ]
            for month in report.cut_months:
                self.notes[f"calls of {month} are compacted by month, and left out"] = None
        return self._lines


def _start_ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp() * 1000)
