"""The files that a person's paths name.

Layer: importing, I/O.  Below: errors.  Above: commands.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from noburn_cli.errors import InputRefused


def files_under(paths: Iterable[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """The files that paths name: a folder means every file below it that ends so, in order.

    Raises InputRefused for a path that is not there.
    """
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(
                one for one in path.rglob("*") if one.name.endswith(suffixes) and one.is_file()
            )
        elif path.exists():
            found.append(path)
        else:
            raise InputRefused(f"{path} does not exist")
    return list(dict.fromkeys(one.absolute() for one in found))
