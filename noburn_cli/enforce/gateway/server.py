"""The gateway's requests: who may ask, where it goes, what the guard decides.

Layer: enforce, our own side (aiohttp).  Below: guard, drivers, routes, asked, forward.
Above: __main__.  Not here: moving bytes (forward), URLs (routes), keys (the daemon swaps them in).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from urllib.parse import urlsplit

from aiohttp import web

from noburn_cli.enforce import context
from noburn_cli.enforce.bodies import Unpacker
from noburn_cli.enforce.decisions import Decision, Pass, Refuse, Request
from noburn_cli.enforce.drivers import decide_async
from noburn_cli.enforce.gateway.asked import forwarded, is_local, run_of
from noburn_cli.enforce.gateway.forward import Forwarder, UpstreamFailed
from noburn_cli.enforce.gateway.lasting import LastingKeys
from noburn_cli.enforce.gateway.routes import NoTarget, Target, find_target
from noburn_cli.enforce.guard import admit, followed
from noburn_cli.enforce.policy import policy
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.providers import credentials
from noburn_cli.providers.codec import Block, CountRequest
from noburn_cli.providers.registry import (
    BEDROCK,
    FREE,
    NOT_OURS,
    Route,
    error_codec,
    recognise,
)
from noburn_cli.providers.routes import refused_route

#: A guarded request is read as a whole; images and files make them large.
BODY_BYTES_MAX = 256 * 1024 * 1024
CODE_GATEWAY = "noburn_gateway"
CODE_UPSTREAM = "noburn_upstream_failed"


class BodyRefused(NoburnError):
    pass


class Gateway:
    """Answers requests, one after the other on each connection.

    run: the run that it belongs to, or "" for a service.
    lasting: the keys that a service knows, beside those that runs lend.
    """

    def __init__(self, *, run: str, lasting: LastingKeys | None = None) -> None:
        self._run = run
        self._lasting = lasting
        self._forwarder = Forwarder()
        #: Requests that are being answered.
        self.in_flight = 0

    async def close(self, *, within_s: float) -> None:
        await self._forwarder.close(within_s=within_s)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.in_flight += 1
        try:
            return await self._handle(request)
        finally:
            self.in_flight -= 1

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if not is_local(headers.get("host", "")):
            return web.Response(status=403, text="noburn's gateway answers this machine alone\n")
        path, _, query = request.path_qs.partition("?")
        named = policy()
        try:
            target = find_target(
                path,
                query,
                headers,
                os.environ,
                dict(zip(named.names, named.endpoints, strict=True)),
            )
            if urlsplit(target.url).netloc == headers["host"]:
                raise NoTarget("the gateway does not call itself", next_step="", status=400)
        except NoTarget as error:
            return _said(error, status=error.status, family=error.family)
        except UsageError as error:
            return _said(error, status=400)
        try:
            pushed = {
                **run_of(headers, run=self._run),
                **await self._of_lasting_key(target, headers),
            }
        except NoburnError as error:
            return _said(error, status=401, family=target.family)
        context.push(pushed)
        try:
            return await self._answer(request, target, headers)
        finally:
            context.pop(pushed)

    async def _of_lasting_key(
        self, target: Target, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        """The attributes of a lasting key, which is then lent.  Raises NoburnError."""
        virtual = credentials.find_virtual(headers, target.url)
        if self._lasting is None or virtual is None:
            return {}
        key = self._lasting.find(virtual)
        if key is None:
            return {}  # A run's, or nobody's: the daemon knows.
        if key.provider != target.place:
            raise NoburnError(
                f"the key {key.name} is for {key.provider}, not for this",
                next_step=f"send it to /{key.provider}",
            )
        await self._lasting.lend(virtual, key)
        return key.attributes

    async def _answer(
        self, request: web.BaseRequest, target: Target, headers: Mapping[str, str]
    ) -> web.StreamResponse:
        """Decide, and carry out the decision."""
        upstreams = context.upstreams()
        found = recognise(request.method, target.url, upstreams)
        route = _barred(target, headers) or followed(found)
        if route.kind == NOT_OURS and not route.look_into_body:
            return _said(_NO_PROXY, status=403, family=target.family)
        # A call to a server that nobody listed is refused with the line to add, key or not.
        needs_key = not target.keyless and not route.look_into_body
        if needs_key and not credentials.has_credentials(headers, target.url):
            return _said(_NO_KEY, status=401, family=target.family)
        try:
            body = b"" if route.kind == FREE else await _read(request, headers)
        except BodyRefused as error:
            return _said(error, status=413, family=target.family)
        sent = _sent_headers(request, guarded=route.kind != FREE)

        async def ask_provider(count: CountRequest) -> bytes | None:
            url, counted = _exchanged(target.url, sent, count.exchange)
            return await self._forwarder.count(count.url_of(url), counted, count)

        seen = Request(request.method, target.url, headers, body)
        decision = await decide_async(route, admit(route, seen, upstreams), ask_provider)
        if isinstance(decision, Refuse):
            return _blocked(decision.block)
        if isinstance(decision, Pass) and route.kind != FREE:
            return _said(_NO_PROXY, status=403, family=target.family)
        return await self._carry_out(request, target, sent, decision, route)

    async def _carry_out(
        self, request: web.BaseRequest, target: Target, sent: list[tuple[str, str]],
        decision: Decision, route: Route,
    ) -> web.StreamResponse:  # fmt: skip
        assert not isinstance(decision, Refuse)
        moved_to = None if isinstance(decision, Pass) else decision.url
        url, headers = _exchanged(moved_to or target.url, sent, decision.exchange)
        try:
            if isinstance(decision, Pass):
                return await self._forwarder.pass_on(request, url, headers)
            return await self._forwarder.send(
                request, url, headers, decision.body, decision.tracker
            )
        except UpstreamFailed as failed:
            host = urlsplit(target.url).hostname
            error = _upstream_error(str(host), failed)
            family = route.api_family or target.family
            return _said(error, status=502, family=family, code=CODE_UPSTREAM)


_NO_KEY = NoburnError(
    "the request carries no key",
    next_step="send the key that `noburn run` put into the environment, or one that "
    "`noburn keys create` made",
)
_NO_PROXY = NoburnError(
    "the gateway calls providers and the configuration's endpoints, nothing else",
    next_step="call this server directly, or add it to the configuration as [[endpoint]]",
)


def _upstream_error(host: str, failed: UpstreamFailed) -> NoburnError:
    if failed.was_sent:
        return NoburnError(
            f"the provider at {host} broke off before it answered",
            why=str(failed),
            next_step="try again; a call that was sent keeps its hold until its bill is known",
        )
    return NoburnError(
        f"the provider at {host} could not be reached",
        why=str(failed),
        next_step="check the network and the base URL; nothing was sent, and nothing is charged",
    )


def _barred(target: Target, headers: Mapping[str, str]) -> Route | None:
    """What a gateway cannot carry, whatever it is for."""
    if "upgrade" in headers:
        return refused_route(
            target.family,
            f"{headers['upgrade'][:40]} connections (realtime) carry calls that nothing bounds",
            "use the HTTP API; codex: a model provider with supports_websockets=false",
        )
    if headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
        return refused_route(
            BEDROCK,
            "a signed request cannot be signed anew without the credentials",
            "use a Bedrock API key (AWS_BEARER_TOKEN_BEDROCK), or boto3 below `noburn run`, "
            "which is guarded in the program",
        )
    return None


async def _read(request: web.BaseRequest, headers: Mapping[str, str]) -> bytes:
    """The body, unpacked.  Raises BodyRefused."""
    parts: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > BODY_BYTES_MAX:
            raise BodyRefused(f"the request is larger than {BODY_BYTES_MAX >> 20} MiB")
        parts.append(chunk)
    body = b"".join(parts)
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding in ("gzip", "deflate"):
        try:
            return Unpacker(encoding).receive(body)
        except zlib.error as error:
            raise BodyRefused("the request's body cannot be unpacked", why=str(error)) from error
    return body


def _sent_headers(request: web.BaseRequest, *, guarded: bool) -> list[tuple[str, str]]:
    headers = forwarded(request.headers.items())
    if not guarded:
        return headers
    # The body is read, maybe edited, and sent plain; the answer must be readable.
    dropped = ("content-length", "content-encoding", "accept-encoding")
    kept = [(name, value) for name, value in headers if name.lower() not in dropped]
    return [*kept, ("Accept-Encoding", "identity")]


def _exchanged(
    url: str, headers: list[tuple[str, str]], exchange: tuple[str, str] | None
) -> tuple[str, list[tuple[str, str]]]:
    if exchange is None:
        return url, headers
    pairs = [credentials.swapped({name: value}, url, *exchange)[0] for name, value in headers]
    swapped = [item for pair in pairs for item in pair.items()]
    return credentials.swapped({}, url, *exchange)[1], swapped


def _blocked(block: Block) -> web.Response:
    return web.Response(status=block.status, headers=dict(block.headers), body=block.body)


def _said(
    error: NoburnError, *, status: int, family: str = "openai", code: str = CODE_GATEWAY
) -> web.Response:
    """One of our errors in the shape that the client's SDK reads."""
    sentences = [error.message, error.why, error.next_step]
    text = ". ".join(f"{one[0].upper()}{one[1:].rstrip('.')}" for one in sentences if one)
    block = error_codec(family).block(message=f"noburn: {text}.", code=code, status=status)
    headers = dict(block.headers)
    if code == CODE_UPSTREAM:
        headers.pop("x-should-retry", None)
    return web.Response(status=block.status, headers=headers, body=block.body)
