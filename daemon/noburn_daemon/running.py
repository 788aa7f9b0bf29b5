"""Runs: started, noted, ended.

Layer: daemon, pure over the book.  Below: book, policy (a run's own budget), core.budgets.
Above: server.
Owns: what a run's start and end leave in the journal.
Not here: runs that are stopped, paused, listed (stopping), what bars a run's calls (runs).

Start and end are rare: the server flushes before them, and writes a snapshot with each.
"""

from __future__ import annotations

import json

from noburn_cli.core.budgets import Scope, check_attributes, check_run_path
from noburn_cli.core.windows import RUN
from noburn_daemon import frames
from noburn_daemon.accounts import context_text
from noburn_daemon.book import Book
from noburn_daemon.ledger import BudgetRow, Event
from noburn_daemon.policy import check_unit, put_budget
from noburn_daemon.replies import Reply


def start_run(book: Book, frame: frames.RunStart, owner: str, now_ms: int) -> Reply:
    """Record a run, with its own limit if it has one.  Raises UsageError."""
    runs = check_run_path(frame.run)
    attributes = check_attributes({**frame.attrs, "run": frame.run})
    if frame.limit is not None:
        check_unit(frame.limit.unit)
    limit = (
        None if frame.limit is None else {"unit": frame.limit.unit, "amount": frame.limit.amount}
    )
    detail = json.dumps(
        {"command": frame.command, "limit": limit}, separators=(",", ":"), ensure_ascii=False
    )
    if frame.run not in book.runs.owners:
        event = Event(
            0,
            now_ms,
            "run_start",
            run=frame.run,
            context=context_text(attributes),
            owner=owner,
            detail=detail,
        )
        book.events.append(event)
        book.runs.state(frame.run).apply(event)
    book.runs.begin(frame.run, owner)
    book.changed.runs = book.runs.owners
    reply: Reply = {"n": frame.n, "ok": True, "run": frame.run}
    if frame.limit is not None:
        scope = str(Scope((("run", runs[-1]),)))
        unit, amount = frame.limit.unit, frame.limit.amount
        wanted = BudgetRow(0, scope, RUN, unit, amount, False, frame.run)
        budget = put_budget(book, wanted, now_ms)
        reply["budget"] = budget.name
    return reply


def note(book: Book, frame: frames.RunNote, now_ms: int) -> Reply:
    """Journal what was seen of a run besides its calls.  Raises UsageError."""
    check_run_path(frame.run)
    detail = json.dumps(
        {"kind": frame.kind, **frame.detail}, separators=(",", ":"), ensure_ascii=False
    )
    book.events.append(Event(0, now_ms, "run_note", run=frame.run, detail=detail))
    return {"n": frame.n, "ok": True}


def end_run(book: Book, run: str, exit_code: int | None, now_ms: int) -> bool:
    """Record that a run has ended; its own limit stays in force for what is left of it."""
    if not book.runs.end(run):
        return False
    book.changed.runs = book.runs.owners
    failure = "its process is gone" if exit_code is None else None
    event = Event(0, now_ms, "run_end", run=run, status=exit_code, failure=failure)
    book.events.append(event)
    book.runs.state(run).apply(event)
    for budget in book.accounts.budgets.values():
        if budget.row.run == run:
            budget.row.ended_at_ms = now_ms
            book.changed.budgets.append(budget.row)
    return True
