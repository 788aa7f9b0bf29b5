"""A file that a command is told to write: it is there when it is whole, and else as it was.

Layer: below the packages that write files for people, I/O.  Below: errors.
Above: export, charts, reports, commands.
Owns: what may be replaced by such a file: another file, and nothing else.  `--output /dev/null`, a
pipe or a folder would lose its place to a file of that name.
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
