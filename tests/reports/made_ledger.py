"""A ledger written by the daemon's own book from events that a test makes up, one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from noburn_cli.core.months import month_start_ms
from noburn_daemon import correcting, ending, policy, reserving
from noburn_daemon.compacting import Compaction
from noburn_daemon.forgetting import Forgetting
from noburn_daemon.pseudonyms import Pseudonym
from noburn_daemon.rewriting import Change, NewFile
from tests.daemon.parts import commit, open_book, read, reserve_frame, shown

#: A Monday in October, an hour before midnight in UTC.
BEGIN_MS = 1_792_450_800_000
MODELS = ("gpt-6-luna", "gpt-6.1-sol", "claude-haiku-5-5")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_520_000, 86_400_000

_names = st.sampled_from(["", "acme", "globex", "(x)", "zoë"])
attributes = st.fixed_dictionaries(
    {},
    optional={
        "customer": _names, "feature": st.sampled_from(["chat", "search"]), "user": _names,
        "project": st.just("p"), "job": st.just("j1"), "run": st.sampled_from(["r1", "r1/r2"]),
        "step": st.sampled_from(["a", "a/b", "c"]), "tag.team": st.sampled_from(["x", "y"]),
        "tag.tier": st.just("gold"),
    },
)  # fmt: skip
_usage = st.fixed_dictionaries(
    {"input": st.integers(0, 90), "output": st.integers(0, 900)},
    optional={
        "cache_read": st.integers(0, 9), "cache_write_5m": st.integers(0, 9),
        "reasoning": st.integers(0, 9),
        "extra": st.sampled_from([{"web_search": 2}, {"audio_input": 7, "audio_cache_read": 3}]),
    },
)  # fmt: skip
_place = st.integers(0, 3) | st.integers(0, 20)
_status = st.sampled_from([None, 200, 404, 429, 500])
_latency = st.sampled_from([None, 0, 1, 40, 90_000])
#: What may happen; calls are named by how many reserves ago they were made.
events = st.sampled_from(
    [
        *[st.tuples(st.just("reserve"), attributes, st.sampled_from(MODELS), st.booleans())] * 4,
        *[st.tuples(st.just("settle"), _place, _usage, _status, _latency)] * 3,
        st.tuples(st.just("lose"), _place, _status, _latency),
        st.tuples(st.just("void"), _place, _status),
        st.tuples(st.just("orphan"), _place),
        st.tuples(st.just("again"), _place),
        st.tuples(st.just("refused"), attributes),
        st.tuples(st.just("correct"), attributes, st.integers(-9_000, 9_000), st.integers(0, 70)),
        st.tuples(st.just("wait"), st.sampled_from([7, 11 * MINUTE_MS, 5 * HOUR_MS, 3 * DAY_MS])),
    ]
).flatmap(lambda event: event)


class Made:
    """A book over a file; some budgets so that calls are blocked, warned and booked as overage."""

    def __init__(self, path: Path, *, begin_ms: int = BEGIN_MS) -> None:
        self.path = path
        self.now_ms = begin_ms
        self.book, self.ledger = open_book(path, begin_ms)
        self._calls: list[tuple[str, dict[str, Any]]] = []
        for scope, amount, per, action in (
            ("customer=globex", 520_000, "day", "block"),
            ("customer=acme", 1, "month", "warn"),
            ("feature=search", 400_000, "month", "bill"),
        ):
            limit = {"unit": "dollars", "amount": amount}
            frame = {"n": 1, "op": "budget.set", "scope": scope, "per": per, "action": action}
            reply = policy.set_budget(self.book, read({**frame, "limit": limit}), self.now_ms)
            assert shown(reply)["ok"], reply
        self.commit()

    def commit(self) -> None:
        commit(self.book, self.ledger, snapshot=True)

    def close(self) -> None:
        self.ledger.close()

    def do(self, event: tuple[Any, ...]) -> None:
        """One event; what makes no sense is answered with an error, and changes nothing."""
        word, *rest = event
        getattr(self, f"_{word}")(*rest)
        self.now_ms += 1

    def _reserve(self, attrs: dict[str, str], model: str, notional: bool) -> None:
        name = f"{self.now_ms:011x}-{len(self._calls):020x}"
        frame = reserve_frame(name, attrs=attrs, model=model, notional=notional)
        self._calls.append((name, frame))
        self._ask(frame)

    def _again(self, place: int) -> None:
        if place < len(self._calls):
            self._ask(self._calls[-1 - place][1])

    def _ask(self, frame: dict[str, Any]) -> None:
        number = int(frame["call"].rpartition("-")[2], 16)
        reserving.reserve(
            self.book, read(frame), owner=f"b:{number}:1", caller=None, now_ms=self.now_ms
        )

    def _named(self, place: int) -> str:
        return self._calls[-1 - place][0] if place < len(self._calls) else "0" * 32

    def end(self, op: str, place: int, **more: Any) -> None:
        said = {key: value for key, value in more.items() if value is not None}
        frame = read({"n": 1, "op": op, "call": self._named(place), **said})
        getattr(ending, op)(self.book, frame, self.now_ms)

    def _settle(
        self, place: int, usage: dict[str, int], status: int | None, latency: int | None
    ) -> None:
        failure = "aborted: 9 tokens" if latency == 1 else None
        name = self._named(place)
        self.end(
            "settle", place, usage={k: v for k, v in usage.items() if v}, status=status,
            latency_ms=latency, failure=failure, provider_id=f"resp-{name}",
        )  # fmt: skip

    def _lose(self, place: int, status: int | None, latency: int | None) -> None:
        self.end("lose", place, reason="reset", status=status, latency_ms=latency)

    def _void(self, place: int, status: int | None) -> None:
        self.end("void", place, reason="refused", status=status)

    def _orphan(self, place: int) -> None:
        number = len(self._calls) - 1 - place
        ending.owner_gone(self.book, f"b:{number}:1", self.now_ms)

    def _refused(self, attrs: dict[str, str]) -> None:
        name = f"{self.now_ms:011x}-{len(self._calls):020x}"
        frame = {"n": 1, "op": "refused", "call": name, "api": "openai_chat", "model": "gpt-x"}
        reserving.refused(self.book, read({**frame, "attrs": attrs}), self.now_ms)

    def _correct(self, attrs: dict[str, str], nano: int, days: int) -> None:
        entry = {
            "id": f"c{self.now_ms}", "why": "price", "model": MODELS[0], "nano": nano,
            "for_ms": self.now_ms - days * DAY_MS, "requests": days % 3, "attrs": attrs,
            "usage": {"output": nano},
        }  # fmt: skip
        frame = {"n": 1, "op": "ledger.correct", "batch": f"b{self.now_ms}", "entries": [entry]}
        correcting.correct(self.book, read(frame), self.now_ms)

    def _wait(self, ms: int) -> None:
        self.now_ms += ms

    def compact(self, before: str) -> None:
        """Replace the calls of the months before one by their sums."""
        self.commit()
        self._rewrite(Compaction(before, self.ledger.last_before(month_start_ms(before))))

    def forget(self, customer: str) -> None:
        """Put a pseudonym wherever a customer is named."""
        self.commit()
        pseudonym = Pseudonym("customer", customer, "(forgotten 01234567)")
        self._rewrite(Forgetting(pseudonym, self.ledger.sealed()))

    def _rewrite(self, change: Change) -> None:
        new = NewFile(self.path, change)
        while (copied := new.copy_some())[0] < copied[1]:
            pass
        seal = new.seal()
        assert self.ledger.is_checkpointed()
        new.finish(seal, self.now_ms)
        self.ledger.go_on_with(new.path)
        self.close()
        self.book, self.ledger = open_book(self.path, self.now_ms)
