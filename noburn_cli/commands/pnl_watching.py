"""`noburn pnl --watch`: profit and loss that stays, read anew as calls settle.

Layer: commands.  Below: profit, screen, render.pnl, reports.following.
Owns: when it is read again: once the ledger or the revenue file changed, at most every INTERVAL_S;
and every minute, because days end.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core.profit import ProfitAndLoss
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.profit.reading import Question, lines_of, read_books
from noburn_cli.render.pnl import render_pnl
from noburn_cli.screen import Screen

#: A reading takes as long as a report; more often nobody reads either.
INTERVAL_S = 1.0
#: Whatever the files say, it is read again after this: days end.
ASK_S = 60.0
#: Lines of a screen that are not for customers: heading, total, the sentences that matter most.
_AROUND = 12
#: It rests so many times as long as a reading took: at most a quarter of a core.
_REST = 3


def watch_pnl(asked: Callable[[int], Question], *, alerts: bool) -> None:
    """Show a question until q is pressed.

    asked: the question at a moment, epoch ms.  alerts: keep the alerts of margins up to date.

    Raises UsageError where there is no terminal.
    """
    import sys

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "--watch needs a terminal",
            why="what changes in place cannot be written to a pipe",
            next_step="leave --watch out, or run `noburn pnl --json` as often as you like",
        )
    home = paths.home()
    with Screen() as screen:
        board = _Board(home, asked, alerts=alerts)
        while True:
            board.look()
            board.draw(screen)
            for key in screen.keys(INTERVAL_S):
                if key in ("q", "escape"):
                    return


class _Board:
    """What was read last, and whether it has to be read again."""

    def __init__(self, home: Path, asked: Callable[[int], Question], *, alerts: bool) -> None:
        self._alerts = alerts
        self._home = home
        self._asked = asked
        self._seen: object = None
        self._read_at = 0.0
        self._rests_until = 0.0
        self._said = ""
        self._found: ProfitAndLoss | None = None

    def look(self) -> None:
        """Read again where something was written since, or a minute has passed."""
        seen = _stamp(self._home)
        if seen == self._seen and time.monotonic() - self._read_at < ASK_S:
            return
        started = time.monotonic()
        if started < self._rests_until:
            return
        self._seen, self._read_at = seen, started
        now_ms = time.time_ns() // 1_000_000
        try:
            books = read_books(self._home, self._asked(now_ms), now_ms=now_ms)
            self._found, self._said = lines_of(books), ""
            if self._alerts:
                from noburn_cli.commands.pnl_alerting import update_alerts

                self._said = update_alerts(books)
        except NoburnError as error:
            self._said = error.message
        ended = time.monotonic()
        self._rests_until = ended + _REST * (ended - started)

    def draw(self, screen: Screen) -> None:
        width, height = screen.size
        lines = ["noburn pnl"]
        if self._found is not None:
            lines += render_pnl(self._found, width=width, lines_max=max(3, height - _AROUND))
        room = height - 1
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… {len(lines) - room + 1:,} lines more"]
        screen.draw([*lines, *[""] * (room - len(lines)), self._said or "q ends"])


def _stamp(home: Path) -> object:
    """What changes with every commit to the ledger or the revenue file."""
    found: list[object] = []
    for base in (paths.ledger_path(home), paths.revenue_path(home), paths.imports_path(home)):
        for path in (base, base.with_name(base.name + "-wal")):
            try:
                status = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((status.st_ino, status.st_size, status.st_mtime_ns))
    return found
