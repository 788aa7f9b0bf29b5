"""botocore's requests signed anew: Bedrock's calls, whose bodies the guard may have to edit.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: signing.  Above: the injected bootstrap, api.
Only the signature is made here.  The call itself is guarded below, under http.client, at each of
botocore's attempts.  (`Endpoint.create_request` signs and `Endpoint._send` sends, in botocore 1.44;
checked 2026-11-27.)
"""

from __future__ import annotations

import functools
from types import ModuleType
from typing import Any

from noburn_cli.enforce.signing import Headers, signing_with

_OURS = "_noburn_guard"
#: On a prepared request: makes it again with another body.
_AGAIN = "_noburn_again"


def hook_botocore(module: ModuleType, *, every_client: bool) -> None:  # noqa: ARG001
    """Let requests of a loaded botocore.endpoint be signed anew; again is harmless.

    every_client: of no effect; which of them are guarded is decided below.
    """
    endpoint_class: Any = module.Endpoint
    if hasattr(endpoint_class.create_request, _OURS):
        return
    create, send = endpoint_class.create_request, endpoint_class._send

    @functools.wraps(create)
    def create_request(endpoint: Any, params: Any, operation_model: Any = None) -> Any:
        request = create(endpoint, params, operation_model)

        def again(body: bytes, url: str | None) -> Headers:
            changed = {**params, "body": body, **({} if url is None else {"url": url})}
            made = create(endpoint, changed, operation_model)
            return [(name, _text(value)) for name, value in made.headers.items()]

        setattr(request, _AGAIN, again)
        return request

    @functools.wraps(send)
    def _send(endpoint: Any, request: Any) -> Any:
        again = getattr(request, _AGAIN, None)
        if again is None:
            return send(endpoint, request)
        with signing_with(again):
            return send(endpoint, request)

    setattr(create_request, _OURS, True)
    endpoint_class.create_request = create_request
    endpoint_class._send = _send


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
