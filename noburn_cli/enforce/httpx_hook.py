"""The guard under httpx and httpx2: their clients' one way to the network, sync and async.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: httpx_calls, which is loaded with the first request that may need the guard.
Above: the injected bootstrap (under `noburn run`) and api (wrap).

`_send_single_request` is below redirects, retries and authentication, so each attempt is a call of
its own, and what is edited is what is sent.  Both modules have it: httpx 0.28.1, httpx2 2.16.2
(checked 2026-11-23).  A version without it is not passed unguarded: its clients refuse to send.
"""

from __future__ import annotations

from noburn_cli.enforce.http_client_hook import FOR_US, PLAIN_METHODS, PROVIDERS
from noburn_cli.enforce.seen import seeing

TYPE_CHECKING = False  # `typing` would cost every import some milliseconds.
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

#: On a client that `noburn_cli.wrap` marked: the upstreams it may call, beside the providers' own.
MARK = "_noburn_upstreams"
METHOD = "_send_single_request"
#: On a module that is hooked: whether every client is guarded, or only the marked ones.
STATE = "_noburn_guards_all"
#: On a module that is hooked, once it was needed: what guards its requests.
_STACK = "_noburn_stack"
#: On a method that is ours; a module that was loaded again has classes without it.
_OURS = "_noburn_guard"


def hook_httpx(module: ModuleType, *, every_client: bool) -> None:
    """Put the guard into a loaded httpx or httpx2; again is harmless.

    every_client: guard all its clients (under `noburn run`), or those that `wrap` marked.
    Raises RuntimeError for a version that it does not know.
    """
    for client_class in (module.Client, module.AsyncClient):
        if getattr(client_class, METHOD, None) is None:
            raise RuntimeError(
                f"noburn does not know this version of {module.__name__}: "
                f"{client_class.__name__} has no {METHOD}"
            )
    _replace(module, module.Client, METHOD, _sync)
    _replace(module, module.AsyncClient, METHOD, _async)
    # A transport of the program's own may try again by itself, below the client's one call.
    _replace(module, module.HTTPTransport, "handle_request", _sync)
    _replace(module, module.AsyncHTTPTransport, "handle_async_request", _async)
    setattr(module, STATE, getattr(module, STATE, False) or every_client)


def _replace(module: ModuleType, owner_class: Any, method: str, make: Any) -> None:
    original = getattr(owner_class, method)
    if not hasattr(original, _OURS):
        guarded = make(module, original)
        setattr(guarded, _OURS, True)
        setattr(owner_class, method, guarded)


def _sync(module: ModuleType, original: Any) -> Any:
    guarded: Any = None

    def send(owner: Any, request: Any) -> Any:
        nonlocal guarded
        if guarded is None:
            if not _may_be_a_call(request):
                with seeing():
                    return original(owner, request)
            guarded = _stack(module).guard_sync(original)
        return guarded(owner, request)

    return send


def _async(module: ModuleType, original: Any) -> Any:
    guarded: Any = None

    async def send(owner: Any, request: Any) -> Any:
        nonlocal guarded
        if guarded is None:
            if not _may_be_a_call(request):
                with seeing():
                    return await original(owner, request)
            guarded = _stack(module).guard_async(original)
        return await guarded(owner, request)

    return send


def _stack(module: ModuleType) -> Any:
    stack = getattr(module, _STACK, None)
    if stack is None:
        from noburn_cli.enforce.httpx_calls import Stack

        stack = Stack(module)
        setattr(module, _STACK, stack)
    return stack


def _may_be_a_call(request: Any) -> bool:
    """A cheap look, so that programs without LLM calls do not load the guard."""
    if request.method.upper() not in PLAIN_METHODS:
        return True
    url = str(request.url)
    head = b"".join(b"\n%b: %b" % pair for pair in request.headers.raw)
    return bool(FOR_US.search(head) or FOR_US.search(url.encode())) or any(
        name in url for name in PROVIDERS
    )
