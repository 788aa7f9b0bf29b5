"""A file that a report is written to: it is there when it is whole, and else as it was.

Layer: reports, I/O.  Above: reports.parquet, commands.report_showing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from noburn_cli.errors import NoburnError


@contextlib.contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """A place beside `target` to write to, which takes its name at the end.

    Raises NoburnError where the system does not let it be written.
    """
    part = target.with_name(f".{target.name}.part-{os.getpid()}")
    try:
        yield part
        part.replace(target)
    except OSError as error:
        raise NoburnError(
            f"{target} cannot be written",
            why=error.strerror or str(error),
            next_step="choose another place with --output",
        ) from error
    finally:
        part.unlink(missing_ok=True)
