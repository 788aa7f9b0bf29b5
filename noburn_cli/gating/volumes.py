"""How often prompts are called and what answers came to: from the ledger, or as it was saved.

Layer: I/O.  Below: reports.query and learning (the ledger, read-only), core.gate_volumes.
Above: gating.expecting, commands.gate.
Where [gate] names a file of volumes, the ledger is not asked: so the answer is the same on every
machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

from noburn_cli.core.budgets import NONE
from noburn_cli.core.gate_tables import LEDGER, GateSpec
from noburn_cli.core.gate_volumes import SavedVolumes, Volume
from noburn_cli.core.holds import HoldState
from noburn_cli.core.learning import FEATURE, MODEL, CacheShares, Learned
from noburn_cli.core.recorded_tags import PLAYED_TAG, TEST_TAG
from noburn_cli.errors import InputRefused, UsageError
from noburn_cli.learning import Learning

DAYS = 30


@dataclass(frozen=True)
class Typical:
    """What calls of one kind came to.  basis: of whom: core.learning's word.  mean: of outputs."""

    basis: str
    mean: int
    cache: CacheShares | None


class Volumes:
    """Calls of the last DAYS whole days (UTC), by feature and model; the ledger is read once.

    Those of recorded tests are left out.

    saved: what is asked instead of the ledger.
    notes: what a reader should know of the numbers that were asked for.
    """

    def __init__(
        self, ledger_path: Path, *, now_ms: int, saved: SavedVolumes | None = None
    ) -> None:
        self._path = ledger_path
        today = datetime.fromtimestamp(now_ms / 1000, timezone.utc).date()
        self._until, self._since = today, today - timedelta(days=DAYS)
        self._saved = saved
        self._learning = Learning(ledger_path, now_ms=now_ms)
        self._lines: list[tuple[str, str, str, int]] | None = None
        self._notes: dict[str, None] = {}

    @property
    def notes(self) -> list[str]:
        failure = self._learning.failure
        said = [] if failure is None else [f"nothing is learned from calls: {failure.message}"]
        return [*self._notes, *said]

    def calls(self, name: str, *, feature: str | None, models: Sequence[str]) -> int:
        """Calls in DAYS days of a feature on a model; of the feature on any, where that is none.

        name: the prompt's, for messages.  models: as the price book calls them; the first that has
        such calls counts.
        Raises LedgerUnavailable without a ledger; InputRefused where it has no such call: a prompt
        that is never called would cost nothing, whatever is in it.
        """
        lines = [one for one in self._read() if self._is_of(one[1], feature)]
        on_each = ([one for one in lines if one[2] == model] for model in models)
        exact = next((found for found in on_each if found), [])
        counted = exact or (lines if feature is not None else [])
        named = " or ".join(f"`{model}`" for model in models)
        if not sum(one[3] for one in counted):
            whose = f"of feature {feature}" if feature is not None else f"on {named}"
            where = f"the ledger has no call {whose} in the {DAYS} days before today (UTC)"
            if self._saved is not None:
                where = f"the saved volumes have no call {whose}"
            raise InputRefused(
                f"{name}: {where}",
                why='`calls_per_month = "ledger"` asks for real ones',
                next_step="name the calls' `feature`, or a number of calls"
                + ("; or save them again: noburn gate --update-volumes" if self._saved else ""),
            )
        self._note(feature or f"`{counted[0][2]}`", min(one[0] for one in counted))
        return sum(one[3] for one in counted)

    def _is_of(self, one: str, feature: str | None) -> bool:
        """Whether a line counts; saved ones of all features have a line of their own."""
        if feature is None:
            return one == "" if self._saved is not None else True
        return one == feature

    def typical(self, *, feature: str | None, prompt: str | None, model: str) -> Typical | None:
        """What calls of a prompt, a feature or a model came to; None where too few say it."""
        if self._saved is None:
            return _typical(
                self._learning.expected_output(model=model, feature=feature, prompt=prompt)
            )
        for one in self._saved.lines:
            if one.model == model and one.feature == feature and one.output is not None:
                return Typical(MODEL if feature is None else FEATURE, one.output, one.cache)
        return None

    def to_save(self, gate: GateSpec) -> SavedVolumes:
        """What the ledger says of the features that prompts name, by model.

        Raises LedgerUnavailable without a ledger; UsageError where no prompt asks for its calls.
        """
        asked = [one for one in gate.prompts if one.calls_per_month == LEDGER or one.feature]
        if not asked:
            raise UsageError(
                "no prompt asks the ledger",
                next_step='name their calls: feature = "chat", calls_per_month = "ledger"',
            )
        lines: list[Volume] = []
        for feature in dict.fromkeys(one.feature for one in asked):
            sums: dict[str, int] = {}
            for _, name, model, calls in self._read():
                if feature is None or name == feature:
                    sums[model] = sums.get(model, 0) + calls
            lines += [self._volume(feature, model, calls) for model, calls in sums.items()]
        return SavedVolumes(self._since.isoformat(), self._until.isoformat(), tuple(lines))

    def _volume(self, feature: str | None, model: str, calls: int) -> Volume:
        found = self.typical(feature=feature, prompt=None, model=model)
        own = FEATURE if feature is not None else MODEL
        if found is None or found.basis != own:
            return Volume(feature, model, calls)
        return Volume(feature, model, calls, found.mean, found.cache)

    def _note(self, whose: str, first_day: str) -> None:
        first = self._since.isoformat()
        if self._saved is not None:
            said = f"calls of the ledger are those from {self._saved.since} to {self._saved.until}"
            self._notes[f"{said}, as they were saved"] = None
        elif first_day > first:
            self._notes[
                f"calls of {whose} are those since {first_day}: the ledger has none in the days "
                f"from {first} on"
            ] = None

    def _read(self) -> list[tuple[str, str, str, int]]:
        """(day, feature, model, calls)."""
        if self._lines is None:
            self._lines = self._from_ledger() if self._saved is None else _lines(self._saved)
        return self._lines

    def _from_ledger(self) -> list[tuple[str, str, str, int]]:
        from noburn_cli.reports.query import Question, read_report  # apsw

        # What tests call is no production, and a played answer was no call at all.
        question = Question(
            by=("day", "feature", "model", "state"),
            where={TEST_TAG: NONE, PLAYED_TAG: NONE},
            since_ms=_start_ms(self._since.isoformat()),
            until_ms=_start_ms(self._until.isoformat()),
        )
        report = read_report(self._path, question)
        for month in report.cut_months:
            self._notes[f"calls of {month} are compacted by month, and left out"] = None
        return [
            (line.keys[0], line.keys[1], line.keys[2], line.sums.calls)
            for line in report.lines
            if line.keys[3] != HoldState.VOIDED  # It never left, and was billed nothing.
        ]


def _lines(saved: SavedVolumes) -> list[tuple[str, str, str, int]]:
    return [(saved.since, one.feature or "", one.model, one.calls) for one in saved.lines]


def _typical(learned: Learned | None) -> Typical | None:
    if learned is None:
        return None
    cache = learned.cache if learned.cache.total else None
    return Typical(learned.basis, learned.mean, cache)


def _start_ms(day: str) -> int:
    return int(datetime.fromisoformat(day).replace(tzinfo=timezone.utc).timestamp() * 1000)
