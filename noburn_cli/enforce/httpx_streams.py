"""The answer's bytes on their way to the program, read for their usage: httpx and httpx2.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: drivers, outcome.  Above: httpx_hook.
Owns: when a call has ended: read to its end, broken, closed early, forgotten.
"""

from __future__ import annotations

import contextlib
import weakref
import zlib
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from noburn_cli.enforce.drivers import deliver, deliver_aside, deliver_async
from noburn_cli.enforce.outcome import Outcome, Tracker

#: After the generation's end a stream owes only its usage; more than this is not waited for.
DRAIN_BYTES_MAX = 1024 * 1024
#: What reading on may meet besides HTTP errors: another thread or task is reading just now.
_BUSY = (RuntimeError, ValueError)


def _forgotten(tracker: Tracker) -> None:
    deliver_aside(tracker.abandoned("the answer was never closed"))


class _Followed:
    """What both streams have in common."""

    def __init__(self, inner: Any, tracker: Tracker) -> None:
        self._inner = inner
        self._tracker = tracker
        self._bytes: Any = None
        self._forget = weakref.finalize(self, _forgotten, tracker)

    def __getattr__(self, name: str) -> Any:  # `elapsed` of the stream below
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)

    def _is_worth_draining(self) -> bool:
        return self._bytes is not None and self._tracker.worth_draining()

    def _ended(self, outcome: Outcome | None) -> Outcome | None:
        self._forget.detach()
        return outcome


def sync_stream_class(module: ModuleType) -> Any:
    """The class of guarded streams for a module's blocking clients."""

    class GuardedSyncStream(_Followed, module.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            self._bytes = iter(self._inner)
            try:
                for chunk in self._bytes:
                    if kept := _received(self._tracker, chunk, module):
                        yield kept
                    if self._tracker.cut is not None:
                        break
            except GeneratorExit:
                raise  # Closed early: close() decides.
            except BaseException as error:
                deliver(self._ended(self._tracker.broke(error)))
                raise
            if rest := self._tracker.rest():
                yield rest
            deliver(self._ended(self._tracker.completed()))

        def close(self) -> None:
            try:
                if self._is_worth_draining():
                    self._drain()
            finally:
                deliver(self._ended(self._tracker.abandoned()))
                self._inner.close()

        def _drain(self) -> None:
            left = DRAIN_BYTES_MAX
            with contextlib.suppress(module.HTTPError, zlib.error, *_BUSY):
                for chunk in self._bytes:
                    self._tracker.receive(chunk)
                    left -= len(chunk)
                    if left < 0 or not self._tracker.worth_draining():
                        return

    return GuardedSyncStream


def async_stream_class(module: ModuleType) -> Any:
    """The class of guarded streams for a module's awaitable clients."""

    class GuardedAsyncStream(_Followed, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        async def __aiter__(self) -> AsyncIterator[bytes]:
            self._bytes = self._inner.__aiter__()
            try:
                async for chunk in self._bytes:
                    if kept := _received(self._tracker, chunk, module):
                        yield kept
                    if self._tracker.cut is not None:
                        break
            except GeneratorExit:
                raise
            except BaseException as error:
                await deliver_async(self._ended(self._tracker.broke(error)))
                raise
            if rest := self._tracker.rest():
                yield rest
            await deliver_async(self._ended(self._tracker.completed()))

        async def aclose(self) -> None:
            try:
                if self._is_worth_draining():
                    await self._drain()
            finally:
                try:
                    await deliver_async(self._ended(self._tracker.abandoned()))
                finally:
                    await self._close_below()

        async def _drain(self) -> None:
            left = DRAIN_BYTES_MAX
            with contextlib.suppress(module.HTTPError, zlib.error, *_BUSY):
                async for chunk in self._bytes:
                    self._tracker.receive(chunk)
                    left -= len(chunk)
                    if left < 0 or not self._tracker.worth_draining():
                        return

        async def _close_below(self) -> None:
            # Its generator first, which the loop would otherwise have to find and end.
            end = getattr(self._bytes, "aclose", None)
            try:
                if end is not None:
                    with contextlib.suppress(*_BUSY):
                        await end()
            finally:
                await self._inner.aclose()

    return GuardedAsyncStream


def _received(tracker: Tracker, chunk: bytes, module: ModuleType) -> bytes:
    try:
        return tracker.receive(chunk)
    except zlib.error as error:
        raise module.DecodingError(str(error)) from error
