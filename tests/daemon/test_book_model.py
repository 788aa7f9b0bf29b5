"""The book against a second, simpler model that shares no code: a list of calls, summed anew."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noburn_daemon import ending, policy, reserving, stopping
from tests.daemon.parts import START_MS, balances, commit, open_book, read, reserve_frame, shown

INPUT_PICO, OUTPUT_PICO = 100_000, 500_000  # gpt-6-luna: $0.1 and $0.5 a million
SEARCH_NANO, FILE_NANO = 10_000_000, 2_500_000  # $10 and $2.5 per thousand
HOUR_MS = 3_600_000
CUSTOMERS = ("acme", "beta", "")
#: Runs that calls are in, by the step's index; `r1/r2` is below `r1`.
RUNS = ("", "r1", "r1/r2", "r3")
LIMITS = {  # scope, window, unit: limit
    ("global", "total", "dollars"): 60_000_000,
    ("customer=*", "hour", "dollars"): 24_000_000,
    ("customer=*", "day", "tokens"): 6_000,
    ("customer=acme", "total", "requests"): 7,
}


@dataclass
class Model:
    """What must be so, the slow way."""

    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    stopped: set[str] = field(default_factory=set)
    paused: set[str] = field(default_factory=set)

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
        length = {"total": None, "hour": HOUR_MS, "day": 24 * HOUR_MS}[per]
        settled = held = 0
        for call in self.calls.values():
            if length and call["at"] // length != now_ms // length:
                continue
            if scope == "customer=acme" and call["customer"] != "acme":
                continue
            if scope == "customer=*" and call["customer"] != customer:
                continue
            if call["state"] == "held":
                held += self.weight(call, unit)
            else:
                settled += self.weight(call, unit)
        return settled, held


steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["reserve", "reserve", "reserve", "settle", "settle", "lose", "void", "orphan",
             "repeat", "tick", "restart", "stop", "pause", "resume"]
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
        for (scope, per, unit), amount in LIMITS.items():
            frame = {"n": 1, "op": "budget.set", "scope": scope, "per": per}
            policy.set_budget(
                self.book, read({**frame, "limit": {"unit": unit, "amount": amount}}), self.now_ms
            )
        for run in RUNS[1:]:
            start = {"n": 1, "op": "run.start", "run": run}
            policy.start_run(self.book, read(start), "o:1:1", self.now_ms)
        commit(self.book, self.ledger, snapshot=True)

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
        for (scope, per, unit), limit in LIMITS.items():
            if scope == "customer=acme" and customer != "acme":
                continue
            settled, held = self.model.used(scope, per, unit, customer, self.now_ms)
            if unit != "dollars" or not frame["notional"]:
                fits[scope, per, unit] = limit - settled - held
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
            known.update(state="settled", cost=(cost, known["size"] + output), searches=searches)
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
            known["state"] = "uncertain"
        else:
            assert reply["error"] == "closed"

    def void(self, call: str, tokens: int) -> None:
        known = self.model.calls[call]
        reply = shown(
            ending.void(self.book, read({"n": 1, "op": "void", "call": call}), self.now_ms)
        )
        if known["state"] in ("held", "voided"):
            assert reply["state"] == "voided"
            known["state"] = "voided"
        else:
            assert reply["error"] == "closed"

    def orphan(self, call: str, tokens: int) -> None:
        owner = self.model.calls[call]["owner"]
        ending.owner_gone(self.book, owner, self.now_ms)
        for known in self.model.calls.values():
            if known["owner"] == owner and known["state"] == "held":
                known["state"] = "orphaned"

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
        before = balances(self.book)
        self.ledger.close()
        self.book, self.ledger = open_book(self.path, self.now_ms)
        assert balances(self.book) == before

    def check(self) -> None:
        accounts = {
            (a.budget.row.scope, a.budget.row.per, a.budget.row.unit, a.key, a.start_ms): a
            for a in self.book.accounts.all()
        }
        for (scope, per, unit, key, start_ms), account in accounts.items():
            length = {"total": None, "hour": HOUR_MS, "day": 24 * HOUR_MS}[per]
            if length and start_ms != self.now_ms - self.now_ms % length:
                continue
            customer = key[0][1] if key else ""
            customer = "" if customer == "(none)" else customer
            assert (account.settled, account.held) == self.model.used(
                scope, per, unit, customer, self.now_ms
            ), (scope, per, unit)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
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
                elif what == "restart":
                    run.restart(flag)
                elif what in ("stop", "pause", "resume"):
                    run.steer(what, index)
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
