"""Several changes of the budgets as one: all of them or none.

Layer: daemon, pure like book.  Below: policy.  Above: server.
Owns: the check of every step before the first one is done, and of what the plan was made against.
Not here: what a single change does (policy), how a plan is made (noburn_cli.core.policy_plan).

The server flushes before, and writes all that follows with one transaction and a snapshot.  Should
a step fail all the same after it was found good, the memory is rebuilt from the disk, which knows
of none of them.
"""

from __future__ import annotations

from noburn_cli import protocol
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.windows import check_window
from noburn_cli.errors import UsageError
from noburn_daemon import frames, policy, scheduling
from noburn_daemon.book import Book
from noburn_daemon.replies import Reply, refusal
from noburn_daemon.showing import digest

Step = frames.BudgetSet | frames.BudgetRm | frames.BudgetUnschedule


class HalfApplied(Exception):
    """A step failed after others were done.  A bug of ours: nothing of it is written."""


def apply(book: Book, frame: frames.BudgetApply, now_ms: int) -> Reply:
    """Do every step, or none.  Raises UsageError, and nothing has changed."""
    if frame.expects and frame.expects != digest(book):
        return refusal(
            frame.n, protocol.STALE, "the budgets were changed since this plan was made",
            why="somebody else set, removed or applied budgets in between",
            next_step="look at the new plan, and apply it again",
        )  # fmt: skip
    _check(book, frame.steps, now_ms)
    for step in frame.steps:
        reply = _do(book, step, now_ms)
        if not reply["ok"]:
            raise HalfApplied(f"{step}: {reply['message']}")
    return {
        "n": frame.n, "ok": True, "applied": len(frame.steps), "digest": digest(book),
    }  # fmt: skip


def _do(book: Book, step: Step, now_ms: int) -> Reply:
    try:
        if isinstance(step, frames.BudgetSet):
            return scheduling.set_budget(book, step, now_ms)
        if isinstance(step, frames.BudgetRm):
            return scheduling.remove_budget(book, step, now_ms)
        return scheduling.unschedule(book, step, now_ms)
    except UsageError as error:
        raise HalfApplied(f"{step}: {error.message}") from error


def _check(book: Book, steps: list[Step], now_ms: int) -> None:
    """Refuse all when one of them would be.  Raises UsageError."""
    set_here: set[tuple[str, str, str]] = set()
    for step in steps:
        if isinstance(step, frames.BudgetSet):
            policy.check_budget(policy.wanted_row(step))
            place = _identity(step.scope, step.per, step.limit.unit)
            if step.at_ms is None:
                set_here.add(place)
            else:
                scheduling.check_moment(book, step.at_ms, now_ms)
        elif isinstance(step, frames.BudgetRm):
            place = _identity(step.scope, step.per, step.unit)
            if step.at_ms is not None:
                scheduling.check_moment(book, step.at_ms, now_ms)
                policy.check_unit(step.unit)
                continue
            stands = book.accounts.named(parse_scope(step.scope), place[1], step.unit)
            if stands is None and place not in set_here:
                raise UsageError(f"there is no budget {place[0]} per {place[1]} in {step.unit}")
        elif book.schedule.get(step.id) is None:
            raise UsageError(f"there is no scheduled change {step.id}")


def _identity(scope: str, per: str, unit: str) -> tuple[str, str, str]:
    return str(parse_scope(scope)), check_window(per), unit
