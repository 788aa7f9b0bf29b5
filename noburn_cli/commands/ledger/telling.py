"""Progress of the commands that read or write the whole ledger.

Layer: commands.  Below: render.progress.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def told() -> Iterator[Callable[[str, int, int], None]]:
    """A function (what, done, total) that keeps one line on a terminal's standard error."""
    from noburn_cli.render.progress import Progress

    progress = Progress(sys.stderr)
    at = ""

    def tell(what: str, done: int, total: int) -> None:
        nonlocal at
        if what != at:
            progress.end()
            progress.begin(total, what)
            at = what
        progress.reach(done, total)

    try:
        yield tell
    finally:
        progress.end()
