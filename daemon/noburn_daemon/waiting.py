"""The queue of calls that wait for money in flight.

Layer: daemon, pure.  Below: accounts, frames.  Above: book, reserving.
Owns: the order, and which accounts keep whom waiting.
Not here: whether a waiter now fits (reserving asks admission), timers (server).

In order of arrival; nobody passes an earlier waiter with whom it shares an account that stands in
that waiter's way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from noburn_daemon.account import Account, Weights
from noburn_daemon.accounts import Context
from noburn_daemon.frames import Reserve


class Waiter:
    """One reserve that has not been answered.

    least: what it needs at its floor.  blocked_on: the accounts that keep it waiting.
    undecided: nobody has looked yet whether it fits, because its run is paused.
    paused_at_ms: since when its run is paused; paused_ms: how long it was, before.
    callers: whoever is to hear the answer, opaque here; more than one after a repeat.
    """

    __slots__ = (
        "blocked_on", "callers", "context", "digest", "exact_tokens", "frame", "least", "owner",
        "paused_at_ms", "paused_ms", "since_ms", "undecided",
    )  # fmt: skip

    def __init__(
        self, frame: Reserve, context: Context, owner: str, digest: int, since_ms: int,
        exact_tokens: int | None, callers: list[tuple[object, int]],
    ) -> None:  # fmt: skip
        self.frame = frame
        self.context = context
        self.owner = owner
        self.digest = digest
        self.since_ms = since_ms
        self.exact_tokens = exact_tokens
        self.callers = callers
        self.least: Weights = (0, 0, 0)
        self.blocked_on: tuple[Account, ...] = ()
        self.undecided = False
        self.paused_at_ms: int | None = None
        self.paused_ms = 0

    @property
    def deadline_ms(self) -> int:
        return self.since_ms + self.frame.wait_ms + self.paused_ms

    def pause(self, now_ms: int) -> int:
        """The run is paused: wait for nobody's money; for how long it has been so."""
        self.block_on(())
        if self.paused_at_ms is None:
            self.paused_at_ms = now_ms
        return now_ms - self.paused_at_ms

    def resume(self, now_ms: int) -> None:
        """The run goes on: the time of the pause was no waiting for money."""
        if self.paused_at_ms is not None:
            self.paused_ms += now_ms - self.paused_at_ms
            self.paused_at_ms = None

    def block_on(self, accounts: Iterable[Account]) -> None:
        """Wait for these accounts, and no longer for those before."""
        for account in self.blocked_on:
            account.waiting -= 1
        self.blocked_on = tuple(accounts)
        for account in self.blocked_on:
            account.waiting += 1


class WaitingRoom:
    """Waiters in order of arrival, by call id."""

    def __init__(self) -> None:
        self._waiters: dict[str, Waiter] = {}

    def __len__(self) -> int:
        return len(self._waiters)

    def __iter__(self) -> Iterator[Waiter]:
        return iter(list(self._waiters.values()))

    def get(self, call: str) -> Waiter | None:
        return self._waiters.get(call)

    def add(self, waiter: Waiter) -> None:
        self._waiters[waiter.frame.call] = waiter

    def remove(self, waiter: Waiter) -> None:
        """Take a waiter out; nobody waits behind it any more."""
        waiter.block_on(())
        del self._waiters[waiter.frame.call]
