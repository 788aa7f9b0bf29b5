"""A row of the journal in one line: when, what, of whom, and for how much.

Layer: render.  Below: core, render.budget_notes, reports.following.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from noburn_cli.core.money import Nano, show_dollars
from noburn_cli.core.plurals import counted
from noburn_cli.render.budget_notes import planned
from noburn_cli.reports.following import Entry

_KIND_WIDTH = 11


def entry_line(entry: Entry) -> str:
    """`13:04:05.123 settle      customer=acme gpt-6-luna $0.0002 call 0192…`."""
    moment = datetime.fromtimestamp(entry.at_ms / 1000, tz=timezone.utc)
    parts = [f"{moment:%Y-%m-%d %H:%M:%S}.{entry.at_ms % 1000:03}", entry.kind.ljust(_KIND_WIDTH)]
    parts += [f"{key}={value}" for key, value in _who(entry) if value]
    parts += [part for part in (entry.model, _amount(entry)) if part]
    if entry.status is not None and entry.kind != "run_end":
        parts.append(f"HTTP {entry.status}")
    said = _said(entry)
    if said:
        parts.append(f"({said})")
    if entry.call:
        parts.append(f"call {entry.call}")
    return " ".join(parts)


def _who(entry: Entry) -> tuple[tuple[str, str | None], ...]:
    return (("customer", entry.customer), ("feature", entry.feature), ("run", entry.run))


def _amount(entry: Entry) -> str:
    if entry.kind == "reserve":
        return f"holds {show_dollars(entry.hold_nano or 0)}"
    if entry.kind == "blocked" and entry.hold_nano is not None:
        return f"needs {show_dollars(entry.hold_nano)}"
    return "" if entry.cost_nano is None else show_dollars(entry.cost_nano)


def _said(entry: Entry) -> str:
    """Why it failed, or what the detail of a row that is not about a call says, in words."""
    try:
        detail = json.loads(entry.detail or "{}")
    except ValueError:
        detail = {}
    if entry.kind in _IN_WORDS and detail:
        return _IN_WORDS[entry.kind](detail, entry.failure)
    if entry.failure:
        return entry.failure
    if "scope" in detail:
        return f"{detail['scope']} per {detail.get('per')}"
    words = (detail.get(name) for name in ("message", "reason", "account", "budget", "kind"))
    return next((str(word) for word in words if word), "")


def _scheduled(detail: dict[str, Any], _failure: str | None) -> str:
    said = planned(detail["at_ms"], detail["spec"])
    return f"change {detail['id']}: {said[0].lower()}{said[1:]}"


def _unscheduled(detail: dict[str, Any], failure: str | None) -> str:
    what = f"was not done: {failure}" if failure else "was taken back"
    return f"change {detail['id']} {what}"


def _forget(detail: dict[str, Any], _failure: str | None) -> str:
    where = f"{counted(detail['texts'], 'text')} and {counted(detail['rows'], 'row')}"
    return f"a {detail['attribute']} is {detail['as']} now, in {where}"


_IN_WORDS: dict[str, Callable[[dict[str, Any], str | None], str]] = {
    "scheduled": _scheduled, "unscheduled": _unscheduled, "forget": _forget,
}  # fmt: skip


def entry_data(entry: Entry) -> dict[str, Any]:
    """The row as JSON has it: exact decimals in dollars."""
    data = {name: getattr(entry, name) for name in Entry.__dataclass_fields__}
    for name in ("hold", "cost"):
        nano = data.pop(f"{name}_nano")
        data[f"{name}_usd"] = None if nano is None else Nano(nano).exact()
    data["detail"] = json.loads(entry.detail) if entry.detail else None
    return data
