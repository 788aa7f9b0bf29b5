"""A full-screen program's terminal: taken over, drawn on, read from, and always given back.

Layer: beside the commands (POSIX).  Below: render.table.  Above: commands.top.
Owns: the alternate screen, raw keys, resizing, Ctrl-Z, and the way back: at an error, at a signal
that ends us, and at the end.
"""

from __future__ import annotations

import os
import re
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

from noburn_cli.render.table import display_width

#: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html, DEC private modes 1049 and 25.
_ENTER = "\x1b[?1049h\x1b[?25l"
_LEAVE = "\x1b[?25h\x1b[?1049l"
_REVERSE, _PLAIN = "\x1b[7m", "\x1b[0m"
_ENDING = (signal.SIGTERM, signal.SIGHUP)
#: What a terminal sends for keys with a name; anything else that begins with ESC is left out.
_NAMED = {"\x1b[A": "up", "\x1bOA": "up", "\x1b[B": "down", "\x1bOB": "down", "\x1b": "escape"}
_KEY = re.compile(r"\x1b(?:\[[0-9;]*[ -/]*[@-~]|O.)?|.", re.DOTALL)


class Screen:
    """The terminal of standard input and output; a context, in which `draw` and `keys` work.

    A signal that ends us raises SystemExit inside the context, so that its way out is the usual.
    """

    def __init__(self) -> None:
        self._file = sys.stdin.fileno()
        self._before: list[Any] = []
        self._handlers: dict[int, Any] = {}
        self._wake_read, self._wake_write = -1, -1
        self._wakeup_before = -1

    def __enter__(self) -> Screen:
        self._before = termios.tcgetattr(self._file)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        # A signal wakes the wait for keys, which Python would go on with by itself.
        self._wakeup_before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in _ENDING:
            self._handlers[number] = signal.signal(number, _end)
        self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
        self._handlers[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda *_: None)
        self._take()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self._wake_read)
        os.close(self._wake_write)

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines, as they are now."""
        try:
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            columns = lines = 0
        return os.terminal_size((columns or 80, lines or 24))  # some terminals do not say

    def draw(self, lines: Sequence[str], *, selected: int | None = None) -> None:
        """Show these lines, cut to the terminal's size; the selected one in reverse."""
        width, height = self.size
        shown = [cut(line, width) for line in lines[:height]]
        if selected is not None and selected < len(shown):
            pad = " " * (width - display_width(shown[selected]))
            shown[selected] = f"{_REVERSE}{shown[selected]}{pad}{_PLAIN}"
        text = "\x1b[H" + "\r\n".join(f"{line}\x1b[K" for line in shown) + "\x1b[J"
        sys.stdout.write(text)
        sys.stdout.flush()

    def keys(self, within_s: float) -> list[str]:
        """The keys that were pressed; waits for the first, a resize, or until the time is over."""
        deadline = time.monotonic() + within_s
        left_s = max(0.0, deadline - time.monotonic())
        ready = select.select([self._file, self._wake_read], [], [], left_s)[0]
        if self._wake_read in ready:
            os.read(self._wake_read, 4096)
        if self._file not in ready:
            return []
        pressed = os.read(self._file, 4096)
        if not pressed:
            raise SystemExit(0)  # The terminal has gone.
        return split_keys(pressed.decode("utf-8", "replace"))

    def _take(self) -> None:
        tty.setcbreak(self._file)  # Ctrl-C and Ctrl-Z stay what they are.
        sys.stdout.write(_ENTER)
        sys.stdout.flush()

    def _give_back(self) -> None:
        try:
            sys.stdout.write(_LEAVE)
            sys.stdout.flush()
            termios.tcsetattr(self._file, termios.TCSADRAIN, self._before)
        except (OSError, termios.error):
            return  # A terminal that has gone needs nothing back.

    def _suspend(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal as it was, and we ours again with `fg`."""
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        # Here again.
        signal.signal(number, self._suspend)
        self._take()


def _end(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def cut(line: str, width: int) -> str:
    """As much of a line as fits `width` columns."""
    while display_width(line) > width:
        line = line[: width - display_width(line)] or line[:-1]
    return line


def split_keys(text: str) -> list[str]:
    """Characters and names of keys, in order; sequences without a name are left out."""
    found = (_NAMED.get(key, key) for key in _KEY.findall(text))
    return [key for key in found if not key.startswith("\x1b")]
