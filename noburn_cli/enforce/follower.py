"""One answer on its way to the program, whatever brings it: what all HTTP stacks have in common.

Layer: enforce, injected (standard library, Python 3.10).  Below: drivers, outcome, policy.
Above: httpx_streams, http_client_answers, aiohttp_answers.
Owns: what happens to an answer that the program lets go of: how far it is read on, and that one
which is forgotten ends as well.
"""

from __future__ import annotations

import time
import weakref

from noburn_cli.enforce.drivers import deliver_aside
from noburn_cli.enforce.outcome import Outcome, Tracker

#: After the generation's end a stream owes only its usage; more than this is not waited for.
USAGE_BYTES_MAX = 1024 * 1024
#: With `on_abort = "drain"`: what a let-go answer may still bring, in bytes and in seconds.
DRAIN_BYTES_MAX = 64 * 1024 * 1024
DRAIN_S_MAX = 120.0


class ReadingOn:
    """How much more is read of an answer that the program has let go of.

    aside: in the background, because it may take as long as the generation does.
    """

    def __init__(self, *, bytes_max: int, seconds_max: float, aside: bool) -> None:
        self.aside = aside
        self._bytes_left = bytes_max
        self._deadline = time.monotonic() + seconds_max

    def is_spent(self, chunk: bytes) -> bool:
        self._bytes_left -= len(chunk)
        return self._bytes_left < 0 or time.monotonic() > self._deadline

    def seconds_left(self) -> float:
        return max(0.0, self._deadline - time.monotonic())


class Follower:
    """A tracker for as long as `holder` lives, through which the program reads its answer."""

    def __init__(self, tracker: Tracker, holder: object) -> None:
        self.tracker = tracker
        self._forget = weakref.finalize(holder, _forgotten, tracker)

    def receive(self, chunk: bytes) -> bytes:
        """As Tracker.receive: raises zlib.error, and nothing else."""
        return self.tracker.receive(chunk)

    def rest(self) -> bytes:
        return self.tracker.rest()

    def completed(self) -> Outcome | None:
        return self._ended(self.tracker.completed())

    def broke(self, error: BaseException) -> Outcome | None:
        return self._ended(self.tracker.broke(error))

    def abandoned(self) -> Outcome | None:
        return self._ended(self.tracker.abandoned())

    def reading_on(self) -> ReadingOn | None:
        """Whether and how far to read on now that the program has closed the answer."""
        if self.tracker.worth_draining():
            return ReadingOn(bytes_max=USAGE_BYTES_MAX, seconds_max=DRAIN_S_MAX, aside=False)
        if self.tracker.drains():
            return ReadingOn(bytes_max=DRAIN_BYTES_MAX, seconds_max=DRAIN_S_MAX, aside=True)
        return None

    def knows_enough(self) -> bool:
        """Whether reading on can teach nothing any more."""
        return not (self.tracker.worth_draining() or self.tracker.drains())

    def _ended(self, outcome: Outcome | None) -> Outcome | None:
        self._forget.detach()
        return outcome


def _forgotten(tracker: Tracker) -> None:
    deliver_aside(tracker.abandoned("the answer was never closed"))
