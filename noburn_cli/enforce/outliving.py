"""A call that goes on when the task that made it is cancelled, so that its usage is learnt.

Layer: enforce, injected (standard library, Python 3.10).  Below: drivers, outcome, policy.
Above: httpx_hook, aiohttp_hook, which load it for awaited calls only: asyncio is not for everybody.
Only with `on_abort = "drain"`; else the cancellation ends the request, as the program expects it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from noburn_cli.client.foreign import running_loop
from noburn_cli.enforce.drivers import deliver_async
from noburn_cli.enforce.outcome import Tracker
from noburn_cli.enforce.policy import DRAIN, policy

#: A loop keeps only weak references to its tasks.
_errands: set[asyncio.Task[None]] = set()


class Outlived(asyncio.CancelledError):
    """The task was cancelled; its call goes on in the background, and ends there."""


async def send(
    work: Coroutine[Any, Any, Any], tracker: Tracker, read_on: Callable[[Any], Awaitable[None]]
) -> Any:
    """Await `work`, which sends and returns an answer's head.

    read_on: takes over an answer that nobody waits for any more.
    Raises Outlived, which is a CancelledError, when it took over.
    """
    if policy().on_abort != DRAIN or running_loop() is None:
        return await work
    sending = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(sending)
    except asyncio.CancelledError:
        if sending.cancelled():
            raise
        start(_take_over(sending, tracker, read_on))
        raise Outlived from None


def start(work: Coroutine[Any, Any, None]) -> None:
    """Do it in a task of its own.  Raises RuntimeError where no loop runs."""
    try:
        task = asyncio.get_running_loop().create_task(work)
    except RuntimeError:
        work.close()
        raise
    _errands.add(task)
    task.add_done_callback(_errands.discard)


def under_way() -> set[asyncio.Task[None]]:
    """The tasks that read on at present, for whoever ends the loop."""
    return set(_errands)


async def _take_over(
    sending: asyncio.Future[Any], tracker: Tracker, read_on: Callable[[Any], Awaitable[None]]
) -> None:
    try:
        await read_on(await sending)
    except BaseException as error:
        await deliver_async(tracker.broke(error))
        if not isinstance(error, Exception):
            raise
