"""What `noburn ledger` had once: an error that names the new place.

Layer: commands.  Hidden from help, completions and the reference.
"""

from __future__ import annotations

from noburn_cli.errors import UsageError


def export_command() -> None:
    """Say where exports are now."""
    raise UsageError(
        "`noburn ledger export` is `noburn export` now, the format its first word",
        next_step="noburn export csv --output calls.csv; `noburn export --help` lists the formats",
    )
