"""The answer's bytes on their way to the program, read for their usage: httpx and httpx2.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: follower, background, drivers; outliving, where an awaited stream is read on.
Above: httpx_hook.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import AsyncIterator, Iterator
from types import ModuleType
from typing import Any

from noburn_cli.client.foreign import running_loop
from noburn_cli.enforce import background
from noburn_cli.enforce.drivers import deliver, deliver_async
from noburn_cli.enforce.follower import Follower, ReadingOn
from noburn_cli.enforce.outcome import Tracker

#: What reading on may meet besides HTTP errors: another thread or task is reading just now.
_BUSY = (RuntimeError, ValueError)
_END = object()


class _Followed:
    """What both streams have in common."""

    def __init__(self, inner: Any, tracker: Tracker) -> None:
        self._inner = inner
        self._tracker = tracker
        self._follower = Follower(tracker, self)
        self._bytes: Any = None

    def __getattr__(self, name: str) -> Any:  # `elapsed` of the stream below
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._inner, name)


def sync_stream_class(module: ModuleType) -> Any:
    """The class of guarded streams for a module's blocking clients."""

    class GuardedSyncStream(_Followed, module.SyncByteStream):  # type: ignore[misc, name-defined]
        def __iter__(self) -> Iterator[bytes]:
            self._bytes = iter(self._inner)
            try:
                for chunk in self._bytes:
                    if kept := _received(self._follower, chunk, module):
                        yield kept
                    if self._tracker.cut is not None:
                        break
            except GeneratorExit:
                raise  # Closed early: close() decides.
            except BaseException as error:
                deliver(self._follower.broke(error))
                raise
            if rest := self._follower.rest():
                yield rest
            deliver(self._follower.completed())

        def close(self) -> None:
            patience = self._follower.reading_on()
            if patience is not None and self._bytes is None and not patience.aside:
                patience = None  # Nothing was read; what is there is whole.
            if patience is None:
                self._let_go()
            elif not patience.aside or not background.start(self._read_on, patience):
                self._read_on(patience)

        def _read_on(self, patience: ReadingOn) -> None:
            with contextlib.suppress(module.HTTPError, zlib.error, OSError, *_BUSY):
                chunks = iter(self._inner) if self._bytes is None else self._bytes
                for chunk in chunks:
                    self._follower.receive(chunk)
                    if patience.is_spent(chunk) or self._follower.knows_enough():
                        break
            self._let_go()

        def _let_go(self) -> None:
            try:
                deliver(self._follower.abandoned())
            finally:
                self._inner.close()

    return GuardedSyncStream


def async_stream_class(module: ModuleType) -> Any:
    """The class of guarded streams for a module's awaitable clients."""

    class GuardedAsyncStream(_Followed, module.AsyncByteStream):  # type: ignore[misc, name-defined]
        def __init__(self, inner: Any, tracker: Tracker) -> None:
            super().__init__(inner, tracker)
            self._pulling: Any = None
            self._is_lent = False

        async def __aiter__(self) -> AsyncIterator[bytes]:
            self._bytes = self._inner.__aiter__()
            try:
                while (chunk := await self._next()) is not _END:
                    if kept := _received(self._follower, chunk, module):
                        yield kept
                    if self._tracker.cut is not None:
                        break
            except GeneratorExit:
                raise
            except BaseException as error:
                if not self._is_lent:
                    await deliver_async(self._follower.broke(error))
                raise
            if rest := self._follower.rest():
                yield rest
            await deliver_async(self._follower.completed())

        async def _next(self) -> Any:
            """The next chunk; cancelled, the stream is read on where the policy wants it."""
            if not self._tracker.drains() or running_loop() is None:
                return await self._pull()
            import asyncio

            self._pulling = asyncio.ensure_future(self._pull())
            try:
                return await asyncio.shield(self._pulling)
            except asyncio.CancelledError:
                patience = self._follower.reading_on()
                if patience is not None and not self._pulling.cancelled():
                    self._lend(patience)
                raise

        async def _pull(self) -> Any:
            try:
                return await self._bytes.__anext__()
            except StopAsyncIteration:
                return _END

        async def aclose(self) -> None:
            if self._is_lent:
                return
            patience = self._follower.reading_on()
            if patience is None or (self._bytes is None and not patience.aside):
                await self._let_go()
            elif not patience.aside or running_loop() is None:
                await self._read_on(patience)
            else:
                self._lend(patience)

        def _lend(self, patience: ReadingOn) -> None:
            from noburn_cli.enforce import outliving

            self._is_lent = True
            outliving.start(self._read_on(patience))

        async def _read_on(self, patience: ReadingOn) -> None:
            try:
                with contextlib.suppress(module.HTTPError, zlib.error, OSError, *_BUSY):
                    await self._read_rest(patience)
            finally:
                await self._let_go()

        async def _read_rest(self, patience: ReadingOn) -> None:
            if self._bytes is None:
                self._bytes = self._inner.__aiter__()
            pulling, self._pulling = self._pulling, None
            while not self._follower.knows_enough():
                chunk = await (pulling if pulling is not None else self._pull())
                pulling = None
                if chunk is _END:
                    return
                self._follower.receive(chunk)
                if patience.is_spent(chunk):
                    return

        async def _let_go(self) -> None:
            try:
                await deliver_async(self._follower.abandoned())
            finally:
                await self._close_below()

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


def _received(follower: Follower, chunk: bytes, module: ModuleType) -> bytes:
    try:
        return follower.receive(chunk)
    except zlib.error as error:
        raise module.DecodingError(str(error)) from error
