"""How far long work has come: one line on a terminal's standard error, gone when it ends.

Layer: render.  Below: the standard library.  Above: commands that count or read for seconds.
"""

from __future__ import annotations

import time
from typing import TextIO

#: Shorter work shows nothing: a line that flashes by only unsettles.
QUIET_S = 1.0
#: Ten times a second is as often as an eye follows.
REDRAW_S = 0.1
_BAR_CELLS = 24
_CLEAR = "\r\x1b[K"


class Progress:
    """`1,200 of 10,000 requests counted`, on a terminal, from the second second on.

    file: standard error; anything but a terminal stays silent.
    A total of 0 says that nobody knows it: `1,200 requests counted`.
    """

    def __init__(self, file: TextIO | None) -> None:
        self._file = file if file is not None and file.isatty() else None
        self._done = self._total = 0
        self._what = ""
        self._next_s = 0.0
        self._drawn = False
        self._bar = False

    def begin(self, total: int, what: str) -> None:
        """Start counting to `total`; `what` says what is done to how many."""
        self._done, self._total, self._what = 0, total, what
        self._next_s = time.monotonic() + QUIET_S

    def within(self, total: int, what: str) -> Progress:
        """The progress of one step, which takes the line while it lasts, with a bar."""
        inner = Progress(self._file)
        inner.begin(total, what)
        inner._bar = total > 0
        return inner

    def step(self) -> None:
        """One more is done."""
        self.reach(self._done + 1)

    def reach(self, done: int, total: int | None = None) -> None:
        """So many are done, of as many as before unless told."""
        self._done = done
        self._total = self._total if total is None else total
        if self._file is None:
            return
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + REDRAW_S
            self._drawn = True
            self._file.write(f"{_CLEAR}{self._line()}")
            self._file.flush()

    def _line(self) -> str:
        if not self._total:
            return f"{self._done:,} {self._what}"
        line = f"{self._done:,} of {self._total:,} {self._what}"
        if not self._bar:
            return line
        filled = min(_BAR_CELLS, _BAR_CELLS * self._done // self._total)
        return f"[{'#' * filled}{'.' * (_BAR_CELLS - filled)}] {line}"

    def end(self) -> None:
        """Take the line away."""
        if self._file is not None and self._drawn:
            self._file.write(_CLEAR)
            self._file.flush()
            self._drawn = False
