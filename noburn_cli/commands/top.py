"""`noburn top`: live runs, and keys to raise, pause, resume or stop one.

Layer: commands.  Below: client, live_runs, screen, render.top.
The daemon is asked once a second; the ledger's file is never read.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.core.money import parse_limit
from noburn_cli.errors import NoburnError, Unavailable

if TYPE_CHECKING:
    from noburn_cli.client import Client
    from noburn_cli.screen import Screen

JSON_VERSION = 1
_ENTER = ("\n", "\r")
_ERASE = ("\x7f", "\x08")
_HEADING_LINES = 2
#: The table's own heading.
_TABLE_LINES = 1


def top_command(
    once: Annotated[
        bool, typer.Option("--once", help="Print one frame, as into a pipe anyway.")
    ] = False,
    interval: Annotated[
        float, typer.Option(help="Seconds between two looks.", min=0.1, max=3600, metavar="SECONDS")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one frame as JSON.")] = False,
) -> None:
    """Watch the open runs; raise, pause, resume or stop one."""
    from noburn_cli.client import Client
    from noburn_cli.commands.seconds import check_seconds
    from noburn_cli.render.table import terminal_width
    from noburn_cli.render.top import frame_lines, run_data

    check_seconds(interval, "--interval")
    with Client(start_daemon=False) as client:
        if as_json or once or not (sys.stdin.isatty() and sys.stdout.isatty()):
            now_ms, runs = _look(client)
            if as_json:
                from noburn_cli.render.jsonout import print_json

                data = {"now_ms": now_ms, "runs": [run_data(run) for run in runs]}
                print_json("top", JSON_VERSION, data)
            else:
                lines = frame_lines(runs, now_ms=now_ms, width=terminal_width())
                typer.echo("\n".join(lines))
            return
        _watch(client, interval)


def _look(client: Client) -> tuple[int, list[dict[str, Any]]]:
    """The ledger's time and the open runs; without a daemon none is open.

    Raises Unavailable when there is a daemon that does not answer.
    """
    from noburn_cli import paths

    if not paths.socket_path(paths.home()).exists():
        return int(time.time() * 1000), []
    reply = client.run_list()
    # Runs stand below the run that they are in.
    return reply["now_ms"], sorted(reply["runs"], key=lambda run: _place(run, reply["runs"]))


def _place(run: dict[str, Any], runs: list[dict[str, Any]]) -> list[tuple[int, str]]:
    began = {other["run"]: other["started_at_ms"] for other in runs}
    ids = str(run["run"]).split("/")
    paths_above = ["/".join(ids[: n + 1]) for n in range(len(ids))]
    return [(began.get(path, 0), path) for path in paths_above]


def _watch(client: Client, interval_s: float) -> None:
    from noburn_cli.screen import Screen

    board = Board(client)
    with Screen() as screen:
        while not board.done:
            board.look()
            next_look = time.monotonic() + interval_s
            while not board.done:
                board.draw(screen)
                left_s = next_look - time.monotonic()
                if left_s <= 0:
                    break
                for key in screen.keys(left_s):
                    board.press(key)


class Board:
    """What is shown, which run is selected, and what a key does to it."""

    def __init__(self, client: Client) -> None:
        self.done = False
        self._client = client
        self._runs: list[dict[str, Any]] = []
        self._now_ms = 0
        self._selected = ""
        self._said = ""
        #: What is being asked for (`raise` or `stop`), and what was typed.
        self._asks = ""
        self._typed = ""

    def look(self) -> None:
        """Ask the daemon; one that is away leaves the last frame, and is said."""
        try:
            self._now_ms, self._runs = _look(self._client)
        except Unavailable as error:
            self._runs, self._said = [], error.message
        names = [str(run["run"]) for run in self._runs]
        if self._selected not in names:
            self._selected = names[0] if names else ""
            self._asks = ""

    def draw(self, screen: Screen) -> None:
        from noburn_cli.render.top import KEYS, about, frame_lines

        width, height = screen.size
        table = frame_lines(self._runs, now_ms=self._now_ms, width=width)
        room = max(1, height - _HEADING_LINES - _TABLE_LINES - 2)
        at = self._index()
        first = max(0, at - room + 1)
        rows = table[_TABLE_LINES:][first : first + room]
        last = self._question() or self._said or KEYS
        chosen = self._run()
        lines = [
            "noburn top",
            about(chosen) if chosen else "",
            *table[:_TABLE_LINES],
            *rows,
            *[""] * (room - len(rows)),
            last,
        ]
        selected = None if chosen is None else _HEADING_LINES + _TABLE_LINES + at - first
        screen.draw(lines, selected=selected)

    def press(self, key: str) -> None:
        """Do what a key means; an error is said, and changes nothing."""
        self._said = ""
        try:
            if self._asks:
                self._answer(key)
            elif key in ("q", "escape"):
                self.done = True
            elif key in ("up", "k", "down", "j"):
                self._move(-1 if key in ("up", "k") else 1)
            elif key in ("+", "s") and self._run() is not None:
                self._asks, self._typed = ("raise" if key == "+" else "stop"), ""
            elif key == "p":
                self._pause_or_resume()
        except NoburnError as error:
            self._said = error.message
        if self._said or key == "p":
            self.look()

    def _answer(self, key: str) -> None:
        """A key while something is asked: typed on, given up, or the answer."""
        asks = self._asks
        if key == "escape":
            self._asks = ""
        elif asks == "stop":
            self._asks = ""
            if key == "y":
                self._stop()
        elif key in _ENTER:
            self._asks = ""
            if self._typed:
                self._raise()
        elif key in _ERASE:
            self._typed = self._typed[:-1]
        elif key.isprintable() and len(key) == 1:
            self._typed += key

    def _stop(self) -> None:
        from noburn_cli.live_runs import who

        reply = self._client.run_stop(run=self._selected, by=f"{who()} in `noburn top`")
        self._said = str(reply["message"])

    def _raise(self) -> None:
        more = parse_limit(self._typed)
        run = self._run()
        assert run is not None
        name = str(run["run"]).rsplit("/", 1)[-1]
        own = {a["unit"] for a in run["accounts"] if a["name"].startswith(f"run={name} per run")}
        reply = self._client.request(
            protocol.RUN_LIMIT,
            run=self._selected,
            limit={"unit": more.unit, "amount": more.amount},
            add=more.unit in own,
        )
        from noburn_cli.core.money import show_amount

        limit = reply["limit"]
        shown = show_amount(limit["unit"], limit["amount"])
        self._said = f"run {name} may now use {shown}"

    def _pause_or_resume(self) -> None:
        from noburn_cli.live_runs import who

        run = self._run()
        if run is not None:
            paused = run["state"] == "paused"
            operation = protocol.RUN_RESUME if paused else protocol.RUN_PAUSE
            self._client.request(operation, run=self._selected, by=who())

    def _question(self) -> str:
        name = self._selected.rsplit("/", 1)[-1]
        if self._asks == "stop":
            return f"stop {name} and all its processes? y or n"
        if self._asks == "raise":
            return f"raise the budget of {name} by (5, 2Mtok, 100req; Esc gives up): {self._typed}_"
        return ""

    def _move(self, by: int) -> None:
        if self._runs:
            index = min(max(0, self._index() + by), len(self._runs) - 1)
            self._selected = str(self._runs[index]["run"])

    def _index(self) -> int:
        names = [str(run["run"]) for run in self._runs]
        return names.index(self._selected) if self._selected in names else 0

    def _run(self) -> dict[str, Any] | None:
        return self._runs[self._index()] if self._runs else None
