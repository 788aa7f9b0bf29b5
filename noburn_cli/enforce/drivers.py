"""Carrying out the guard's steps with a client: once blocking, once awaiting.

Layer: enforce, injected (standard library, Python 3.10).  Below: decisions, blocks, client.
Above: the hooks.
Owns: this process's two clients, and the rule that a failure of our own never lets a call out.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from noburn_cli.client import AsyncClient, Client
from noburn_cli.enforce import answers, background
from noburn_cli.enforce.blocks import failed_closed
from noburn_cli.enforce.decisions import (
    AskDaemon,
    Decision,
    Deliver,
    FindAnswer,
    Refuse,
    Send,
    Step,
)
from noburn_cli.enforce.outcome import Outcome
from noburn_cli.enforce.telling import tell
from noburn_cli.errors import NoburnError
from noburn_cli.providers.codec import CountRequest
from noburn_cli.providers.registry import Route

#: Without a lock, which a child that is forked off at the wrong moment would wait for; a client
#: that loses the race has no connection yet.
_clients: dict[str, Any] = {}


def sync_client() -> Client:
    """This process's blocking client; it drops inherited sockets after a fork by itself."""
    client: Client = _clients.get("sync") or _clients.setdefault("sync", Client())
    return client


def async_client() -> AsyncClient:
    """This process's awaitable client; it keeps a connection for each event loop."""
    client: AsyncClient = _clients.get("async") or _clients.setdefault("async", AsyncClient())
    return client


def decide(
    route: Route,
    steps: Generator[Step, Any, Decision],
    ask_provider: Callable[[CountRequest], bytes | None],
) -> Decision:
    """Carry out `admit` and return its decision; a failure of ours is a refusal."""
    client = sync_client()
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, AskDaemon):
                    answer: Any = client.request(step.op, **step.fields)
                elif isinstance(step, FindAnswer):
                    answer = answers.find(step.test, step.key)
                elif isinstance(step, Deliver):
                    deliver(step.outcome)
                    answer = None
                else:
                    answer = ask_provider(step.request)
            except NoburnError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as ended:
        return _decided(ended.value)
    except Exception as error:  # noqa: BLE001 - whatever it is, the call must not leave
        return Refuse(failed_closed(route, error))


async def decide_async(
    route: Route,
    steps: Generator[Step, Any, Decision],
    ask_provider: Callable[[CountRequest], Awaitable[bytes | None]],
) -> Decision:
    """The same, awaiting; a cancellation passes through, and the client voids what was asked."""
    client = async_client()
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, AskDaemon):
                    answer: Any = await client.request(step.op, **step.fields)
                elif isinstance(step, FindAnswer):
                    answer = answers.find(step.test, step.key)
                elif isinstance(step, Deliver):
                    await deliver_async(step.outcome)
                    answer = None
                else:
                    answer = await ask_provider(step.request)
            except NoburnError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as ended:
        return _decided(ended.value)
    except Exception as error:  # noqa: BLE001 - whatever it is, the call must not leave
        return Refuse(failed_closed(route, error))


def _decided(decision: Decision) -> Decision:
    if isinstance(decision, Send) and decision.warnings:
        tell(decision.warnings)
    return decision


def deliver(outcome: Outcome | None) -> None:
    """Tell the daemon how a call ended; what cannot be delivered goes to the client's journal.

    Never an error in the program, which has its answer: a call that could be neither told nor kept
    stays held, and is charged in full as an orphan.
    """
    if outcome is None:
        return
    _keep(outcome)
    if outcome.op:
        with contextlib.suppress(Exception):
            sync_client().deliver(outcome.op, **outcome.fields)


def _keep(outcome: Outcome) -> None:
    """Keep its answer, once: an outcome may be told again."""
    tape, outcome.tape = outcome.tape, None
    if tape is not None:
        with contextlib.suppress(Exception):
            answers.keep(tape)


async def deliver_async(outcome: Outcome | None) -> None:
    """The same, awaiting; a cancelled delivery is finished by a thread: money is not optional."""
    if outcome is None:
        return
    _keep(outcome)
    if not outcome.op:
        return
    try:
        await async_client().deliver(outcome.op, **outcome.fields)
    except BaseException as error:
        # Idempotent by the call's id, so that telling it twice does no harm.
        threading.Thread(target=deliver, args=(outcome,), name="noburn-deliver").start()
        if not isinstance(error, Exception):
            raise


def deliver_aside(outcome: Outcome | None) -> None:
    """Tell it from a finalizer, which may run in the middle of any line of this thread.

    So it takes no lock that the line may hold: not the client's, nor those of `threading`.
    """
    if outcome is None:
        return
    if not threading.main_thread().is_alive():
        deliver(outcome)  # The process is ending: no thread would be waited for.
        return
    if not background.start(deliver, outcome):
        deliver(outcome)
