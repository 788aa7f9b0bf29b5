"""What a person does to a run: stop, pause, resume, change its limit; and what there is to see.

Layer: daemon, pure like book.  Below: book, policy, runs.  Above: server.
Owns: the sentences that say who did it, and the frame that `noburn top` draws.
Not here: what a barred call is answered (replies), how processes are ended (the supervisor).
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from noburn_cli import protocol
from noburn_cli.core.budgets import Scope
from noburn_cli.core.money import AMOUNT_MAX
from noburn_cli.core.windows import RUN
from noburn_cli.errors import UsageError
from noburn_daemon import frames
from noburn_daemon.accounts import Context
from noburn_daemon.book import Book
from noburn_daemon.ledger import BudgetRow, Event
from noburn_daemon.policy import put_budget
from noburn_daemon.replies import Reply, refusal
from noburn_daemon.runs import ENDED, RATE_MS, STOPPED, is_within
from noburn_daemon.showing import shown_account


def stop_run(book: Book, frame: frames.RunStop, now_ms: int) -> Reply:
    """No call of the run goes any more, nor of what is below it.  Again is harmless."""
    path = book.runs.find(frame.run)
    if path is None:
        return _no_run(book, frame)
    by = frame.by or "somebody"
    message = f"run `{_name(path)}` was stopped by {by}"
    if frame.reason:
        message += f": {frame.reason}"
    book.stop_run(path, message, by=by, now_ms=now_ms)
    calls = [call for call in book.calls.open.values() if _is_of(call.context, path)]
    waiting = [waiter for waiter in book.waiting if _is_of(waiter.context, path)]
    return {
        "n": frame.n, "ok": True, "run": path, "message": book.runs.state(path).message,
        "owner_pid": _pid(book, path), "open": len(calls), "waiting": len(waiting),
    }  # fmt: skip


def pause_run(book: Book, frame: frames.RunPause, now_ms: int) -> Reply:
    """Calls of the run, and of what is below it, wait until it is resumed."""
    path = book.runs.find(frame.run)
    if path is None:
        return _no_run(book, frame)
    state = book.runs.state(path)
    if state.paused is None and not state.final:
        _note(book, "run_pause", path, frame.by, now_ms)
    return {"n": frame.n, "ok": True, "run": path, "state": state.word}


def resume_run(book: Book, frame: frames.RunResume, now_ms: int) -> Reply:
    """Let the calls of a paused run go on, in order."""
    path = book.runs.find(frame.run)
    if path is None:
        return _no_run(book, frame)
    state = book.runs.state(path)
    if state.paused is not None:
        _note(book, "run_resume", path, frame.by, now_ms)
    return {"n": frame.n, "ok": True, "run": path, "state": state.word}


def _note(book: Book, kind: str, path: str, by: str, now_ms: int) -> None:
    detail = json.dumps({"by": by or "somebody"}, ensure_ascii=False)
    event = Event(0, now_ms, kind, run=path, detail=detail)
    book.events.append(event)
    book.runs.state(path).apply(event)
    book.stirred = True


def limit_run(book: Book, frame: frames.RunLimit, now_ms: int) -> Reply:
    """Give a run another limit of its own, or more of the one it has.  Raises UsageError."""
    path = book.runs.find(frame.run)
    if path is None:
        return _no_run(book, frame)
    scope = Scope((("run", _name(path)),))
    budget = book.accounts.named(scope, RUN, frame.limit.unit)
    amount = frame.limit.amount
    if frame.add:
        if budget is None:
            raise UsageError(
                f"run {_name(path)} has no limit in {frame.limit.unit} that could be raised",
                next_step="give it one: a limit that is not added",
            )
        amount += budget.row.amount
        if amount > AMOUNT_MAX:
            raise UsageError(f"run {_name(path)} would get more than a ledger can hold")
    unit = frame.limit.unit
    kept = BudgetRow(0, str(scope), RUN, unit, 0, False) if budget is None else budget.row
    wanted = replace(kept, amount=amount, override=False, run=path, ended_at_ms=None)
    budget = put_budget(book, wanted, now_ms)
    shown = {"unit": unit, "amount": amount}
    return {"n": frame.n, "ok": True, "run": path, "budget": budget.name, "limit": shown}


def list_runs(book: Book, frame: frames.RunList, now_ms: int) -> Reply:
    """Every open run as `noburn top` shows it, oldest first; or the one that is named."""
    paths = list(book.runs.owners)
    if frame.run is not None:
        path = book.runs.find(frame.run)
        if path is None:
            return _no_run(book, frame)
        paths = [path]
    shown = [run for path in paths if (run := _shown(book, path, now_ms)) is not None]
    return {"n": frame.n, "ok": True, "now_ms": now_ms,
            "runs": sorted(shown, key=lambda run: run["started_at_ms"])}  # fmt: skip


def _shown(book: Book, path: str, now_ms: int) -> Reply | None:
    rows = reversed(book.ledger.run_rows(path))
    began = next((row for row in rows if row.kind == "run_start"), None)
    if began is None:
        return None  # The ledger is sick, and this one's beginning was not written.
    detail: dict[str, Any] = json.loads(began.detail or "{}")
    context = Context(json.loads(str(began.context)))
    book.accounts.look_up(context, now_ms)
    state, tally = book.runs.state(path), book.runs.tally(path)
    totals = tally.totals
    waiting = sum(1 for waiter in book.waiting if _is_of(waiter.context, path))
    return {
        "run": path, "owner_pid": _pid(book, path), "started_at_ms": began.at_ms,
        "attrs": context.attributes, "command": detail.get("command", []),
        "state": state.word, "message": state.message or state.paused or "",
        "calls": totals.calls, "open": totals.open, "waiting": waiting,
        "blocked": totals.blocked, "refused": totals.refused, "clamped": totals.clamped,
        "cost_nano": totals.cost_nano, "held_nano": totals.held_nano,
        "notional_nano": totals.notional_nano,
        "rate_nano": tally.spent_lately(now_ms),
        "rate_ms": max(1, min(RATE_MS, now_ms - began.at_ms)),
        "accounts": [shown_account(account) for account in context.checked],
    }  # fmt: skip


def state_of(book: Book, run: str) -> Reply:
    """A run's state for those who watch it, `stopped` also where one that it is in was."""
    bar = book.runs.bar(Context({"run": run}).paths)
    state = book.runs.state(run) if bar is None else bar[1]
    message = state.message if state.final == STOPPED else ""
    return {"state": state.word, "message": message}


def stopped_message(book: Book, run: str) -> str | None:
    """What stopped a run, or None."""
    state = book.runs.state(run)
    return state.message if state.final == STOPPED else None


def _is_of(context: Context | None, path: str) -> bool:
    return context is not None and any(is_within(p, path) for p in context.paths[-1:])


def _name(path: str) -> str:
    return path.rsplit("/", 1)[-1]


def _pid(book: Book, path: str) -> int:
    return int(book.runs.owners[path].split(":")[1])


def _no_run(book: Book, frame: Any) -> Reply:
    state = book.runs.state(frame.run)
    has_ended = state.final == ENDED
    return refusal(
        frame.n,
        protocol.NOT_FOUND,
        f"run {frame.run} has ended" if has_ended else f"there is no open run {frame.run}",
        next_step="`noburn top` shows those that are open",
    )
