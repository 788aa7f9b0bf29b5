"""How live runs look: one frame of `noburn top`, or data.

Layer: render, pure.  Below: core.money, render.table.  Above: commands.top.
A run comes as the daemon's `run.list` describes it (docs/protocol.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.actions import BLOCK
from noburn_cli.core.money import DOLLARS, Nano, show_amount, show_dollars
from noburn_cli.render.budget import ends_calls, left_of
from noburn_cli.render.table import Column, fit_table, safe_text, wrap_line

MINUTE_MS = 60_000
NOBODY = "no run is open: start one with `noburn run --budget 5 -- COMMAND`"
#: What the keys do, and how the last line asks.
KEYS = "up/down select  + raise  p pause/resume  s stop  q quit"
_HIDDEN = ("project", "run", "step")
_SHOWN_FOREVER_MS = 1000 * 3600 * 1000


@dataclass(frozen=True)
class Outlook:
    """The budget that ends first at the present rate; amounts in nano-dollars.

    ends_ms: in how many milliseconds, None where nothing is spent.
    """

    name: str
    left: int
    limit: int
    ends_ms: int | None


def rate_per_minute(run: Mapping[str, Any]) -> int:
    """Nano-dollars a minute, over what the daemon looked back on."""
    return int(run["rate_nano"]) * MINUTE_MS // int(run["rate_ms"])


def outlook(run: Mapping[str, Any]) -> Outlook | None:
    """The budget of dollars that has the least left, of those that keep calls back; None where no
    such budget applies.

    Spend below one budget is spend below them all, so the least ends first.
    """
    accounts = [a for a in run["accounts"] if a["unit"] == DOLLARS and ends_calls(a)]
    if not accounts:
        return None
    first = min(accounts, key=left_of)
    left, rate = left_of(first), rate_per_minute(run)
    ends_ms = max(0, left) * MINUTE_MS // rate if rate > 0 else None
    limit = first["limit"] + first["topup"] + first.get("carried", 0)
    return Outlook(first["name"], left, limit, ends_ms)


def show_span(milliseconds: int) -> str:
    """A span for the eye: `40 s`, `12 min`, `3 h 20 min`, `5 days`."""
    seconds = milliseconds // 1000
    if seconds < 100:
        return f"{seconds} s"
    minutes = seconds // 60
    if minutes < 100:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min"
    return f"{hours // 24} days"


def frame_lines(runs: Sequence[Mapping[str, Any]], *, now_ms: int, width: int | None) -> list[str]:
    """The table of one frame: a heading line, then a line per run, in the order given."""
    if not runs:
        return wrap_line(NOBODY, width=width)
    outlooks = [outlook(run) for run in runs]
    ends = [None if o is None else o.ends_ms for o in outlooks]

    def column(header: str, cells: Sequence[object], give_up: int | None = None) -> Column:
        return Column(header, [str(cell) for cell in cells], "r", give_up)

    return fit_table(
        [
            Column("RUN", [_indented(run) for run in runs], shorten=True),
            Column("STATE", [run["state"] for run in runs]),
            column("SPENT", [show_dollars(run["cost_nano"]) for run in runs]),
            column("A MINUTE", [show_dollars(rate_per_minute(run)) for run in runs]),
            column("LEFT", [show_dollars(o.left) if o else "no budget" for o in outlooks]),
            column("ENDS IN", [_ends(run, at) for run, at in zip(runs, ends, strict=True)]),
            column("HELD", [show_dollars(run["held_nano"]) for run in runs], 8),
            column("CALLS", [f"{run['calls']:,}" for run in runs], 7),
            column("IN FLIGHT", [run["open"] for run in runs], 5),
            column("WAITING", [run["waiting"] for run in runs], 4),
            column("BLOCKED", [run["blocked"] + run["refused"] for run in runs], 6),
            column("CLAMPED", [run["clamped"] for run in runs], 3),
            column("AGE", [show_span(now_ms - run["started_at_ms"]) for run in runs], 2),
            *_notional(runs),
            Column("FOR", [_whom(run) for run in runs], "l", 1),
            Column("COMMAND", [_command(run) for run in runs], "l", 0),
        ],
        width=width,
    )


def _notional(runs: Sequence[Mapping[str, Any]]) -> list[Column]:
    """What subscriptions pay for, at list price, where there is any."""
    if not any(run["notional_nano"] for run in runs):
        return []
    return [Column("NOTIONAL", [show_dollars(run["notional_nano"]) for run in runs], "r", 9)]


def _indented(run: Mapping[str, Any]) -> str:
    *outer, name = str(run["run"]).split("/")
    return "  " * len(outer) + name


def _ends(run: Mapping[str, Any], ends_ms: int | None) -> str:
    if run["state"] != "open" or ends_ms is None:
        return "-"
    return "long" if ends_ms > _SHOWN_FOREVER_MS else show_span(ends_ms)


def _whom(run: Mapping[str, Any]) -> str:
    pairs = [f"{key}={value}" for key, value in run["attrs"].items() if key not in _HIDDEN]
    return safe_text(", ".join(pairs))


def _command(run: Mapping[str, Any]) -> str:
    return safe_text(" ".join(str(part) for part in run["command"]))[:40]


def about(run: Mapping[str, Any]) -> str:
    """One line on the selected run: its budget, or who stopped or paused it."""
    if run["message"]:
        said = "paused by " if run["state"] == "paused" else ""
        return safe_text(f"{said}{run['message']}")
    first = outlook(run)
    if first is None:
        return "no budget of dollars applies: + gives the run one"
    return f"budget {first.name}: {show_dollars(first.left)} left of {show_dollars(first.limit)}"


def run_data(run: Mapping[str, Any]) -> dict[str, Any]:
    """A run as data: dollars as exact decimal strings."""
    first = outlook(run)
    counts = ("calls", "open", "waiting", "blocked", "refused", "clamped")
    return {
        "run": run["run"], "state": run["state"], "message": run["message"],
        "started_at_ms": run["started_at_ms"], "supervisor_pid": run["owner_pid"],
        "attributes": run["attrs"], "command": run["command"],
        **{name: run[name] for name in counts},
        "cost_usd": Nano(run["cost_nano"]).exact(),
        "held_usd": Nano(run["held_nano"]).exact(),
        "notional_usd": Nano(run["notional_nano"]).exact(),
        "usd_per_minute": Nano(rate_per_minute(run)).exact(),
        "budget": None if first is None else first.name,
        "left_usd": None if first is None else Nano(first.left).exact(),
        "ends_in_ms": None if first is None else first.ends_ms,
        "budgets": [_account(account) for account in run["accounts"]],
    }  # fmt: skip


def _account(account: Mapping[str, Any]) -> dict[str, Any]:
    unit = account["unit"]
    limit = account["limit"] + account["topup"] + account.get("carried", 0)
    shown = {"limit": limit, "settled": account["settled"], "held": account["held"]}
    exact = {k: Nano(v).exact() if unit == DOLLARS else v for k, v in shown.items()}
    action = account.get("action", BLOCK)
    return {
        "name": account["name"],
        "unit": unit,
        "action": action,
        **exact,
        "shown": show_amount(unit, limit),
    }
