"""`noburn daemon logs`: what happened to the daemon.

Layer: commands.  Below: paths.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import deque
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Annotated, TextIO

import typer

from noburn_cli import paths
from noburn_cli.core.service_keys import LOG_LEVELS
from noburn_cli.errors import NoburnError, UsageError

_FOLLOW_S = 0.25


#: A line of the daemon's own: time, level, component, process, message.
_LINE = re.compile(r"\d{4}-\d{2}-\d{2}T\S+Z ([A-Z]+) ")


def logs_command(
    lines: Annotated[
        int,
        typer.Option(
            "--lines",
            "-n",
            min=0,
            max=10_000_000,
            help="How many lines of the end to show.",
            metavar="N",
        ),
    ] = 50,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as the daemon writes, until Ctrl-C.")
    ] = False,
    level: Annotated[
        str,
        typer.Option("--level", metavar="|".join(LOG_LEVELS), help="Only that level and above."),
    ] = LOG_LEVELS[0],
) -> None:
    """Show the daemon's log: what happened to it, never what a call said."""
    if level not in LOG_LEVELS:
        raise UsageError(f"unknown level {level!r}", why=f"known are {', '.join(LOG_LEVELS)}")
    path = paths.log_path()
    if not path.exists() and not follow:
        raise NoburnError(
            f"there is no log at {path}",
            why="the daemon has never run here",
            next_step="`noburn daemon start`, or check NOBURN_HOME",
        )
    wanted = _Wanted(level)
    log = path.open(encoding="utf-8", errors="replace") if path.exists() else None
    written = chain(_rotated(path), log or ())
    for line in deque(filter(wanted, written), maxlen=lines):
        typer.echo(line, nl=False)
    # Followed through the same file: what is written in between is neither lost nor shown twice.
    for line in filter(wanted, _follow(path, log)) if follow else ():
        typer.echo(line, nl=False)


class _Wanted:
    """Whether a line is of a level and above; what follows a line goes with it."""

    def __init__(self, level: str) -> None:
        self._levels = {word.upper() for word in LOG_LEVELS[LOG_LEVELS.index(level) :]}
        self._levels.add("CRITICAL")
        self._with_it = True

    def __call__(self, line: str) -> bool:
        own = _LINE.match(line)
        if own is not None:
            self._with_it = own[1] in self._levels
        return self._with_it


def _rotated(path: Path) -> Iterator[str]:
    """The lines of the files before the one that is written, oldest first."""
    numbered = [
        (int(older.suffix[1:]), older)
        for older in path.parent.glob(f"{path.name}.*")
        if older.suffix[1:].isdigit()
    ]
    for _, older in sorted(numbered, reverse=True):
        with (
            contextlib.suppress(FileNotFoundError),
            older.open(encoding="utf-8", errors="replace") as file,
        ):
            yield from file


def _follow(path: Path, log: TextIO | None) -> Iterator[str]:
    """Every line after what was read of `log`, across its rotation; never ends by itself."""
    while True:
        if log is not None:
            yield from log
        if path.exists() and (log is None or not _is_same(log, path)):
            if log is not None:
                yield from log
                log.close()
            log = path.open(encoding="utf-8", errors="replace")
        else:
            time.sleep(_FOLLOW_S)


def _is_same(log: TextIO, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return True  # In the middle of a rotation: the new file is about to come.
    here = os.fstat(log.fileno())
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
