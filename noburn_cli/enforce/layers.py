"""Hooked layers that lie on each other: who guards a call, and which client it comes from.

Layer: enforce, injected (standard library, Python 3.10).  Below: outcome, providers.registry.
Above: the hooks.  Each marks what it sends, so that a layer below neither counts a call twice nor
takes a second attempt for the first.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from noburn_cli.enforce.outcome import Outcome, Tracker
from noburn_cli.providers.registry import Upstream

#: The guarded call that is on its way, so that a hooked layer below leaves it alone.
_guarded: ContextVar[OnItsWay | None] = ContextVar("noburn_guarded", default=None)
#: The upstreams of a wrapped client, for stacks whose clients are not seen where the guard stands.
_marked: ContextVar[tuple[Upstream, ...] | None] = ContextVar("noburn_marked", default=None)
_TRIED_AGAIN = ConnectionError("the program's own transport tried again")


class OnItsWay:
    """Set while a guarded call is being sent, for the hooked layers below.

    Tasks that start meanwhile inherit the context for all their life; this ends with the call.
    tracker: of the call that holds the money, or None for a request that costs nothing.
    upstreams: those of the client that makes it, if `noburn_cli.wrap` marked it.
    """

    __slots__ = ("ended", "taken", "tracker", "upstreams")

    def __init__(self, tracker: Tracker | None, upstreams: tuple[Upstream, ...] | None) -> None:
        self.tracker = tracker
        self.upstreams = upstreams
        self.ended = False
        self.taken = False

    def take(self) -> bool:
        """Whether an attempt that begins below is the one that this hold pays for: the first.

        A transport of the program's own may try again by itself; each further attempt is a call
        with a hold of its own.
        """
        first, self.taken = not self.taken, True
        return first


@contextlib.contextmanager
def guarded(
    tracker: Tracker | None = None, upstreams: tuple[Upstream, ...] | None = None
) -> Iterator[None]:
    """Mark what is sent inside as guarded already; the arguments are those of OnItsWay."""
    call = OnItsWay(tracker, upstreams)
    token = _guarded.set(call)
    try:
        yield
    finally:
        call.ended = True
        with contextlib.suppress(ValueError):  # A task that is destroyed ends in another context.
            _guarded.reset(token)


def above() -> OnItsWay | None:
    """The guarded call of a layer above that is being sent right here, or None."""
    call = _guarded.get()
    return None if call is None or call.ended else call


def tried_again() -> Outcome | None:
    """How the call above ended when another attempt is made below it: nobody knows."""
    call = above()
    return None if call is None or call.tracker is None else call.tracker.broke(_TRIED_AGAIN)


@contextlib.contextmanager
def marking(upstreams: tuple[Upstream, ...]) -> Iterator[None]:
    """What is sent inside comes from a client that `noburn_cli.wrap` marked with these."""
    token = _marked.set(upstreams)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            _marked.reset(token)


def marked() -> tuple[Upstream, ...] | None:
    """The upstreams of the wrapped client that is sending right here; None outside of one."""
    return _marked.get()
