"""Moving bytes: a request to the provider, its answer to the client, as they come.

Layer: enforce, our own side (aiohttp).  Below: outcome, drivers, policy.  Above: server.
Owns: which failure means that nothing was sent, what a client that goes away leaves behind, and
that a call's outcome is told before its client reads the end of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from noburn_cli.enforce import outliving
from noburn_cli.enforce.drivers import deliver_async
from noburn_cli.enforce.gateway.asked import forwarded
from noburn_cli.enforce.outcome import Outcome, Tracker
from noburn_cli.enforce.policy import DRAIN, policy
from noburn_cli.providers.codec import CountRequest

#: To connect, in seconds.  An answer may take as long as its client waits for it.
CONNECT_S = 30.0
#: How long an answer is read on for its usage after its client has gone, in seconds.
DRAIN_S = 600.0
#: The same when the generation is over and only the usage is missing.
LAST_EVENTS_S = 5.0
COUNT_S = 10.0
_LINE_BYTES_MAX = 64 * 1024
#: Failures before the first byte of the request: the connection was never there.
_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)
_FAILED = (aiohttp.ClientError, OSError, TimeoutError)


class UpstreamFailed(Exception):
    """The provider could not be reached, or broke off before it answered.

    was_sent: whether the request may have come to it.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(_said(error))
        self.was_sent = not isinstance(error, _UNSENT)


class ClientGone(Exception):
    """Whoever asked does not read any more."""


def new_session() -> aiohttp.ClientSession:
    """A client that changes nothing: no redirects, cookies, unpacking, headers of its own."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=True,
        skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
        max_line_size=_LINE_BYTES_MAX,
        max_field_size=_LINE_BYTES_MAX,
    )


class Forwarder:
    """Sends requests on and their answers back."""

    def __init__(self) -> None:
        self._session = new_session()
        #: Answers that are read on without a client.
        self._draining: set[asyncio.Task[None]] = set()

    async def close(self, *, within_s: float) -> None:
        """Let what is read in the background end, for so many seconds; the rest is uncertain."""
        reading = self._draining | outliving.under_way()
        if reading:
            _, late = await asyncio.wait(reading, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        await self._session.close()

    async def count(self, url: str, headers: Any, count: CountRequest) -> bytes | None:
        """The provider's answer to a free count, or None."""
        kept = [(n, v) for n, v in headers if n.lower() not in ("content-length", "content-type")]
        sent = CIMultiDict([*kept, ("content-type", "application/json")])
        timeout = aiohttp.ClientTimeout(total=COUNT_S)
        with contextlib.suppress(*_FAILED):
            target = URL(url, encoded=True)
            async with self._session.post(
                target, data=count.body, headers=sent, allow_redirects=False, timeout=timeout
            ) as answer:
                return await answer.read() if answer.status == 200 else None
        return None

    async def pass_on(self, request: web.BaseRequest, url: str, headers: Any) -> web.StreamResponse:
        """A request that costs nothing, its body unread.  Raises UpstreamFailed."""
        data = request.content if request.body_exists else None
        try:
            answer = await self._open(request.method, url, headers, data)
        except _FAILED as error:
            raise UpstreamFailed(error) from error
        async with answer:
            response = _answer_head(answer, edited=False)
            await response.prepare(request)
            try:
                async for chunk in answer.content.iter_any():
                    await _write(response, chunk)
                await response.write_eof()
            except ClientGone:
                pass
            except _FAILED:
                _break_off(request)
        return response

    async def send(
        self, request: web.BaseRequest, url: str, headers: Any, body: bytes, tracker: Tracker
    ) -> web.StreamResponse:
        """A guarded call.  However it ends, its outcome is told.  Raises UpstreamFailed."""
        opening = self._open(request.method, url, headers, body)
        try:
            answer = await outliving.send(opening, tracker, partial(self._taken_over, tracker))
        except outliving.Outlived:
            raise
        except BaseException as error:
            unsent = isinstance(error, _UNSENT)
            await deliver_async(tracker.not_sent(error) if unsent else tracker.broke(error))
            if isinstance(error, _FAILED):
                raise UpstreamFailed(error) from error
            raise
        return await self._hand_back(request, answer, tracker)

    async def _hand_back(
        self, request: web.BaseRequest, answer: aiohttp.ClientResponse, tracker: Tracker
    ) -> web.StreamResponse:
        lower = {name.lower(): value for name, value in answer.headers.items()}
        unpacked = tracker.answered(answer.status, lower)
        response = _answer_head(answer, edited=_is_events(lower), unpacked=unpacked)
        try:
            await _prepare(response, request)
            left_bytes = answer.content_length
            async for chunk in answer.content.iter_any():
                kept = tracker.receive(chunk)
                left_bytes = None if left_bytes is None else left_bytes - len(chunk)
                if left_bytes == 0:
                    # The client knows that these are the last: what it cost is to be told before.
                    kept += tracker.rest()
                    await deliver_async(tracker.completed())
                await _write(response, kept)
                if tracker.cut is not None:
                    answer.close()  # The run was stopped: the provider is to stop as well.
                    break
            await _write(response, tracker.rest())
            await deliver_async(tracker.completed())
        except (ClientGone, asyncio.CancelledError) as error:
            await self._abandoned(answer, tracker)
            if isinstance(error, asyncio.CancelledError):
                raise
            return response
        except Exception as error:  # noqa: BLE001 - the provider's failure, or bytes gone bad
            answer.close()
            await deliver_async(tracker.broke(error))
            _break_off(request)
            return response
        answer.release()
        with contextlib.suppress(*_FAILED):
            await response.write_eof()
        return response

    @staticmethod
    async def _taken_over(tracker: Tracker, answer: aiohttp.ClientResponse) -> None:
        """The client went away before its answer began, which is read for its usage."""
        tracker.answered(answer.status, {k.lower(): v for k, v in answer.headers.items()})
        await _read_on(answer, tracker, DRAIN_S)

    async def _abandoned(self, answer: aiohttp.ClientResponse, tracker: Tracker) -> None:
        """The client has gone: read on where that teaches the usage, else close."""
        within_s = DRAIN_S if policy().on_abort == DRAIN else 0.0
        if tracker.worth_draining():
            within_s = max(within_s, LAST_EVENTS_S)
        if not within_s:
            answer.close()
            await deliver_async(tracker.abandoned())
            return
        task = asyncio.get_running_loop().create_task(_read_on(answer, tracker, within_s))
        self._draining.add(task)
        task.add_done_callback(self._draining.discard)

    async def _open(self, method: str, url: str, headers: Any, data: Any) -> aiohttp.ClientResponse:
        return await self._session.request(
            method, URL(url, encoded=True), data=data, headers=CIMultiDict(headers),
            allow_redirects=False,
        )  # fmt: skip


async def _read_on(answer: aiohttp.ClientResponse, tracker: Tracker, within_s: float) -> None:
    outcome: Outcome | None = None
    try:
        async with asyncio.timeout(within_s):
            async for chunk in answer.content.iter_any():
                tracker.receive(chunk)
        tracker.rest()
        outcome = tracker.completed()
    except BaseException as error:
        outcome = tracker.abandoned()
        if not isinstance(error, Exception):
            raise
    finally:
        answer.close()
        await deliver_async(outcome)


async def _prepare(response: web.StreamResponse, request: web.BaseRequest) -> None:
    try:
        await response.prepare(request)
    except ConnectionError as error:
        raise ClientGone from error


async def _write(response: web.StreamResponse, chunk: bytes) -> None:
    if not chunk:
        return
    try:
        await response.write(chunk)
    except ConnectionError as error:
        raise ClientGone from error


def _answer_head(
    answer: aiohttp.ClientResponse, *, edited: bool, unpacked: bool = False
) -> web.StreamResponse:
    """The status line and headers of an answer, as the provider sent them.

    edited: its body may come out shorter.  unpacked: its bytes are handed on without encoding.
    """
    response = web.StreamResponse(status=answer.status, reason=answer.reason)
    dropped = {"content-length"} if edited or unpacked else set()
    if unpacked:
        dropped.add("content-encoding")
    for name, value in forwarded(answer.headers.items()):
        if name.lower() not in dropped:
            response.headers.add(name, value)
    return response


def _is_events(headers: dict[str, str]) -> bool:
    return headers.get("content-type", "").startswith("text/event-stream")


def _break_off(request: web.BaseRequest) -> None:
    """What was begun cannot be ended well: the client sees a broken connection, not a short
    answer that looks complete."""
    if request.transport is not None:
        request.transport.close()


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:300]
