"""What the daemon measures of itself, and the page that tells it.

Layer: daemon, event loop.  Below: exposition, book, sqlite, outbox.  Above: commits (the meter),
service.
Owns: names and units of the metrics, which docs/service.md lists.
A budget is one series, whatever number of accounts it has: a customer more is no series more, and
customers' names stay out of it.  Runs' own budgets have none.
Not here: who may ask, and how (http_endpoint).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.core.money import DOLLARS, Nano
from noburn_cli.errors import LedgerUnavailable
from noburn_cli.version import __version__
from noburn_daemon.book import Book
from noburn_daemon.exposition import Histogram, Page
from noburn_daemon.ledger import Event
from noburn_daemon.sqlite import SqliteLedger

#: Budgets that have series, in the order in which they were made; the others are counted.
BUDGETS_SHOWN = 200
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_OUTCOMES = {"reserve": "granted", "blocked": "blocked", "refused": "refused"}
_ENDS = {"settle": "settled", "lose": "uncertain", "orphan": "orphaned", "void": "voided"}


class Meter:
    """What is counted while the daemon works, from the moment that somebody wants to know."""

    def __init__(self) -> None:
        self.kinds: Counter[str] = Counter()
        self.commit_s = Histogram(_SECONDS)
        self.commit_rows = Histogram(_ROWS)
        self.failed_commits = 0

    def committed(self, events: Iterable[Event], rows: int, seconds: float) -> None:
        """A transaction is on the disk."""
        self.kinds.update([event.kind for event in events])
        self.commit_s.add(seconds)
        self.commit_rows.add(rows)


@dataclass
class Moment:
    """What the parts of the daemon have to say at one moment."""

    book: Book
    ledger: SqliteLedger
    meter: Meter
    sick: bool
    draining: bool
    connections: int
    jump_ms: int


def page(at: Moment) -> str:
    """The answer to /metrics."""
    shown = Page()
    build = [({"version": __version__}, 1)]
    shown.gauges("noburn_build_info", "The version of this daemon.", build)
    _calls(shown, at)
    _budgets(shown, at.book)
    _ledger(shown, at)
    _process(shown)
    return shown.text()


def _calls(shown: Page, at: Moment) -> None:
    kinds, book = at.meter.kinds, at.book
    shown.counter(
        "noburn_reserves_total", "Calls that asked for money, by what came of it.",
        {word: kinds[kind] for kind, word in _OUTCOMES.items()}, "outcome",
    )  # fmt: skip
    shown.counter(
        "noburn_calls_ended_total", "Calls that ended, by how.",
        {word: kinds[kind] for kind, word in _ENDS.items()}, "state",
    )  # fmt: skip
    shown.gauge(
        "noburn_bound_defects_total", "Bills that were above their bound.",
        kinds["bound_defect"], "counter",
    )  # fmt: skip
    shown.gauge("noburn_holds_open", "Calls in flight.", len(book.calls.open))
    held = sum(call.hold[0] for call in book.calls.open.values() if not call.notional)
    shown.gauge("noburn_held_dollars", "Money set aside for calls in flight.", _dollars(held))
    shown.gauge("noburn_waiters", "Calls that wait for money.", len(book.waiting))
    shown.gauge("noburn_runs_open", "Runs that have not ended.", len(book.runs.owners))
    shown.gauge("noburn_connections", "Connected clients.", at.connections)


def _budgets(shown: Page, book: Book) -> None:
    """Limit, and sums over the accounts of windows that have not ended, by unit."""
    standing = [b for b in book.accounts.budgets.values() if b.row.run is None]
    sums = {b.row.id: [0, 0, 0, 0.0] for b in standing[:BUDGETS_SHOWN]}
    for account in book.accounts.all():
        found = sums.get(account.budget.row.id)
        if found is not None:
            found[0] += account.settled
            found[1] += account.held
            found[2] += 1
            if account.capacity > 0:
                found[3] = max(found[3], account.settled / account.capacity)
    kept = standing[:BUDGETS_SHOWN]
    for unit in ("dollars", "tokens", "requests"):
        named = [({"budget": b.name}, b) for b in kept if b.row.unit == unit]
        for word, text, of in (
            ("limit", "Limit of each account", lambda b: b.row.amount),
            ("settled", "Spent in the current windows", lambda b: sums[b.row.id][0]),
            ("held", "Set aside in the current windows", lambda b: sums[b.row.id][1]),
        ):
            shown.gauges(
                f"noburn_budget_{word}_{unit}", f"{text}, {unit}.",
                [(labels, _shown(unit, of(b))) for labels, b in named],
            )  # fmt: skip
    every = [({"budget": b.name, "unit": b.row.unit}, sums[b.row.id]) for b in kept]
    shown.gauges(
        "noburn_budget_accounts", "Accounts of a budget.", [(x, s[2]) for x, s in every]
    )  # fmt: skip
    shown.gauges(
        "noburn_budget_used_ratio", "Spent over limit, of a budget's fullest account.",
        [(x, s[3]) for x, s in every],
    )  # fmt: skip
    shown.gauge(
        "noburn_budgets_without_series", "Budgets beyond the ones that are shown.",
        len(standing) - len(kept),
    )  # fmt: skip


def _shown(unit: str, amount: float) -> str:
    return _dollars(int(amount)) if unit == DOLLARS else str(amount)


def _dollars(nano: int) -> str:
    return Nano(nano).exact()


def _ledger(shown: Page, at: Moment) -> None:
    counts = at.ledger.counts()
    shown.gauge("noburn_ledger_unavailable", "1 while the ledger cannot be written.", int(at.sick))
    shown.gauge("noburn_draining", "1 while the daemon leaves.", int(at.draining))
    shown.gauge("noburn_ledger_rows", "Rows of the journal.", counts["events"])
    shown.gauge("noburn_ledger_bytes", "Size of the ledger's file.", counts["bytes"])
    wal = at.ledger.path.with_name(at.ledger.path.name + "-wal")
    with contextlib.suppress(OSError):
        shown.gauge("noburn_ledger_wal_bytes", "Size of its log.", wal.stat().st_size)
    shown.gauge(
        "noburn_checkpoint_failures_total", "Checkpoints of the log that failed.",
        at.ledger.checkpoint_failures, "counter",
    )  # fmt: skip
    shown.gauge(
        "noburn_commit_failures_total", "Transactions that failed.",
        at.meter.failed_commits, "counter",
    )  # fmt: skip
    shown.histogram("noburn_commit_seconds", "How long a commit takes.", at.meter.commit_s)
    shown.histogram("noburn_commit_rows", "Rows of one commit.", at.meter.commit_rows)
    with contextlib.suppress(LedgerUnavailable):
        outbox = at.ledger.outbox.counts()
        shown.gauge("noburn_notifications_waiting", "Messages to deliver.", outbox.waiting)
        shown.gauge("noburn_notifications_failing", "Of these, after a failure.", outbox.failing)
        shown.gauge("noburn_notifications_given_up", "Messages given up.", outbox.given_up)
    shown.gauge(
        "noburn_clock_jump_seconds", "How far the wall clock is ahead of the ledger's time.",
        at.jump_ms / 1000,
    )  # fmt: skip


def _process(shown: Page) -> None:
    """The names that every Prometheus client gives to these."""
    times = os.times()
    shown.gauge(
        "process_cpu_seconds_total", "User and system time.", times.user + times.system, "counter"
    )
    shown.gauge("process_start_time_seconds", "When it started.", _STARTED_S)
    if sys.platform == "darwin":
        return
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        size = pages * os.sysconf("SC_PAGE_SIZE")
        shown.gauge("process_resident_memory_bytes", "Resident memory.", size)
    with contextlib.suppress(OSError):
        shown.gauge("process_open_fds", "Open descriptors.", len(os.listdir("/proc/self/fd")))  # noqa: PTH208


#: As good as the start: this is imported by it.
_STARTED_S = time.time()
