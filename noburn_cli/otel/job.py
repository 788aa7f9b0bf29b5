"""An export from where the last one ended to the journal's end, or on and on.

Layer: otel, I/O.  Below: reading, spans, metrics, cursor, destinations; reports.following, which
waits for commits.  Above: commands.export.
Owns: the order of a step: read, deliver spans, deliver metrics, remember.  What was delivered and
not remembered is delivered again, with the same ids and the same counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.export.reading import Border, border, link_of
from noburn_cli.ledger_file import reading_ledger
from noburn_cli.otel.cursor import Cursor, Place
from noburn_cli.otel.destinations import Destination
from noburn_cli.otel.metrics import METRICS, counted, metrics_data
from noburn_cli.otel.reading import Ended, read_ended
from noburn_cli.otel.spans import SpanMaker
from noburn_cli.otel.sums import Counts, Series
from noburn_cli.reports.following import stamp, wait_for_commit

SPANS, METRICS_ONLY, BOTH = "spans", "metrics", "both"
_MS = 1_000_000
#: So many rows are read, sent and remembered together: well below 4 MB in a request.
STEP_ROWS = 500
#: How long a refused delivery waits before it is tried again, the first time and at most.
RETRY_FIRST_S, RETRY_MOST_S = 5.0, 300.0


@dataclass
class Exported:
    """How much was delivered."""

    spans: int = 0
    points: int = 0


class Export:
    """One export: from a ledger, by a cursor, to a destination."""

    def __init__(
        self, ledger_path: Path, cursor: Cursor, maker: SpanMaker, destination: Destination
    ) -> None:
        self._ledger_path, self._cursor = ledger_path, cursor
        self._maker, self._destination = maker, destination

    def catch_up(self, tell: Callable[[str, int, int], None]) -> Exported:
        """Deliver what ended until now.  Raises NoburnError, LedgerUnavailable."""
        exported = Exported()
        check_same_ledger(self._ledger_path, self._cursor.place.border)
        end = border(self._ledger_path)
        while (at := self._cursor.place.border.seq) < end.seq:
            tell("rows read", at, end.seq)
            self._step(self._cursor.place, end, exported)
        return exported

    def follow(
        self, tell: Callable[[str], None], sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Go on as rows are committed; never ends by itself.

        tell: hears once what keeps a delivery from being taken; it is tried again, later and later.
        Raises NoburnError for what trying again does not mend.
        """
        wait_s, told = RETRY_FIRST_S, ""
        while True:
            seen = stamp(self._ledger_path)
            try:
                self.catch_up(lambda _what, _done, _total: None)
            except NoburnError as error:
                if not error.may_retry:
                    raise
                if (words := f"{error.message}: {error.why}") != told:
                    tell(words)
                    told = words
                sleep(wait_s)
                wait_s = min(2 * wait_s, RETRY_MOST_S)
            else:
                wait_s, told = RETRY_FIRST_S, ""
                wait_for_commit(self._ledger_path, seen, sleep)

    def _step(self, place: Place, end: Border, exported: Exported) -> None:
        """Deliver and remember the next rows."""
        with reading_ledger(self._ledger_path) as connection:
            ended = read_ended(
                connection,
                after=place.border.seq,
                upto=end.seq,
                since_ms=place.since_ms,
                limit=STEP_ROWS,
            )
            # Fewer than were asked for: there are no more up to the end.
            last = ended.events[-1].seq if len(ended.events) == STEP_ROWS else end.seq
            reached = Border(last, link_of(connection, last))
        after = replace(place, border=reached)
        if place.what != METRICS_ONLY:
            spans = self._maker.spans(ended)
            after.spans_bytes = self._destination.spans(spans)
            exported.spans += len(spans)
        changed = self._count(ended) if place.what != SPANS else {}
        if changed:
            after.started_ns = place.started_ns or (ended.events[0].at_ms - 1) * _MS
            # The points of a series have times of their own, in order.
            after.time_ns = max(ended.events[-1].at_ms * _MS, place.time_ns + 1)
            data = metrics_data(
                changed, resource=self._maker.resource,
                start_ns=after.started_ns, time_ns=after.time_ns,
            )  # fmt: skip
            after.metrics_bytes = self._destination.metrics(data)
            exported.points += len(changed)
        self._cursor.remember(after, changed)

    def _count(self, ended: Ended) -> dict[Series, Counts]:
        return counted(
            ended, self._maker.call_labels,
            lambda series: self._cursor.recall(series, METRICS[series.metric][2]),
        )  # fmt: skip


def begin(cursor: Cursor, what: str, since_ms: int | None) -> bool:
    """Set the cursor where the export goes on; whether it is the first one to that place.

    since_ms: of a first export; a later one goes on, whatever it says (24h moves along).
    Raises UsageError when the cursor is of another export.
    """
    if not cursor.is_new:
        if cursor.place.what != what:
            raise UsageError(
                f"that cursor is of an export of {cursor.place.what}, not of {what}",
                next_step="name another --cursor, or begin anew with --restart",
            )
        return False
    cursor.remember(Place(what, since_ms or 0, Border(0, "")), {})
    return True


def check_same_ledger(ledger_path: Path, at: Border) -> None:
    """Raises NoburnError when the journal's row of that number is another, or does not exist yet.

    A row that was compacted is gone, and the rows after it are the same.
    """
    if not at.seq:
        return
    with reading_ledger(ledger_path) as connection:
        link = link_of(connection, at.seq)
    if (link and link != at.link) or at.seq > border(ledger_path).seq:
        raise NoburnError(
            "the ledger is not the one that was exported: it was made anew or restored",
            why="its rows are no longer those that were read",
            next_step="export everything again with --restart",
        )
