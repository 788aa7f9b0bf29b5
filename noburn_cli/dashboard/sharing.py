"""Questions that take a while: asked once by however many pages, and never waited for too long.

Layer: dashboard, I/O (threads).  Above: dashboard.server.
Owns: who waits for whom.  The first look at a long ledger takes minutes (reports.rollups): a page
is told to ask again, and hears meanwhile how far it has come (dashboard.live); the look goes on.

Each question has a thread that does not keep the process from ending: what it was reading is as
whole as after any other end.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Hashable
from typing import TypeVar

T = TypeVar("T")
#: Browsers and what stands between give an answer up after a minute or more.
PATIENCE_S = 20.0


class StillReading(Exception):
    """The answer takes longer; the same question asked again goes on waiting for it."""


class Sharing:
    """patience_s: how long somebody waits for an answer before being told to ask again."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._asked: dict[Hashable, asyncio.Future[object]] = {}

    async def ask(self, key: Hashable, read: Callable[[], T]) -> T:
        """What `read` returns, from the thread that was started for `key`.

        Raises StillReading, and what `read` raises.
        """
        future = self._asked.get(key)
        if future is None:
            future = self._asked[key] = self._start(key, read)
        done, _ = await asyncio.wait({future}, timeout=self._patience_s)
        if not done:
            raise StillReading
        return future.result()  # type: ignore[return-value]

    def _start(self, key: Hashable, read: Callable[[], T]) -> asyncio.Future[object]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[object] = loop.create_future()

        def finish(result: object, error: BaseException | None) -> None:
            self._asked.pop(key, None)
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)
                future.exception()  # Whoever asked may have gone.

        def work() -> None:
            result: object = None
            error: BaseException | None = None
            try:
                result = read()
            except BaseException as raised:  # noqa: BLE001 -- it belongs to whoever asked
                error = raised
            if not loop.is_closed():
                loop.call_soon_threadsafe(finish, result, error)

        threading.Thread(target=work, name="dashboard-reading", daemon=True).start()
        return future
