"""Which request is a call that costs money, and which codec reads it.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.hosts, providers.paths.
Owns: which server a URL belongs to: a provider's own host, an endpoint of the configuration, a base
URL of the environment, the longest first; and the refusal of what looks like an LLM call to any
other host.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import SplitResult, urlsplit

from noburn_cli.errors import InputRefused
from noburn_cli.providers.anthropic_messages import AnthropicMessages
from noburn_cli.providers.bedrock_converse import BedrockConverse
from noburn_cli.providers.call import Call
from noburn_cli.providers.codec import Codec
from noburn_cli.providers.gemini import Gemini
from noburn_cli.providers.hosts import (
    RefusedHost,
    base_url_variable,
    host_patterns,
    known_upstreams,
    refused_host,
)
from noburn_cli.providers.jsonbody import Body, refused
from noburn_cli.providers.openai_chat import OpenAIChat
from noburn_cli.providers.openai_completions import OpenAICompletions
from noburn_cli.providers.openai_embeddings import OpenAIEmbeddings
from noburn_cli.providers.openai_responses import OpenAIResponses
from noburn_cli.providers.paths import CODECS, ERRORS_OF, plain_path, route_of_path
from noburn_cli.providers.routes import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    FAMILIES,
    FOLLOW,
    FREE,
    GOOGLE,
    GUARD,
    MISTRAL,
    NOT_OURS,
    OPENAI,
    REFUSED,
    Route,
    Upstream,
    refused_route,
)

__all__ = [
    "ANTHROPIC",
    "BEDROCK",
    "COHERE",
    "FAMILIES",
    "FOLLOW",
    "FREE",
    "GOOGLE",
    "GUARD",
    "MISTRAL",
    "NOT_OURS",
    "OPENAI",
    "REFUSED",
    "Route",
    "Upstream",
    "codec",
    "error_codec",
    "guess_api",
    "parse_body",
    "recognise",
]

_LOOKS_LIKE_A_CALL = re.compile(
    r"/((chat/|fim/)?completions|messages|responses|embeddings|v2/(chat|embed)"
    r"|[^/]+:(stream)?(generateContent|embedContent|batchEmbedContents)"
    r"|model/[^/]+/(converse|invoke)(-stream|-with-response-stream)?)/?$",
    re.IGNORECASE,
)
#: What the body of a call has, one of them at least.
_CALL_MEMBERS = {
    OPENAI: ("messages", "input", "prompt"),
    ANTHROPIC: ("messages", "input"),
    GOOGLE: ("contents", "content", "requests"),
    BEDROCK: ("messages", "prompt", "inputText"),
    COHERE: ("messages", "texts"),
}
_VERSION_AT_END = re.compile(r"/v1((alpha|beta)\d*)?$")
#: Loopback, private networks and names without a dot.
_AT_HOME = re.compile(
    r"^(127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|::1$|[^.:]+$|[^:]+\.(local|internal)$)"
)
_PRICES_HINT = '# "free", a provider in the price book ("groq"), or a table of rates'
_END_OF_CALL = re.compile(r"/[^/]*(chat/completions|completions|messages|responses|embeddings)/?$")


def codec(api: str) -> Codec:
    """The codec of that name.  Raises InputRefused for a name that is none."""
    found = CODECS.get(api)
    if found is None:
        raise refused(f"no codec is called {api!r}", next_step=f"one of {', '.join(CODECS)}")
    return found


def error_codec(family: str) -> Codec:
    """The codec whose errors the SDKs of a family understand."""
    return CODECS[ERRORS_OF.get(family, OpenAIChat.api)]


def recognise(
    method: str, url: str, upstreams: Sequence[Upstream] = (), *, body: bytes | None = None
) -> Route:
    """Say what a request is, from its method and URL alone.

    upstreams: base URLs beside the providers' own hosts; with or without the version at the end.
    body: only for a second look at a NOT_OURS route with `look_into_body`.
    """
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return Route(NOT_OURS)  # No stack can send it.
    method = method.upper()
    barred, known = refused_host(host), known_upstreams(host)
    if barred is not None or known:
        # A bare base URL says nothing about prices; on such a host the table knows better.
        upstreams = [one for one in upstreams if one.provider or one.models]
    route = _best(method, _candidates(parts, upstreams, known))
    if route is None and barred is not None:
        return _barred(method, host, parts.path, barred)
    return route or _elsewhere(method, parts, host, body)


def host_facts() -> dict[str, Any]:
    """The hosts that bill and the paths of a call, for a reroute that is not Python's.

    hosts, calls: regular expressions of a host and of a path, as Python and JavaScript both read
    them.
    """
    return {"hosts": list(host_patterns()), "calls": _LOOKS_LIKE_A_CALL.pattern}


def guess_api(body: dict[str, Any]) -> str | None:
    """The API that a request body is written for, or None; for files, which name no URL."""
    if isinstance(body.get("modelId"), str) and "messages" in body:
        return BedrockConverse.api
    if "messages" in body:
        return AnthropicMessages.api if _reads_like_anthropic(body) else OpenAIChat.api
    if "input" in body:
        model = body.get("model")
        embeds = isinstance(model, str) and "embedding" in model
        return OpenAIEmbeddings.api if embeds else OpenAIResponses.api
    if "contents" in body:
        return Gemini.api
    return OpenAICompletions.api if "prompt" in body else None


def model_in_url(body: dict[str, Any]) -> bool:
    """Whether a body is one of Gemini's, of which the URL alone names the model."""
    turns = body.get("contents")
    turns = [turns] if isinstance(turns, dict) else turns
    return (
        "model" not in body
        and isinstance(turns, list)
        and bool(turns)
        and all(isinstance(turn, dict) and "parts" in turn for turn in turns)
    )


def parse_body(api: str | None, body: bytes) -> Call:
    """The call in a request body; without `api`, the one it is written for.

    The call's model is "" for a body of which the URL would name it.
    Raises InputRefused when no API can be told, or the body breaks its rules.
    """
    values = Body(body).values
    api = api or guess_api(values)
    if api is None:
        raise refused(
            "the request has neither `messages` nor `input`, `prompt` or `contents`",
            next_step="write a body as for chat completions, responses, completions, embeddings, "
            "messages or generateContent",
        )
    if api == Gemini.api and model_in_url(values):
        return replace(Gemini("unnamed").parse(body), model="")
    call = codec(api).parse(body)
    if api == BedrockConverse.api:
        return replace(call, model=Route(GUARD, BEDROCK).qualified(call.model))
    return call


@dataclass(frozen=True)
class _Candidate:
    """A base URL on the request's server.

    base_chars: how much of its path the request has; -1 for a request beside it.
    path: what follows it.
    """

    base_chars: int
    path: str
    upstream: Upstream


def _candidates(
    parts: SplitResult, upstreams: Iterable[Upstream], known: Sequence[Upstream]
) -> list[_Candidate]:
    """The base URLs that may explain a request, the best first.

    One server may stand for several providers (a gateway, a test double), and the same server
    outside a base URL of the environment still bills: only the routing there is unknown.
    """
    found = []
    origin = _origin(parts.scheme, parts.netloc)
    # Whatever else is said of a provider's regional host: it bills what its region costs.
    region = next((one.region for one in known if one.region), "")
    for upstream in upstreams:
        base = urlsplit(upstream.base_url)
        if _origin(base.scheme, base.netloc) == origin:
            below = _below(parts.path, base.path) or (-1, parts.path)
            found.append(_Candidate(*below, replace(upstream, region=upstream.region or region)))
    for upstream in known:
        inside = _below(parts.path, urlsplit(upstream.base_url).path)
        if inside is not None:
            found.append(_Candidate(*inside, upstream))
    found.sort(
        key=lambda one: (-one.base_chars, not (one.upstream.provider or one.upstream.models))
    )
    return found


def _best(method: str, candidates: Iterable[_Candidate]) -> Route | None:
    """The first of the base URLs that knows the request as a call; else as free; else a refusal."""
    found: Route | None = None
    for one in candidates:
        upstream = one.upstream
        family, models = upstream.api_family, upstream.models
        route = route_of_path(method, family, plain_path(family, one.path), models)
        if route.kind in (GUARD, FOLLOW):
            return replace(route, provider=upstream.provider, models=models, region=upstream.region)
        if found is None or (found.kind == REFUSED and route.kind == FREE):
            found = route
    return found


def _barred(method: str, host: str, path: str, barred: RefusedHost) -> Route:
    route = route_of_path(method, barred.family, plain_path(barred.family, path), ())
    if route.kind in (FREE, FOLLOW):
        return route
    return refused_route(barred.family, f"{host} {barred.why}", barred.next_step)


def _elsewhere(method: str, parts: SplitResult, host: str, body: bytes | None) -> Route:
    """A host that is not known to bill: passed, unless the request is plainly an LLM call."""
    if method != "POST" or not _LOOKS_LIKE_A_CALL.search(parts.path):
        return Route(NOT_OURS)
    if body is None:
        return Route(NOT_OURS, look_into_body=True)
    try:
        values = Body(body).values
    except InputRefused:
        return Route(NOT_OURS)
    family = _family_of_path(parts.path)
    names_model = bool(values.get("model")) or family in (GOOGLE, BEDROCK)
    if not names_model or not any(values.get(member) for member in _CALL_MEMBERS[family]):
        return Route(NOT_OURS)
    variable = base_url_variable(family)
    first = f"set {variable} to its base URL before `noburn run`, or add" if variable else "add"
    return refused_route(
        family,
        f"this is an LLM call to {host[:100]}, which noburn was not told about",
        f"{first} these lines to the configuration (`noburn config path` says where):\n\n"
        f"{endpoint_lines(parts, family)}\n",
    )


def endpoint_lines(parts: SplitResult, family: str) -> str:
    """The `[[endpoint]]` of the configuration that would list the server of this call.

    A server on this machine or its network is taken to be free; of others the prices are asked.
    """
    host = (parts.hostname or "")[:100]
    name = re.sub(r"[^a-z0-9]+", "-", host).strip("-")[:60] or "server"
    base = _END_OF_CALL.sub("", parts.path) if family in (OPENAI, ANTHROPIC, MISTRAL) else ""
    origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
    prices = "free" if _AT_HOME.match(host) else "?"
    lines = [
        "[[endpoint]]",
        f"name = {json.dumps(name)}",
        f"base_url = {json.dumps((origin + base)[:300])}",
        f"api = {json.dumps(family)}",
        f"prices = {json.dumps(prices)}  {_PRICES_HINT}",
    ]
    return "\n".join(lines)


def _family_of_path(path: str) -> str:
    path = path.rstrip("/")
    if path.endswith("/messages"):
        return ANTHROPIC
    if path.endswith(("/v2/chat", "/v2/embed")):
        return COHERE
    if ":" in path.rpartition("/")[2]:
        return GOOGLE
    return BEDROCK if re.search(r"/model/[^/]+/[a-z-]+$", path) else OPENAI


def _below(path: str, base_path: str) -> tuple[int, str] | None:
    """How much of a path is the base URL's, and what follows; None for a path beside it.

    The version at the base URL's end may be missing in the request: SDKs differ.
    """
    whole = base_path.rstrip("/")
    prefix = _VERSION_AT_END.sub("", whole)
    if path != prefix and not path.startswith(prefix + "/"):
        return None
    fits_whole = path == whole or path.startswith(whole + "/")
    return len(whole if fits_whole else prefix), path[len(prefix) :]


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
