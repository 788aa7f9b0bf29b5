"""curl_cffi's calls go by the run's gateway: libcurl sends them, where no hook of ours stands.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: guard, context.  Above: the injected bootstrap.
Its sessions build a request and hand it to C; so its address is changed before, and a header tells
the gateway where it was going (enforce.gateway.routes).  curl_cffi 0.17, checked 2026-11-27.
"""

from __future__ import annotations

import functools
import json
import os
from types import ModuleType
from typing import Any
from urllib.parse import urljoin, urlsplit

from noburn_cli.enforce import context
from noburn_cli.enforce.attribution import ALL
from noburn_cli.enforce.guard import route_of
from noburn_cli.providers.registry import recognise

_OURS = "_noburn_guard"
_UPSTREAM = "x-noburn-upstream"


def hook_curl_cffi(module: ModuleType, *, every_client: bool) -> None:  # noqa: ARG001
    """Reroute the sessions of a loaded curl_cffi.requests.session; again is harmless.

    every_client: of no effect; without a gateway, nothing changes.
    """
    for name in ("Session", "AsyncSession"):
        session_class: Any = getattr(module, name)
        original = session_class.request
        if not hasattr(original, _OURS):
            rerouted = _rerouted(module, original)
            setattr(rerouted, _OURS, True)
            session_class.request = rerouted


def _rerouted(module: ModuleType, original: Any) -> Any:
    @functools.wraps(original)
    def request(session: Any, method: str, url: str, *arguments: Any, **more: Any) -> Any:
        gateway = os.environ.get("NOBURN_GATEWAY")
        whole = urljoin(session.base_url or "", url)
        if not gateway or not _is_ours(method, whole):
            return original(session, method, url, *arguments, **more)
        parts = urlsplit(whole)
        headers = module.Headers(more.get("headers"))
        headers[_UPSTREAM] = f"{parts.scheme}://{parts.netloc}"
        headers[ALL] = json.dumps(context.attributes())
        more["headers"] = headers
        query = f"?{parts.query}" if parts.query else ""
        return original(session, method, f"{gateway}{parts.path}{query}", *arguments, **more)

    return request


def _is_ours(method: str, url: str) -> bool:
    upstreams = context.upstreams()
    if route_of(method, url, upstreams) is not None:
        return True
    route = recognise(method, url, upstreams)
    return bool(route.api_family)  # Free, but it needs the real key.
