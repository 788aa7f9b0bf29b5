"""The queue of calls that wait for money in flight.

Layer: daemon, pure.  Below: accounts, frames.  Above: book.
Owns: the order, and which accounts keep whom waiting.
Not here: whether a waiter now fits (book asks admission), timers (server).

In order of arrival; nobody passes an earlier waiter with whom it shares an account that stands in
that waiter's way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from noburn_daemon.accounts import Account, Context, Weights
from noburn_daemon.frames import Reserve


class Waiter(Struct, eq=False):
    """One reserve that has not been answered.

    least: what it needs at its floor.  blocked_on: the accounts that keep it waiting.
    callers: whoever is to hear the answer, opaque here; more than one after a repeat.
    """

    frame: Reserve
    context: Context
    owner: str
    digest: int
    since_ms: int
    exact_tokens: int | None
    callers: list[tuple[object, int]]
    least: Weights = (0, 0, 0)
    blocked_on: tuple[Account, ...] = ()

    @property
    def deadline_ms(self) -> int:
        return self.since_ms + self.frame.wait_ms

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
