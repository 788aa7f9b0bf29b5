"""Runs as the daemon keeps them: which are open, what bars their calls, what they came to.

Layer: daemon, pure (what is on disk comes through `rows` and `tally`).  Below: ledger (Event).
Above: book, stopping, server.
Owns: a run's state (open, paused, stopped, ended), the tallies that `noburn top` shows.
Not here: what a barred call is answered (replies), who may stop a run (stopping).

A run is named by its path, `r1/r2`; what bars `r1` bars all below it.  States are read from the
journal when a run is first seen, so that they survive a restart and need no table.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from noburn_daemon.ledger import Event, RunTotals

if TYPE_CHECKING:
    from noburn_daemon.calls import Call

OPEN, PAUSED, STOPPED, ENDED = "open", "paused", "stopped", "ended"
#: How long a rate looks back, and in which steps, in milliseconds.
RATE_MS = 60_000
_STEP_MS = 5_000
_STATES_MAX = 20_000


class RunState:
    """What may happen to a run's calls.

    final: STOPPED or ENDED, else "".  message: why, for a person.  paused: who paused it, or None.
    """

    __slots__ = ("final", "message", "paused")

    def __init__(self) -> None:
        self.final = ""
        self.message = ""
        self.paused: str | None = None

    @property
    def word(self) -> str:
        return self.final or (OPEN if self.paused is None else PAUSED)

    def apply(self, event: Event) -> None:
        """Follow one row of the journal, live or read back."""
        if event.kind == "run_start":
            self.final, self.message, self.paused = "", "", None
        elif event.kind == "run_end":
            self.final = self.final or ENDED
        elif event.kind == "run_stop":
            self.final, self.message = STOPPED, str(_detail(event)["message"])
        elif event.kind == "run_pause":
            self.paused = str(_detail(event)["by"])
        elif event.kind == "run_resume":
            self.paused = None


class Tally:
    """What an open run came to so far, everything below it included; nano-dollars and counts.

    notional_nano: at list price, of calls that a subscription pays for; in no cost.
    """

    def __init__(self, totals: RunTotals) -> None:
        self.totals = totals
        self._recent: deque[list[int]] = deque()  # [step, nano-dollars], oldest first

    def opened(self, call: Call) -> None:
        totals = self.totals
        totals.calls += 1
        totals.open += 1
        totals.clamped += call.clamped
        if not call.notional:
            totals.held_nano += call.hold[0]

    def closed(self, call: Call, nano: int, *, was_held: bool, at_ms: int) -> None:
        """nano: what its end adds to what was charged for it before."""
        totals = self.totals
        if was_held:
            totals.open -= 1
        if call.notional:
            totals.notional_nano += nano
            return
        if was_held:
            totals.held_nano -= call.hold[0]
        totals.cost_nano += nano
        step = at_ms // _STEP_MS
        if self._recent and self._recent[-1][0] == step:
            self._recent[-1][1] += nano
        else:
            self._recent.append([step, nano])
            self._forget(at_ms)

    def spent_lately(self, now_ms: int) -> int:
        """What the last minute cost, in nano-dollars; counted where a call ended."""
        self._forget(now_ms)
        return sum(nano for _, nano in self._recent)

    def _forget(self, now_ms: int) -> None:
        while self._recent and self._recent[0][0] <= (now_ms - RATE_MS) // _STEP_MS:
            self._recent.popleft()


class Runs:
    """Open runs with their owners, and the state of every run that a call names."""

    def __init__(
        self, rows: Callable[[str], list[Event]], totals: Callable[[str], RunTotals]
    ) -> None:
        self._rows = rows
        self._totals = totals
        #: Open runs by path, with the processes that own them.
        self.owners: dict[str, str] = {}
        self._states: dict[str, RunState] = {}
        self._tallies: dict[str, Tally] = {}

    def state(self, path: str) -> RunState:
        """A run's state; of one that was never started, open."""
        state = self._states.get(path)
        if state is None:
            state = self._states[path] = RunState()
            for row in self._rows(path):
                state.apply(row)
        return state

    def bar(self, paths: Iterable[str]) -> tuple[str, RunState] | None:
        """The run that keeps a call back, of those it is in, outermost first; None when it may go.

        One that is stopped or has ended counts before one that is paused.
        """
        paused: tuple[str, RunState] | None = None
        for path in paths:
            state = self._states.get(path) or self.state(path)
            if state.final:
                return path, state
            if state.paused is not None and paused is None:
                paused = (path, state)
        return paused

    def begin(self, path: str, owner: str) -> None:
        """A run has begun, with nothing spent."""
        if path not in self.owners:
            self._tallies[path] = Tally(RunTotals())
        self.owners[path] = owner

    def end(self, path: str) -> bool:
        """A run has ended; whether it was open."""
        self._tallies.pop(path, None)
        return self.owners.pop(path, None) is not None

    def find(self, name: str) -> str | None:
        """The open run of that path, or of that last id."""
        if name in self.owners:
            return name
        return next((path for path in self.owners if path.rsplit("/", 1)[-1] == name), None)

    def tally(self, path: str) -> Tally:
        """What an open run came to; summed from the journal after a restart of the daemon."""
        found = self._tallies.get(path)
        if found is None:
            found = self._tallies[path] = Tally(self._totals(path))
        return found

    def opened(self, call: Call, paths: Iterable[str]) -> None:
        for path in paths:
            tally = self._tallies.get(path)
            if tally is not None:
                tally.opened(call)

    def closed(self, call: Call, nano: int, *, was_held: bool, at_ms: int) -> None:
        for path in call.context.paths if call.context is not None else ():
            tally = self._tallies.get(path)
            if tally is not None:
                tally.closed(call, nano, was_held=was_held, at_ms=at_ms)

    def turned_away(self, kind: str, paths: Iterable[str]) -> None:
        """A call was `blocked` or `refused`."""
        for path in paths:
            tally = self._tallies.get(path)
            if tally is not None:
                setattr(tally.totals, kind, getattr(tally.totals, kind) + 1)

    def forget_old(self) -> None:
        """Keep memory bounded.  Only after a commit: what is forgotten must be on disk."""
        if len(self._states) > _STATES_MAX:
            self._states.clear()


def paths_of(run: str) -> tuple[str, ...]:
    """The runs that a path lies in, outermost first: `r1`, `r1/r2`."""
    ids = run.split("/")
    return tuple("/".join(ids[: n + 1]) for n in range(len(ids)))


def is_within(run: str, outer: str) -> bool:
    """Whether a run is `outer` or below it."""
    return run == outer or run.startswith(outer + "/")


def _detail(event: Event) -> dict[str, object]:
    found = msgspec.json.decode(event.detail or "{}", type=dict[str, object])
    return {"message": "it was stopped", "by": "", **found}
