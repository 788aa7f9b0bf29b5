"""Carry-over against its definition: hour after hour, from all calls, as they are known now."""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noburn_daemon import ending, policy, reserving
from tests.daemon.parts import START_MS, commit, open_book, read, reserve_frame, shown

HOUR_MS = 3_600_000
INPUT = 100
#: The family's accounts begin with what is in them, the other when it is set.
OWN, FAMILY = ("global", "requests"), ("customer=*", "tokens")


@dataclass
class Call:
    customer: str
    at_ms: int
    hold: int
    state: str = "held"
    tokens: int = 0
    ended_ms: int = 0
    billed_ms: int = 0

    def weight(self, unit: str, *, late: bool) -> int:
        """late: whether a late bill still counts."""
        if self.state == "voided":
            return 0
        if unit == "requests":
            return 1
        return (
            self.tokens if self.state == "settled" and (late or not self.billed_ms) else self.hold
        )


@dataclass
class Model:
    calls: dict[str, Call] = field(default_factory=dict)
    #: (moment, limit, carry) of each budget, oldest first.
    set: dict[tuple[str, str], list[tuple[int, int, int]]] = field(default_factory=dict)
    topups: list[tuple[tuple[str, str], str, int, int]] = field(default_factory=list)

    def said(self, budget: tuple[str, str], hour: int) -> tuple[int, int]:
        """Limit and carry at the end of an hour, or now."""
        _, limit, carry = [s for s in self.set[budget] if s[0] < (hour + 1) * HOUR_MS][-1]
        return limit, carry

    def added(self, budget: tuple[str, str], customer: str, hour: int) -> int:
        return sum(
            amount
            for name, of, at_ms, amount in self.topups
            if name == budget and at_ms // HOUR_MS == hour and (of == customer or budget == OWN)
        )

    def of_hour(self, budget: tuple[str, str], customer: str, hour: int) -> list[Call]:
        return [
            call
            for call in self.calls.values()
            if call.at_ms // HOUR_MS == hour and (call.customer == customer or budget == OWN)
        ]

    def carried(self, budget: tuple[str, str], customer: str, now_ms: int) -> int:
        carried, begun = 0, False
        for hour in range(START_MS // HOUR_MS, now_ms // HOUR_MS):
            limit, carry = self.said(budget, hour)
            calls = self.of_hour(budget, customer, hour)
            added = self.added(budget, customer, hour)
            end_ms = (hour + 1) * HOUR_MS
            begun = begun or budget == OWN or added != 0
            begun = begun or any(
                call.state != "voided" or call.ended_ms >= end_ms for call in calls
            )
            used = sum(
                call.weight(budget[1], late=call.billed_ms < end_ms + HOUR_MS) for call in calls
            )
            left = limit + added + carried - used
            carried = min(carry, max(0, left)) if begun else 0
            begun = begun and carry > 0
        return carried


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["reserve", "reserve", "reserve", "settle", "settle", "lose", "void", "tick", "tick",
             "restart", "topup", "set"]
        ),
        st.integers(0, 7),
        st.integers(0, 900),
        st.booleans(),
    ),
    min_size=12, max_size=60,
)  # fmt: skip


class Run:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_ms = START_MS
        self.book, self.ledger = open_book(path)
        self.model = Model()
        self.set(OWN, 4, 5)
        self.set(FAMILY, 2_000, 3_000)

    def set(self, budget: tuple[str, str], limit: int, carry: int) -> None:
        frame = {
            "n": 1, "op": "budget.set", "scope": budget[0], "per": "hour", "carry": carry,
            "limit": {"unit": budget[1], "amount": limit},
        }  # fmt: skip
        commit(self.book, self.ledger, snapshot=False)
        policy.set_budget(self.book, read(frame), self.now_ms)
        commit(self.book, self.ledger, snapshot=True)
        self.model.set.setdefault(budget, []).append((self.now_ms, limit, carry))

    def do(self, what: str, index: int, amount: int, flag: bool) -> None:
        customer = ("a", "b")[index % 2]
        if what == "reserve":
            self.reserve(customer, amount)
        elif what == "tick":
            self.now_ms += (index + 1) * 900_000
        elif what == "restart":
            self.restart(snapshot=flag)
        elif what == "topup":
            budget = OWN if flag else FAMILY
            scope = "global" if flag else f"customer={customer}"
            frame = {"n": 1, "op": "budget.topup", "scope": scope, "per": "hour"}
            frame |= {"unit": budget[1], "amount": amount // 300 if flag else amount}
            policy.top_up(self.book, read(frame), self.now_ms)
            commit(self.book, self.ledger, snapshot=True)
            self.model.topups.append((budget, customer, self.now_ms, frame["amount"]))
        elif what == "set":
            limits = (OWN, 2 + index % 4, amount % 7) if flag else (FAMILY, amount * 3, amount * 2)
            self.set(limits[0], limits[1], 0 if index == 7 else limits[2])
        else:
            self.end(what, index, amount)
        if flag and index % 2:
            commit(self.book, self.ledger, snapshot=index % 4 == 1)

    def reserve(self, customer: str, tokens: int) -> None:
        name = f"{len(self.model.calls):04d}"
        output = {"wanted": tokens, "floor": 1, "choices": 1, "clamp": False}
        frame = read(reserve_frame(name, attrs={"customer": customer}, output=output))
        reply = reserving.reserve(self.book, frame, owner="o", caller=None, now_ms=self.now_ms)
        if shown(reply)["ok"]:
            self.model.calls[name] = Call(customer, self.now_ms, INPUT + tokens)

    def end(self, what: str, index: int, tokens: int) -> None:
        names = [n for n, c in self.model.calls.items() if c.state in ("held", "lost")]
        if not names:
            return
        name = names[-1 - index % len(names)]
        call = self.model.calls[name]
        frame: dict[str, Any] = {"n": 1, "op": what, "call": name}
        if what == "settle":
            frame["usage"] = {"input": INPUT, "output": tokens}  # also above the hold
            ending.settle(self.book, read(frame), self.now_ms)
            if call.state == "lost":
                call.billed_ms = self.now_ms
            else:
                call.ended_ms = self.now_ms
            call.state, call.tokens = "settled", INPUT + tokens
        elif call.state == "held":
            act = ending.lose if what == "lose" else ending.void
            act(self.book, read(frame), self.now_ms)
            call.state = "lost" if what == "lose" else "voided"
            call.ended_ms = self.now_ms

    def restart(self, *, snapshot: bool) -> None:
        commit(self.book, self.ledger, snapshot=snapshot)
        before = self.running()
        self.ledger.close()
        self.book, self.ledger = open_book(self.path, self.now_ms)
        assert self.running() == before

    def running(self) -> dict[str, tuple[int, ...]]:
        """Account and window to (settled, held, in flight, topup, carried), where it matters."""
        self.book.accounts.advance(self.now_ms)
        return {
            f"{a.name} @{a.start_ms}": (a.settled, a.held, a.in_flight, a.topup, a.carried)
            for a in self.book.accounts.all()
            if a.in_flight or (a.start_ms + HOUR_MS > self.now_ms and (a.settled or a.carried))
        }

    def check(self) -> None:
        self.book.advance(self.now_ms)
        for account in self.book.accounts.all():
            if account.start_ms // HOUR_MS == self.now_ms // HOUR_MS:
                row = account.budget.row
                customer = account.key[0][1] if account.key else ""
                budget = (row.scope, row.unit)
                carried = self.model.carried(budget, customer, self.now_ms)
                assert account.carried == carried, (budget, customer)
                added = self.model.added(budget, customer, self.now_ms // HOUR_MS)
                assert account.capacity == row.amount + carried + added

    def check_journal(self) -> None:
        """The rows that were written come to what each account was carried."""
        connection = apsw.Connection(str(self.path), flags=apsw.SQLITE_OPEN_READONLY)
        sums: dict[tuple[int, str, int], int] = {}
        for (text,) in connection.execute("SELECT detail FROM journal WHERE kind = 'carry'"):
            said = json.loads(text)
            place = said["budget"], said["key"], said["window_start_ms"]
            sums[place] = sums.get(place, 0) + said["amount"]
            assert sums[place] == said["carried"]
        connection.close()
        for account in self.book.accounts.all():
            key = json.dumps(account.key, separators=(",", ":"))
            place = account.budget.row.id, key, account.start_ms
            assert account.carried == sums.get(place, 0)


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps)
def test_what_is_carried_is_what_was_left(todo: list[tuple[str, int, int, bool]]) -> None:
    """Goal: nothing is lost or made at a boundary, whatever is in flight, late, or changed."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "ledger.sqlite3")
        try:
            for step in todo:
                run.do(*step)
                run.check()
            run.restart(snapshot=False)
            run.check()
            run.check_journal()
        finally:
            run.ledger.close()
