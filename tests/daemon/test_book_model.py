"""The book against a second, simpler model that shares no code: a list of calls, summed anew."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from noburn_daemon import ending, policy, reserving, running, scheduling, stopping
from tests.daemon.parts import START_MS, balances, commit, open_book, read, reserve_frame, shown

INPUT_PICO, OUTPUT_PICO = 100_000, 500_000  # gpt-6-luna: $0.1 and $0.5 a million
SEARCH_NANO, FILE_NANO = 10_000_000, 2_500_000  # $10 and $2.5 per thousand
HOUR_MS = 3_600_000
CUSTOMERS = ("acme", "beta", "")
#: Runs that calls are in, by the step's index; `r1/r2` is below `r1`.
RUNS = ("", "r1", "r1/r2", "r3")
#: Nepal is 5 hours and 45 minutes ahead of UTC, all year.
NEPAL_MS = (5 * 60 + 45) * 60_000
LIMITS = {  # scope, window, unit: limit
    ("global", "total", "dollars"): 60_000_000,
    ("customer=*", "hour", "dollars"): 24_000_000,
    ("customer=*", "day", "tokens"): 6_000,
    ("customer=acme", "total", "requests"): 7,
    ("customer=*", "2h", "dollars"): 20_000_000,
    ("global", "90m", "requests"): 6,
    ("global", "hour", "requests"): 3,
    ("global", "call", "tokens"): 2_000,
}
#: What is carried over of each hour: a family's accounts from when something is in them.
CARRY = {
    ("customer=*", "hour", "dollars"): 30_000_000,
    ("global", "hour", "requests"): 4,
}
#: Set and removed again at any time: they start with what was there.
COMING = {
    ("customer=beta", "total", "dollars"): 15_000_000,
    ("customer=*", "1h", "requests"): 3,
    ("global", "hour", "tokens"): 5_000,
    ("customer=*", "call", "dollars"): 9_000_000,
}


def hour_of(at_ms: int) -> int:
    """Which hour of Nepal's a moment lies in."""
    return (at_ms + NEPAL_MS) // HOUR_MS


def at_hour(hour: int) -> int:
    return hour * HOUR_MS - NEPAL_MS


def ends_ms(per: str, at_ms: int) -> int | None:
    """When a call reserved at a moment counts no longer; None for never."""
    if per == "total":
        return None
    if per in ("hour", "day"):  # in Nepal's time
        length = {"hour": HOUR_MS, "day": 24 * HOUR_MS}[per]
        return at_ms - (at_ms + NEPAL_MS) % length + length
    length = {"1h": 60, "90m": 90, "2h": 120}[per] * 60_000
    bucket = length // 60
    return (at_ms // bucket + 1) * bucket + length


ROLLING = ("1h", "90m", "2h")


def matches(scope: str, customer: str) -> bool:
    return scope in ("global", "customer=*", f"customer={customer}")


@dataclass
class Model:
    """What must be so, the slow way."""

    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)
    #: Changes to come: (moment, id, budget, limit or None for its end).
    coming: list[tuple[int, int, tuple[str, str, str], int | None]] = field(default_factory=list)
    limits: dict[tuple[str, str, str], int] = field(default_factory=dict)
    #: Top-ups: (budget, customer, moment, amount).
    added: list[tuple[tuple[str, str, str], str, int, int]] = field(default_factory=list)

    def is_in(self, runs: set[str], run: str) -> bool:
        return bool(runs & {run, run.split("/")[0]})

    def weight(self, call: dict[str, Any], unit: str) -> int:
        if call["state"] == "voided":
            return 0
        nano, tokens = call["cost"] if call["state"] == "settled" else call["hold"]
        nano = 0 if call["notional"] else nano
        return {"dollars": nano, "tokens": tokens, "requests": 1}[unit]

    def used(self, scope: str, per: str, unit: str, customer: str, now_ms: int) -> tuple[int, int]:
        """(settled, held) of the account that a customer's call now belongs to."""
        settled = held = 0
        for call in self.calls.values():
            end_ms = ends_ms(per, call["at"])
            over = end_ms is not None and end_ms <= now_ms
            if not matches(scope, call["customer"]):
                continue
            if scope == "customer=*" and call["customer"] != customer:
                continue
            if call["state"] == "held":
                # What rolls goes on to hold; in the calendar it is another window's.
                held += self.weight(call, unit) if per in ROLLING or not over else 0
            elif not over:
                settled += self.weight(call, unit)
        return settled, held

    def carried(self, budget: tuple[str, str, str], customer: str, now_ms: int) -> int:
        """What an hour was carried from those before it, as it is known now."""
        scope, _, unit = budget
        if budget not in CARRY:
            return 0
        hours = range(hour_of(START_MS), hour_of(now_ms))
        if "*" in scope:
            hours = range(
                next((h for h in hours if self.has_begun(budget, customer, h)), hours.stop),
                hours.stop,
            )
        carried = 0
        for hour in hours:
            used = sum(
                self.weight_in(call, unit, hour) for call in self.of_hour(budget, customer, hour)
            )
            added = self.topups(budget, customer, at_hour(hour + 1) - 1)
            left = self.limits[budget] + added + carried - used
            carried = min(CARRY[budget], max(0, left))
        return carried

    def of_hour(
        self, budget: tuple[str, str, str], customer: str, hour: int
    ) -> list[dict[str, Any]]:
        scope, _, unit = budget
        return [
            call
            for call in self.calls.values()
            if hour_of(call["at"]) == hour
            and (call["customer"] == customer or "*" not in scope)
            and not (unit == "dollars" and call["notional"])
        ]

    def has_begun(self, budget: tuple[str, str, str], customer: str, hour: int) -> bool:
        """Whether something was in a family's account when its hour ended."""
        end_ms = at_hour(hour + 1)
        return self.topups(budget, customer, end_ms - 1) != 0 or any(
            call["state"] == "held" or call["ended"] >= end_ms or call["state"] != "voided"
            for call in self.of_hour(budget, customer, hour)
        )

    def weight_in(self, call: dict[str, Any], unit: str, hour: int) -> int:
        """What a call weighs in what its hour hands on: late bills count for an hour more."""
        if call.get("billed", 0) >= at_hour(hour + 2):
            call = {**call, "state": "lost"}  # as it was charged before
        return self.weight(call, unit)

    def topups(self, budget: tuple[str, str, str], customer: str, now_ms: int) -> int:
        """What was added to the account that a customer's call now belongs to."""
        scope, per, _ = budget
        return sum(
            amount
            for name, of, at_ms, amount in self.added
            if name == budget
            and (of == customer or "*" not in scope)
            and at_ms <= now_ms
            and ((end_ms := ends_ms(per, at_ms)) is None or end_ms > now_ms)
        )


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["reserve", "reserve", "reserve", "settle", "settle", "lose", "void", "orphan",
             "repeat", "tick", "tick", "restart", "stop", "pause", "resume", "set", "rm", "topup",
             "schedule", "unschedule"]
        ),
        st.integers(0, 9),
        st.sampled_from(CUSTOMERS),
        st.integers(0, 2500),
        st.booleans(),
    ),
    min_size=5, max_size=40,
)  # fmt: skip


class Run:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.now_ms = START_MS
        self.book, self.ledger = open_book(path)
        self.model = Model()
        self.made = 0
        for budget, amount in LIMITS.items():
            self.set_budget(budget, amount)
        for run in RUNS[1:]:
            start = {"n": 1, "op": "run.start", "run": run}
            running.start_run(self.book, read(start), "o:1:1", self.now_ms)
        commit(self.book, self.ledger, snapshot=True)

    def set_budget(self, budget: tuple[str, str, str], amount: int) -> None:
        scope, per, unit = budget
        frame = {"n": 1, "op": "budget.set", "scope": scope, "per": per}
        zone = "Asia/Kathmandu" if per in ("hour", "day") else "UTC"
        limit = {"unit": unit, "amount": amount}
        frame["carry"] = CARRY.get(budget, 0)
        commit(self.book, self.ledger, snapshot=False)  # as the server does
        policy.set_budget(self.book, read({**frame, "limit": limit, "zone": zone}), self.now_ms)
        commit(self.book, self.ledger, snapshot=True)
        self.model.limits[budget] = amount

    def change(self, what: str, index: int, customer: str, tokens: int) -> None:
        """Set, remove or top up a budget."""
        budgets = list(COMING)
        budget = budgets[index % len(budgets)]
        if what == "set":
            self.set_budget(budget, COMING[budget] - tokens % 2)
            return
        scope, per, unit = budget if what == "rm" else (budget := list(LIMITS)[index % 7])
        frame = {"n": 1, "op": f"budget.{what}", "scope": scope, "per": per, "unit": unit}
        commit(self.book, self.ledger, snapshot=False)
        if what == "rm":
            reply = policy.remove_budget(self.book, read(frame), self.now_ms)
            assert reply["ok"] == (self.model.limits.pop(budget, None) is not None)
            self.model.added = [added for added in self.model.added if added[0] != budget]
        else:
            if "*" in scope:
                frame["scope"] = f"customer={customer or '(none)'}"
            amount = (
                tokens * (1000 if unit == "dollars" else 1) // (500 if unit == "requests" else 1)
            )
            assert policy.top_up(
                self.book, read({**frame, "amount": amount, "family": "*" in scope}), self.now_ms
            )["ok"]
            self.model.added.append((budget, customer, self.now_ms, amount))
        commit(self.book, self.ledger, snapshot=True)

    def schedule(self, index: int, tokens: int, sets: bool) -> None:
        """Let a budget begin or end later; what is due by then is done in order."""
        budget = list(COMING)[tokens % len(COMING)]
        scope, per, unit = budget
        at_ms = self.now_ms + 1 + index * 700_000
        frame: dict[str, Any] = {"n": 1, "scope": scope, "per": per, "at_ms": at_ms}
        if sets:
            zone = "Asia/Kathmandu" if per == "hour" else "UTC"
            limit = {"unit": unit, "amount": COMING[budget] + index}
            frame |= {"op": "budget.set", "limit": limit, "zone": zone}
            reply = scheduling.set_budget(self.book, read(frame), self.now_ms)
        else:
            frame |= {"op": "budget.rm", "unit": unit}
            reply = scheduling.remove_budget(self.book, read(frame), self.now_ms)
        amount = COMING[budget] + index if sets else None
        self.model.coming.append((at_ms, reply["scheduled"]["id"], budget, amount))
        commit(self.book, self.ledger, snapshot=True)

    def unschedule(self, index: int) -> None:
        number = index + 1
        known = [one for one in self.model.coming if one[1] == number]
        frame = {"n": 1, "op": "budget.unschedule", "id": number}
        assert scheduling.unschedule(self.book, read(frame), self.now_ms)["ok"] == bool(known)
        self.model.coming = [one for one in self.model.coming if one[1] != number]
        commit(self.book, self.ledger, snapshot=True)

    def apply_due(self) -> None:
        """As the server does when it sees the moment, and when it starts."""
        commit(self.book, self.ledger, snapshot=False)
        scheduling.apply_due(self.book, self.now_ms, {})
        commit(self.book, self.ledger, snapshot=True)
        for one in sorted(self.model.coming, key=lambda one: one[:2]):
            at_ms, _, budget, amount = one
            if at_ms > self.now_ms:
                continue
            self.model.coming.remove(one)
            if amount is None:
                self.model.limits.pop(budget, None)
            else:
                self.model.limits[budget] = amount

    def steer(self, what: str, index: int) -> None:
        """Stop, pause or resume a run; what was barred stays so over restarts."""
        run = RUNS[1 + index % 3]
        frame = read({"n": 1, "op": f"run.{what}", "run": run})
        act = {"stop": stopping.stop_run, "pause": stopping.pause_run}
        reply = act.get(what, stopping.resume_run)(self.book, frame, self.now_ms)
        assert reply["ok"]
        if what == "stop":
            self.model.stopped.add(run)
        elif what == "pause" and run not in self.model.stopped:
            self.model.paused.add(run)
        elif what == "resume":
            self.model.paused.discard(run)

    def pick(self, index: int) -> str | None:
        known = list(self.model.calls)
        return known[-1 - index % len(known)] if known else None

    def reserve(self, index: int, customer: str, tokens: int, clamp: bool) -> None:
        self.made += 1
        call = f"{self.made:06d}"
        self.ask(call, index, customer, tokens, clamp)

    def ask(self, call: str, index: int, customer: str, tokens: int, clamp: bool) -> None:
        size = 50 + index
        run = RUNS[index % 4]
        attrs = {"customer": customer, **({"run": run} if run else {})}
        # Every third call may search, every fifth has a ceiling of its own.
        extra = {"web_search": index, "file_search": 1} if index % 3 == 2 else {}
        ceiling = 1_000 * index if index % 5 == 4 else None
        flat = extra.get("web_search", 0) * SEARCH_NANO + len(extra) // 2 * FILE_NANO
        flat += ceiling or 0
        frame = reserve_frame(
            call, attrs=attrs, notional=index == 9,
            input={"bytes": size, "expanded": size, "overhead": 0},
            output={"wanted": tokens, "floor": 16, "choices": 1, "clamp": clamp},
            extra=extra, ceiling=ceiling,
        )  # fmt: skip
        answer = reserving.reserve(
            self.book, read(frame), owner=f"o:{index}:1", caller=None, now_ms=self.now_ms
        )
        if self.model.is_in(self.model.stopped, run):
            assert answer["error"] == "stopped"
            return
        if self.model.is_in(self.model.paused, run):
            assert answer is None
            ending.void(self.book, read({"n": 1, "op": "void", "call": call}), self.now_ms)
            self.book.outbox.clear()
            return
        reply = shown(answer)
        fits = {}
        for budget, limit in self.model.limits.items():
            scope, per, unit = budget
            if not matches(scope, customer) or (unit == "dollars" and frame["notional"]):
                continue
            fits[budget] = limit
            if per != "call":
                settled, held = self.model.used(scope, per, unit, customer, self.now_ms)
                limit += self.model.topups(budget, customer, self.now_ms)
                limit += self.model.carried(budget, customer, self.now_ms)
                fits[budget] = limit - settled - held
        if not reply["ok"]:
            least = min(tokens, 16) if clamp else tokens
            needed = self.needed(size, least, flat)
            assert any(needed[unit] > left for (_, _, unit), left in fits.items()), reply
            return
        granted = reply["granted"]
        assert granted == tokens or (clamp and min(tokens, 16) <= granted < tokens)
        needed = self.needed(size, granted, flat)
        assert reply["hold_nano"] == needed["dollars"]
        for (_, _, unit), left in fits.items():
            assert needed[unit] <= left  # settled + held + new <= limit
        self.model.calls[call] = {
            "customer": customer, "at": self.now_ms, "state": "held", "frame": frame,
            "hold": (needed["dollars"], needed["tokens"]), "owner": f"o:{index}:1",
            "reply": reply, "granted": granted, "size": size, "notional": frame["notional"],
            "extra": extra,
        }  # fmt: skip

    @staticmethod
    def needed(size: int, output: int, flat: int) -> dict[str, int]:
        pico = size * INPUT_PICO + output * OUTPUT_PICO + flat * 1000
        return {"dollars": -(-pico // 1000), "tokens": size + output, "requests": 1}

    def settle(self, call: str, tokens: int) -> None:
        known = self.model.calls[call]
        output = min(tokens, known["granted"])
        searches = min(tokens % 4, known["extra"].get("web_search", 0))
        frame = read(
            {"n": 1, "op": "settle", "call": call,
             "usage": {"input": known["size"], "output": output, "extra": {"web_search": searches}}}
        )  # fmt: skip
        reply = shown(ending.settle(self.book, frame, self.now_ms))
        if known["state"] in ("held", "uncertain", "orphaned"):
            cost = known["size"] * 100 + output * 500 + searches * SEARCH_NANO
            assert (reply["state"], reply["cost_nano"]) == ("settled", cost)
            when = "ended" if known["state"] == "held" else "billed"
            known.update(state="settled", cost=(cost, known["size"] + output), searches=searches)
            known[when] = self.now_ms
        elif known["state"] == "settled":
            same = known["cost"][1] == known["size"] + output and known["searches"] == searches
            assert reply["ok"] is same
            assert same or reply["error"] == "conflict"
        else:
            assert reply["error"] == "closed"

    def lose(self, call: str, tokens: int) -> None:
        known = self.model.calls[call]
        reply = shown(
            ending.lose(self.book, read({"n": 1, "op": "lose", "call": call}), self.now_ms)
        )
        if known["state"] in ("held", "uncertain"):
            assert (reply["state"], reply["cost_nano"]) == ("uncertain", known["hold"][0])
            if known["state"] == "held":
                known.update(state="uncertain", ended=self.now_ms)
        else:
            assert reply["error"] == "closed"

    def void(self, call: str, tokens: int) -> None:
        known = self.model.calls[call]
        reply = shown(
            ending.void(self.book, read({"n": 1, "op": "void", "call": call}), self.now_ms)
        )
        if known["state"] in ("held", "voided"):
            assert reply["state"] == "voided"
            if known["state"] == "held":
                known.update(state="voided", ended=self.now_ms)
        else:
            assert reply["error"] == "closed"

    def orphan(self, call: str, tokens: int) -> None:
        owner = self.model.calls[call]["owner"]
        ending.owner_gone(self.book, owner, self.now_ms)
        for known in self.model.calls.values():
            if known["owner"] == owner and known["state"] == "held":
                known.update(state="orphaned", ended=self.now_ms)

    def repeat(self, call: str, tokens: int) -> None:
        known = self.model.calls[call]
        reply = shown(
            reserving.reserve(
                self.book, read(known["frame"]), owner="x:1:1", caller=None, now_ms=self.now_ms
            )
        )
        if known["state"] == "held":
            assert reply == known["reply"]
        else:
            assert reply["error"] == "closed"

    def restart(self, snapshot: bool) -> None:
        commit(self.book, self.ledger, snapshot=snapshot)
        self.book.accounts.advance(self.now_ms)
        before = balances(self.book)
        self.ledger.close()
        self.book, self.ledger = open_book(self.path, self.now_ms)
        self.book.accounts.advance(self.now_ms)
        assert balances(self.book) == before

    def check(self) -> None:
        coming = sorted(one[:2] for one in self.model.coming)
        assert [(row.at_ms, row.id) for row in self.book.schedule] == coming
        standing = {
            (b.row.scope, b.row.per, b.row.unit): b.row.amount
            for b in self.book.accounts.budgets.values()
        }
        assert standing == self.model.limits
        self.book.advance(self.now_ms)
        for account in self.book.accounts.all():
            row, key = account.budget.row, account.key
            if account.end_ms is not None and account.end_ms <= self.now_ms:
                continue
            customer = key[0][1] if key else ""
            customer = "" if customer == "(none)" else customer
            assert (account.settled, account.held) == self.model.used(
                row.scope, row.per, row.unit, customer, self.now_ms
            ), (row.scope, row.per, row.unit)
            budget = (row.scope, row.per, row.unit)
            assert account.topup == self.model.topups(budget, customer, self.now_ms)
            assert account.carried == self.model.carried(budget, customer, self.now_ms), budget


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@example(
    todo=[("reserve", 0, "acme", 0, False)] * 3
    + [("topup", 1, "acme", 1, False), ("tick", 4, "acme", 0, False)]
    + [("reserve", 0, "acme", 0, False)]
)
@given(steps)
def test_the_book_does_what_the_model_says(todo: list[tuple[str, int, str, int, bool]]) -> None:
    """Goal: no admission above a limit, each hold ends once, a restart changes nothing."""
    with tempfile.TemporaryDirectory() as folder:
        run = Run(Path(folder) / "ledger.sqlite3")
        try:
            for what, index, customer, tokens, flag in todo:
                if what == "reserve":
                    run.reserve(index, customer, tokens, flag)
                elif what == "tick":
                    run.now_ms += index * 1_000_000
                    if flag:  # the next to look may be another daemon
                        run.restart(index % 2 == 0)
                    run.apply_due()
                elif what == "schedule":
                    run.schedule(index, tokens, flag)
                elif what == "unschedule":
                    run.unschedule(index)
                elif what == "restart":
                    run.restart(flag)
                elif what in ("stop", "pause", "resume"):
                    run.steer(what, index)
                elif what in ("set", "rm", "topup"):
                    run.change(what, index, customer, tokens)
                else:
                    call = run.pick(index)
                    if call is not None:
                        getattr(run, what)(call, tokens)
                run.check()
                if flag:
                    commit(run.book, run.ledger, snapshot=index % 2 == 0)
            run.restart(snapshot=False)
            run.check()
        finally:
            run.ledger.close()
