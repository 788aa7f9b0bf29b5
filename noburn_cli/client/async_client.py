"""The daemon's client for event loops: the same requests, awaited.

Layer: client.  Below: channel, opening, retry, requests, journal; sync, where no asyncio runs.
One channel for each running loop, forgotten when the loop has ended.  Connecting, and with it
starting the daemon, happens in a thread.  Under another async library the blocking client does the
work in a thread of that library (see foreign).
"""

from __future__ import annotations

import contextlib
import copy
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from noburn_cli import paths, protocol
from noburn_cli.client import foreign, journal, requests
from noburn_cli.client.channel import Channel
from noburn_cli.client.connection import Connection
from noburn_cli.client.opening import Opener
from noburn_cli.client.requests import Frame, accepted
from noburn_cli.client.retry import (
    ENDINGS,
    REPLY_S,
    Late,
    Lost,
    Patience,
    is_to_repeat,
    reply_limit_s,
    unavailable,
)
from noburn_cli.client.sync import Client
from noburn_cli.errors import Unavailable

if TYPE_CHECKING:
    import asyncio


class AsyncClient:
    """Talks to the daemon of one home folder, from any number of loops and threads.

    Arguments, replies and errors are those of Client.  Needs no closing.
    """

    def __init__(self, home: Path | None = None, start_daemon: bool = True) -> None:
        self._opener = Opener(paths.home() if home is None else home, start_daemon=start_daemon)
        self._channels: dict[asyncio.AbstractEventLoop, Channel] = {}
        self._opening: dict[asyncio.AbstractEventLoop, list[asyncio.Future[Channel]]] = {}
        #: For other async libraries; without connections until one is used.
        self._blocking = Client(self._opener.home, start_daemon)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close this loop's connection; who waits in it asks anew."""
        loop = foreign.running_loop()
        channel = None if loop is None else self._channels.pop(loop, None)
        if channel is not None:
            channel.lose("the client was closed")
        self._blocking.close()

    async def request(self, op: str, **fields: Any) -> Frame:
        """Send one request, as `Client.request` does."""
        if op in (protocol.HELLO, protocol.RUN_WATCH):
            raise ValueError(f"`{op}` is no request with one reply")
        if foreign.running_loop() is None:
            return await foreign.request(self._blocking, op, fields)
        frame = {**fields, "op": op}
        if op == protocol.RESERVE:
            return await self._reserve(frame)
        if op in ENDINGS:
            return await self._end(frame)
        reply = await self._ask(frame)
        return reply if op == protocol.REFUSED else accepted(reply)

    async def reserve(self, frame: Mapping[str, Any]) -> Frame:
        """Ask for a hold; cancelled or failed, it is voided without waiting."""
        return await self._sent(requests.reserve_frame(frame))

    async def deliver(self, op: str, **fields: Any) -> Frame:
        """Say how a call ended: `settle`, `lose` or `void`; kept when undeliverable."""
        assert op in ENDINGS, op
        return await self.request(op, **fields)

    async def settle(
        self,
        call: str,
        usage: Mapping[str, int],
        *,
        variant: str = "standard",
        latency_ms: int | None = None,
        status: int | None = None,
        provider_id: str | None = None,
        served_model: str | None = None,
        failure: str | None = None,
    ) -> Frame:
        """Book what a call used; kept when undeliverable."""
        return await self._sent(
            requests.settle_frame(
                call,
                usage,
                variant=variant,
                latency_ms=latency_ms,
                status=status,
                provider_id=provider_id,
                served_model=served_model,
                failure=failure,
            )
        )

    async def lose(
        self,
        call: str,
        *,
        reason: str = "",
        latency_ms: int | None = None,
        status: int | None = None,
    ) -> Frame:
        """Say that nobody knows what a call used; kept when undeliverable."""
        return await self._sent(
            requests.unsettled_frame(
                protocol.LOSE, call, reason=reason, latency_ms=latency_ms, status=status
            )
        )

    async def void(
        self,
        call: str,
        *,
        reason: str = "",
        latency_ms: int | None = None,
        status: int | None = None,
    ) -> Frame:
        """Release a hold whose call costs nothing; kept when undeliverable."""
        return await self._sent(
            requests.unsettled_frame(
                protocol.VOID, call, reason=reason, latency_ms=latency_ms, status=status
            )
        )

    async def refused(
        self,
        call: str,
        *,
        api: str,
        model: str,
        attrs: Mapping[str, str],
        reason: str,
        error: str = protocol.UNBOUNDED,
    ) -> Frame:
        """Record a call that the guard refused by itself."""
        return await self._sent(
            requests.refused_frame(
                call, api=api, model=model, attrs=attrs, reason=reason, error=error
            )
        )

    async def budget_set(
        self, *, scope: str, per: str, limit: Mapping[str, Any], override: bool = False
    ) -> Frame:
        """Set a limit (`unit`, `amount`) on a scope per window; the reply has `budget`."""
        return await self._sent(
            requests.budget_set_frame(scope=scope, per=per, limit=limit, override=override)
        )

    async def remaining(self, attrs: Mapping[str, str]) -> Frame:
        """What is left for calls with these attributes."""
        return await self._sent(requests.remaining_frame(attrs))

    # How.

    async def _sent(self, frame: Frame) -> Frame:
        return await self.request(**frame)

    async def _reserve(self, frame: Frame) -> Frame:
        patience = Patience(frame, now=time.monotonic())
        try:
            reply = await self._ask(frame, patience)
        except BaseException:
            if patience.sent:
                self._give_up(str(frame["call"]))
            raise
        if patience.may_be_held(reply):
            self._give_up(str(frame["call"]))
        return reply

    async def _end(self, frame: Frame) -> Frame:
        try:
            reply = await self._ask(frame)
            instead = requests.plainer_ending(frame, reply)
            if instead is not None:
                await self._ask(instead)
            return reply
        except Unavailable as error:
            journal.keep(self._opener.journal, frame, error)
            return requests.undelivered(error)
        except BaseException:
            self._keep_quietly(frame)
            raise

    async def _ask(self, frame: Frame, patience: Patience | None = None) -> Frame:
        """Send until answered.  Raises DaemonUnavailable when patience ends."""
        import asyncio

        patience = patience or Patience(frame, now=time.monotonic())
        while True:
            reason: object
            try:
                channel = await self._channel(asyncio.get_running_loop())
                patience.sent = True
                reply = await channel.ask(frame, within_s=reply_limit_s(frame))
                if not is_to_repeat(frame, reply):
                    return reply
                reason = reply.get("message") or reply["error"]
                if reply["error"] != protocol.UNKNOWN:
                    # Leaving, or sick: what is kept meanwhile is sent by whoever connects next.
                    channel.lose(str(reason))
            except Lost as error:
                reason = error
            except Late as error:
                raise unavailable(frame, error, sent=patience.sent) from error
            await asyncio.sleep(patience.pause_s(reason, now=time.monotonic()))

    async def _channel(self, loop: asyncio.AbstractEventLoop) -> Channel:
        """This loop's channel, opened by the first who needs it."""
        channel = self._channels.get(loop)
        if channel is not None and channel.usable:
            return channel
        waiter = loop.create_future()
        waiters = self._opening.setdefault(loop, [])
        waiters.append(waiter)
        if len(waiters) == 1:
            self._forget_ended()
            threading.Thread(
                target=self._open, args=(loop,), name="noburn-connect", daemon=True
            ).start()
        opened: Channel = await waiter
        return opened

    def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: make a connection and hand it, or what went wrong, to the loop."""
        outcome: Connection | BaseException
        try:
            outcome = self._opener.open()
        except BaseException as error:  # noqa: BLE001 - it is raised in the loop
            outcome = error
        try:
            loop.call_soon_threadsafe(self._opened, loop, outcome)
        except RuntimeError:  # The loop has ended.
            if isinstance(outcome, Connection):
                outcome.close()

    def _opened(self, loop: asyncio.AbstractEventLoop, outcome: Connection | BaseException) -> None:
        waiters = [waiter for waiter in self._opening.pop(loop, ()) if not waiter.done()]
        if isinstance(outcome, BaseException):
            for waiter in waiters:
                waiter.set_exception(copy.copy(outcome))  # A traceback for each.
            return
        channel = self._channels[loop] = Channel(loop, outcome)
        for waiter in waiters:
            waiter.set_result(channel)

    def _forget_ended(self) -> None:
        for loop, channel in list(self._channels.items()):
            if not channel.usable:
                self._channels.pop(loop, None)
                channel.close()
        for loop in list(self._opening):
            if loop.is_closed():
                self._opening.pop(loop, None)

    def _give_up(self, call: str) -> None:
        """Void a reserve that may have been granted, without waiting."""
        frame = requests.given_up_frame(call)
        loop = foreign.running_loop()
        channel = None if loop is None else self._channels.get(loop)
        if channel is not None and channel.usable:
            channel.post(frame, keep=lambda: self._keep_quietly(frame), within_s=REPLY_S)
        else:
            self._keep_quietly(frame)

    def _keep_quietly(self, frame: Frame) -> None:
        # Neither told nor kept, the hold is an orphan when this process ends: charged, never free.
        with contextlib.suppress(OSError):
            journal.append(self._opener.journal, frame)
