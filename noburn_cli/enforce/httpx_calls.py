"""One guarded request over httpx or httpx2: decided on, sent or answered, its stream followed.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: guard, drivers, outcome, context.  Above: httpx_hook, which loads this when a request may be
a call.
"""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from noburn_cli.enforce import attribution, context, layers, signing
from noburn_cli.enforce.decisions import Pass, Refuse, Request, Send
from noburn_cli.enforce.drivers import decide, decide_async, deliver, deliver_async
from noburn_cli.enforce.guard import admit, route_of
from noburn_cli.enforce.httpx_hook import MARK, METHOD, STATE
from noburn_cli.enforce.httpx_progress import Progress
from noburn_cli.enforce.httpx_streams import async_stream_class, sync_stream_class
from noburn_cli.enforce.outcome import Outcome, Tracker
from noburn_cli.enforce.seen import seeing
from noburn_cli.providers import credentials
from noburn_cli.providers.codec import Block, CountRequest
from noburn_cli.providers.registry import FREE, Route, Upstream

#: The provider's count is a courtesy that must not hang a call, in seconds.
_COUNT_TIMEOUT_S = 10.0


class Stack:
    """One of the two modules, with its own classes of requests, streams and errors."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.sync_stream = sync_stream_class(module)
        self.async_stream = async_stream_class(module)

    def route(self, owner: Any, request: Any) -> tuple[Route, Sequence[Upstream]] | None:
        """What is to be guarded, and the upstreams of its owner; None for what is left alone.

        owner: the client, or the transport below it.
        """
        above = layers.above()
        if above is not None and hasattr(owner, METHOD):
            return None
        marked = getattr(owner, MARK, None) if above is None else above.upstreams
        if marked is None and not getattr(self.module, STATE):
            return None
        upstreams = (*(marked or ()), *context.upstreams())
        route = route_of(request.method, str(request.url), upstreams, request.headers)
        if route is None or (above is not None and above.take()):
            return None
        return route, upstreams

    def guard_sync(self, original: Any) -> Any:
        def send(client: Any, request: Any) -> Any:
            with seeing():
                return look(client, request)

        def look(client: Any, request: Any) -> Any:
            found = self.route(client, request)
            if found is None or not isinstance(request.stream, self.module.SyncByteStream):
                return original(client, request)
            route, upstreams = found
            deliver(layers.tried_again())

            def ask_provider(count: CountRequest) -> bytes | None:
                try:
                    with layers.guarded():
                        answer = original(client, self.count_request(request, count))
                        try:
                            body = answer.read()
                        finally:
                            answer.close()
                except self.module.HTTPError:
                    return None  # Without the provider's count the daemon decides on what it has.
                return bytes(body) if answer.status_code == 200 else None

            seen = _seen(request, b"" if route.kind == FREE else request.read())
            decision = decide(route, admit(route, seen, upstreams), ask_provider)
            if isinstance(decision, Pass):
                return original(client, self.passed(request, decision))
            if isinstance(decision, Refuse):
                return self.blocked(decision.block, request)
            return self.send_sync(original, client, request, route, decision)

        return send

    def send_sync(
        self, original: Any, client: Any, request: Any, route: Route, decision: Send
    ) -> Any:
        tracker = decision.tracker
        progress = self.progress(client, request, awaited=False)
        edited = None
        try:
            edited = self.edited(request, decision, progress.extensions)
            with layers.guarded(tracker, getattr(client, MARK, None)):
                response = original(client, edited)
        except signing.NotSigned as error:
            deliver(tracker.not_sent(error))
            return self.blocked(signing.refusal(route, error), request)
        except BaseException as error:
            deliver(self.failed(tracker, progress, error))
            _show_theirs(error, edited, request)
            raise
        response.request = request
        if _is_read(response):
            deliver(_read_whole(tracker, response))
            return response
        self.answered(tracker, response)
        response.stream = self.sync_stream(response.stream, tracker)
        return response

    def guard_async(self, original: Any) -> Any:
        async def send(client: Any, request: Any) -> Any:
            with seeing():
                return await look(client, request)

        async def look(client: Any, request: Any) -> Any:
            found = self.route(client, request)
            if found is None or not isinstance(request.stream, self.module.AsyncByteStream):
                return await original(client, request)
            route, upstreams = found
            await deliver_async(layers.tried_again())

            async def ask_provider(count: CountRequest) -> bytes | None:
                try:
                    with layers.guarded():
                        answer = await original(client, self.count_request(request, count))
                        try:
                            body = await answer.aread()
                        finally:
                            await answer.aclose()
                except self.module.HTTPError:
                    return None
                return bytes(body) if answer.status_code == 200 else None

            seen = _seen(request, b"" if route.kind == FREE else await request.aread())
            decision = await decide_async(route, admit(route, seen, upstreams), ask_provider)
            if isinstance(decision, Pass):
                return await original(client, self.passed(request, decision))
            if isinstance(decision, Refuse):
                return self.blocked(decision.block, request)
            return await self.send_async(original, client, request, route, decision)

        return send

    async def send_async(
        self, original: Any, client: Any, request: Any, route: Route, decision: Send
    ) -> Any:
        from noburn_cli.enforce import outliving

        tracker = decision.tracker
        progress = self.progress(client, request, awaited=True)
        edited = None

        async def read_on(response: Any) -> None:
            self.answered(tracker, response)
            await self.async_stream(response.stream, tracker).aclose()

        try:
            edited = self.edited(request, decision, progress.extensions)
            with layers.guarded(tracker, getattr(client, MARK, None)):
                response = await outliving.send(original(client, edited), tracker, read_on)
        except signing.NotSigned as error:
            await deliver_async(tracker.not_sent(error))
            return self.blocked(signing.refusal(route, error), request)
        except outliving.Outlived:
            raise
        except BaseException as error:
            await deliver_async(self.failed(tracker, progress, error))
            _show_theirs(error, edited, request)
            raise
        response.request = request
        if _is_read(response):
            await deliver_async(_read_whole(tracker, response))
            return response
        self.answered(tracker, response)
        response.stream = self.async_stream(response.stream, tracker)
        return response

    def progress(self, client: Any, request: Any, *, awaited: bool) -> Progress:
        own = self.module.AsyncHTTPTransport if awaited else self.module.HTTPTransport
        find = getattr(client, "_transport_for_url", None)
        transport = client if find is None else find(request.url)
        return Progress(request.extensions, tells_all=type(transport) is own, awaited=awaited)

    def failed(self, tracker: Tracker, progress: Progress, error: BaseException) -> Outcome | None:
        unsent = progress.is_unsent(error, self.module)
        return tracker.not_sent(error) if unsent else tracker.broke(error)

    def answered(self, tracker: Tracker, response: Any) -> None:
        if tracker.answered(response.status_code, _lower(response.headers)):
            # Its bytes are handed on unpacked, so they must not be unpacked again.
            response.headers = _without(response.headers, "content-encoding", "content-length")

    def edited(self, request: Any, decision: Send, extensions: Any) -> Any:
        """A copy of the request as it was decided, asking for an answer that we can read."""
        body, url = decision.body, decision.url
        # Nobody here knows the secret: a signed request leaves as it is, or not at all.
        signing.sign_anew(
            list(request.headers.items()), unedited=request.content, body=body, url=url
        )
        target = request.url if url is None else self.module.URL(url)
        return self.copied(request, target, body, extensions, decision.exchange)

    def copied(
        self, request: Any, url: Any, body: bytes, extensions: Any,
        exchange: tuple[str, str] | None,
    ) -> Any:  # fmt: skip
        items = list(request.headers.items())
        headers = _without(_bare(request.headers), "content-length", "transfer-encoding")
        if not signing.is_signed(items):
            headers["accept-encoding"] = "identity"
        url = _exchanged(headers, url, exchange)
        return self.module.Request(
            request.method, url, headers=headers, content=body, extensions=extensions
        )

    def passed(self, request: Any, decision: Pass) -> Any:
        """The request as it is, or a copy with the real key, and without what only we read."""
        headers = _bare(request.headers)
        if decision.exchange is None and len(headers) == len(request.headers):
            return request
        url = _exchanged(headers, request.url, decision.exchange)
        return self.module.Request(
            request.method,
            url,
            headers=headers,
            stream=request.stream,
            extensions=request.extensions,
        )

    def count_request(self, request: Any, count: CountRequest) -> Any:
        """The provider's free count of the same request, with the same credentials."""
        timeouts = dict.fromkeys(("connect", "read", "write", "pool"), _COUNT_TIMEOUT_S)
        signing.sign_anew(list(request.headers.items()), unedited=request.content, body=count.body)
        copy = self.copied(request, request.url, count.body, {"timeout": timeouts}, count.exchange)
        copy.url = self.module.URL(count.url_of(str(copy.url)))
        return copy

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
    return Request(request.method, str(request.url), _lower(request.headers), bytes(body))


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _exchanged(headers: Any, url: Any, exchange: tuple[str, str] | None) -> Any:
    """Put the real key into the headers; the URL with it."""
    if exchange is None:
        return url
    keys = {name: headers[name] for name in credentials.HEADERS if name in headers}
    changed, address = credentials.swapped(keys, str(url), *exchange)
    for name, value in changed.items():
        headers[name] = value
    return type(url)(address)


def _without(headers: Any, *names: str) -> Any:
    copy = headers.copy()
    for name in names:
        with contextlib.suppress(KeyError):
            del copy[name]
    return copy


def _bare(headers: Any) -> Any:
    """A copy without the headers that end at noburn."""
    return _without(headers, *filter(attribution.is_ours, headers.keys()))


def _show_theirs(error: BaseException, edited: Any, request: Any) -> None:
    """An error names the request that the program made."""
    if edited is not None and getattr(error, "_request", None) is edited:
        error.request = request  # type: ignore[attr-defined]


def _is_read(response: Any) -> bool:
    """Whether a transport of the program's own brought its answer as a whole (mocks, caches)."""
    return hasattr(response, "_content")


def _read_whole(tracker: Tracker, response: Any) -> Outcome | None:
    headers = _lower(response.headers)
    headers.pop("content-encoding", None)  # Unpacked when it was read.
    tracker.answered(response.status_code, headers)
    response._content = tracker.receive(response.content) + tracker.rest()
    return tracker.completed()
