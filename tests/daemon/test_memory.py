"""Memory is flat: what grows with calls is forgotten, whatever came before.

benchmarks/memory.py watches a whole daemon over millions of calls; this looks at the structures.
"""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from noburn_daemon import alerts, calls, ending, policy, reserving, running, runs
from noburn_daemon import book as book_module
from noburn_daemon.restore import ENDED_RUN_KEPT_MS, forget_ended
from tests.daemon.parts import START_MS, commit, open_book, read, reserve_frame

HOUR_MS = 3_600_000


def test_nothing_but_the_present_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Goal: contexts, ended calls, runs, names, ended windows and outbox stay below their caps."""
    monkeypatch.setattr(book_module, "_CONTEXTS_MAX", 50)
    monkeypatch.setattr(runs, "_STATES_MAX", 50)
    monkeypatch.setattr(calls, "RECENT_MAX", 100)
    book, ledger = open_book(tmp_path / "ledger.sqlite3")
    for scope, per in (("customer=*", "hour"), ("customer=*", "1m"), ("global", "total")):
        frame = {"n": 1, "op": "budget.set", "scope": scope, "per": per, "thresholds": [1],
                 "limit": {"unit": "requests", "amount": 10**9}}  # fmt: skip
        policy.set_budget(book, read(frame), START_MS)
    sizes = []
    number = 0
    for hour in range(5):
        now_ms = START_MS + hour * HOUR_MS
        book.advance(now_ms)
        for _ in range(250):
            number += 1
            call = f"c{number}"
            attrs = {"customer": f"k{number % 97}", "run": f"r{number // 3}"}
            frame = read(reserve_frame(call, attrs=attrs))
            answer = reserving.reserve(book, frame, owner="o:1:1", caller=None, now_ms=now_ms)
            assert answer.ok
            usage = {"n": 1, "op": "settle", "call": call, "usage": {"output": 1}}
            ending.settle(book, read(usage), now_ms)
        alerts.tell(book, now_ms, ())
        commit(book, ledger, snapshot=True)
        for _ in range(50):  # as after so many commits: a few at a time
            book.calls.forget_old()
            book.runs.forget_old()
        ledger.outbox.prune(now_ms)
        gc.collect()
        sizes.append(
            {
                "contexts": len(book._contexts),
                "accounts": len(list(book.accounts.all())),
                "recent": len(book.calls._recent) + len(book.calls._leaving),
                "open": len(book.calls.open),
                "states": len(book.runs._states),
                "dirty": len(book.accounts.dirty),
                "crossed": len(book.accounts.crossed),
                "events": len(book.events),
                "answers": len(book.outbox),
                "notices": len(book.changed.notices) + len(book.happened),
            }
        )
    assert sizes[-1]["contexts"] <= 50
    assert sizes[-1]["states"] <= 51
    assert sizes[-1]["recent"] <= 250
    assert sizes[-1]["accounts"] <= 3 * 97 + 1, "of this hour, of the last minutes, and the total"
    for name in ("open", "dirty", "crossed", "events", "answers", "notices"):
        assert sizes[-1][name] == 0, name
    assert max(size["accounts"] for size in sizes[2:]) == sizes[-1]["accounts"]
    ledger.close()


def test_limits_of_runs_that_ended_long_ago_are_let_go(tmp_path: Path) -> None:
    """Goal: a daemon that stays keeps no more than one that was started anew."""
    book, ledger = open_book(tmp_path / "ledger.sqlite3")
    for number in range(5):
        start = {"n": 1, "op": "run.start", "run": f"r{number}",
                 "limit": {"unit": "dollars", "amount": 10**9}}  # fmt: skip
        running.start_run(book, read(start), "o:1:1", START_MS)
    running.end_run(book, "r0", 0, START_MS)
    running.end_run(book, "r1", 0, START_MS + HOUR_MS)
    commit(book, ledger, snapshot=True)
    now_ms = START_MS + ENDED_RUN_KEPT_MS
    forget_ended(book, now_ms)
    commit(book, ledger, snapshot=True)
    kept = {budget.row.run for budget in book.accounts.budgets.values()}
    assert kept == {"r1", "r2", "r3", "r4"}
    ledger.close()
    anew, ledger = open_book(tmp_path / "ledger.sqlite3", now_ms)
    assert {budget.row.run for budget in anew.accounts.budgets.values()} == kept
    ledger.close()
