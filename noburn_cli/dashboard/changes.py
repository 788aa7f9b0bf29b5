"""The few things that the dashboard may do, with --allow-changes: the client's calls, as the CLI's.

Layer: dashboard, I/O.  Below: client, live_runs, core.money.  Above: dashboard.server, which has
checked who asks.
Owns: what each change takes, and that it says again what it is about: the page's confirmation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from noburn_cli import protocol
from noburn_cli.client import Client
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.money import parse_limit, show_amount
from noburn_cli.errors import UsageError
from noburn_cli.live_runs import who

Fields = Mapping[str, Any]


def change(home: Path, what: str, fields: Fields) -> str:
    """Do one of CHANGES; a sentence on what came of it.  Raises NoburnError."""
    confirmed = _text(fields, "confirm")
    about = _text(fields, "scope" if what == "topup" else "run")
    if confirmed != about:
        raise UsageError(
            "the change is not confirmed",
            why=f"`confirm` says {confirmed!r}, and the change is about {about!r}",
        )
    with Client(home, start_daemon=False) as client:
        return CHANGES[what](client, fields)


def _stop(client: Client, fields: Fields) -> str:
    reply = client.run_stop(run=_text(fields, "run"), by=_by())
    return str(reply["message"])


def _pause(client: Client, fields: Fields) -> str:
    run = _text(fields, "run")
    client.request(protocol.RUN_PAUSE, run=run, by=_by())
    return f"run {run} is paused"


def _resume(client: Client, fields: Fields) -> str:
    run = _text(fields, "run")
    client.request(protocol.RUN_RESUME, run=run, by=_by())
    return f"run {run} goes on"


def _topup(client: Client, fields: Fields) -> str:
    """Add to one account's current window."""
    account, scope = _text(fields, "scope"), _text(fields, "budget_scope")
    unit, per = _text(fields, "unit"), _text(fields, "per")
    more = parse_limit(_text(fields, "amount"))
    if more.unit != unit:
        raise UsageError(f"the budget is one of {unit}, and {more} was given")
    if not more.amount:
        raise UsageError("a top-up of 0 adds nothing")
    client.request(
        protocol.BUDGET_TOPUP, scope=account, per=per, unit=unit, amount=more.amount,
        family=parse_scope(scope) != parse_scope(account),
    )  # fmt: skip
    return f"{account} has {show_amount(unit, more.amount)} more until its window ends"


CHANGES: Mapping[str, Callable[[Client, Fields], str]] = {
    "stop": _stop,
    "pause": _pause,
    "resume": _resume,
    "topup": _topup,
}


def _by() -> str:
    return f"{who()} in `noburn dashboard`"


def _text(fields: Fields, name: str) -> str:
    """A field that must be a text.  Raises UsageError."""
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise UsageError(f"the change says no `{name}`")
    return value
