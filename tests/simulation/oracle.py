"""The ledger's rules once more, slowly and from its own journal: what must be so after each row.

Shares no code with the daemon.  It follows the journal row by row, as a reader of the file, and
refuses a row that the rules do not allow: an admission above a limit, a second end of a call, a
grant in a run that is barred, a time that goes back, a broken chain.  Its balances are sums over
all calls.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import apsw

from tests.simulation.rules import (
    Limit,
    Pairs,
    account_keys,
    pairs_of,
    run_paths,
    stands_in,
    with_pseudonym,
)

#: Whom the histories forget, if anybody.
FORGOTTEN = "acme"

_GENESIS = hashlib.sha256(b"noburn ledger 1").digest()
_FIRST_COLUMNS = 36
_ENDS = {"settle": "settled", "lose": "uncertain", "orphan": "orphaned", "void": "voided"}
_MAY_END = {
    "held": {"settle", "lose", "orphan", "void"},
    "uncertain": {"settle"},
    "orphaned": {"settle"},
}
_HARD = ("block", "kill")
_UNITS = {"dollars": 0, "tokens": 1, "requests": 2}


class Wrong(Exception):
    """The ledger says something that cannot be."""


@dataclass
class Called:
    """A call as the journal tells it; weights are (nano-dollars, tokens, requests)."""

    call: str
    at_ms: int
    attrs: dict[str, str]
    hold: tuple[int, int, int]
    granted: int | None
    notional: bool
    owner: str
    state: str = "held"
    cost: tuple[int, int, int] = (0, 0, 0)
    #: The rows of its ends, for what was answered to be compared with.
    ends: list[dict[str, Any]] = field(default_factory=list)


#: (budget, the account's values, the start of its window)
Place = tuple[int, Pairs, int]


class Oracle:
    """Follows one ledger."""

    def __init__(self) -> None:
        self.calls: dict[str, Called] = {}
        self.limits: dict[int, Limit] = {}
        self.topups: dict[Place, int] = {}
        #: Amounts that corrected the books, as calls that cost so much.
        self.amounts: list[Called] = []
        self._corrections: set[str] = set()
        #: What was carried into a window.
        self.carried: dict[Place, int] = {}
        #: Changes that are to come, and when.
        self.scheduled: dict[int, int] = {}
        #: Thresholds that were told.
        self.crossed: dict[Place, set[int]] = {}
        #: How many messages of thresholds each channel is to hear, by their moment.
        self.told: dict[int, Counter[str]] = {}
        #: What was booked beyond budgets that bill.
        self.overages: dict[Place, int] = {}
        #: Ids that never held anything and never will.
        self.closed: set[str] = set()
        self.barred: dict[str, str] = {}
        #: Runs that ended once, started again or not.
        self.ended: set[str] = set()
        self.seq = 0
        self.chain = _GENESIS
        self.at_ms = 0
        self.names: dict[int, str] = {}
        #: The calls of each account, found once: which they are never changes.
        self._of: dict[Place, list[Called]] = {}
        self.columns: list[str] = []
        self._links = [_GENESIS]
        #: Every row as it was when it came, texts resolved.
        self.taken: list[dict[str, Any]] = []
        #: The last row of each call, run or budget, by kind.
        self._rows: dict[tuple[str, ...], int] = {}

    # Following.

    def follow(self, connection: apsw.Connection) -> list[dict[str, Any]]:
        """Take the rows that are new.  Raises Wrong."""
        if not self.columns:
            self.columns = [row[1] for row in connection.execute("PRAGMA table_info(journal)")]
            self.columns.remove("chain")
        row = connection.execute("SELECT chain FROM journal WHERE seq = ?", (self.seq,)).fetchone()
        is_gone = row is None and self.sealed_in(connection) < self.seq
        if self.seq and (is_gone or (row is not None and row[0] != self.chain)):
            raise Wrong(f"row {self.seq}, which was there, is gone or another")
        query = f"SELECT {', '.join(self.columns)}, chain FROM journal WHERE seq > ? ORDER BY seq"
        taken = []
        for *values, chain in connection.execute(query, (self.seq,)).fetchall():
            self._check_link(values, chain)
            found = dict(zip(self.columns, values, strict=True))
            self._resolve(connection, found)
            self._take(found)
            taken.append(found)
        self.taken += taken
        return taken

    def sealed_in(self, connection: apsw.Connection) -> int:
        """The last row that the newest compaction speaks for; its link is to be ours."""
        found = connection.execute(
            "SELECT detail FROM journal WHERE kind IN ('compact', 'forget')"
            " ORDER BY seq DESC LIMIT 1"
        ).fetchone()
        if found is None:
            return 0
        seal = json.loads(str(found[0]))["seal"]
        through = int(seal["through"])
        if through < len(self._links) and self._links[through].hex() != seal["link"]:
            raise Wrong(f"the seal through row {through} has another link than that row had")
        return through

    def survivors(self, connection: apsw.Connection) -> int:
        """How many of our rows a file still tells, or has told and compacted."""
        rows = connection.execute("SELECT seq, chain FROM journal ORDER BY seq DESC")
        known = len(self._links)
        last = next((seq for seq, link in rows if seq < known and self._links[seq] == link), 0)
        return max(last, min(self.sealed_in(connection), known - 1))

    def as_of(self, rows: int) -> Oracle:
        """What was known when so many rows had been followed; names are looked up again."""
        before = Oracle()
        before.columns = self.columns
        for row, link in zip(self.taken[:rows], self._links[1:], strict=False):
            before.seq, before.chain, before.at_ms = row["seq"], link, row["at_ms"]
            before._links.append(link)
            before.taken.append(row)
            before._take(row)
        return before

    def _check_link(self, values: list[Any], chain: bytes) -> None:
        kept = list(values)
        if all(value is None for value in kept[_FIRST_COLUMNS:]):
            del kept[_FIRST_COLUMNS:]
        text = json.dumps(kept, separators=(",", ":"), ensure_ascii=False).encode()
        if hashlib.sha256(self.chain + text).digest() != chain:
            raise Wrong(f"the chain breaks at row {values[0]}")
        if values[0] != self.seq + 1:
            raise Wrong(f"row {values[0]} comes after row {self.seq}")
        if values[1] < self.at_ms:
            raise Wrong(f"row {values[0]} is {self.at_ms - values[1]} ms before the one before it")
        self.seq, self.chain, self.at_ms = values[0], chain, values[1]
        self._links.append(chain)

    def _resolve(self, connection: apsw.Connection, row: dict[str, Any]) -> None:
        for column in ("context", "owner", "note"):
            number = row[column]
            if number is not None and number not in self.names:
                found = connection.execute("SELECT text FROM names WHERE id = ?", (number,))
                self.names[number] = found.fetchone()[0]
            row[column] = None if number is None else self.names[number]

    def _take(self, row: dict[str, Any]) -> None:
        kind = row["kind"]
        self._rows[kind, row["call"] or row["run"] or ""] = row["seq"]
        if kind == "reserve":
            self._reserve(row)
        elif kind in _ENDS:
            self._end(row)
        elif kind in ("tombstone", "refused"):
            if kind == "tombstone" or row["digest"] is None:
                if row["call"] in self.calls:
                    raise Wrong(f"{kind} of call {row['call']}, which was granted")
                self.closed.add(row["call"])
        elif kind == "budget_set":
            detail = json.loads(row["detail"])
            if "scheduled" in detail and self.scheduled.pop(detail["scheduled"]) > row["at_ms"]:
                raise Wrong(f"a scheduled change is done too early, in row {row['seq']}")
            self._set(detail, row["run"])
        elif kind == "budget_rm":
            number = json.loads(row["detail"])["budget"]
            del self.limits[number]
            self._of = {place: calls for place, calls in self._of.items() if place[0] != number}
        elif kind == "topup":
            self._top_up(json.loads(row["detail"]), row["at_ms"])
        elif kind == "correction":
            self._correct(row, json.loads(row["detail"]))
        elif kind == "carry":
            self._carry(json.loads(row["detail"]))
        elif kind == "scheduled":
            detail = json.loads(row["detail"])
            self.scheduled[detail["id"]] = detail["at_ms"]
        elif kind == "unscheduled":
            del self.scheduled[json.loads(row["detail"])["id"]]
        elif kind == "threshold":
            self._cross(json.loads(row["detail"]), row["at_ms"])
        elif kind == "overage":
            self._overage(json.loads(row["detail"]))
        elif kind == "forget":
            self._forget(json.loads(row["detail"]))
        elif kind.startswith("run_") and kind != "run_note":
            self._run(kind, row["run"])

    def _reserve(self, row: dict[str, Any]) -> None:
        name = row["call"]
        if name in self.calls or name in self.closed:
            raise Wrong(f"call {name} is granted again")
        called = Called(
            name, row["at_ms"], json.loads(row["context"]),
            (row["hold_nano"], row["hold_tokens"], 1), row["granted"],
            row["note"].startswith('{"notional":true'), row["owner"],
        )  # fmt: skip
        for run in run_paths(called.attrs):
            if self.barred.get(run):
                raise Wrong(f"call {name} is granted in run {run}, which is {self.barred[run]}")
        for limit, place in self._checked(called):
            if limit.action not in _HARD or (called.notional and limit.unit == 0):
                continue
            settled, held, _ = self._sum(place, row["at_ms"]) if limit.per != "call" else (0, 0, 0)
            capacity = self._capacity(place)
            if settled + held + called.hold[limit.unit] > capacity:
                raise Wrong(
                    f"call {name} is granted {called.hold[limit.unit]} of {place}, where"
                    f" {settled} settled and {held} held of {capacity} leave less"
                )
        self.calls[name] = called
        for limit in self.limits.values():
            self._file(limit, called)

    def _file(self, limit: Limit, called: Called) -> None:
        if limit.per == "call" or (called.notional and limit.unit == 0):
            return
        for place in self._places(limit, called):
            self._of.setdefault(place, []).append(called)

    def _end(self, row: dict[str, Any]) -> None:
        called = self.calls.get(row["call"])
        if called is None:
            raise Wrong(f"{row['kind']} of call {row['call']}, which was never granted")
        if row["kind"] not in _MAY_END.get(called.state, ()):
            raise Wrong(f"{row['kind']} of call {called.call}, which is {called.state}")
        called.state = _ENDS[row["kind"]]
        called.ends.append(row)
        if row["kind"] == "void":
            called.cost = (0, 0, 0)
        else:
            called.cost = (row["cost_nano"], row["cost_tokens"], 1)
        if row["kind"] in ("lose", "orphan") and called.cost != called.hold:
            raise Wrong(f"{row['kind']} of call {called.call} charges {called.cost}, not its hold")

    def _set(self, detail: dict[str, Any], run: str | None) -> None:
        is_new = detail["budget"] not in self.limits
        limit = self.limits[detail["budget"]] = Limit(
            detail["budget"], pairs_of(detail["scope"]), detail["per"], _UNITS[detail["unit"]],
            detail["limit"], detail["override"], run, detail["action"], detail["zone"],
            detail["anchor"], tuple(detail["thresholds"]), detail["carry"],
            tuple(detail["notify"]),
        )  # fmt: skip
        if is_new:
            for called in (*self.calls.values(), *self.amounts):
                self._file(limit, called)

    def _top_up(self, detail: dict[str, Any], at_ms: int) -> None:
        limit = self.limits[detail["budget"]]
        named = pairs_of(detail["account"].split(" per ")[0])
        place = (limit.number, named, limit.start_ms(at_ms))
        self.topups[place] = self.topups.get(place, 0) + detail["amount"]

    def _correct(self, row: dict[str, Any], detail: dict[str, Any]) -> None:
        """An amount for a moment, or the bill of a call, whose own row comes next."""
        if detail["id"] in self._corrections:
            raise Wrong(f"correction {detail['id']} is booked twice")
        self._corrections.add(detail["id"])
        if "ends" in detail:
            return
        weights = (row["cost_nano"], row["cost_tokens"], detail["requests"])
        amount = Called(
            f"correction {detail['id']}", detail["for_ms"], json.loads(row["context"]), (0, 0, 0),
            None, False, "", "corrected", weights,
        )  # fmt: skip
        self.amounts.append(amount)
        for limit in self.limits.values():
            self._file(limit, amount)

    def _carry(self, detail: dict[str, Any]) -> None:
        key = tuple((name, value) for name, value in json.loads(detail["key"]))
        place = (detail["budget"], key, detail["window_start_ms"])
        self.carried[place] = self.carried.get(place, 0) + detail["amount"]
        carried, most = self.carried[place], self.limits[place[0]].carry
        if carried != detail["carried"] or not 0 <= carried <= most:
            raise Wrong(f"{carried} is carried into {place}, of at most {most}")

    def _cross(self, detail: dict[str, Any], at_ms: int) -> None:
        key = tuple((name, value) for name, value in json.loads(detail["key"]))
        place = (detail["budget"], key, detail["window_start_ms"])
        percent = detail["percent"]
        if place[0] not in self.limits:
            raise Wrong(f"{percent} % of {place} is told, and the budget was removed")
        if percent in self.crossed.setdefault(place, set()):
            raise Wrong(f"{percent} % of {place} is told twice")
        self.crossed[place].add(percent)
        self.told.setdefault(at_ms, Counter()).update(self.limits[place[0]].notify)
        settled, capacity = self._sum(place, at_ms)[0], self._capacity(place)
        ends_ms = self.limits[place[0]].end_ms(place[2])
        if ends_ms is not None and ends_ms <= at_ms:
            return  # A budget that came later knows only what was open of an hour that is over.
        if settled != detail["settled"] or settled * 100 < capacity * percent:
            raise Wrong(f"{percent} % of {place} is told at {settled} of {capacity}")

    def _forget(self, detail: dict[str, Any]) -> None:
        """A customer has another name from now on, wherever it stood."""

        def renamed(pairs: Pairs) -> Pairs:
            return with_pseudonym(pairs, detail["attribute"], FORGOTTEN, detail["as"])

        self.names.clear()
        for called in (*self.calls.values(), *self.amounts):
            called.attrs = dict(renamed(tuple(called.attrs.items())))
        for limit in self.limits.values():
            limit.scope = renamed(limit.scope)
        for told in (self.topups, self.carried, self.crossed, self.overages):
            places = {(place[0], renamed(place[1]), place[2]): told[place] for place in told}
            told.clear()
            told.update(places)
        self._of = {}
        for called in (*self.calls.values(), *self.amounts):
            for limit in self.limits.values():
                self._file(limit, called)

    def _capacity(self, place: Place) -> int:
        return self.limits[place[0]].amount + self.topups.get(place, 0) + self.carried.get(place, 0)

    def check_thresholds(self, now_ms: int) -> None:
        """Every threshold that was reached was told."""
        for place in self._of:
            limit = self.limits[place[0]]
            ends_ms = limit.end_ms(place[2])
            if not limit.thresholds or (ends_ms is not None and ends_ms <= now_ms):
                continue
            settled, capacity = self._sum(place, now_ms)[0], self._capacity(place)
            for percent in limit.thresholds:
                reached = settled * 100 >= capacity * percent and settled > 0
                if reached and percent not in self.crossed.get(place, ()):
                    raise Wrong(f"{place} is at {settled} of {capacity}, and {percent} % is untold")

    def _overage(self, detail: dict[str, Any]) -> None:
        key = tuple((name, value) for name, value in json.loads(detail["key"]))
        place = (detail["budget"], key, detail["window_start_ms"])
        self.overages[place] = self.overages.get(place, 0) + detail["amount"]
        if self.overages[place] != detail["total"]:
            raise Wrong(f"the overage rows of {place} come to {self.overages[place]}")

    def _run(self, kind: str, run: str) -> None:
        if kind == "run_start":
            self.barred.pop(run, None)
        elif kind in ("run_end", "run_stop"):
            if kind == "run_end":
                self.ended.add(run)
            if self.barred.get(run) not in ("stopped", "ended"):
                self.barred[run] = "ended" if kind == "run_end" else "stopped"
        elif kind == "run_pause":
            self.barred.setdefault(run, "paused")
        elif self.barred.get(run) == "paused":
            del self.barred[run]

    def row_of(self, frame: dict[str, Any]) -> int:
        """The row that a request left, by its number; 0 for none.  Of budgets, the last of all."""
        kind = frame["op"].replace(".", "_").replace("budget_topup", "topup")
        name = frame.get("call") or frame.get("run") or ""
        return self._rows.get((kind, name), 0)

    def common_seq(self, other: Oracle) -> int:
        """How many rows two journals have in common."""
        pairs = zip(self._links, other._links, strict=False)
        return sum(1 for one, another in pairs if one == another) - 1

    # Sums.

    def _sum(self, place: Place, now_ms: int) -> tuple[int, int, int]:
        """(settled, held, calls in flight) of one account: over every call that belongs to it."""
        limit = self.limits[place[0]]
        settled = held = flying = 0
        for called in self._of.get(place, ()):
            if called.state == "held":
                held += called.hold[limit.unit]
                flying += 1
            elif limit.counts(called.at_ms, now_ms):
                settled += called.cost[limit.unit]
        return settled, held, flying

    def check_overages(self, now_ms: int) -> None:
        """What was booked beyond a budget that bills is what was spent beyond it."""
        for place in self._of:
            limit = self.limits[place[0]]
            ends_ms = limit.end_ms(place[2])
            if limit.action != "bill" or (ends_ms is not None and ends_ms <= now_ms):
                continue
            over = max(0, self._sum(place, now_ms)[0] - self._capacity(place))
            if over != self.overages.get(place, 0):
                raise Wrong(f"{place} is {over} over, and {self.overages.get(place, 0)} is booked")

    def _places(self, limit: Limit, called: Called) -> list[Place]:
        start = limit.start_ms(called.at_ms)
        return [(limit.number, key, start) for key in account_keys(limit, called.attrs)]

    def _checked(self, called: Called) -> Iterable[tuple[Limit, Place]]:
        """The accounts that may refuse a call: those that no override stands in for."""
        charged = [
            (limit, p) for limit in self.limits.values() for p in self._places(limit, called)
        ]
        for limit, place in charged:
            replaced = any(
                other.override and (other.per, other.unit) == (limit.per, limit.unit)
                and its[1] == place[1] and stands_in(other.scope, limit.scope)
                for other, its in charged
            )  # fmt: skip
            if not replaced:
                yield limit, place

    def places(self, now_ms: int) -> dict[Place, tuple[int, int, int]]:
        """Every account that a call was charged to: (settled, held, calls in flight)."""
        return {place: self._sum(place, now_ms) for place in self._of}
