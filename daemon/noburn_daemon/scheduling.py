"""Changes of budgets that are to come: kept until their moment, then done as if asked for then.

Layer: daemon, pure over the book.  Below: book, policy, frames.  Above: applying, server.
Owns: which changes are to come, their order, and what becomes of one that cannot be done.
Not here: what a change does (policy), whose turn brings it about (server).

A change is checked when it is asked for, and done by the first who sees its moment, also after a
restart: its row of the journal says which one it was.  Like any change of a budget it finds
everything before it on the disk, and is written with a snapshot.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import msgspec

from noburn_cli import protocol
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.windows import check_window
from noburn_cli.errors import LedgerUnavailable, UsageError
from noburn_daemon import frames, policy
from noburn_daemon.book import Book
from noburn_daemon.ledger import Event, ScheduledRow, json_text
from noburn_daemon.replies import Reply, refusal
from noburn_daemon.schedule import shown, spec_of

#: How many changes may be to come at once.
SCHEDULED_MAX = 1_000

_log = logging.getLogger("noburn.daemon")


def set_budget(book: Book, frame: frames.BudgetSet, now_ms: int) -> Reply:
    """Put a budget in force, now or later.  Raises UsageError."""
    if frame.at_ms is None:
        return policy.set_budget(book, frame, now_ms)
    policy.check_budget(policy.wanted_row(frame))
    return _schedule(book, frame, frame.at_ms, now_ms)


def remove_budget(book: Book, frame: frames.BudgetRm, now_ms: int) -> Reply:
    """Take a budget out of force, now or later.  Raises UsageError.

    One that is to end need not stand yet: another change may begin it before.
    """
    if frame.at_ms is None:
        return policy.remove_budget(book, frame, now_ms)
    policy.check_unit(frame.unit)
    return _schedule(book, frame, frame.at_ms, now_ms)


def check_moment(book: Book, at_ms: int, now_ms: int) -> None:
    """Refuse a moment at which nothing can be scheduled.  Raises UsageError."""
    if at_ms <= now_ms:
        raise UsageError(
            "a change cannot be scheduled for the past",
            why=f"the ledger's time is {now_ms}, the change is for {at_ms}",
            next_step="leave the moment out, and it holds at once",
        )
    if len(book.schedule) >= SCHEDULED_MAX:
        raise UsageError(
            f"{SCHEDULED_MAX} changes are to come already",
            next_step="`noburn budget list` shows them, `noburn budget unschedule ID` drops one",
        )


def _schedule(
    book: Book, frame: frames.BudgetSet | frames.BudgetRm, at_ms: int, now_ms: int
) -> Reply:
    scope, per = str(parse_scope(frame.scope)), check_window(frame.per)
    check_moment(book, at_ms, now_ms)
    spec = msgspec.to_builtins(frame)
    spec |= {"scope": scope, "per": per}
    del spec["n"], spec["at_ms"]
    row = ScheduledRow(book.schedule.last_id + 1, at_ms, json_text(spec))
    book.schedule.add(row)
    book.changed.scheduled.append(row)
    _record(book, "scheduled", row, now_ms, at_ms=at_ms, spec=spec)
    return {"n": frame.n, "ok": True, "scheduled": shown(row)}


def unschedule(book: Book, frame: frames.BudgetUnschedule, now_ms: int) -> Reply:
    """Take back a change that is to come."""
    row = book.schedule.get(frame.id)
    if row is None:
        return refusal(
            frame.n, protocol.NOT_FOUND, f"there is no scheduled change {frame.id}",
            next_step="`noburn budget list` shows what is to come",
        )  # fmt: skip
    _end(book, row, now_ms)
    _record(book, "unscheduled", row, now_ms)
    return {"n": frame.n, "ok": True, "scheduled": shown(row)}


def apply_due(book: Book, now_ms: int, broken: dict[int, str]) -> None:
    """Do every change whose moment has come, in order.  Raises LedgerUnavailable.

    broken: changes that a bug of ours broke off before; they are given up, as nothing would be
        granted ever again otherwise.  Whatever else is raised was added to it.
    """
    while (row := book.schedule.due(now_ms)) is not None:
        _end(book, row, now_ms)
        try:
            bug = broken.get(row.id)
            failure = _apply(book, row, now_ms) if bug is None else (bug, bug)
        except LedgerUnavailable:
            raise
        except Exception as error:
            broken[row.id] = f"the daemon itself failed: {type(error).__name__}"
            raise
        if failure:
            word, message = failure
            # Without the message, which says scopes: names in the ledger can be forgotten.
            _log.warning("scheduled change %d was not done: %s", row.id, word)
            _record(book, "unscheduled", row, now_ms, failure=message)


def _apply(book: Book, row: ScheduledRow, now_ms: int) -> tuple[str, str] | None:
    """Do one change; the word and the sentence for why it cannot be done, or None."""
    try:
        frame = frames.decode(json_text({**spec_of(row), "n": 0}).encode())
        if isinstance(frame, frames.BudgetSet):
            policy.put_budget(book, policy.wanted_row(frame), now_ms, scheduled=row.id)
            return None
        assert isinstance(frame, frames.BudgetRm)  # nothing else is scheduled
        reply = policy.remove_budget(book, frame, now_ms, scheduled=row.id)
        return None if reply["ok"] else (str(reply["error"]), str(reply["message"]))
    except UsageError as error:  # such as a time zone that is no more
        return type(error).__name__, error.message
    except frames.BadFrame as error:
        return type(error).__name__, error.why


def _end(book: Book, row: ScheduledRow, now_ms: int) -> None:
    book.schedule.remove(row)
    book.changed.scheduled = [one for one in book.changed.scheduled if one.id != row.id]
    book.changed.scheduled.append(replace(row, ended_at_ms=now_ms))


def _record(book: Book, kind: str, row: ScheduledRow, now_ms: int, **more: Any) -> None:
    failure = more.pop("failure", None)
    detail = json_text({"id": row.id, **more})
    book.events.append(Event(0, now_ms, kind, failure=failure, detail=detail))
