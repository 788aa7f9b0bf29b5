"""What is announced of the models that somebody plans with: an estimate, a run, a gate.

Layer: beside prices; reads the ledger file and the price files, writes nothing.
Below: core.price_notices, prices, ledger_file.  Above: commands.estimate, commands.run, gating.
Nothing here fails: who asks has work of its own, which a notice must not stop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.errors import ModelUnknown, NoburnError

if TYPE_CHECKING:
    from noburn_cli.core.price_notices import PriceNotice
    from noburn_cli.core.pricebook import PriceBook

#: As many as one reads beside the answer that was asked for.
SHOWN_MAX = 3
#: The models of so many calls are those in use.
_CALLS_LOOKED_AT = 200
_OF_RUN = """
    SELECT DISTINCT coalesce(resolved_model, model) FROM calls
    WHERE run = :run OR substr(run, 1, length(:run) + 1) = :run || '/'
"""
_LATEST = f"""
    SELECT DISTINCT coalesce(resolved_model, model) FROM
    (SELECT resolved_model, model FROM calls ORDER BY call DESC LIMIT {_CALLS_LOOKED_AT})
"""  # noqa: S608 - a constant of ours


class ToldAhead:
    """Says what is announced of the models in use once a run has begun, and to whom not again.

    A run starts at once; the price book is read beside it, a second later, and of a shorter run
    not at all: its summary says the same of the models that it called.
    """

    def __init__(
        self,
        look: Callable[[], list[PriceNotice]],
        say: Callable[[list[str]], None],
        *,
        after_s: float = 1.0,
    ) -> None:
        self._look = look
        self._say = say
        self._told: list[PriceNotice] = []
        self._lock = threading.Lock()
        self._ended = False
        self._timer = threading.Timer(after_s, self._tell)
        self._timer.daemon = True

    def __enter__(self) -> ToldAhead:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Say nothing from now on."""
        self._timer.cancel()
        with self._lock:
            self._ended = True

    def not_told(self, notices: Sequence[PriceNotice]) -> list[PriceNotice]:
        """Those of them that were not said yet."""
        return [one for one in notices if one not in self._told]

    def _tell(self) -> None:
        found = self._look()
        with self._lock:
            if found and not self._ended:
                self._told = found[:SHOWN_MAX]
                self._say([f"noburn: {line}" for line in announced_lines(found)])


def announced(book: PriceBook, models: Iterable[str], *, at_ms: int) -> list[PriceNotice]:
    """What is announced of these models, the nearest day first; unknown ones have nothing."""
    from noburn_cli.core.price_notices import notices

    known = []
    for name in dict.fromkeys(models):
        try:
            known.append(book.resolve(name).name)
        except ModelUnknown:
            continue
    return notices(book, known, at_ms=at_ms)


def announced_lines(notices: Sequence[PriceNotice]) -> list[str]:
    """A sentence for each of the nearest, and where the others are listed."""
    lines = [notice.text for notice in notices[:SHOWN_MAX]]
    more = len(notices) - SHOWN_MAX
    if more > 0:
        what = "announcement" if more == 1 else "announcements"
        lines.append(f"{more} more {what}: `noburn prices show MODEL` has those of a model")
    return lines


def announced_data(notices: Sequence[PriceNotice]) -> list[dict[str, Any]]:
    """The same as data."""
    return [
        {"kind": one.kind, "model": one.model, "on": one.on.isoformat(), "text": one.text}
        for one in notices
    ]


def announced_of_run(
    ledger_path: Path, run: str, environment: Mapping[str, str]
) -> list[PriceNotice]:
    """What is announced of the models that a run called; nothing where that cannot be read."""
    return _announced_of(ledger_path, _OF_RUN, {"run": run}, environment)


def announced_of_latest(ledger_path: Path, environment: Mapping[str, str]) -> list[PriceNotice]:
    """The same of the models that the ledger's latest calls had."""
    return _announced_of(ledger_path, _LATEST, {}, environment)


def _announced_of(
    ledger_path: Path, query: str, given: Mapping[str, str], environment: Mapping[str, str]
) -> list[PriceNotice]:
    from noburn_cli.ledger_file import reading_ledger
    from noburn_cli.prices import load_book

    try:
        if not ledger_path.exists():
            return []
        with reading_ledger(ledger_path) as ledger:
            models = [str(model) for (model,) in ledger.execute(query, dict(given)) if model]
        if not models:
            return []
        return announced(load_book(environment), models, at_ms=time.time_ns() // 1_000_000)
    except (NoburnError, OSError):
        return []  # Whoever needs the ledger or the book says why it cannot be had.
