"""Where a request to the gateway goes: which provider, under which URL.

Layer: enforce, our own side, pure.  Below: providers.hosts, providers.registry.  Above: server.
Owns: the gateway's paths, tolerant of what SDKs append to a base URL, and `x-noburn-upstream`.
Sources: the paths that the SDKs append (checked 2026-11-27 in openai 3.57, anthropic
2.14, google-genai 3.6, groq 1.7, cohere 7.3 and @ai-sdk/*).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from noburn_cli.errors import NoburnError
from noburn_cli.providers.hosts import BASE_URL_VARIABLES, known_upstreams, refused_host
from noburn_cli.providers.routes import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    GOOGLE,
    MISTRAL,
    OPENAI,
    Upstream,
)

#: Header in which a client says where its request was going: scheme and host, or a base URL.
UPSTREAM_HEADER = "x-noburn-upstream"
#: Below it, `/via/VARIABLE/…` stands for what a base-URL variable said before the run.
VIA = "via"
ENDPOINT = "e"


class Place(NamedTuple):
    """One provider below the gateway: `/NAME/…`.

    variable: whose value takes the place of `base`.
    version: what is put between base and path when the request names none; None when the
        variable's value already has it, and SDKs append the rest of the path to it.
    """

    name: str
    family: str
    variable: str
    base: str
    version: str | None


PLACES = (
    Place("openai", OPENAI, "OPENAI_BASE_URL", "https://api.openai.com/v1", None),
    Place("anthropic", ANTHROPIC, "ANTHROPIC_BASE_URL", "https://api.anthropic.com", "/v1"),
    Place(
        "gemini", GOOGLE, "GOOGLE_GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com", "/v1beta",
    ),
    Place("mistral", MISTRAL, "MISTRAL_API_BASE", "https://api.mistral.ai", "/v1"),
    Place("groq", OPENAI, "GROQ_BASE_URL", "https://api.groq.com", "/openai/v1"),
    Place("cohere", COHERE, "CO_API_URL", "https://api.cohere.com", "/v2"),
    Place("deepseek", OPENAI, "DEEPSEEK_API_BASE", "https://api.deepseek.com", "/v1"),
    Place("together", OPENAI, "TOGETHER_AI_API_BASE", "https://api.together.xyz/v1", None),
    Place("openrouter", OPENAI, "OPENROUTER_API_BASE", "https://openrouter.ai/api/v1", None),
    Place("xai", OPENAI, "XAI_API_BASE", "https://api.x.ai/v1", None),
    Place("bedrock", BEDROCK, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "", ""),
)  # fmt: skip
#: Where a provider's real key is usually found.
KEY_OF = {
    "openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY",
    "mistral": "MISTRAL_API_KEY", "groq": "GROQ_API_KEY", "cohere": "CO_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY", "together": "TOGETHER_API_KEY",
    "openrouter": "OPENROUTER_API_KEY", "xai": "XAI_API_KEY",
    "bedrock": "AWS_BEARER_TOKEN_BEDROCK",
}  # fmt: skip
_BY_NAME = {place.name: place for place in PLACES}
_VERSION = re.compile(r"^(/openai)?/v\d+((alpha|beta)\d*)?(?=/|$)")
_VERSION_AT_END = re.compile(r"(/openai)?/v\d+((alpha|beta)\d*)?$")
_V1 = re.compile(r"^/v1(?=/|$)")

#: Paths without a provider's name in front: whose they are, the first that fits.
_UNPREFIXED = (
    (re.compile(r"^/(v1/)?(messages|complete)(/|$)"), "anthropic"),
    (re.compile(r"^/v1(alpha|beta)\d*/"), "gemini"),
    (re.compile(r"^/(v1/)?(models|tunedModels)/[^/]+:[A-Za-z]+$"), "gemini"),
    (re.compile(r"^/model/[^/]+/"), "bedrock"),
    (re.compile(r"^/v2/(chat|embed|rerank)$|^/v1/rerank$"), "cohere"),
    (re.compile(r"^/openai/"), "groq"),
    (
        re.compile(
            r"^/(v1/)?(chat|responses|embeddings|completions|models|files|batches|images|audio"
            r"|moderations|uploads|fine_tuning|vector_stores|assistants|threads|conversations"
            r"|realtime|videos|containers|evals|organization)(/|$)"
        ),
        "openai",
    ),
)


class Target(NamedTuple):
    """Where a request goes.

    keyless: a server of the configuration, which may need no key.
    place: the name of its Place, "" where it is none.
    """

    url: str
    family: str
    keyless: bool = False
    place: str = ""


class NoTarget(NoburnError):
    """The gateway does not go there.  family: whose error shape the client understands."""

    def __init__(self, message: str, *, next_step: str, status: int, family: str = OPENAI) -> None:
        super().__init__(message, next_step=next_step)
        self.status = status
        self.family = family


def find_target(
    path: str,
    query: str,
    headers: Mapping[str, str],
    environment: Mapping[str, str],
    endpoints: Mapping[str, Upstream],
) -> Target:
    """The URL that a request is for.  Raises NoTarget.

    path: as sent, with its escapes.  headers: by lower-case name.
    environment: with the base-URL variables as they were before the run.
    endpoints: those of the configuration, by name.
    """
    after = f"?{query}" if query else ""
    named = headers.get(UPSTREAM_HEADER)
    if named is not None:
        return _upstream(named.strip(), path + after, endpoints.values())
    first, _, rest = path.lstrip("/").partition("/")
    rest = "/" + rest
    if first == ENDPOINT:
        return _endpoint(rest, after, endpoints)
    if first == VIA:
        return _via(rest, after, environment)
    place = _BY_NAME.get(first)
    if place is None or (first == "openai" and _is_groqs(rest, headers)):
        place, rest = _unprefixed(path, headers), path
    return Target(_joined(place, rest, environment) + after, place.family, place=place.name)


def _is_groqs(rest: str, headers: Mapping[str, str]) -> bool:
    """Groq's SDK appends `/openai/v1`, also to a bare gateway; its keys say so."""
    return "gsk_" in headers.get("authorization", "") and _V1.match(rest) is not None


def _unprefixed(path: str, headers: Mapping[str, str]) -> Place:
    if "anthropic-version" in headers:
        return _BY_NAME["anthropic"]
    if "x-goog-api-key" in headers:
        return _BY_NAME["gemini"]
    for pattern, name in _UNPREFIXED:
        if pattern.match(path):
            return _BY_NAME[name]
    raise NoTarget(
        f"the gateway does not know the path {path[:100]}",
        next_step=f"use /{', /'.join(_BY_NAME)} or /e/NAME for an endpoint of the configuration",
        status=404,
    )


def _joined(place: Place, rest: str, environment: Mapping[str, str]) -> str:
    base = (environment.get(place.variable) or place.base or _bedrock(environment)).rstrip("/")
    if place.version is None:
        return base + _V1.sub("", rest)
    said = _VERSION.match(rest)
    own = _VERSION_AT_END.search(base)
    version = said.group() if said else own.group() if own else place.version
    root = base[: own.start()] if own else base
    return root + version + (rest[said.end() :] if said else rest)


def _bedrock(environment: Mapping[str, str]) -> str:
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")
    if not region or not re.fullmatch(r"[a-z0-9-]+", region):
        raise NoTarget(
            "the gateway does not know the region of Bedrock",
            next_step="set AWS_REGION",
            status=400,
            family=BEDROCK,
        )
    return f"https://bedrock-runtime.{region}.amazonaws.com"


def _endpoint(rest: str, after: str, endpoints: Mapping[str, Upstream]) -> Target:
    name, _, below = rest.lstrip("/").partition("/")
    upstream = endpoints.get(name)
    if upstream is None:
        raise NoTarget(
            f"no endpoint is called {name[:100]!r}",
            next_step="add it to the configuration, as [[endpoint]] (see `noburn config`)",
            status=404,
        )
    base = upstream.base_url.rstrip("/")
    below = "/" + below
    if _VERSION_AT_END.search(base):
        below = _V1.sub("", below)
    return Target(base + below + after, upstream.api_family, keyless=True)


def _via(rest: str, after: str, environment: Mapping[str, str]) -> Target:
    variable, _, below = rest.lstrip("/").partition("/")
    family = next((one.family for one in BASE_URL_VARIABLES if one.variable == variable), None)
    base = environment.get(variable, "")
    if family is None or not urlsplit(base).hostname:
        raise NoTarget(
            f"{variable[:100]} named no server before the run",
            next_step="set it before `noburn run`",
            status=404,
        )
    return Target(f"{base.rstrip('/')}/{below}{after}", family)


def _upstream(
    named: str,
    path_and_query: str,
    endpoints: Iterable[Upstream],
) -> Target:
    try:
        parts = urlsplit(named)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        host = ""
    if not host or parts.scheme not in ("http", "https") or parts.query or "@" in parts.netloc:
        raise NoTarget(
            f"{UPSTREAM_HEADER} is no base URL: {named[:100]!r}",
            next_step="name scheme and host, as in https://api.openai.com",
            status=400,
        )
    url = named.rstrip("/") + path_and_query
    if known_upstreams(host) or refused_host(host):
        if parts.scheme != "https":
            raise NoTarget(
                f"{host} is a provider, and {UPSTREAM_HEADER} would call it in the clear",
                next_step="use https",
                status=400,
            )
        return Target(url, next((one.api_family for one in known_upstreams(host)), OPENAI))
    listed = [one for one in endpoints if _origin(one.base_url) == _origin(named)]
    if listed:
        return Target(url, listed[0].api_family, keyless=True)
    # A base URL that the run began with, or a server that nobody named: the guard tells an LLM
    # call to the latter with the lines to add, and anything else does not leave (see server).
    return Target(url, OPENAI)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2].lower()
    default = {"http": ":80", "https": ":443"}.get(parts.scheme, "")
    return parts.scheme, host.removesuffix(default) if default else host
