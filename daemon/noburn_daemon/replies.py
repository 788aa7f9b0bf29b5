"""What the daemon answers: a grant, an ending; or why not, with words, reasons, what to do next.

Layer: daemon, pure.  Below: protocol, core.money, accounts, calls, frames.
Above: reserving, ending, policy, stopping, server.
"""

from __future__ import annotations

import shlex
from datetime import datetime, timezone
from typing import Any

from noburn_cli import protocol
from noburn_cli.core.holds import HoldState
from noburn_cli.core.money import show_amount
from noburn_cli.errors import NoburnError
from noburn_daemon import frames
from noburn_daemon.account import UNITS, Account, Weights
from noburn_daemon.admission import Quote
from noburn_daemon.calls import REFUSED, TOMBSTONE, Call
from noburn_daemon.ledger import COMPACTED
from noburn_daemon.runs import PAUSED, STOPPED, RunState

_HELD = HoldState.HELD.value
_SETTLED = HoldState.SETTLED.value

Reply = dict[str, Any]
Answer = Any  # a struct of frames, or a Reply


def refusal(
    n: int | None, error: str, message: str, *, why: str = "", next_step: str = "", **more: Any
) -> Reply:
    """A reply that says no."""
    reply = {"n": n, "ok": False, "error": error, "message": message, "why": why}
    return {**reply, "next": next_step, **more}


def from_error(n: int | None, word: str, error: NoburnError) -> Reply:
    """A reply from one of our errors."""
    return refusal(n, word, error.message, why=error.why, next_step=error.next_step)


def blocked(account: Account, *, least: Weights, spent: bool, now_ms: int) -> Reply:
    """Why a call does not fit an account: the arithmetic, and whether waiting can help.

    It has no `n` yet: several callers may hear it.
    """
    unit = UNITS[account.unit_index]
    needed = least[account.unit_index]
    left = max(0, account.available)
    why = (
        f"{show_amount(unit, account.settled)} spent and {show_amount(unit, account.held)} held "
        f"of {show_amount(unit, account.capacity)}"
    )
    has = f"has {show_amount(unit, left)} left, this call"
    if account.is_ceiling:
        has = f"allows {show_amount(unit, account.capacity)}, this one"
        why = "it is a ceiling on each call by itself"
    later_ms = account.retry_after_ms(needed, now_ms)
    return {
        **({} if later_ms is None else {"retry_after_ms": later_ms}),
        "ok": False,
        "error": protocol.BLOCKED,
        "message": f"call blocked: budget `{account.name}` {has} may use "
        f"{show_amount(unit, needed)}",
        "why": why if spent else f"{why}; what is held may be released",
        "next": _next_step(account, unit),
        "why_blocked": protocol.SPENT if spent else protocol.IN_FLIGHT,
        "budget": account.name,
        "unit": unit,
        "limit": account.capacity,
        "settled": account.settled,
        "held": account.held,
        "needed": needed,
        "resets_at_ms": account.fits_ms(needed),
        "waiting_helps": not spent,
    }


def spent_words(account: Account) -> str:
    """That a budget is spent, in the same words all through its window."""
    limit = show_amount(UNITS[account.unit_index], account.capacity)
    until = ""
    if account.end_ms is not None:
        ends = datetime.fromtimestamp(account.end_ms / 1000, tz=timezone.utc)
        until = f" until {ends:%Y-%m-%d %H:%M} UTC"
    return f"budget `{account.name}` of {limit} is spent{until}"


def downgrade(account: Account, frame: frames.Reserve, target: str) -> Reply:
    """Send it again for a cheaper model: with this one it goes beyond a budget."""
    step = {"model": frame.model, "budget": account.name}
    so_far = [{"model": one.model, "budget": one.budget} for one in frame.downgraded]
    unit = UNITS[account.unit_index]
    return refusal(
        None, protocol.DOWNGRADE,
        f"budget `{account.name}` asks for {target} instead of {frame.model}",
        why=f"{show_amount(unit, account.settled)} spent of {show_amount(unit, account.capacity)}",
        next_step="send it again for `model`, with `downgraded` as it is told here; "
        "or as it is, with the reason in `fixed_model`",
        model=target, budget=account.name, downgraded=[*so_far, step],
    )  # fmt: skip


def no_cheaper(
    account: Account, quote: Quote, model: str, target: str, *, why: str, now_ms: int
) -> Reply:
    """A budget asks for a cheaper model, and the call cannot go out for it."""
    reply = blocked(account, least=quote.weights(quote.floor), spent=True, now_ms=now_ms)
    return {
        **reply,
        "message": f"call blocked: budget `{account.name}` asks for {target} instead of {model}, "
        f"and that cannot be: {why.rstrip('.')}",
        "next": "correct the budget's downgrade rules (`noburn budget show "
        f"{shlex.quote(account.name.split(' per ')[0])}`), or call {target} yourself",
        "why_blocked": protocol.DOWNGRADE,
    }


def barred(path: str, state: RunState) -> Reply:
    """Why a call does not go although its money may be there: its run is not to go on."""
    name = path.rsplit("/", 1)[-1]
    why, step = "it has ended, and nobody watches what is left of it", ""
    message = f"call blocked: run `{name}` has ended"
    if state.final == STOPPED:
        message = f"call blocked: run `{name}` was stopped"
        why = state.message
    elif not state.final:
        message = f"call blocked: run `{name}` has been paused for too long"
        why, step = f"paused by {state.paused}", f"run `noburn top` and resume it with `p`: {name}"
    return {
        "ok": False,
        "error": protocol.STOPPED if state.final else protocol.PAUSED,
        "message": message,
        "why": why,
        "next": step or "start the command again with `noburn run` when it may go on",
        "why_blocked": state.final or PAUSED,
        "run": path,
        "waiting_helps": not state.final,
    }


def refine(quote: Quote) -> Reply:
    """Send it again, better counted: as it is, it does not fit."""
    return refusal(
        None, protocol.REFINE, "the cheap bound of the input does not fit what is left",
        why=f"it was bounded by {quote.how}", next_step="send it again as `by` says",
        by=quote.refine_by,
    )  # fmt: skip


def granted(n: int, call: Call, warnings: list[str] | None = None) -> frames.Granted:
    """The money is held; `call` says how much, and which cap to write."""
    return frames.Granted(
        n, True, call.id, call.granted, call.write_cap, call.clamped, call.wanted, call.hold[0],
        call.bound, call.book, call.input_bound, warnings=warnings or [],
    )  # fmt: skip


def closed(n: int, call: Call) -> frames.Closed:
    """How a call ended, and what it cost above its hold."""
    overshoot = None
    if call.state == _SETTLED:
        overshoot = call.cost[0] - call.hold[0]
        if overshoot < 0:
            overshoot = 0
    return frames.Closed(n, True, call.state, call.cost[0], overshoot)


def repeated(frame: frames.Reserve, call: Call, digest: int) -> Answer:
    """A reserve whose id is known: the same answer again, or why there is none."""
    if call.state in (TOMBSTONE, REFUSED, COMPACTED):
        return has_ended(frame.n, call)
    if call.digest != digest:
        return conflict(frame.n, frame.call)
    if call.state != _HELD:
        return has_ended(frame.n, call)
    return granted(frame.n, call)


def conflict(n: int, call: str) -> Reply:
    return refusal(
        n, protocol.CONFLICT, f"call {call} is known with other content",
        why="the id is the idempotency key", next_step="make a new id for a new call",
    )  # fmt: skip


def has_ended(n: int, call: Call) -> Reply:
    return refusal(
        n, protocol.CLOSED, f"call {call.id} has ended: {call.state}", state=call.state,
        next_step="make a new id for a new call",
    )  # fmt: skip


def not_found(n: int, call: str) -> Reply:
    return refusal(n, protocol.NOT_FOUND, f"there is no call {call}")


def _next_step(account: Account, unit: str) -> str:
    # A smaller answer is still a request.
    smaller = "" if unit == "requests" else "lower max_tokens, or "
    if account.budget.row.run is not None:
        return f"{smaller}start the run with a higher --budget"
    if account.is_ceiling:
        return f"{smaller}set `{account.budget.name}` again with a higher limit"
    scope = shlex.quote(account.name.split(" per ")[0])
    amount = {"dollars": "5", "tokens": "1Mtok", "requests": "100req"}[unit]
    command = f"noburn budget topup {scope} {amount} --per {account.budget.row.per}"
    return f"{smaller}run `{command}`"
