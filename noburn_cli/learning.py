"""What the ledger has learned, asked for one request at a time.

Layer: I/O, beside estimating.  Below: core.learning, reports.learned.  Above: `estimate`, `gate`.
Owns: which groups of calls are asked, and that no ledger, or one that cannot be read, teaches
nothing and stops nobody.
Not here: how calls are read (reports.learned), what they come to (core.learning).

Without a ledger apsw is not imported, and nothing is opened.
"""

from __future__ import annotations

from pathlib import Path

from noburn_cli.core.learning import DAY_MS, DAYS, Learned, groups
from noburn_cli.errors import LedgerUnavailable

__all__ = ["Learned", "Learning"]


class Learning:
    """Answers from one ledger, each read once and then known.

    days: calls that are older teach nothing.
    failure: why the ledger could not be read, once that has happened; None where there is none.
    """

    def __init__(self, ledger_path: Path, *, now_ms: int, days: int = DAYS) -> None:
        self._path = ledger_path
        self._since_ms = now_ms - days * DAY_MS
        self._known: dict[tuple[str, str, str], Learned | None] = {}
        self.days = days
        self.failure: LedgerUnavailable | None = None

    @property
    def has_ledger(self) -> bool:
        """Whether there is anything to learn from; a folder that is not ours to read has none."""
        try:
            return self.failure is None and self._path.exists()
        except OSError:
            return False

    def expected_output(
        self, *, model: str, feature: str | None = None, prompt: str | None = None
    ) -> Learned | None:
        """What past calls say about the output and the cached input of the next one.

        model: as the price book calls it.  feature, prompt: as calls name them (`feature`,
        `tag.prompt`).  Asked are the prompt's calls on this model, then the feature's, then all of
        the model; the first that are enough answer.  None where none are: unknown.
        """
        for basis, name in groups(feature=feature, prompt=prompt):
            found = self._learned(model, basis, name)
            if found is not None:
                return found
        return None

    def _learned(self, model: str, basis: str, name: str) -> Learned | None:
        place = (model, basis, name)
        if place not in self._known:
            self._known[place] = self._read(model, basis, name)
        return self._known[place]

    def _read(self, model: str, basis: str, name: str) -> Learned | None:
        if not self.has_ledger:
            return None
        from noburn_cli.reports.learned import read_learned  # apsw

        try:
            return read_learned(
                self._path, model=model, basis=basis, name=name, since_ms=self._since_ms
            )
        except LedgerUnavailable as error:
            self.failure = error
            return None
