"""A file that is there when it is whole, and else as it was: one that a person asked for, or ours.

Layer: below the packages that write files, I/O; standard library only, Python 3.10 (it travels into
guests with trust).  Below: errors.
Above: export, charts, reports, commands; trust, price_sources, enforce's file of keys.
Owns: what may be replaced by a file for people: another file, and nothing else.  `--output
/dev/null`, a pipe or a folder would lose its place to a file of that name.  A file of ours is on
the disk before it takes the place.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from noburn_cli.errors import NoburnError, UsageError

#: Of commands that can also print what they write.
OR_PRINT = "name another file, or write to standard output: --output -"


def file_to_replace(target: Path, *, otherwise: str = "name another file") -> Path:
    """The file itself where the target is a link to one.

    otherwise: what to do instead.
    Raises UsageError for a device, pipe or folder: it would be replaced, not written to.
    """
    if not target.exists():
        return target
    if not target.is_file():
        raise UsageError(
            f"{target} is no regular file, and what is written would take its place",
            next_step=otherwise,
        )
    return target.resolve()


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A place beside `target` to write to, which takes its name at the end.

    Raises UsageError as `file_to_replace`, NoburnError where the system does not let it be written.
    """
    target = file_to_replace(target)
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        yield part
        part.replace(target)
    except OSError as error:
        raise NoburnError(
            f"{target} cannot be written",
            why=error.strerror or str(error),
            next_step="choose another place",
        ) from error
    finally:
        # What could not be made is not there to be taken away, whatever the reason.
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def replace_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a file of ours: readers, and whoever looks after a crash, see the old or the new one.

    Raises OSError, and then the old one is there and nothing beside it.
    """
    text_beside(path, text, mode=mode).replace(path)


def text_beside(path: Path, text: str, *, mode: int = 0o600) -> Path:
    """A file beside `path` that is on the disk and can take its place.  Raises OSError likewise."""
    beside = path.with_name(f"{path.name}.{os.getpid()}")
    flags = os.O_CREAT | os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(beside, flags, mode), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    return beside
