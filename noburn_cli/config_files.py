"""Where configuration lies, and what its files say: the user's, and the project's.

Layer: I/O, shared by the CLI and the daemon.  Below: core.configuration, paths, errors.
Above: settings, which decides what holds; prices, which looks for the user's price file here.

The user's folder is `$NOBURN_HOME/config` where NOBURN_HOME names another home than the system's
place, and `noburn` in the user's configuration directory otherwise.  The project's file is the
first `noburn.toml` from the working folder upwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noburn_cli import paths
from noburn_cli.core.configuration import parse_configuration
from noburn_cli.errors import UsageError

ENV_HOME = "NOBURN_HOME"
NAME = "noburn.toml"
#: A hundred endpoints take some 20 kB; more than this is not a configuration.
_FILE_BYTES_MAX = 1024 * 1024


@dataclass(frozen=True)
class ConfigFile:
    """One file that was read: its text, and its values by dotted key."""

    path: Path
    text: str
    values: Mapping[str, Any]


def config_folder(environment: Mapping[str, str]) -> Path:
    """The user's folder; it need not exist."""
    home = environment.get(ENV_HOME, "")
    # The daemon and the children of a run are always told a home, the system's own one as well.
    if home and Path(home).expanduser().absolute() != paths.default_home():
        return Path(home).expanduser() / "config"
    from platformdirs import user_config_path  # only here: most starts do not need it

    return user_config_path("noburn", appauthor=False)


def user_path(environment: Mapping[str, str]) -> Path:
    """The user's file; it need not exist."""
    return config_folder(environment) / NAME


def project_path(folder: Path, environment: Mapping[str, str]) -> Path | None:
    """The nearest project file at or above a folder; the user's own file is none."""
    own = user_path(environment).absolute()
    start = folder.absolute()
    for place in (start, *start.parents):
        found = place / NAME
        if found.is_file() and found != own:
            return found
    return None


def read_file(path: Path) -> ConfigFile | None:
    """One file, None where there is none.

    Raises UsageError for a file that cannot be read, or that breaks a rule.
    """
    text = read_text(path)
    return None if text is None else ConfigFile(path, text, parse_configuration(str(path), text))


def read_text(path: Path) -> str | None:
    """The text of one file, None where there is none.  Raises UsageError."""
    try:
        with path.open("rb") as file:
            content = file.read(_FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from error
    if len(content) > _FILE_BYTES_MAX:
        raise _unreadable(path, f"it is larger than {_FILE_BYTES_MAX} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _unreadable(path, f"it is not UTF-8: {error}") from error


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"configuration {path} cannot be read: {reason}",
        why="settings that you made and that are not applied would be a surprise",
        next_step="mend the file, or take it away",
    )
