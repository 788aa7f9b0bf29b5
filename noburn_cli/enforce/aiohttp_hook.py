"""The guard under aiohttp's client sessions.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: guard, drivers, layers, aiohttp_answers.  Above: the injected bootstrap, api.

It stands as the innermost client middleware, where aiohttp lets one see and change each request:
below its redirects and retries, and above the connection pool.  Client middlewares came with 3.12
(https://docs.aiohttp.org/en/stable/client_middleware_cookbook.html; 3.14.5 checked 2026-11-27);
sessions of an older version refuse to send what would be unguarded.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from noburn_cli.enforce import context, layers, outliving, signing
from noburn_cli.enforce.aiohttp_answers import blocked, follow, hook_answers
from noburn_cli.enforce.decisions import Decision, Pass, Refuse, Request, Send
from noburn_cli.enforce.drivers import decide_async, deliver_async
from noburn_cli.enforce.guard import admit, route_of
from noburn_cli.enforce.outgoing import exchanged
from noburn_cli.enforce.seen import seeing
from noburn_cli.providers.codec import CountRequest
from noburn_cli.providers.registry import FREE, Route, Upstream

#: On a session that `noburn_cli.wrap` marked: the upstreams it may call.
MARK = "_noburn_upstreams"
_ALL = "_noburn_guards_all"
_OURS = "_noburn_guard"
#: The provider's count is a courtesy that must not hang a call, in seconds.
_COUNT_TIMEOUT_S = 10.0


def hook_aiohttp(module: ModuleType, *, every_client: bool) -> None:
    """Put the guard into a loaded aiohttp; again is harmless.

    every_client: guard all its sessions (under `noburn run`), or those that `wrap` marked.
    """
    session_class: Any = module.ClientSession
    setattr(module, _ALL, getattr(module, _ALL, False) or every_client)
    original = session_class._request
    if hasattr(original, _OURS):
        return
    knows_middlewares = "middlewares" in inspect.signature(original).parameters
    hook_answers(module)
    stack = _Stack(module)

    # The SDK of Google looks at the signature, so it stays what it was.
    @functools.wraps(original)
    async def request(session: Any, method: str, url: Any, **more: Any) -> Any:
        if not knows_middlewares:
            stack.refuse_old(session, method, str(url))
            return await original(session, method, url, **more)
        given = more.get("middlewares")
        chosen = session._middlewares if given is None else given
        unpacks = more.get("auto_decompress")
        caller = _Caller(session, session.auto_decompress if unpacks is None else unpacks)
        more["middlewares"] = (*chosen, functools.partial(stack.guard, caller))
        with seeing():
            return await original(session, method, url, **more)

    setattr(request, _OURS, True)
    session_class._request = request


class _Caller:
    """Who asks: a session, and whether aiohttp unpacks the answer to this request."""

    __slots__ = ("session", "unpacks")

    def __init__(self, session: Any, unpacks: bool) -> None:
        self.session = session
        self.unpacks = unpacks


class _Stack:
    """The middleware, with the module's own classes."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module

    def found(
        self, session: Any, method: str, url: str, headers: Any
    ) -> tuple[Route, Sequence[Upstream]] | None:
        """What is to be guarded, and the session's upstreams; None for what is left alone."""
        above = layers.above()
        marked = getattr(session, MARK, None) or layers.marked()
        if marked is None and above is not None:
            marked = above.upstreams
        if marked is None and not getattr(self.module, _ALL):
            return None
        upstreams = (*(marked or ()), *context.upstreams())
        route = route_of(method, url, upstreams, headers)
        return None if route is None else (route, upstreams)

    def refuse_old(self, session: Any, method: str, url: str) -> None:
        if self.found(session, method, url, {}) is not None:
            raise self.module.ClientConnectionError(
                f"noburn guards aiohttp 3.12 and later: {method} {url} was not sent"
            )

    async def guard(self, caller: _Caller, request: Any, handler: Any) -> Any:
        """The middleware; `handler` connects and sends."""
        found = self.found(caller.session, request.method, str(request.url), request.headers)
        if found is None:
            return await handler(request)
        above = layers.above()
        if above is not None and above.take():
            return await handler(request)
        await deliver_async(layers.tried_again())
        route, upstreams = found
        body = b"" if route.kind == FREE else await _body(request)
        seen = Request(request.method, str(request.url), _lower(request.headers), body)

        async def ask_provider(count: CountRequest) -> bytes | None:
            return await self.count(caller.session, request, count)

        decision = await decide_async(route, admit(route, seen, upstreams), ask_provider)
        return await self.carry_out(caller, request, handler, route, decision, body)

    async def carry_out(
        self,
        caller: _Caller,
        request: Any,
        handler: Any,
        route: Route,
        decision: Decision,
        body: bytes,
    ) -> Any:
        if isinstance(decision, Refuse):
            return blocked(self.module, caller.session, request, decision.block)
        if isinstance(decision, Pass):
            with _Exchanged(request, decision.exchange):
                return await handler(request)
        try:
            await _edit(request, decision, body)
        except signing.NotSigned as error:
            await deliver_async(decision.tracker.not_sent(error))
            return blocked(self.module, caller.session, request, signing.refusal(route, error))
        return await self.send(caller, request, handler, decision)

    async def send(self, caller: _Caller, request: Any, handler: Any, decision: Send) -> Any:
        tracker = decision.tracker
        progress = _Progress(request)

        async def read_on(response: Any) -> None:
            follow(response, tracker, is_unpacked=caller.unpacks)
            response.release()

        try:
            sending = _Exchanged(request, decision.exchange, url=decision.url)
            with sending, layers.guarded(tracker):
                response = await outliving.send(handler(request), tracker, read_on)
        except outliving.Outlived:
            raise
        except BaseException as error:
            ended = tracker.broke(error) if progress.sending else tracker.not_sent(error)
            await deliver_async(ended)
            raise
        follow(response, tracker, is_unpacked=caller.unpacks)
        return response

    async def count(self, session: Any, request: Any, count: CountRequest) -> bytes | None:
        """The provider's free count of the same request, with the same credentials."""
        kept = [
            (name, value)
            for name, value in request.headers.items()
            if name.lower() not in ("content-length", "transfer-encoding", "host")
        ]
        headers, url = exchanged(kept, count.url_of(str(request.url)), count.exchange)
        timeout = self.module.ClientTimeout(total=_COUNT_TIMEOUT_S)
        url_class = type(request.url)
        try:
            # Through the session's own way, so that proxies and certificates are the same.
            with layers.guarded():
                async with session.post(
                    url_class(url, encoded=True), data=count.body, headers=headers, timeout=timeout
                ) as answer:
                    body = await answer.read()
                    return bytes(body) if answer.status == 200 else None
        except Exception:  # noqa: BLE001 - without the count the daemon decides on what it has
            return None


class _Progress:
    """Whether a byte of the request can have left."""

    def __init__(self, request: Any) -> None:
        self.sending = False
        send = request.send

        async def noted(connection: Any) -> Any:
            self.sending = True
            return await send(connection)

        request.send = noted


class _Exchanged:
    """The real key in the request's headers and URL, and another model's URL, while it is on its
    way and no longer.

    What the program sees of its request afterwards has the virtual one again.
    """

    def __init__(
        self, request: Any, exchange: tuple[str, str] | None, *, url: str | None = None
    ) -> None:
        self._request = request
        self._exchange = exchange
        self._moved_to = url

    def __enter__(self) -> None:
        request = self._request
        self._headers = list(request.headers.items())
        self._url = request.url
        url = self._moved_to or str(request.url)
        headers, url = exchanged(self._headers, url, self._exchange)
        if headers != self._headers:
            self._set(headers)
        if self._exchange is not None or self._moved_to is not None:
            request.url = type(request.url)(url, encoded=True)

    def __exit__(self, *_: object) -> None:
        if self._exchange is not None or self._moved_to is not None:
            self._set(self._headers)
            self._request.url = self._url

    def _set(self, headers: Sequence[tuple[str, str]]) -> None:
        self._request.headers.clear()
        self._request.headers.extend(headers)


async def _body(request: Any) -> bytes:
    body = request.body
    if not body:
        return b""
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    return bytes(await body.as_bytes())  # Kept there, or read again, when it is sent.


async def _edit(request: Any, decision: Send, before: bytes) -> None:
    """Write the decided body; the headers that describe it are aiohttp's own to make."""
    headers = list(request.headers.items())
    signed = signing.sign_anew(headers, unedited=before, body=decision.body, url=decision.url)
    if signed is not None:
        raise signing.NotSigned("aiohttp cannot sign requests anew")
    if signing.is_signed(headers):
        return
    if decision.body != before:
        request.headers.popall("Transfer-Encoding", None)
        request.chunked = None
        await request.update_body(decision.body)
    request.headers["Accept-Encoding"] = "identity"


def _lower(headers: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
