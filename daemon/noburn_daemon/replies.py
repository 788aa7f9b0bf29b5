"""What the daemon answers when it does not grant: words, reasons, what to do next.

Layer: daemon, pure.  Below: protocol, core.money, accounts.  Above: book, policy, server.
"""

from __future__ import annotations

import shlex
from typing import Any

from noburn_cli import protocol
from noburn_cli.core.money import show_amount
from noburn_cli.errors import NoburnError
from noburn_daemon.accounts import UNITS, Account, Weights
from noburn_daemon.runs import PAUSED, STOPPED, RunState

Reply = dict[str, Any]


def refusal(
    n: int | None, error: str, message: str, *, why: str = "", next_step: str = "", **more: Any
) -> Reply:
    """A reply that says no."""
    reply = {"n": n, "ok": False, "error": error, "message": message, "why": why}
    return {**reply, "next": next_step, **more}


def from_error(n: int | None, word: str, error: NoburnError) -> Reply:
    """A reply from one of our errors."""
    return refusal(n, word, error.message, why=error.why, next_step=error.next_step)


def blocked(account: Account, *, least: Weights, spent: bool) -> Reply:
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
    return {
        "ok": False,
        "error": protocol.BLOCKED,
        "message": f"call blocked: budget `{account.name}` has {show_amount(unit, left)} left, "
        f"this call may use {show_amount(unit, needed)}",
        "why": why if spent else f"{why}; what is held may be released",
        "next": _next_step(account, unit),
        "why_blocked": protocol.SPENT if spent else protocol.IN_FLIGHT,
        "budget": account.name,
        "unit": unit,
        "limit": account.capacity,
        "settled": account.settled,
        "held": account.held,
        "needed": needed,
        "resets_at_ms": account.end_ms,
        "waiting_helps": not spent,
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


def _next_step(account: Account, unit: str) -> str:
    # A smaller answer is still a request.
    smaller = "" if unit == "requests" else "lower max_tokens, or "
    if account.budget.row.run is not None:
        return f"{smaller}start the run with a higher --budget"
    scope = shlex.quote(account.name.split(" per ")[0])
    amount = {"dollars": "5", "tokens": "1Mtok", "requests": "100req"}[unit]
    command = f"noburn budget topup {scope} {amount} --per {account.budget.row.per}"
    return f"{smaller}run `{command}`"
