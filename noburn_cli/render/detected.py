"""How coding agents' logs look that were found on this machine.

Layer: render.  Below: importing.detecting, render.report_columns, render.table, core.money.
Above: commands.importing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from noburn_cli.core.money import Nano, show_count, show_dollars, show_percent
from noburn_cli.core.plurals import counted
from noburn_cli.importing.detecting import DAY_MS, Detected, Sums
from noburn_cli.render.report_columns import cost_cell
from noburn_cli.render.table import RIGHT, Column, fit_table, prose_lines, safe_text

#: Projects and models that are shown one by one; the others are one line.
SHOWN_MAX = 15
_MEANING = (
    "List price is what the calls would cost by API key; a plan that pays for them makes it "
    "notional. Nothing was written, and no prompt was looked at."
)


def render_detected(found: Detected, *, width: int | None = None) -> list[str]:
    """Agents, then the period by day, model and project."""
    days = (found.until_ms - found.since_ms) // DAY_MS
    if not found.agents:
        return ["no logs of coding agents were found here (Claude Code, codex, Gemini CLI)"]
    lines = [
        f"{agent.source.title}: {counted(agent.sums.calls, 'call')} in "
        f"{counted(agent.opened, 'log')} of {agent.files:,} ({_folders(agent.folders)})"
        for agent in found.agents
    ]
    spent = (
        f"the last {days} days at list price: {show_dollars(found.total.list_nano)}, "
        f"{counted(found.total.calls, 'call')}, {show_count(found.total.tokens)} tokens"
    )
    lines = [*prose_lines([*lines, "", spent], width=width), ""]
    if found.total.calls:
        for header, sums in (
            (f"DAY ({found.zone})", sorted(found.by_day.items())),
            ("MODEL", _dearest(found.by_model)),
            ("PROJECT", _dearest(found.by_project)),
        ):
            lines += [*fit_table(_columns(header, sums, found.total), width=width), ""]
    return [*lines, *prose_lines(_notes(found), width=width)]


def _folders(folders: Iterable[object]) -> str:
    return ", ".join(safe_text(f"{folder}") for folder in folders)


def _dearest(sums: Mapping[str, Sums]) -> list[tuple[str, Sums]]:
    ordered = sorted(sums.items(), key=lambda item: (-item[1].list_nano, -item[1].calls, item[0]))
    shown, others = ordered[:SHOWN_MAX], ordered[SHOWN_MAX:]
    if others:
        rest = Sums()
        for _, one in others:
            rest.calls += one.calls
            rest.tokens += one.tokens
            rest.list_nano += one.list_nano
            rest.unpriced += one.unpriced
        shown.append((f"({len(others):,} more)", rest))
    return shown


def _columns(header: str, lines: Sequence[tuple[str, Sums]], total: Sums) -> list[Column]:
    sums = [one for _, one in lines]
    return [
        Column(header, [name for name, _ in lines], shorten=not header.startswith("DAY")),
        Column("CALLS", [show_count(one.calls) for one in sums], RIGHT),
        Column("TOKENS", [show_count(one.tokens) for one in sums], RIGHT, give_up=2),
        Column("LIST PRICE", [cost_cell(one.list_nano, one.unpriced) for one in sums], RIGHT),
        Column("SHARE", [_share(one, total) for one in sums], RIGHT, give_up=1),
    ]


def _share(sums: Sums, total: Sums) -> str:
    if not total.list_nano or not sums.list_nano:
        return "-"
    tenths = round(Fraction(sums.list_nano * 1000, total.list_nano))
    return show_percent(Fraction(tenths, 1000)) if tenths else "< 0.1 %"


def _notes(found: Detected) -> list[str]:
    lines = [_MEANING]
    if found.unpriced_models:
        models = ", ".join(
            f"{safe_text(name)} ({count:,})"
            for name, count in found.unpriced_models.most_common(SHOWN_MAX)
        )
        lines.append(f"Without a price, and in no amount: {models}.")
    if found.outcome.unread:
        reasons = "; ".join(
            f"{name} ({reason.count:,}: {safe_text(reason.places[0][0])}:{reason.places[0][1]})"
            for name, reason in found.outcome.unread.items()
        )
        lines.append(f"Not read: {reasons}.")
    lines += [safe_text(why) for why in found.outcome.missing.values()]
    if found.total.calls:
        names = ", ".join(f"`noburn import {agent.source.name}`" for agent in found.agents)
        lines.append(f"To bring it into the reports: {names}.")
    return lines


def detected_data(found: Detected) -> dict[str, Any]:
    """The same as data, amounts as exact dollars."""
    return {
        "since_ms": found.since_ms, "until_ms": found.until_ms, "zone": found.zone,
        "agents": [
            {
                "source": agent.source.name, "folders": [f"{one}" for one in agent.folders],
                "files": agent.files, "opened": agent.opened, **_sums(agent.sums),
            }
            for agent in found.agents
        ],
        "total": _sums(found.total),
        "by_day": _rows("day", found.by_day), "by_model": _rows("model", found.by_model),
        "by_project": _rows("project", found.by_project),
        "unpriced_models": dict(found.unpriced_models),
        "unread": {name: reason.count for name, reason in found.outcome.unread.items()},
        "missing": list(found.outcome.missing.values()),
    }  # fmt: skip


def _rows(key: str, sums: Mapping[str, Sums]) -> list[dict[str, Any]]:
    return [{key: name, **_sums(one)} for name, one in sorted(sums.items())]


def _sums(sums: Sums) -> dict[str, Any]:
    return {
        "calls": sums.calls, "tokens": sums.tokens, "list_usd": Nano(sums.list_nano).exact(),
        "unpriced": sums.unpriced,
    }  # fmt: skip
