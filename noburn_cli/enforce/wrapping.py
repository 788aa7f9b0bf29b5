"""Guarding one client in a program that `noburn run` did not start.

Layer: enforce, injected (standard library, Python 3.10).  Below: the hooks.  Above: api.
Each kind of client is marked with the upstreams that it may call; the hooks, put in place for
marked clients alone, guard what they send.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from typing import Any

from noburn_cli.enforce import botocore_hook, http_client_hook, httpx_hook, layers
from noburn_cli.errors import UsageError
from noburn_cli.providers.registry import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    GOOGLE,
    MISTRAL,
    OPENAI,
    Upstream,
)

FAMILIES = (OPENAI, ANTHROPIC, GOOGLE, MISTRAL, BEDROCK, COHERE)
#: Top-level modules of the SDKs that keep an httpx client, the API that each speaks, and the
#: price book's prefix of their provider.
_SDKS = {"openai": (OPENAI, ""), "anthropic": (ANTHROPIC, ""), "groq": (OPENAI, "groq")}
_HTTP_MODULES = ("httpx", "httpx2")


def mark(client: Any, *, api: str | None, base_url: str | None) -> None:
    """Guard a client; again changes nothing.  Raises UsageError for what cannot be guarded."""
    if api not in (None, *FAMILIES):
        raise UsageError(f"api is one of {', '.join(FAMILIES)}, not {api!r}")
    for module, way in _WAYS.items():
        if module in _modules(client):
            way(client, api, base_url)
            return
    raise UsageError(
        f"wrap cannot guard a {type(client).__module__}.{type(client).__qualname__}",
        why="it takes clients of openai, anthropic, groq, google-genai, mistralai and botocore, "
        "and those of httpx, httpx2, requests and aiohttp",
        next_step="run the program under `noburn run -- …` instead",
    )


def _modules(client: object) -> list[str]:
    return [base.__module__.partition(".")[0] for base in type(client).__mro__]


def _upstreams(family: str | None, base_url: str | None, provider: str = "") -> tuple[Any, ...]:
    return (Upstream(family, base_url, provider),) if family and base_url else ()


def _httpx(client: Any, api: str | None, base_url: str | None) -> None:
    """An httpx client, or an SDK's that keeps one."""
    http = getattr(client, "_client", client)
    sdk = next((_SDKS[name] for name in _modules(client) if name in _SDKS), (None, ""))
    url = base_url or str(getattr(client, "base_url", "") or "")
    _mark_httpx(http, _upstreams(api or sdk[0], url, "" if api else sdk[1]))


def _mark_httpx(http: Any, upstreams: tuple[Upstream, ...]) -> None:
    module = next((name for name in _modules(http) if name in _HTTP_MODULES), None)
    if module is None:
        raise UsageError(f"wrap cannot guard what sends by {type(http).__qualname__}")
    httpx_hook.hook_httpx(importlib.import_module(module), every_client=False)
    _add(http, httpx_hook.MARK, upstreams)


def _add(holder: Any, name: str, upstreams: tuple[Upstream, ...]) -> None:
    marked: tuple[Upstream, ...] = getattr(holder, name, ())
    object.__setattr__(holder, name, (*marked, *(one for one in upstreams if one not in marked)))


def _requests(session: Any, api: str | None, base_url: str | None) -> None:
    http_client_hook.hook_http_client(importlib.import_module("http.client"), every_client=False)
    _mark_sending(session, "send", _upstreams(api, base_url))


def _botocore(client: Any, api: str | None, base_url: str | None) -> None:
    http_client_hook.hook_http_client(importlib.import_module("http.client"), every_client=False)
    botocore_hook.hook_botocore(importlib.import_module("botocore.endpoint"), every_client=False)
    url = base_url or client.meta.endpoint_url
    _mark_sending(client._endpoint, "_send", _upstreams(api or BEDROCK, url))


def _mark_sending(holder: Any, method: str, upstreams: tuple[Upstream, ...]) -> None:
    """Mark what goes out while a method of this one object runs: the guard stands below it."""
    _add(holder, "_noburn_upstreams", upstreams)
    if method in vars(holder):
        return
    original = getattr(holder, method)

    @functools.wraps(original)
    def send(*arguments: Any, **more: Any) -> Any:
        with layers.marking(holder._noburn_upstreams):
            return original(*arguments, **more)

    setattr(holder, method, send)


def _aiohttp(session: Any, api: str | None, base_url: str | None) -> None:
    from noburn_cli.enforce import aiohttp_hook  # It needs asyncio.

    aiohttp_hook.hook_aiohttp(importlib.import_module("aiohttp"), every_client=False)
    url = base_url or str(getattr(session, "_base_url", None) or "")
    _add(session, aiohttp_hook.MARK, _upstreams(api, url))


def _google(client: Any, api: str | None, base_url: str | None) -> None:
    """Its blocking client is httpx2's; awaited, it is that or sessions of aiohttp, made late."""
    inner = client._api_client
    upstreams = _upstreams(api or GOOGLE, base_url or str(inner._http_options.base_url or ""))
    for http in (inner._httpx_client, inner._async_httpx_client):
        if http is not None:
            _mark_httpx(http, upstreams)
    original = getattr(inner, "_get_aiohttp_session", None)
    if original is None or "_get_aiohttp_session" in vars(inner):
        return

    async def get_session(*arguments: Any, **more: Any) -> Any:
        session = await original(*arguments, **more)
        for one in upstreams if "aiohttp" in _modules(session) else ():
            _aiohttp(session, one.api_family, one.base_url)
        return session

    inner._get_aiohttp_session = get_session


def _mistral(client: Any, api: str | None, base_url: str | None) -> None:
    configured = client.sdk_configuration
    url = base_url or configured.get_server_details()[0]
    for http in (configured.client, configured.async_client):
        if http is not None:
            _mark_httpx(http, _upstreams(api or MISTRAL, url))


#: By the top-level module that a class of the client comes from; the first that fits.
_WAYS: dict[str, Callable[[Any, str | None, str | None], None]] = {
    **dict.fromkeys((*_SDKS, *_HTTP_MODULES), _httpx),
    "requests": _requests,
    "aiohttp": _aiohttp,
    "botocore": _botocore,
    "google": _google,
    "mistralai": _mistral,
}
