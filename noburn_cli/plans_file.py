"""The plans file of a project: where it lies, and reading it.

Layer: I/O.  Below: config_files, core.plan_files.  Above: commands (margin, simulate, pnl).
A plans file holds prices that a project charges and nothing that a machine would run, so it needs
no `noburn trust`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from noburn_cli.config_files import project_path
from noburn_cli.core.plan_files import NAME, PlansFile, parse_plans
from noburn_cli.errors import UsageError

#: A thousand plans are some 300 kB.
_FILE_BYTES_MAX = 1024 * 1024


def default_path(environment: Mapping[str, str], folder: Path) -> Path:
    """`plans.toml` beside the project's noburn.toml, else in the folder; it need not exist."""
    project = project_path(folder, environment)
    return (folder.absolute() if project is None else project.parent) / NAME


def load_plans(
    environment: Mapping[str, str], folder: Path, named: str | None = None
) -> PlansFile | None:
    """The plans of the file that was named, else of the default one; None where there is none.

    Raises UsageError for a file that was named and is missing, or that cannot be read.
    """
    path = default_path(environment, folder) if named is None else Path(named)
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES_MAX + 1)
        if len(data) > _FILE_BYTES_MAX:
            raise UsageError(f"plans {path}: more than a megabyte is no plans file")
        text = data.decode("utf-8-sig")
    except FileNotFoundError as error:
        if named is None:
            return None
        raise UsageError(
            f"plans {path}: there is no such file",
            next_step="docs/plans.md shows one",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"plans {path}: it cannot be read: {error}") from error
    return parse_plans(str(path), text)
