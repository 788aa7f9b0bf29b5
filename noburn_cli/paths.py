"""Where noburn keeps its state: the socket, the ledger, the log.

Layer: the lowest beside errors; standard library only, Python 3.10 (it travels into guests).
Owns: the names in the home folder.  `NOBURN_HOME` moves all of it; `base` names another one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def home() -> Path:
    """The folder of configuration, state and socket: `NOBURN_HOME`, or the system's place."""
    return home_of(os.environ)


def home_of(environment: Mapping[str, str]) -> Path:
    """The home that an environment names."""
    chosen = environment.get("NOBURN_HOME")
    return Path(chosen).expanduser().absolute() if chosen else default_home()


def default_home() -> Path:
    """The system's place for it."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "noburn"
    state = os.environ.get("XDG_STATE_HOME")
    return (Path(state) if state else Path.home() / ".local" / "state") / "noburn"


def socket_path(base: Path | None = None) -> Path:
    return (base or home()) / "daemon.sock"


def ledger_path(base: Path | None = None) -> Path:
    return (base or home()) / "ledger.sqlite3"


def reports_path(base: Path | None = None) -> Path:
    """Sums of the ledger's calls, for reports: a cache that may be deleted at any time."""
    return (base or home()) / "reports.sqlite3"


def imports_path(base: Path | None = None) -> Path:
    """What `noburn import` brought in, beside the ledger."""
    return (base or home()) / "imports.sqlite3"


def log_path(base: Path | None = None) -> Path:
    return (base or home()) / "daemon.log"


def lock_path(base: Path | None = None) -> Path:
    return (base or home()) / "daemon.lock"


def revenue_path(base: Path | None = None) -> Path:
    """What customers were billed (noburn_cli.revenue)."""
    return (base or home()) / "revenue.sqlite3"


def trust_path(base: Path | None = None) -> Path:
    """The record of the project configurations that this user trusts."""
    return (base or home()) / "trusted.json"


def journal_folder(base: Path | None = None) -> Path:
    """Where a client leaves settlements that it could not deliver."""
    return (base or home()) / "journal"
