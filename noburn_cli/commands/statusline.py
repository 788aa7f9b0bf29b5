"""`noburn statusline`: what is left, in one short line, for status lines and shell prompts.

Layer: commands.  Below: client.  It never fails and never starts anything: a prompt must come, and
one that starts a daemon would do it every second.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import sys
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from noburn_cli import protocol

DEFAULT_FORMAT = "{left} left{of}{held}{state}"
#: How long the daemon may take, in seconds: a prompt that waits longer is worse than none.
PATIENCE_S = 0.3
#: How long Claude Code's JSON may take to arrive once something has, in seconds.
_INPUT_S = 0.2
_INPUT_BYTES_MAX = 1 << 20
NO_DAEMON = "noburn: off"
NO_BUDGET = "no budget"


def statusline_command(
    line_format: Annotated[
        str,
        typer.Option(
            "--format",
            help="What to print: {left}, {limit}, {of}, {held}, {spent}, {budget}, {run}, {state}, "
            "{rate}, {model}.",
            metavar="TEXT",
        ),
    ] = DEFAULT_FORMAT,
) -> None:
    """Print what is left, in one short line."""
    given = _given()
    # Whatever goes wrong, a prompt comes: with what is known, and with exit code 0.
    try:
        text = _line(line_format, given)
    except Exception:  # noqa: BLE001
        text = NO_DAEMON
    with contextlib.suppress(OSError):
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _given() -> dict[str, Any]:
    """What Claude Code says on standard input (https://code.claude.com/docs/en/statusline)."""
    try:
        if sys.stdin is None or sys.stdin.isatty():
            return {}
        file = sys.stdin.fileno()
        text = b""
        while len(text) < _INPUT_BYTES_MAX and select.select([file], [], [], _INPUT_S)[0]:
            chunk = os.read(file, 65536)
            if not chunk:
                break
            text += chunk
        found = json.loads(text)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _attributes() -> dict[str, str]:
    """Whom a call from here would be for, as `noburn run` told its children.

    Read without enforce.context, which knows every provider: that costs more than all the rest.
    """
    names = {name: f"NOBURN_{name.upper()}" for name in protocol.ATTRIBUTES}
    found = {name: os.environ[key] for name, key in names.items() if os.environ.get(key)}
    with contextlib.suppress(ValueError, AttributeError):
        tags = json.loads(os.environ.get("NOBURN_TAGS") or "{}").items()
        found |= {f"{protocol.TAG_PREFIX}{name}": str(value) for name, value in tags}
    return found


def _line(line_format: str, given: Mapping[str, Any]) -> str:
    from noburn_cli import paths
    from noburn_cli.client.opening import Opener
    from noburn_cli.client.retry import NoReply
    from noburn_cli.errors import NoburnError

    opener = Opener(paths.home(), start_daemon=False)
    asked = _attributes()
    run = asked.get("run", "")
    try:
        connection = opener.open_quickly(within_s=PATIENCE_S)
        requests = [{"op": "remaining", "attrs": asked}]
        if run:
            requests.append({"op": "run.list", "run": run})
        deadline = time.monotonic() + PATIENCE_S
        replies = connection.exchange_all(requests, deadline=deadline)
        connection.close()
    except (NoburnError, NoReply):
        return NO_DAEMON
    live = replies[1].get("runs") or [{}] if run else [{}]
    return fill(line_format, replies[0], live[0], given)


def fill(
    line_format: str, left: Mapping[str, Any], run: Mapping[str, Any], given: Mapping[str, Any]
) -> str:
    """The line from what the daemon said: `remaining`, and the run as `run.list` has it, or {}.

    A name that the format does not know stays as it is written.
    """
    from noburn_cli.core.money import show_amount, show_dollars
    from noburn_cli.render.budget import ends_calls, left_of

    hard = [account for account in left.get("accounts", ()) if ends_calls(account)]
    accounts = [account for account in hard if account["unit"] == "dollars"] or hard
    first = min(accounts, key=left_of) if accounts else None
    model = given.get("model")
    values = {
        "run": str(run.get("run", "")).rsplit("/", 1)[-1],
        "state": f" {run['state']}" if run.get("state") not in (None, "open") else "",
        "spent": show_dollars(run.get("cost_nano", 0)) if run else "",
        "rate": f"{show_dollars(_rate(run))}/min" if run else "",
        "model": str(model.get("display_name") or "") if isinstance(model, dict) else "",
        "left": NO_BUDGET, "limit": "", "of": "", "held": "", "budget": "",
    }  # fmt: skip
    if first is not None:
        limit = show_amount(first["unit"], first["limit"] + first["topup"])
        held = show_amount(first["unit"], first["held"])
        values |= {
            "left": show_amount(first["unit"], max(0, left_of(first))),
            "limit": limit,
            "of": f" of {limit}",
            "held": f", {held} held" if first["held"] else "",
            "budget": first["name"],
        }
    text = line_format if first is not None or "{left}" not in line_format else _no_budget(values)
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", value)
    return text.replace("\n", " ").strip()


def _no_budget(values: Mapping[str, str]) -> str:
    """Without a budget: what was spent, where a run is known."""
    spent = f"{values['spent']} spent, " if values["spent"] else ""
    return f"{spent}{NO_BUDGET}{values['state']}"


def _rate(run: Mapping[str, Any]) -> int:
    return int(run["rate_nano"]) * 60_000 // int(run["rate_ms"])
