"""Which request is a call that costs money, and which codec reads it.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the codecs.
Owns: the providers' hosts and paths.  A path on a provider's host that is not listed here as free
and has no codec is refused when it may cost money.
Sources, checked 2026-11-23: the paths in the openai Python SDK 3.54 and the anthropic one 2.12.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from noburn_cli.errors import InputRefused
from noburn_cli.providers.anthropic_messages import AnthropicMessages
from noburn_cli.providers.call import Call
from noburn_cli.providers.codec import Codec
from noburn_cli.providers.jsonbody import Body, refused
from noburn_cli.providers.openai_chat import OpenAIChat
from noburn_cli.providers.openai_embeddings import OpenAIEmbeddings
from noburn_cli.providers.openai_responses import OpenAIResponses

OPENAI = "openai"
ANTHROPIC = "anthropic"

#: What recognise() can say.
GUARD = "guard"
FREE = "free"
REFUSED = "refused"
NOT_OURS = "not_ours"

_CODECS: dict[str, Codec] = {
    codec.api: codec
    for codec in (OpenAIChat(), OpenAIResponses(), OpenAIEmbeddings(), AnthropicMessages())
}
#: Paths below a base URL, without `/v1`, that have a codec.
_CALLS: dict[tuple[str, str], str] = {
    (OPENAI, "/chat/completions"): OpenAIChat.api,
    (OPENAI, "/responses"): OpenAIResponses.api,
    (OPENAI, "/embeddings"): OpenAIEmbeddings.api,
    (ANTHROPIC, "/messages"): AnthropicMessages.api,
}
#: POSTs that cost nothing: counts, cancellations, moderation, storing what costs only when used.
_FREE_POSTS: dict[str, re.Pattern[str]] = {
    OPENAI: re.compile(
        r"^/(responses/input_tokens|moderations|uploads(/[^/]+(/parts|/complete|/cancel))?|files"
        r"|responses/[^/]+/cancel|batches/[^/]+/cancel|fine_tuning/jobs/[^/]+/(cancel|pause)"
        r"|chat/completions/[^/]+|conversations(/[^/]+(/items)?)?)$"
    ),
    ANTHROPIC: re.compile(r"^/(messages/count_tokens|files|messages/batches/[^/]+/cancel)$"),
}
#: GETs that could start or carry something with a price (a WebSocket begins as a GET).
_PAID_GETS = re.compile(r"^/(realtime|responses/?$|live)(/|$)")
_HARMLESS_METHODS = ("GET", "HEAD", "OPTIONS", "DELETE")
_HOSTS = {"api.openai.com": OPENAI, "api.anthropic.com": ANTHROPIC}
#: Regional hosts of OpenAI: `eu.api.openai.com`, `us.api.openai.com` and so on.
_REGIONAL = re.compile(r"^[a-z0-9-]+\.api\.openai\.com$")
_LOOKS_LIKE_A_CALL = re.compile(r"/(chat/completions|messages|responses|embeddings)/?$")
_VERSION = re.compile(r"^/v1(?=/|$)")
_VARIABLES = {OPENAI: "OPENAI_BASE_URL", ANTHROPIC: "ANTHROPIC_BASE_URL"}


@dataclass(frozen=True)
class Upstream:
    """A base URL that stands for a provider, such as the value of OPENAI_BASE_URL.

    api_family: `openai` or `anthropic`, the API that it speaks.
    provider: the price book's prefix of its models (`groq`); "" for the provider of the API.
    models: pairs of deployment and model name, where the server has names of its own.
    """

    api_family: str
    base_url: str
    provider: str = ""
    models: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Route:
    """What is to be done with a request.

    kind: GUARD (with `codec`), FREE, REFUSED (with `reason` and `next_step`) or NOT_OURS.
    look_into_body: of a NOT_OURS: the path looks like a call; ask again with the body.
    """

    kind: str
    api_family: str = ""
    codec: Codec | None = None
    reason: str = ""
    next_step: str = ""
    look_into_body: bool = False


def codec(api: str) -> Codec:
    """The codec of that name.  Raises InputRefused for a name that is none."""
    found = _CODECS.get(api)
    if found is None:
        raise refused(f"no codec is called {api!r}", next_step=f"one of {', '.join(_CODECS)}")
    return found


def recognise(
    method: str, url: str, upstreams: Sequence[Upstream] = (), *, body: bytes | None = None
) -> Route:
    """Say what a request is, from its method and URL alone.

    upstreams: base URLs beside the providers' own hosts; with or without `/v1` at the end.
    body: only for a second look at a NOT_OURS route with `look_into_body`.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return Route(NOT_OURS)  # No stack can send it.
    method = method.upper()
    route = _at_upstream(method, parts, upstreams)
    if route is not None:
        return route
    if host in _HOSTS:
        return _at_provider(method, _HOSTS[host], _plain_path(parts.path))
    if _REGIONAL.match(host):
        return _at_region(method, host, _plain_path(parts.path))
    return _elsewhere(method, host, parts.path, body)


def guess_api(body: dict[str, Any]) -> str | None:
    """The API that a request body is written for, or None; for files, which name no URL."""
    if "messages" in body:
        return AnthropicMessages.api if _reads_like_anthropic(body) else OpenAIChat.api
    if "input" in body:
        model = body.get("model")
        embeds = isinstance(model, str) and "embedding" in model
        return OpenAIEmbeddings.api if embeds else OpenAIResponses.api
    return None


def parse_body(api: str | None, body: bytes) -> Call:
    """The call in a request body; without `api`, the one it is written for.

    Raises InputRefused when no API can be told, or the body breaks its rules.
    """
    api = api or guess_api(Body(body).values)
    if api is None:
        raise refused(
            "the request has neither `messages` nor `input`",
            next_step="write a body as for chat completions, responses, embeddings or messages",
        )
    return codec(api).parse(body)


def _at_upstream(method: str, parts: SplitResult, upstreams: Sequence[Upstream]) -> Route | None:
    """The route below a base URL.  One server may stand for several providers (a gateway, a test
    double): whichever of them knows the request decides, and only what none knows is refused.
    """
    found: Route | None = None
    for upstream in upstreams:
        path = _below(parts.scheme, parts.netloc, parts.path, upstream.base_url)
        if path is None:
            continue
        route = _at_provider(method, upstream.api_family, path)
        if route.kind == GUARD:
            return route
        if found is None or (found.kind == REFUSED and route.kind == FREE):
            found = route
    return found


def _at_provider(method: str, family: str, path: str) -> Route:
    """A request to a host that bills."""
    if method == "POST" and (family, path) in _CALLS:
        return Route(GUARD, family, _CODECS[_CALLS[family, path]])
    if method in _HARMLESS_METHODS and not (method == "GET" and _PAID_GETS.match(path)):
        return Route(FREE, family)
    if method == "POST" and _FREE_POSTS[family].match(path):
        return Route(FREE, family)
    return Route(
        REFUSED,
        family,
        reason=f"{method} {path[:80]} may cost money that noburn cannot bound",
        next_step="use chat completions, responses, embeddings or messages, "
        "or run this part without noburn",
    )


def _at_region(method: str, host: str, path: str) -> Route:
    route = _at_provider(method, OPENAI, path)
    if route.kind != GUARD:
        return route
    return Route(
        REFUSED,
        OPENAI,
        reason=f"{host} bills regional processing with an uplift that the price book does not have",
        next_step="call api.openai.com",
    )


def _elsewhere(method: str, host: str, path: str, body: bytes | None) -> Route:
    """A host that is not known to bill: passed, unless the request is plainly an LLM call."""
    if method != "POST" or not _LOOKS_LIKE_A_CALL.search(path):
        return Route(NOT_OURS)
    if body is None:
        return Route(NOT_OURS, look_into_body=True)
    try:
        values = Body(body).values
    except InputRefused:
        return Route(NOT_OURS)
    if not values.get("model") or not (values.get("messages") or values.get("input")):
        return Route(NOT_OURS)
    family = ANTHROPIC if path.rstrip("/").endswith("/messages") else OPENAI
    return Route(
        REFUSED,
        family,
        reason=f"this is an LLM call to {host[:100]}, which noburn was not told about",
        next_step=f"set {_VARIABLES[family]} to its base URL before `noburn run`, "
        "or wrap the client with noburn_cli.wrap(client)",
    )


def _below(scheme: str, netloc: str, path: str, base_url: str) -> str | None:
    """The path below a base URL, without `/v1`, or None when the request goes elsewhere."""
    base = urlsplit(base_url)
    if _origin(scheme, netloc) != _origin(base.scheme, base.netloc):
        return None
    prefix = re.sub(r"/v1$", "", base.path.rstrip("/"))
    if path != prefix and not path.startswith(prefix + "/"):
        # The same server outside the prefix still bills: only the routing below it is unknown.
        return _plain_path(path)
    return _plain_path(path[len(prefix) :])


def _plain_path(path: str) -> str:
    """A path without `/v1` in front, doubled slashes or a slash at the end."""
    path = re.sub("/{2,}", "/", path)
    return _VERSION.sub("", path).rstrip("/") or "/"


def _origin(scheme: str, netloc: str) -> tuple[str, str]:
    """Scheme and host with port; user names and default ports do not matter."""
    scheme = scheme.lower()
    host = netloc.rpartition("@")[2].lower()
    default = {"http": ":80", "https": ":443"}.get(scheme, "")
    return scheme, host[: -len(default)] if default and host.endswith(default) else host


def _reads_like_anthropic(body: dict[str, Any]) -> bool:
    model = body.get("model")
    if isinstance(model, str) and "claude" in model:
        return True
    if "system" in body or "thinking" in body:
        return True
    tools = body.get("tools")
    first = tools[0] if isinstance(tools, list) and tools else None
    return isinstance(first, dict) and "input_schema" in first
