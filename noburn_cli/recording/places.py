"""Where recordings and recorded answers lie.

Layer: I/O, our side.  Below: config_files, errors.  Above: the rest of this package, and
noburn_cli.gating.
Owns: the folders, and what a recording may be called.

They are the project's: in `.noburn` beside its noburn.toml, or in the working folder where there is
none.  A recording is of one run, so its folder asks version controls to leave it alone; recorded
answers are made to be committed.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

from noburn_cli.config_files import project_path
from noburn_cli.errors import NoburnError, UsageError

FOLDER = ".noburn"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)


def project_root(folder: Path, environment: Mapping[str, str]) -> Path:
    """The folder of the project that `folder` is in."""
    found = project_path(folder, environment)
    return folder.absolute() if found is None else found.parent


def check_recording_name(name: str) -> str:
    """Raises UsageError for a name that is no name of a file."""
    if _NAME.fullmatch(name) is None or name.endswith(".json"):
        raise UsageError(
            f"a recording cannot be called {name!r}",
            why="its file is: letters, digits, `.`, `_` and `-`, at most 64, no `.json` at the end",
            next_step="write it like --recording agents",
        )
    return name


def recording_path(root: Path, name: str) -> Path:
    return root / FOLDER / "recordings" / f"{name}.json"


def answers_folder(root: Path, name: str) -> Path:
    """The cassettes of a recording, one for each file of tests."""
    return root / FOLDER / "answers" / name


def write_whole(path: Path, text: str) -> None:
    """Write a file so that readers see the old one or the new one.  Raises NoburnError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        number, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            Path(temporary).chmod(0o644)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise NoburnError(
            f"{path} could not be written",
            why=error.strerror or str(error),
            next_step="look whether its folder may be written to",
        ) from error


def leave_alone(folder: Path) -> None:
    """Ask version controls to leave out what is in a folder of ours, as pytest does."""
    ignore = folder / ".gitignore"
    if not ignore.exists():
        write_whole(ignore, "# Made by `noburn run --recording`: of one run, not to be kept.\n*\n")
