"""Corrections: what a provider's bill says against the books, booked as entries of their own.

Layer: daemon, pure over the book.  Below: book, calls, ending, frames.  Above: server.
Owns: the rows of kind `correction`, what each does to accounts and to calls without a bill, and
its opposite.
Not here: what is to be corrected, and why (noburn_cli.reconcile), idempotency on disk (queries).

Nothing is rewritten.  An entry adds an amount to a day, a model and attributes, and so to the
accounts whose windows that day lies in; or it ends a call that was charged at its hold, as a late
bill does.  All of a request are booked, or none.  The server flushes before each and writes a
snapshot with it, so that restore never meets one.
"""

from __future__ import annotations

import json
from typing import Any

from noburn_cli import protocol
from noburn_cli.core.actions import BILL
from noburn_cli.core.budgets import check_attributes
from noburn_cli.core.holds import HoldState
from noburn_cli.core.usage import EXTRA_TOKEN_KINDS, KINDS, PRICED_KINDS
from noburn_cli.errors import NoburnError, UsageError
from noburn_daemon import frames
from noburn_daemon.account import Weights
from noburn_daemon.accounts import Context
from noburn_daemon.book import Book
from noburn_daemon.calls import Call
from noburn_daemon.ledger import Event, json_text
from noburn_daemon.overages import overage_rows
from noburn_daemon.replies import Reply, conflict, from_error, not_found, refusal

_UNBILLED = (HoldState.UNCERTAIN.value, HoldState.ORPHANED.value)
#: How an entry may end a call: with a bill, or with the provider's word that there is none.
SETTLE, VOID = "settle", "void"
UNDOES = "undoes"


def correct(book: Book, frame: frames.LedgerCorrect, now_ms: int) -> Reply:
    """Book the entries that are not booked yet.  Raises UsageError for one that means nothing."""
    ids = [entry.id for entry in frame.entries]
    if len(set(ids)) < len(ids):
        raise UsageError("two entries have the same id")
    known = book.ledger.known_corrections(ids)
    fresh = [entry for entry in frame.entries if entry.id not in known]
    if fresh and frame.after is not None:
        newer = book.ledger.newest_correction(besides=frame.batch)
        if newer > frame.after:
            return refusal(
                frame.n, protocol.CONFLICT, "the books were corrected since they were read",
                why="what is to be booked was the difference to what they said then",
                next_step="reconcile again: what is left is booked then",
            )  # fmt: skip
    rows: list[tuple[Event, Call | None]] = []
    for entry in fresh:
        made = _made(book, frame, entry, now_ms)
        if isinstance(made, dict):
            return made
        rows.append(made)
    for event, call in rows:
        _book(book, event, call, now_ms)
    return {
        "n": frame.n, "ok": True, "batch": frame.batch, "booked": len(fresh),
        "known": len(known), "ended": _ends(book, frame), "over": _over(book, now_ms),
    }  # fmt: skip


def _ends(book: Book, frame: frames.LedgerCorrect) -> list[Reply]:
    """What became of the calls whose bills these were."""
    named = [entry.call for entry in frame.entries if entry.ends is not None and entry.call]
    calls = [call for name in named if (call := book.calls.get(name)) is not None]
    return [{"call": c.id, "state": c.state, "cost_nano": c.cost[0]} for c in calls]


def _made(
    book: Book, frame: frames.LedgerCorrect, entry: frames.Correction, now_ms: int
) -> tuple[Event, Call | None] | Reply:
    """The row of one entry, and the call that it ends."""
    detail: dict[str, Any] = {
        "id": entry.id, "batch": frame.batch, "why": entry.why, "by": frame.by,
        "reason": frame.reason, "provider": frame.provider, "export": frame.export,
        "source": frame.source, "for_ms": entry.for_ms, "requests": entry.requests,
    }  # fmt: skip
    if entry.note:
        detail["note"] = entry.note
    if entry.ends is not None:
        return _ended(book, frame.n, entry, detail, now_ms)
    if entry.nano is None:
        raise UsageError("a correction names no amount")
    context = Context(check_attributes(entry.attrs))
    event = Event(
        0, now_ms, "correction", call=entry.call, context=context.text,
        model=json_text([entry.api, entry.model, entry.model]), cost_nano=entry.nano,
        detail=json_text(detail),
    )  # fmt: skip
    _count(event, entry.usage)
    return event, None


def _ended(
    book: Book, n: int, entry: frames.Correction, detail: dict[str, Any], now_ms: int
) -> tuple[Event, Call | None] | Reply:
    """The row of an entry that ends a call without a bill, whose amounts are the call's own."""
    if entry.call is None:
        raise UsageError("an entry that ends a call names none")
    call = book.calls.get(entry.call)
    if call is None:
        frames.check_call_id(entry.call)
        return not_found(n, entry.call)
    if call.state not in _UNBILLED:
        reply = conflict(n, entry.call)
        reply["message"] = f"call {entry.call} is {call.state}: it is not waiting for a bill"
        reply["next"] = "nothing was booked; look again with `noburn ledger orphans`"
        return reply
    event = Event(0, now_ms, "correction", call=entry.call, detail="")
    detail["ends"] = entry.ends
    if entry.ends == SETTLE:
        try:
            detail["nano"] = _cost(book, call, entry)
        except NoburnError as error:
            return from_error(n, protocol.PRICE_UNKNOWN, error)
        detail["usage"] = {kind: count for kind, count in entry.usage.items() if count}
    event.detail = json_text(detail)
    return event, call


def _cost(book: Book, call: Call, entry: frames.Correction) -> int:
    """Nano-dollars: the bill's own, or what its usage costs by the book of the hold."""
    if any(count < 0 for count in entry.usage.values()) or (entry.nano or 0) < 0:
        raise UsageError("the bill of a call is not below nothing")
    if entry.nano is not None:
        return entry.nano
    plain = {kind: count for kind, count in entry.usage.items() if kind in KINDS}
    extra = {kind: count for kind, count in entry.usage.items() if kind not in KINDS}
    return book.pricing.cost(
        version=call.book, model=book.resolved(call.model), variant=entry.variant,
        usage=frames.Usage(**plain, extra=extra), at_ms=call.reserved_at_ms,
    )  # fmt: skip


def _book(book: Book, event: Event, call: Call | None, now_ms: int) -> None:
    """Append a correction, and let the accounts and the call that it ends follow it."""
    book.events.append(event)
    if call is None:
        _adjust(book, event, now_ms)
        return
    detail = json.loads(str(event.detail))
    # A budget that came after the call ended counts it as well: correct it there, too.
    call.accounts = book.accounts_at_end(call)
    end = Event(0, now_ms, detail["ends"], call=call.id, failure=None)
    if end.kind == SETTLE:
        end.cost_nano = detail["nano"]
        _count(end, detail["usage"])
        end.variant = "standard"
    else:
        end.failure = detail["reason"] or "the provider did not bill it"
    book.events.append(end)
    book.close_call(call, end)


def _count(event: Event, usage: dict[str, int]) -> None:
    """Put counts by kind, of whatever sign, on a row."""
    for kind in KINDS:
        setattr(event, kind, usage.get(kind, 0))
    extra = {kind: count for kind, count in usage.items() if kind not in KINDS}
    event.extra = frames.extra_text(extra)
    event.cost_tokens = sum(usage.get(kind, 0) for kind in (*PRICED_KINDS, *EXTRA_TOKEN_KINDS))


def _adjust(book: Book, event: Event, now_ms: int) -> None:
    """Add an amount to the accounts of its day that still count."""
    detail = json.loads(str(event.detail))
    attributes = json.loads(str(event.context))
    weights: Weights = (event.cost_nano or 0, event.cost_tokens or 0, detail["requests"])
    book.add_up(str(event.context), detail["for_ms"], weights)
    # Windows that have ended count on for budgets that bill.
    known = book.accounts.at_end(attributes, detail["for_ms"], book.ledger.passed_account)
    touched = []
    for account in dict.fromkeys(
        (*known, *book.accounts.at(attributes, detail["for_ms"], now_ms=now_ms))
    ):
        ended = account.end_ms is not None and account.end_ms <= now_ms
        if ended and account.budget.row.action != BILL:
            continue  # reports tell of it, admission never asks again
        amount = weights[account.unit_index]
        book.accounts.settle(account, amount, reserved_at_ms=detail["for_ms"], now_ms=now_ms)
        touched.append(account)
    book.accounts.dirty.update(touched)
    book.events += overage_rows(touched, now_ms)
    book.stirred = True


def _over(book: Book, now_ms: int) -> list[str]:
    """Accounts that are over: they admit nothing."""
    return sorted(
        account.name
        for account in book.accounts.all()
        if account.available < 0 and (account.end_ms is None or account.end_ms > now_ms)
    )


def undo(book: Book, frame: frames.LedgerUndo, now_ms: int) -> Reply:
    """Book the opposite of a correction, or of all that were booked together."""
    rows = book.ledger.corrections(frame.id)
    details = [json.loads(str(row.detail)) for row in rows]
    undone = {detail[UNDOES] for detail in details if UNDOES in detail}
    standing = [
        (row, detail)
        for row, detail in zip(rows, details, strict=True)
        if UNDOES not in detail and detail["id"] not in undone
    ]
    if not rows:
        return refusal(
            frame.n, protocol.NOT_FOUND, f"there is no correction {frame.id}",
            next_step="`noburn ledger reconcile --apply` said its id",
        )  # fmt: skip
    made = [_opposite(book, frame, row, detail, now_ms) for row, detail in standing]
    for refused in made:
        if isinstance(refused, dict):
            return refused
    for event, call in made:
        book.events.append(event)
        if call is None:
            _adjust(book, event, now_ms)
        else:
            _reopen(book, call, event, now_ms)
    return {"n": frame.n, "ok": True, "undone": len(standing), "over": _over(book, now_ms)}


def _opposite(
    book: Book, frame: frames.LedgerUndo, row: Event, detail: dict[str, Any], now_ms: int
) -> Any:
    """The row that takes a correction back, and the call that it reopens; or why not."""
    opposite = {
        **detail, "id": f"undo-{detail['id']}", UNDOES: detail["id"], "by": frame.by,
        "reason": frame.reason, "requests": -detail["requests"],
    }  # fmt: skip
    event = Event(0, now_ms, "correction", call=row.call, context=row.context, model=row.model)
    if "ends" in detail:
        call = book.calls.get(str(row.call))
        if call is None or call.context is None:
            return refusal(
                frame.n, protocol.CLOSED, f"call {row.call} is history: its month was compacted",
                why="a call without its rows cannot wait for a bill again",
            )  # fmt: skip
        if call.state in (HoldState.SETTLED.value, HoldState.VOIDED.value):
            event.detail = json_text(opposite)
            return event, call
        return conflict(frame.n, str(row.call))
    event.cost_nano = -(row.cost_nano or 0)
    usage = {kind: -(getattr(row, kind) or 0) for kind in KINDS}
    extra = json.loads(row.extra) if row.extra else {}
    _count(event, {**usage, **{kind: -count for kind, count in extra.items()}})
    event.detail = json_text(opposite)
    return event, None


def _reopen(book: Book, call: Call, event: Event, now_ms: int) -> None:
    """Charge a call at its hold again: what was said of its bill does not hold."""
    call.accounts = book.accounts_at_end(call)
    reason = json.loads(str(event.detail))["reason"] or "its correction was undone"
    lost = Event(
        0, now_ms, "lose", call=call.id, cost_nano=call.hold[0], cost_tokens=call.hold[1],
        failure=reason,
    )  # fmt: skip
    book.events.append(lost)
    book.close_call(call, lost)
