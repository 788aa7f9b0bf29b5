"""What a person says to `noburn ledger reconcile`: columns, keys, days, tolerance.

Layer: commands.  Below: settings, prices, reconcile, core.  Above: commands.ledger.reconcile.
Every reader raises UsageError.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli.core.money import NANO_PER_DOLLAR, Nano, parse_dollars, parse_share, show_dollars
from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from noburn_cli.reconcile.comparing import Terms

#: Sources that are asked over the network.
LIVE = ("openai", "anthropic")


class Table:
    """What the configuration says of an export: its columns, and whose its keys are."""

    def __init__(self, columns: Mapping[str, str] | None, keys: Mapping[str, Any]) -> None:
        self.columns = columns
        self.keys = dict(keys)


def read_table(columns: str | None, provider: str | None) -> Table:
    from noburn_cli import settings
    from noburn_cli.reconcile.mapped_csv import check_map, parse_map

    own: Mapping[str, str] | None = None
    tables = settings.load(os.environ, Path.cwd()).below("reconcile")
    if columns is not None and "=" in columns:
        own = parse_map(columns)
    elif columns is not None:
        if columns not in tables:
            raise UsageError(
                f"the configuration has no [reconcile.{columns}]",
                why=f"it has {', '.join(tables) or 'none'}",
                next_step="write the columns: --map day=date,model=model_name,cost=usd",
            )
        own = check_map(tables[columns].columns)
    names = [name for name in (columns, provider) if name in tables]
    names += [] if names else [name for name in LIVE if name in tables]
    keys = {k: read_attributes(v) for name in names for k, v in tables[name].keys.items()}
    return Table(own, keys)


def read_scopes(pairs: list[str]) -> dict[str, dict[str, str]]:
    found = {}
    for pair in pairs:
        name, equals, scope = pair.partition("=")
        if not equals or not scope or "=" not in scope:
            raise UsageError(
                f"--key cannot be read from {pair!r}",
                next_step="write it like key_abc=customer=acme",
            )
        found[name] = read_attributes(scope)
    return found


def read_attributes(text: str) -> dict[str, str]:
    from noburn_cli.core.budgets import parse_scope

    scope = parse_scope(text)
    if scope.is_family:
        raise UsageError(f"{text} is a family of scopes, not one", next_step="name one value of it")
    return dict(scope.pairs)


def read_terms(
    since: str | None, until: str | None, keys: Mapping[str, Mapping[str, str]]
) -> Terms:
    from noburn_cli.prices import load_book
    from noburn_cli.reconcile.comparing import Terms, last_whole_day
    from noburn_cli.reconcile.scoping import Scoping

    now = datetime.now(timezone.utc)
    first = "" if since is None else _day(since, now, "--since")
    last = last_whole_day(now) if until is None else _day(until, now, "--until")
    if first and first > last:
        raise UsageError(f"--since {first} is after the last day, {last}")
    return Terms(load_book(os.environ), Scoping(keys), first, last)


def _day(text: str, now: datetime, what: str) -> str:
    ago = re.fullmatch(r"(\d{1,4})d", text)
    if ago is not None:
        return f"{now - timedelta(days=int(ago[1])):%Y-%m-%d}"
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise UsageError(
            f"{what} cannot be read from {text!r}", next_step="write it like 2026-11-01, or 30d"
        ) from error


def read_tolerance(text: str) -> tuple[int, Fraction]:
    """(nano-dollars, share of what was billed) that a model may drift by."""
    if text.strip().endswith("%"):
        return 0, parse_share(text, what="--tolerance")
    return parse_dollars(text, what="--tolerance"), Fraction(0)


def shown_tolerance(allowed: tuple[int, Fraction]) -> str:
    if allowed[1]:
        return f"{Nano(round(allowed[1] * 100 * NANO_PER_DOLLAR)).exact()} %"
    return show_dollars(allowed[0])
