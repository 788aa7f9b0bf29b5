"""How far a request got before it failed: whether a byte of it can have left.

Layer: enforce, injected (standard library, Python 3.10).  Below: nothing.  Above: httpx_hook.
httpcore and httpcore2 tell their steps to a request's `trace` extension
(https://www.encode.io/httpcore/extensions/#trace, checked 2026-11-23).  Other transports say
nothing; of those only the errors below are known to come first.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

#: Failures that come before the first byte of the request.
_BEFORE_SENDING = ("ConnectError", "ConnectTimeout", "PoolTimeout", "UnsupportedProtocol")


class Progress:
    """The steps of one request; its `extensions` are those to send it with.

    tells_all: whether the transport is httpcore's own, so that no news means nothing happened.
    """

    def __init__(self, extensions: Mapping[str, Any], *, tells_all: bool, awaited: bool) -> None:
        self._theirs = extensions.get("trace")
        self._began = tells_all
        self._sending = False
        self._headers_sent = False
        trace = self._trace_async if awaited else self._trace
        self.extensions = {**extensions, "trace": trace}

    def is_unsent(self, error: BaseException, module: ModuleType) -> bool:
        """Whether no byte of the request can have reached the provider."""
        if isinstance(error, module.ProxyError):
            return True  # The proxy refused to connect us.
        if self._sending:
            # A header that is no header is found before anything is written.
            return isinstance(error, module.LocalProtocolError) and not self._headers_sent
        return self._began or isinstance(
            error, tuple(getattr(module, name) for name in _BEFORE_SENDING)
        )

    def _note(self, event: str) -> None:
        self._began = True
        if event.endswith(".send_request_headers.started"):
            self._sending = True
        elif event.endswith(".send_request_headers.complete"):
            self._headers_sent = True

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        self._note(event)
        if self._theirs is not None:
            self._theirs(event, info)

    async def _trace_async(self, event: str, info: Mapping[str, Any]) -> None:
        self._note(event)
        if self._theirs is not None:
            await self._theirs(event, info)
