"""A ledger with calls of past months, as a daemon of then would have written it."""

from __future__ import annotations

import json
from pathlib import Path

from noburn_daemon import ending, frames, policy, reserving
from tests.daemon.parts import commit, open_book, read, reserve_frame

START_MS = 1_785_000_000_000  # 2026-07-25
END_MS = 1_794_000_000_000  # 2026-11-06
_BUDGETS = (("customer=*", "month", "dollars"), ("global", "total", "tokens"))


def fill_months(path: Path, *, calls: int) -> None:
    """Write so many settled calls of five customers, evenly from July to November 2026."""
    book, ledger = open_book(path, START_MS)
    for scope, per, unit in _BUDGETS:
        limit = {"unit": unit, "amount": 10**15}
        frame = {"n": 1, "op": "budget.set", "scope": scope, "per": per, "limit": limit}
        policy.set_budget(book, read(frame), START_MS)
        commit(book, ledger, snapshot=True)
    for number in range(calls):
        at_ms = START_MS + (END_MS - START_MS) * number // calls
        call = f"{at_ms:011x}-{number:020x}"
        attrs = {"customer": f"c{number % 5}", "feature": "chat"}
        reserve = frames.decode(json.dumps(reserve_frame(call, attrs=attrs)).encode())
        reserving.reserve(book, reserve, owner="b:1:1", caller=None, now_ms=at_ms)
        usage = {"input": 60, "output": number % 9}
        settle = {"n": 1, "op": "settle", "call": call, "usage": usage}
        ending.settle(book, frames.decode(json.dumps(settle).encode()), at_ms + 1)
        if number % 500 == 499:
            commit(book, ledger, snapshot=True)
    book.accounts.advance(END_MS)
    commit(book, ledger, snapshot=True)
    ledger.close()
