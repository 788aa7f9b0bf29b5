"""Keys in the `.env` files that a program would load by itself.

Layer: enforce, the supervisor's side.  Below: providers.credentials, python-dotenv.
Above: supervisor.
A loader leaves a variable alone that is there already, so a virtual key that is there first stays;
`override=True` takes the file's, which is then seen and noted by the guard.

Where they are looked for: python-dotenv's `load_dotenv()` looks in the folder of the file that
calls it and its parents, and in interactive use in the working folder (python-dotenv 1.2,
`find_dotenv`); dotenv for Node, Next.js and Vite in the working folder, under more names.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from noburn_cli.providers.credentials import KEY_VARIABLES

#: In the order in which Next.js and Vite prefer them.
NAMES = (
    ".env.development.local", ".env.production.local", ".env.local",
    ".env.development", ".env.production", ".env",
)  # fmt: skip
#: A larger file is no list of variables.
_FILE_BYTES_MAX = 1024 * 1024
_OPTIONS_WITH_FILE = ("--env-file", "--env-file-if-exists")


def find_keys(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """By variable, the provider keys in the files that `command`, started in `folder`, may load.

    A file that cannot be read has none.
    """
    found: dict[str, str] = {}
    for path in _files(command, folder):
        for name, value in _read(path, environment).items():
            found.setdefault(name, value)
    return found


def _files(command: Sequence[str], folder: Path) -> Iterator[Path]:
    """Files by how near they are: named ones, the working folder's, its parents', the script's."""
    yield from (folder / named for named in _named(command))
    seen: set[Path] = set()
    for start in (folder, *_script_folders(command, folder)):
        for place in (start, *start.parents):
            if place in seen:
                break  # And so were its parents.
            seen.add(place)
            yield from (place / name for name in (NAMES if place == folder else (".env",)))


def _named(command: Sequence[str]) -> Iterator[str]:
    """What `node --env-file=FILE` and `uv run --env-file FILE` name."""
    for place, word in enumerate(command):
        name, equals, value = word.partition("=")
        if name in _OPTIONS_WITH_FILE:
            following = command[place + 1] if place + 1 < len(command) else ""
            yield value if equals else following


def _script_folders(command: Sequence[str], folder: Path) -> Iterator[Path]:
    for word in command:
        if word.startswith("-") or (os.sep not in word and not word.endswith(".py")):
            continue
        # A word may be anything, a whole program as well.
        with contextlib.suppress(OSError, ValueError):
            path = folder / word
            if path.is_file():
                yield path.resolve().parent


def _read(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    try:
        if not path.is_file() or path.stat().st_size > _FILE_BYTES_MAX:
            return {}
        text = path.read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return {}
    if not any(name in text for name in KEY_VARIABLES):
        return {}
    return _values(text, environment)


def _values(text: str, environment: Mapping[str, str]) -> dict[str, str]:
    import io

    from dotenv.main import DotEnv

    # Not `dotenv_values`, which would look variables up in our own environment.
    values = DotEnv(None, stream=io.StringIO(text), interpolate=False).dict()
    return {
        name: _expanded(value, {**values, **environment})
        for name, value in values.items()
        if name in KEY_VARIABLES and value
    }


def _expanded(value: str, values: Mapping[str, str | None]) -> str:
    from dotenv.variables import parse_variables

    return "".join(atom.resolve(values) for atom in parse_variables(value))
