"""The files that ship with noburn, read from wherever it is installed.

Layer: the lowest that reads files; shared by the CLI and the daemon.  Below: nothing of ours.
Not here: the user's own files (noburn_cli.prices), the token ranks (noburn_cli.ranks).
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

PRICE_FILE = "pricing.toml"
#: The hand-kept part of the price book: which models, and what no source says.
MANUAL_FILE = "prices_manual.toml"
SCHEMA_FILE = "noburn.schema.json"
#: The origin that messages about the shipped price file name.
SHIPPED_ORIGIN = "noburn's own pricing.toml"


def read_bytes(name: str) -> bytes:
    """One file of noburn_cli/data.  Raises OSError when the installation lacks it."""
    return (resources.files("noburn_cli") / "data" / name).read_bytes()


def schema_path() -> Path:
    """Where the JSON Schema of noburn.toml lies, for editors."""
    return Path(str(resources.files("noburn_cli") / "data" / SCHEMA_FILE))


def shipped_prices() -> tuple[str, str]:
    """(origin, text) of the price file that ships."""
    return SHIPPED_ORIGIN, read_bytes(PRICE_FILE).decode("utf-8")
