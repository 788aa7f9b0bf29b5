"""The guard under httpx and httpx2: their clients' one way to the network, sync and async.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: guard, drivers, outcome, context.  Above: hooks (under `noburn run`) and api (wrap).

`_send_single_request` is below redirects, retries and authentication, so each attempt is a call of
its own, and what is edited is what is sent.  Both modules have it: httpx 0.28.1, httpx2 2.16.2
(checked 2026-11-23).  A version without it is not passed unguarded: its clients refuse to send.
"""

from __future__ import annotations

import contextlib
import datetime
import threading
import weakref
from collections.abc import AsyncIterator, Iterator, Sequence
from types import ModuleType
from typing import Any

from noburn_cli.enforce import context
from noburn_cli.enforce.drivers import decide, decide_async, deliver, deliver_async
from noburn_cli.enforce.guard import Pass, Refuse, Request, Send, admit, route_of
from noburn_cli.enforce.outcome import Tracker
from noburn_cli.providers.codec import Block, CountRequest
from noburn_cli.providers.registry import Upstream

#: On a client that `noburn_cli.wrap` marked: the upstreams it may call, beside the providers' own.
MARK = "_noburn_upstreams"
_METHOD = "_send_single_request"
#: On a module that is hooked: whether every client is guarded, or only the marked ones.
_STATE = "_noburn_guards_all"
#: After the generation's end a stream owes only its usage; more than this is not waited for.
DRAIN_BYTES_MAX = 1024 * 1024
#: Failures that come before the first byte of the request.
NOT_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout", "ProxyError", "UnsupportedProtocol")


def hook_httpx(module: ModuleType, *, every_client: bool) -> None:
    """Put the guard into a loaded httpx or httpx2; again is harmless.

    every_client: guard all its clients (under `noburn run`), or those that `wrap` marked.
    """
    if hasattr(module, _STATE):
        setattr(module, _STATE, getattr(module, _STATE) or every_client)
        return
    setattr(module, _STATE, every_client)
    stack = _Stack(module)
    _replace(module.Client, stack.guard_sync)
    _replace(module.AsyncClient, stack.guard_async)


def _replace(client_class: Any, make: Any) -> None:
    original = getattr(client_class, _METHOD, None)
    if original is None:
        raise RuntimeError(
            f"noburn does not know this version of {client_class.__module__}: it has no {_METHOD}"
        )
    setattr(client_class, _METHOD, make(original))


class _Stack:
    """One of the two modules, with its own classes of requests, streams and errors."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.not_sent = tuple(getattr(module, name) for name in NOT_SENT if hasattr(module, name))
        self.sync_stream = _sync_stream_class(module)
        self.async_stream = _async_stream_class(module)

    def upstreams(self, client: Any) -> Sequence[Upstream] | None:
        """The upstreams of a guarded client, or None for one that is left alone."""
        marked = getattr(client, MARK, None)
        if context.is_guarded() or (marked is None and not getattr(self.module, _STATE)):
            return None
        return (*(marked or ()), *context.upstreams())

    def guard_sync(self, original: Any) -> Any:
        def send(client: Any, request: Any) -> Any:
            upstreams = self.upstreams(client)
            route = upstreams is not None and route_of(request.method, str(request.url), upstreams)
            if not route or upstreams is None:
                return original(client, request)
            seen = _seen(request, request.read())

            def ask_provider(count: CountRequest) -> bytes | None:
                with context.guarded():
                    answer = original(client, self.count_request(request, count))
                    try:
                        return bytes(answer.read()) if answer.status_code == 200 else None
                    finally:
                        answer.close()

            quietly = _none_on_failure(ask_provider, self.module.HTTPError)
            decision = decide(route, admit(route, seen, upstreams), quietly)
            if isinstance(decision, Pass):
                return original(client, request)
            if isinstance(decision, Refuse):
                return self.blocked(decision.block, request)
            return self.send_sync(original, client, request, decision)

        return send

    def send_sync(self, original: Any, client: Any, request: Any, decision: Send) -> Any:
        tracker = decision.tracker
        try:
            with context.guarded():
                response = original(client, self.edited(request, decision.body))
        except BaseException as error:
            deliver(self.failed(tracker, error))
            raise
        self.answered(tracker, response)
        response.request = request
        response.stream = self.sync_stream(response.stream, tracker)
        return response

    def guard_async(self, original: Any) -> Any:
        async def send(client: Any, request: Any) -> Any:
            upstreams = self.upstreams(client)
            route = upstreams is not None and route_of(request.method, str(request.url), upstreams)
            if not route or upstreams is None:
                return await original(client, request)
            seen = _seen(request, await request.aread())

            async def ask_provider(count: CountRequest) -> bytes | None:
                try:
                    with context.guarded():
                        answer = await original(client, self.count_request(request, count))
                        try:
                            body = await answer.aread()
                        finally:
                            await answer.aclose()
                except self.module.HTTPError:
                    return None
                return bytes(body) if answer.status_code == 200 else None

            decision = await decide_async(route, admit(route, seen, upstreams), ask_provider)
            if isinstance(decision, Pass):
                return await original(client, request)
            if isinstance(decision, Refuse):
                return self.blocked(decision.block, request)
            return await self.send_async(original, client, request, decision)

        return send

    async def send_async(self, original: Any, client: Any, request: Any, decision: Send) -> Any:
        tracker = decision.tracker
        try:
            with context.guarded():
                response = await original(client, self.edited(request, decision.body))
        except BaseException as error:
            await deliver_async(self.failed(tracker, error))
            raise
        self.answered(tracker, response)
        response.request = request
        response.stream = self.async_stream(response.stream, tracker)
        return response

    def failed(self, tracker: Tracker, error: BaseException) -> Any:
        return tracker.not_sent(error) if isinstance(error, self.not_sent) else tracker.broke(error)

    def answered(self, tracker: Tracker, response: Any) -> None:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if tracker.answered(response.status_code, headers):
            # Its bytes are handed on unpacked, so they must not be unpacked again.
            del response.headers["content-encoding"]
            with contextlib.suppress(KeyError):
                del response.headers["content-length"]

    def edited(self, request: Any, body: bytes) -> Any:
        """A copy of the request with another body, asking for an answer that we can read."""
        headers = _without(request.headers, "content-length", "transfer-encoding")
        headers["accept-encoding"] = "identity"
        return self.module.Request(
            request.method,
            request.url,
            headers=headers,
            content=body,
            extensions=request.extensions,
        )

    def count_request(self, request: Any, count: CountRequest) -> Any:
        """The provider's free count of the same request, with the same credentials."""
        url = request.url.copy_with(path=request.url.path.rstrip("/") + count.path_suffix)
        copy = self.edited(request, count.body)
        return self.module.Request(
            "POST", url, headers=copy.headers, content=count.body, extensions=request.extensions
        )

    def blocked(self, block: Block, request: Any) -> Any:
        response = self.module.Response(
            block.status, headers=list(block.headers), content=block.body, request=request
        )
        # Set by a stream's close otherwise; SDKs log it.
        with contextlib.suppress(AttributeError):
            response.elapsed = datetime.timedelta(0)
        response._elapsed = datetime.timedelta(0)
        return response


def _seen(request: Any, body: bytes) -> Request:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(request.method, str(request.url), headers, bytes(body))


def _without(headers: Any, *names: str) -> Any:
    copy = headers.copy()
    for name in names:
        with contextlib.suppress(KeyError):
            del copy[name]
    return copy


def _none_on_failure(ask: Any, failure: Any) -> Any:
    def quietly(count: CountRequest) -> bytes | None:
        try:
            answer: bytes | None = ask(count)
        except failure:
            return None  # Without the provider's count the daemon decides on what it has.
        return answer

    return quietly


def _forgotten(tracker: Tracker) -> None:
    outcome = tracker.abandoned("the answer was never closed")
    # The collector may run in the middle of any line, also of one that holds the client's lock or
    # an event loop, so it only hands over.
    try:
        threading.Thread(target=deliver, args=(outcome,), name="noburn-deliver").start()
    except RuntimeError:  # The interpreter is ending and starts no more threads.
        deliver(outcome)


def _sync_stream_class(module: ModuleType) -> Any:
    class GuardedSyncStream(module.SyncByteStream):  # type: ignore[misc, name-defined]
        """The answer's bytes on their way to the program, read for their usage."""

        def __init__(self, inner: Any, tracker: Tracker) -> None:
            self._inner = inner
            self._tracker = tracker
            self._bytes: Iterator[bytes] | None = None
            self._forget = weakref.finalize(self, _forgotten, tracker)

        def __getattr__(self, name: str) -> Any:  # `elapsed` of the stream below
            return getattr(self._inner, name)

        def __iter__(self) -> Iterator[bytes]:
            self._bytes = iter(self._inner)
            try:
                for chunk in self._bytes:
                    if kept := self._tracker.receive(chunk):
                        yield kept
            except GeneratorExit:
                raise  # Closed early: close() decides.
            except BaseException as error:
                self._end(self._tracker.broke(error))
                raise
            if rest := self._tracker.rest():
                yield rest
            self._end(self._tracker.completed())

        def close(self) -> None:
            try:
                if self._bytes is not None and self._tracker.worth_draining():
                    self._drain()
            finally:
                self._end(self._tracker.abandoned())
                self._inner.close()

        def _drain(self) -> None:
            left = DRAIN_BYTES_MAX
            with contextlib.suppress(module.HTTPError, RuntimeError):
                for chunk in self._bytes or ():
                    self._tracker.receive(chunk)
                    left -= len(chunk)
                    if left < 0 or not self._tracker.worth_draining():
                        return

        def _end(self, outcome: Any) -> None:
            self._forget.detach()
            deliver(outcome)

    return GuardedSyncStream


def _async_stream_class(module: ModuleType) -> Any:
    class GuardedAsyncStream(module.AsyncByteStream):  # type: ignore[misc, name-defined]
        """The same for an async program."""

        def __init__(self, inner: Any, tracker: Tracker) -> None:
            self._inner = inner
            self._tracker = tracker
            self._bytes: AsyncIterator[bytes] | None = None
            self._forget = weakref.finalize(self, _forgotten, tracker)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        async def __aiter__(self) -> AsyncIterator[bytes]:
            self._bytes = self._inner.__aiter__()
            try:
                async for chunk in self._bytes:
                    if kept := self._tracker.receive(chunk):
                        yield kept
            except GeneratorExit:
                raise
            except BaseException as error:
                await self._end(self._tracker.broke(error))
                raise
            if rest := self._tracker.rest():
                yield rest
            await self._end(self._tracker.completed())

        async def aclose(self) -> None:
            try:
                if self._bytes is not None and self._tracker.worth_draining():
                    await self._drain()
            finally:
                try:
                    await self._end(self._tracker.abandoned())
                finally:
                    await self._inner.aclose()

        async def _drain(self) -> None:
            left = DRAIN_BYTES_MAX
            with contextlib.suppress(module.HTTPError, RuntimeError):
                assert self._bytes is not None
                async for chunk in self._bytes:
                    self._tracker.receive(chunk)
                    left -= len(chunk)
                    if left < 0 or not self._tracker.worth_draining():
                        return

        async def _end(self, outcome: Any) -> None:
            self._forget.detach()
            await deliver_async(outcome)

    return GuardedAsyncStream
