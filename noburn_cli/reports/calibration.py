"""Each settled call of the journal against what the calls before it had said of it.

Layer: reports, I/O.  Below: core.calibration, core.estimates, learned (which calls teach), recorded
(Stretch), query (Question).  Above: commands.report.
Owns: one pass over the journal, with the calls in flight in memory; which lines there are.
Not here: how errors are counted (core.calibration), how they look (render.calibration).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.core.budgets import ATTRIBUTES, NONE, TAG_PREFIX, check_key
from noburn_cli.core.calibration import NAMED_MAX, AboveHold, Calibration, Judged, Past, Tally
from noburn_cli.core.estimates import cost_of
from noburn_cli.core.learning import DAY_MS, DAYS, FEATURE, PROMPT_KEY, Learned
from noburn_cli.core.models import Model
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.usage import input_total
from noburn_cli.errors import NoburnError, PriceUnknown, UsageError
from noburn_cli.reports.learned import attributes_of, most_output, observed
from noburn_cli.reports.query import Question
from noburn_cli.reports.reading import reading
from noburn_cli.reports.recorded import Stretch, stretch

if TYPE_CHECKING:
    import apsw

#: What lines can be made by, besides attributes and tags.
BY = ("model", "api", "basis", "bound")
UNKNOWN = "unknown"
_BY_ATTRIBUTE = tuple(name for name in ATTRIBUTES if name != "run")
_ROWS = """
    SELECT seq, at_ms, kind, call, context, model, hold_nano, hold_tokens, input_bound, bound,
      granted, book, input, cache_read, cache_write_5m, cache_write_1h, output, variant, failure,
      cost_nano, extra
    FROM journal WHERE seq >= ? AND seq < ?
      AND kind IN ('reserve', 'settle', 'lose', 'orphan', 'void') ORDER BY seq
"""
_TEXT = "SELECT text FROM names WHERE id = ?"
_BOOK = "SELECT texts FROM books WHERE version = ?"
_CACHE_MAX = 100_000
_BOOKS_MAX = 8
#: How often the progress is told, in rows.
_STEP_ROWS = 5_000

#: (rows read, rows in all)
Tell = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class _Made:
    """A call in flight: what its `reserve` said, and what was known when it was made."""

    at_ms: int
    context: int
    model: tuple[str, str, str]
    hold: int | None
    hold_tokens: int | None
    input_bound: int | None
    bound: str
    granted: int | None
    book: int | None
    learned: Learned | None


def check_by(name: str) -> str:
    """Return `name` when lines can be made by it.  Raises UsageError."""
    if name in BY or name in _BY_ATTRIBUTE:
        return name
    if name.startswith(TAG_PREFIX):
        return check_key(name)
    raise UsageError(
        f"a calibration has no lines by {name!r}",
        why=f"known are {', '.join((*BY, *_BY_ATTRIBUTE))} and tag.NAME",
        next_step="choose one of them",
    )


def read_calibration(
    ledger_path: Path, question: Question, tell: Tell | None = None
) -> Calibration:
    """Compare every settled call that the question is about.

    Calls from DAYS before the period teach, and are in no line.  Raises LedgerUnavailable.
    """
    since_ms = question.since_ms or 0
    with reading(ledger_path) as connection:
        part = stretch(connection, since_ms=max(0, since_ms - DAYS * DAY_MS), until_ms=None)
        return _Pass(connection, question).run(part, tell or (lambda _done, _total: None))


class _Pass:
    """One pass over one state of the file."""

    def __init__(self, connection: apsw.Connection, question: Question) -> None:
        self._connection = connection
        self._question = question
        self._past = Past()
        self._open: dict[str, _Made] = {}
        self._lines: dict[tuple[str, ...], Tally] = {}
        self._above: list[AboveHold] = []
        self._contexts: dict[int, dict[str, str]] = {}
        self._models: dict[int, tuple[str, str, str]] = {}
        self._books = _Books(connection)

    def run(self, part: Stretch, tell: Tell) -> Calibration:
        """Walk, and say what was found."""
        for count, row in enumerate(self._connection.execute(_ROWS, (part.first, part.end))):
            if not count % _STEP_ROWS:
                tell(row[0] - part.first, part.rows)
            if row[2] == "reserve":
                self._made(row)
                continue
            made = self._open.pop(row[3], None)
            if made is not None and row[2] == "settle" and row[12] is not None:
                self._settled(row, made)
        ordered = sorted(self._lines.items(), key=lambda line: (-line[1].calls, line[0]))
        total = Tally()
        for _, tally in ordered:
            total.take(tally)
        by, above = self._question.by, tuple(self._above)
        return Calibration(by, tuple(ordered), total, above, self._past.forgotten)

    def _made(self, row: tuple[Any, ...]) -> None:
        (_, at_ms, _, call, context, model, hold, hold_tokens, input_bound, bound, granted, book,
         *_) = row  # fmt: skip
        names = self._model(model)
        if not self._is_asked_model(names):
            return
        attributes = self._attributes(context)
        learned = None
        if granted is not None and _teaches(names[0]):
            learned = self._past.expect(
                model=names[2], feature=attributes.get(FEATURE), prompt=attributes.get(PROMPT_KEY),
                now_ms=at_ms,
            )  # fmt: skip
        self._open[call] = _Made(
            at_ms, context, names, hold, hold_tokens, input_bound, bound or UNKNOWN, granted, book,
            learned,
        )  # fmt: skip

    def _settled(self, row: tuple[Any, ...], made: _Made) -> None:
        plain, read, write_5m, write_1h, output, variant, failure, cost, extra = row[12:]
        went_in = plain + (read or 0) + (write_5m or 0) + (write_1h or 0)
        if extra:
            went_in += input_total({kind: n or 0 for kind, n in json.loads(extra).items()})
        attributes = self._attributes(made.context)
        if self._is_asked(made, attributes):
            costs = self._costs(made, went_in, variant or "standard")
            judged = Judged(cost or 0, made.hold, went_in, made.input_bound, *costs)
            self._line(made, attributes).add(judged)
            if made.hold is not None and judged.cost > made.hold and len(self._above) < NAMED_MAX:
                self._above.append(
                    AboveHold(row[3], made.at_ms, made.model[2], made.bound, judged.cost, made.hold)
                )
        if failure is None and made.granted is not None and _teaches(made.model[0]):
            seen = (made.at_ms, made.granted, made.hold_tokens, made.input_bound)
            self._past.see(
                observed((*seen, plain, read, write_5m, write_1h, output)),
                model=made.model[2], feature=attributes.get(FEATURE),
                prompt=attributes.get(PROMPT_KEY),
            )  # fmt: skip

    def _costs(self, made: _Made, went_in: int, variant: str) -> tuple[int | None, ...]:
        """What the call would have been said to cost: at the median, the high one and the mean."""
        learned = made.learned
        model = None if learned is None else self._books.model(made.book, made.model[2])
        if learned is None or model is None:
            return ()
        most = most_output(made.granted or 0, made.hold_tokens, made.input_bound)
        try:
            return tuple(
                cost_of(
                    model, went_in, min(output, most), variant=variant, at_ms=made.at_ms,
                    cache=learned.expected_cache,
                )
                for output in (learned.median, learned.high, learned.mean)
            )  # fmt: skip
        except PriceUnknown:
            return ()

    def _is_asked_model(self, names: tuple[str, str, str]) -> bool:
        wanted = self._question.where.get("model")
        return wanted is None or wanted in names[1:]

    def _is_asked(self, made: _Made, attributes: dict[str, str]) -> bool:
        asked = self._question
        if (asked.since_ms or 0) > made.at_ms:
            return False
        if asked.until_ms is not None and made.at_ms >= asked.until_ms:
            return False
        for name, wanted in (("run", asked.run), ("step", asked.step)):
            if wanted is not None and f"/{wanted}/" not in f"/{attributes.get(name, '')}/":
                return False
        return all(
            attributes.get(name, NONE) == wanted
            for name, wanted in asked.where.items()
            if name != "model"
        )

    def _line(self, made: _Made, attributes: dict[str, str]) -> Tally:
        known = {
            "model": made.model[2],
            "api": made.model[0],
            "basis": UNKNOWN if made.learned is None else made.learned.basis,
            "bound": made.bound,
        }
        keys = tuple(known.get(name) or attributes.get(name, NONE) for name in self._question.by)
        return self._lines.setdefault(keys, Tally())

    def _attributes(self, number: int) -> dict[str, str]:
        found = self._contexts.get(number)
        if found is None:
            if len(self._contexts) >= _CACHE_MAX:
                self._contexts.clear()
            found = self._contexts[number] = attributes_of(self._text(number))
        return found

    def _model(self, number: int) -> tuple[str, str, str]:
        """(api, as it was asked for, as the price book calls it)."""
        found = self._models.get(number)
        if found is None:
            api, asked, resolved = json.loads(self._text(number) or '["", "", ""]')
            found = self._models[number] = (api, asked, resolved or asked)
        return found

    def _text(self, number: int) -> str | None:
        row = next(iter(self._connection.execute(_TEXT, (number,))), None)
        return None if row is None else row[0]


def _teaches(api: str) -> bool:
    """A batch bills many requests as one."""
    return not api.endswith("batches")


class _Books:
    """Models by the price books that calls were stamped with, the last few of them read."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._books: dict[int | None, PriceBook | None] = {None: None}
        self._models: dict[tuple[int | None, str], Model | None] = {}

    def model(self, book: int | None, name: str) -> Model | None:
        """The model in that book; None where the book or the model is not known any more."""
        place = (book, name)
        if place not in self._models:
            self._models[place] = self._find(book, name)
        return self._models[place]

    def _find(self, number: int | None, name: str) -> Model | None:
        if number not in self._books:
            if len(self._books) > _BOOKS_MAX:
                self._books = {None: None}
            self._books[number] = self._read(number)
        book = self._books[number]
        try:
            return None if book is None else book.resolve(name)
        except NoburnError:
            return None

    def _read(self, number: int | None) -> PriceBook | None:
        rows: Iterator[tuple[str]] = iter(self._connection.execute(_TEXT, (number,)))
        version = next(rows, None)
        found = next(iter(self._connection.execute(_BOOK, version or ("",))), None)
        if found is None:
            return None
        return PriceBook.from_texts([(origin, text) for origin, text in json.loads(found[0])])
