"""What the daemon says now, told to every page that listens, from one look a second.

Layer: dashboard, I/O.  Below: client.opening, reports.holds, reports.stored, render's data.
Above: dashboard.server.
Owns: when is looked, and the document that pages draw runs, budgets and holds from.
Not here: spend (dashboard.figures), which pages ask for when `head` has grown.

Nothing is asked while nobody listens; no daemon is started, and one that is away is said to be.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from noburn_cli import paths, protocol
from noburn_cli.client.connection import Connection
from noburn_cli.client.opening import Opener
from noburn_cli.client.requests import accepted
from noburn_cli.client.retry import NoReply
from noburn_cli.core.money import Nano
from noburn_cli.dashboard.beside import changed_ns
from noburn_cli.dashboard.shown import budgets_data, hold_data
from noburn_cli.errors import LedgerUnavailable, NoburnError
from noburn_cli.ledger_file import no_ledger
from noburn_cli.render.top import run_data
from noburn_cli.reports.head import read_head
from noburn_cli.reports.holds import read_open_holds
from noburn_cli.reports.stored import read_stored_budgets

LOOK_S = 1.0
#: Budgets of many customers are many accounts: asked for less often, and never for more than a
#: twentieth of the time.
BUDGETS_S = 3.0
_BUDGETS_SHARE = 20
#: How long the daemon may take to answer before it is said to be away.
_REPLY_S = 3.0
_HOLDS_SHOWN_MAX = 200

Document = dict[str, Any]


class Daemon:
    """One connection to the daemon of a home, opened anew when it has ended."""

    def __init__(self, home: Path) -> None:
        self._opener = Opener(home, start_daemon=False)
        self._connection: Connection | None = None

    def ask(self, *operations: str) -> list[dict[str, Any]]:
        """The replies to requests without fields, asked in one go.  Raises NoburnError."""
        kept = self._connection is not None
        try:
            replies = self._exchange(operations)
        except NoReply as error:
            if not kept:
                raise NoburnError("the daemon does not answer", why=str(error)) from error
            return self.ask(*operations)  # It has been started anew since.
        except OSError as error:
            raise NoburnError("the daemon cannot be reached", why=str(error)) from error
        return [accepted(reply) for reply in replies]

    def _exchange(self, operations: Sequence[str]) -> list[dict[str, Any]]:
        """Raises NoReply, OSError or NoburnError, and has closed the connection then."""
        try:
            if self._connection is None:
                self._connection = self._opener.open_quickly(within_s=_REPLY_S)
            frames = [{"op": operation} for operation in operations]
            return self._connection.exchange_all(frames, deadline=time.monotonic() + _REPLY_S)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Live:
    """Looks at the daemon and the file while somebody listens.

    now_ms: the wall clock, for when no daemon tells the ledger's time.
    counting: how far reports have caught up with the ledger, None when they have.
    """

    def __init__(
        self, home: Path, *, now_ms: Callable[[], int], counting: Callable[[], object]
    ) -> None:
        self._counting = counting
        self._ledger = paths.ledger_path(home)
        self._imports, self._revenue = paths.imports_path(home), paths.revenue_path(home)
        self._daemon = Daemon(home)
        self._now_ms = now_ms
        self._listeners: set[asyncio.Queue[str | None]] = set()
        self._task: asyncio.Task[None] | None = None
        self._budgets: tuple[float, list[Document]] | None = None
        self._last = ""
        self._looking = asyncio.Lock()

    async def snapshot(self) -> Document:
        """What holds now."""
        async with self._looking:
            return {**await asyncio.to_thread(self._look), "counting": self._counting()}

    def listen(self) -> asyncio.Queue[str | None]:
        """A queue of documents as text: the last one first; None is the end."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=2)
        if self._last:
            queue.put_nowait(self._last)
        self._listeners.add(queue)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._watch())
        return queue

    def leave(self, queue: asyncio.Queue[str | None]) -> None:
        self._listeners.discard(queue)

    async def close(self) -> None:
        """End every listener's queue, and the connection."""
        self._end()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        async with self._looking:
            self._daemon.close()

    def _end(self) -> None:
        for queue in self._listeners:
            while not queue.empty():
                queue.get_nowait()
            queue.put_nowait(None)

    async def _watch(self) -> None:
        try:
            await self._look_again_and_again()
        finally:
            self._last = ""
            self._end()  # Should a look have failed: pages ask anew, and are told.

    async def _look_again_and_again(self) -> None:
        before: object = None
        while self._listeners:
            document = await self.snapshot()
            said = {key: value for key, value in document.items() if key != "now_ms"}
            if said != before:
                before, self._last = said, json.dumps(document, ensure_ascii=False)
                for queue in self._listeners:
                    if queue.full():  # A page that is slow sees the newest, not each.
                        queue.get_nowait()
                    queue.put_nowait(self._last)
            await asyncio.sleep(LOOK_S)

    def _look(self) -> Document:
        try:
            runs, status = self._daemon.ask(protocol.RUN_LIST, protocol.STATUS)
            document = {
                "now_ms": runs["now_ms"],
                "daemon": _daemon_data(status),
                "runs": [run_data(run) for run in runs["runs"]],
                "budgets": self._budgets_of_daemon(),
            }
        except NoburnError as error:
            self._budgets = None
            now_ms = self._now_ms()
            away = {"up": False, "message": error.message, "why": error.why}
            document = {"now_ms": now_ms, "daemon": away, "runs": []}
            return {**document, **self._beside(), **self._file(now_ms)}
        return {**document, **self._beside(), **self._file(None)}

    def _beside(self) -> Document:
        """Whether there are imported calls, and what is another text once those or revenue are."""
        imported, revenue = changed_ns(self._imports), changed_ns(self._revenue)
        return {"imported": imported is not None, "beside": f"{imported}/{revenue}"}

    def _budgets_of_daemon(self) -> list[Document]:
        began = time.monotonic()
        if self._budgets is None or began >= self._budgets[0]:
            (reply,) = self._daemon.ask(protocol.BUDGET_LIST)
            took = time.monotonic() - began
            pause = max(BUDGETS_S, _BUDGETS_SHARE * took)
            self._budgets = (began + pause, budgets_data(reply["budgets"]))
        return self._budgets[1]

    def forget_budgets(self) -> None:
        """Look at the budgets with the next look: something was changed."""
        self._budgets = None

    def _file(self, now_ms: int | None) -> Document:
        """What the ledger's file says: how far it has come, its holds, and without a daemon (the
        moment is given) its budgets.
        """
        try:
            if not self._ledger.exists():
                raise no_ledger(self._ledger)
            document: Document = {"head": read_head(self._ledger)}
            holds = read_open_holds(self._ledger, shown_max=_HOLDS_SHOWN_MAX)
            if now_ms is not None:
                document["budgets"] = budgets_data(read_stored_budgets(self._ledger, now_ms))
        except LedgerUnavailable as error:
            empty: Document = {} if now_ms is None else {"budgets": []}
            reason = {"message": error.message, "why": error.why, "next": error.next_step}
            return {"head": None, "ledger": reason, "holds": None, **empty}
        document["holds"] = {
            "known": now_ms is None,
            "calls": holds.calls,
            "held_usd": Nano(holds.hold_nano).exact(),
            "rows": [hold_data(hold) for hold in holds.oldest],
        }
        return document


def _daemon_data(status: Document) -> Document:
    return {
        "up": True, "version": status["version"], "pid": status["pid"],
        "waiters": status["waiters"], "warnings": status["warnings"],
    }  # fmt: skip
