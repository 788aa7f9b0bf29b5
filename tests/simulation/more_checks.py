"""What must be so of messages, sums of past calls, and a file that was made anew."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import apsw

from tests.simulation.oracle import Wrong

if TYPE_CHECKING:
    from tests.simulation.checks import Checks
    from tests.simulation.world import World

Row = dict[str, Any]
_SLOT_MS = 900_000
#: Rows that compacting may take.
_OF_CALLS = (
    "reserve", "settle", "lose", "orphan", "void", "tombstone", "blocked", "refused",
    "bound_defect",
)  # fmt: skip
_WAITS = "delivered_at_ms IS NULL"


class MoreChecks:
    """Reads the tables beside the journal as anybody may who opens the file."""

    def __init__(self, checks: Checks, world: World) -> None:
        self._checks = checks
        self._world = world
        #: Up to when calls were compacted so far: what was asked for last may be an earlier month.
        self._before_ms = 0

    def after_rows(self, rows: list[Row], reader: apsw.Connection) -> None:
        """With each row that tells of a threshold its messages are there, once each."""
        for at_ms in dict.fromkeys(row["at_ms"] for row in rows if row["kind"] == "threshold"):
            told = self._told_at(at_ms)
            query = "SELECT channel, count(*) FROM outbox WHERE kind = ? AND at_ms = ? GROUP BY 1"
            found = dict(reader.execute(query, ("budget.threshold", at_ms)))
            if found != told:
                raise Wrong(f"thresholds of {at_ms} were to be told to {told}, and are to {found}")
        for row in rows:
            if row["kind"] == "compact":
                self._check_compacted(json.loads(row["detail"]), reader)

    def _told_at(self, at_ms: int) -> dict[str, int]:
        return dict(self._checks.oracle.told[at_ms])

    def after_commit(self, rows: list[Row], reader: apsw.Connection) -> None:
        """What new budgets would start from, where the file has just been made anew."""
        if any(row["kind"] in ("compact", "forget") for row in rows):
            self.check_sums(reader)

    def check_sums(self, reader: apsw.Connection) -> None:
        """Sums by context and quarter-hour are the sums over all calls that have ended."""
        world, oracle = self._world, self._checks.oracle
        assert world.daemon is not None
        query = (
            "SELECT x.text, s.slot, s.nano, s.tokens, s.requests FROM sums AS s"
            " JOIN names AS x ON x.id = s.context"
        )
        theirs: Counter[tuple[Any, ...]] = Counter()
        for text, slot, *weights in reader.execute(query):
            _add(theirs, json.loads(text), slot, weights)
        for (text, slot), weights in world.daemon.book.changed.sums.items():
            _add(theirs, json.loads(text), slot, weights)
        ours: Counter[tuple[Any, ...]] = Counter()
        for called in (*oracle.calls.values(), *oracle.amounts):
            if called.state != "held":
                nano = 0 if called.notional else called.cost[0]
                _add(ours, called.attrs, called.at_ms // _SLOT_MS, (nano, *called.cost[1:]))
        wrong = {k for k in theirs | ours if theirs[k] != ours[k]}
        wrong |= {k for k in ours if theirs[k] != ours[k]}
        if wrong:
            one = min(wrong)
            raise Wrong(f"the sums of {one} are {theirs[one]}, the journal has {ours[one]}")

    def _check_compacted(self, detail: Row, reader: apsw.Connection) -> None:
        """Only what is done and over is gone, and what it came to is kept."""
        oracle = self._checks.oracle
        through = detail["seal"]["through"]
        month = datetime.strptime(detail["before"], "%Y-%m").replace(tzinfo=UTC)
        self._before_ms = before_ms = max(self._before_ms, int(month.timestamp() * 1000))
        there = {seq for (seq,) in reader.execute("SELECT seq FROM journal")}
        gone = [row for row in oracle.taken if row["seq"] not in there]
        for row in gone:
            called = oracle.calls.get(row["call"] or "")
            is_over = called is None or called.state in ("settled", "voided")
            if row["kind"] not in _OF_CALLS or not is_over:
                raise Wrong(f"row {row['seq']} is gone: {row['kind']} of {row['call']}")
            if row["seq"] > through or row["at_ms"] >= before_ms:
                raise Wrong(f"row {row['seq']} is gone, and is not from before {detail['before']}")
        calls = [oracle.calls[row["call"]] for row in gone if row["kind"] == "reserve"]
        kept = next(reader.execute("SELECT total(cost_nano), total(cost_tokens) FROM rollups"))
        spent = tuple(sum(c.cost[i] for c in calls if c.state == "settled") for i in (0, 1))
        if tuple(map(int, kept)) != spent:
            raise Wrong(f"calls that came to {spent} are gone, and {kept} is kept of them")

    # Messages.

    @staticmethod
    def has_message(reader: apsw.Connection, key: str) -> bool:
        return bool(list(reader.execute("SELECT 1 FROM outbox WHERE key = ?", (key,))))

    @staticmethod
    def waits(reader: apsw.Connection) -> bool:
        """Whether a message is on its way."""
        return bool(list(reader.execute(f"SELECT 1 FROM outbox WHERE {_WAITS} LIMIT 1")))

    def at_the_end(self, reader: apsw.Connection) -> None:
        """Every message that was put down has been taken."""
        world = self._world
        assert world.whole is not None
        taken = world.whole.receivers.taken
        for key, delivered in reader.execute("SELECT key, delivered_at_ms FROM outbox"):
            if not taken[key]:
                raise Wrong(f"message {key} is marked as delivered ({delivered}), and was not")
        if world.daemon is not None and world.daemon._commits.sick is None:
            self.check_sums(reader)
            held = world.daemon._service._reloader.held  # type: ignore[union-attr]
            if held != world.whole.settings.now:
                raise Wrong("the settings are not what the file says, though it was read again")
            self._check_durability()

    def _check_durability(self) -> None:
        """Commits are as durable as the settings say."""
        world = self._world
        assert world.whole is not None
        assert world.ledger is not None
        synchronous = world.ledger._connection.pragma("synchronous")
        if synchronous != {"process": 1, "power": 2}[world.whole.settings.now.durability]:
            raise Wrong(f"the ledger's `synchronous` is {synchronous} at the end")


def _add(sums: Counter[tuple[Any, ...]], attrs: dict[str, str], slot: int, weights: Any) -> None:
    place = tuple(sorted(attrs.items()))
    for unit, weight in enumerate(weights):
        sums[place, slot, unit] += weight
