"""Which event loop runs here, and requests where it is not asyncio's.

Layer: client.  Below: sync client.  Above: async client.
Nothing is imported for a look: a library that runs here has been imported by its program.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from noburn_cli import protocol
from noburn_cli.client.sync import Client

if TYPE_CHECKING:
    import asyncio

_TRIO = "trio"


def running_loop() -> asyncio.AbstractEventLoop | None:
    """This thread's running asyncio loop, where code that awaits right now is asyncio's."""
    imported: Any = sys.modules.get("asyncio")
    # Trio may be a guest in an asyncio loop, which runs then but is not who is awaited.
    if imported is None or _sniffed() == _TRIO:
        return None
    try:
        loop: asyncio.AbstractEventLoop = imported.get_running_loop()
    except RuntimeError:
        return None
    return loop


def _sniffed() -> str | None:
    sniffio = sys.modules.get("sniffio")
    if sniffio is None:
        return None
    try:
        return str(sniffio.current_async_library())
    except sniffio.AsyncLibraryNotFoundError:
        return None


async def request(client: Client, op: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """`client.request` in a thread of Trio; with a library that we don't know, right here.

    Cancelled, the thread finishes by itself, and voids what it was granted in the meantime.
    """
    errand = _Errand(client, op, fields)
    if _sniffed() != _TRIO:
        return errand.run()
    trio: Any = sys.modules[_TRIO]
    try:
        reply: dict[str, Any] = await trio.to_thread.run_sync(errand.run, abandon_on_cancel=True)
    except BaseException:
        errand.abandon()
        raise
    return reply


class _Errand:
    """One request in a thread, which its caller may abandon."""

    def __init__(self, client: Client, op: str, fields: Mapping[str, Any]) -> None:
        self._client = client
        self._op = op
        self._fields = fields
        self._lock = threading.Lock()
        self._is_granted = False
        self._is_abandoned = False

    def run(self) -> dict[str, Any]:
        reply = self._client.request(self._op, **self._fields)
        with self._lock:
            self._is_granted = self._op == protocol.RESERVE and bool(reply.get("ok"))
            is_to_void = self._is_granted and self._is_abandoned
        if is_to_void:
            self._void()
        return reply

    def abandon(self) -> None:
        with self._lock:
            self._is_abandoned = True
            is_to_void = self._is_granted
        if is_to_void:
            threading.Thread(target=self._void, name="noburn-void").start()

    def _void(self) -> None:
        self._client.void(str(self._fields["call"]), reason="the reserve was given up")
