"""A ledger of millions of calls, written through the daemon's own book and ledger, in bulk.

Each kind of call (customer, feature, model) is reserved and settled once by the rules, and its like
is written again and again: in runs of some sixty calls and three steps, or by one of a customer's
users; with latencies, failures, calls whose bill came a day late, orphans, blocked calls and
corrections.  Customers and features are as skewed as businesses are: the first tenth of the
customers makes most of the calls.  Every row has its link, every balance its calls.
"""

from __future__ import annotations

import copy
import json
import random
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from noburn_daemon import correcting, ending, frames, policy, reserving
from noburn_daemon.book import Book
from noburn_daemon.calls import charged
from noburn_daemon.ledger import Event
from noburn_daemon.pricing import Pricing
from noburn_daemon.restore import restore, take_snapshot
from noburn_daemon.sqlite import SqliteLedger

CUSTOMERS, USERS, RUN_CALLS, DAYS = 400, 15, 60, 300
FEATURES = (
    "agent", "chat", "search", "summary", "mail", "extract", "translate", "code", "review", "title",
    "tags", "voice",
)  # fmt: skip
MODELS = (
    "gpt-6-luna", "gpt-6.1-sol", "gpt-6.1-terra", "claude-haiku-5-5", "claude-sonnet-5-5",
    "claude-opus-5-5", "gemini-3.8-flash", "gpt-5",
)  # fmt: skip
_DAY_MS = 86_400_000
_BATCH = 2_000
_USAGES = ((290, 120), (1_100, 300), (4_000, 700), (90, 15))


@dataclass(frozen=True)
class Kind:
    """A call as the rules made it once: its attributes and its two rows."""

    attributes: dict[str, str]
    reserved: Event
    settled: Event


class Builder:
    """Writes calls as the daemon would, a batch a commit."""

    def __init__(self, path: Path, calls: int, *, seed: int = 1, days: int = DAYS) -> None:
        prices = PriceBook.from_texts([resources.shipped_prices()])
        self._random = random.Random(seed)
        self._step_ms = days * _DAY_MS / calls
        self._now = float(time.time_ns() // 1_000_000 - days * _DAY_MS)
        self._ledger = SqliteLedger(path, now_ms=int(self._now))
        self._ledger.store_book(prices.version, list(prices.texts))
        self._book: Book = restore(
            self._ledger, Pricing(prices, self._ledger.book_texts), int(self._now)
        )
        self._made = 0
        for scope, per in (("global", "total"), ("customer=*", "month")):
            limit = frames.LimitSpec(unit="dollars", amount=10**17)
            frame = frames.BudgetSet(n=1, scope=scope, per=per, limit=limit)
            policy.set_budget(self._book, frame, int(self._now))
        self._kinds: dict[tuple[int, int, int], Kind] = {}
        self._run: tuple[str, int] = ("", 0)
        self._run_kind = (0, 0, 0)
        self._late: deque[tuple[float, str]] = deque()
        self._customers = [1 / (n + 1) ** 1.1 for n in range(CUSTOMERS)]
        self._features = [1 / (n + 1) ** 1.3 for n in range(len(FEATURES))]
        self._models = [1 / (n + 1) ** 0.7 for n in range(len(MODELS))]
        self._commit()

    def build(self, calls: int) -> None:
        """Write until there are so many calls; then close the file."""
        choices: list[tuple[int, int, int]] = []
        while self._made < calls:
            for _ in range(min(_BATCH, calls - self._made)):
                if not choices:
                    choices = self._choices()
                self._one_more(choices.pop())
            self._settle_late()
            if self._made % (50 * _BATCH) == 0:
                self._correct()
            self._commit()
        self._ledger.close()

    def _choices(self) -> list[tuple[int, int, int]]:
        """Customers, features and models of the next calls."""
        pick = self._random.choices
        return list(
            zip(
                pick(range(CUSTOMERS), self._customers, k=_BATCH),
                pick(range(len(FEATURES)), self._features, k=_BATCH),
                pick(range(len(MODELS)), self._models, k=_BATCH),
                strict=True,
            )
        )

    def _one_more(self, choice: tuple[int, int, int]) -> None:
        """The like of a call, reserved and ended at the next moment."""
        book, number, draw = self._book, self._made, self._random.random()
        self._made += 1
        self._now += self._step_ms
        now = int(self._now)
        choice, more = self._place(choice, draw)
        kind = self._kind(choice)
        context = book.context(json.dumps({**kind.attributes, **more}).encode())
        opening, ended = copy.copy(kind.reserved), copy.copy(kind.settled)
        opening.call = ended.call = f"{now:012x}-{number}"
        opening.at_ms = ended.at_ms = now
        opening.context = context.text
        ended.latency_ms = int(self._random.lognormvariate(6.7, 0.9))
        book.accounts.look_up(context, now)
        call = book.open_call(opening, context, charged(context.charged, notional=False))
        if draw < 0.985:
            book.close_call(call, ended)
            book.events += (opening, ended)
            return
        # A late bill, a failure, a dead process: by the rules themselves.
        book.events.append(opening)
        frame: dict[str, Any] = {"n": 1, "call": opening.call}
        if draw < 0.99:
            ending.lose(book, _read({**frame, "op": "lose", "reason": "reset"}), now)
            self._late.append((self._now + _DAY_MS, opening.call))
        elif draw < 0.999:
            status = 429 if draw < 0.996 else 503
            ending.void(book, _read({**frame, "op": "void", "status": status}), now)
        else:
            ending.owner_gone(book, str(opening.owner), now)

    def _place(
        self, choice: tuple[int, int, int], draw: float
    ) -> tuple[tuple[int, int, int], dict[str, str]]:
        """In a run, whose calls are one customer's, or by a user."""
        if self._made % 5 < 3:
            name, left = self._run
            if not left:
                name, left = f"run-{self._made}", RUN_CALLS
                self._run_kind = choice
            self._run = name, left - 1
            step = ("plan", "plan/search", "write")[left % 3]
            return self._run_kind, {"run": name, "step": step}
        user = int(draw * 7919) % USERS
        return choice, {"user": f"c{choice[0]}-u{user}"}

    def _kind(self, choice: tuple[int, int, int]) -> Kind:
        found = self._kinds.get(choice)
        if found is None:
            found = self._kinds[choice] = self._decided(choice)
        return found

    def _decided(self, choice: tuple[int, int, int]) -> Kind:
        """One real call of a kind, decided by the rules."""
        customer, feature, model = choice
        book, now = self._book, int(self._now)
        attributes = {
            "project": "p", "customer": f"customer-{customer}", "feature": FEATURES[feature],
            "tag.tier": ("free", "pro", "team")[customer % 3],
        }  # fmt: skip
        name = f"{now:012x}-kind-{customer}-{feature}-{model}"
        asked = {
            "n": 1, "op": "reserve", "call": name, "api": "openai_chat", "model": MODELS[model],
            "attrs": attributes, "input": {"bytes": 8_000, "expanded": 8_000, "overhead": 17},
            "output": {"wanted": 800, "floor": 1, "choices": 1, "clamp": False}, "refined": True,
        }  # fmt: skip
        reserving.reserve(book, _read(asked), owner="boot/1/2", caller=None, now_ms=now)
        came, made = _USAGES[(customer + feature) % len(_USAGES)]
        usage = {"input": came, "cache_read": came // 3, "output": made}
        bill = {"n": 1, "op": "settle", "call": name, "usage": usage, "status": 200}
        ending.settle(book, _read(bill), now)
        reserved, settled = book.events[-2:]
        assert (reserved.kind, settled.kind) == ("reserve", "settle"), (reserved, settled)
        self._made += 1
        self._now += self._step_ms
        return Kind(attributes, copy.copy(reserved), copy.copy(settled))

    def _settle_late(self) -> None:
        while self._late and self._late[0][0] <= self._now:
            _, call = self._late.popleft()
            usage = {"input": 200, "output": 50}
            bill = {"n": 1, "op": "settle", "call": call, "usage": usage, "latency_ms": 900}
            ending.settle(self._book, _read(bill), int(self._now))

    def _correct(self) -> None:
        """What a provider's bill said against the books, of some days before."""
        now = int(self._now)
        entries = [
            {
                "id": f"c{now}-{n}", "why": "price", "model": MODELS[n], "nano": 5_000_000 - n,
                "for_ms": now - 9 * _DAY_MS, "attrs": {"customer": f"customer-{n}"},
            }
            for n in range(len(MODELS))
        ]  # fmt: skip
        frame = {"n": 1, "op": "ledger.correct", "batch": f"b{now}", "entries": entries}
        correcting.correct(self._book, _read(frame), now)

    def _commit(self) -> None:
        book = self._book
        events, book.events = book.events, []
        self._ledger.append(events, take_snapshot(book))
        book.calls.forget_old()


def _read(frame: dict[str, Any]) -> Any:
    return frames.decode(json.dumps(frame).encode())
