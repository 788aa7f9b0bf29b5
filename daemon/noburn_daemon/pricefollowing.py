"""The user's price file, followed while the daemon runs: what it says prices new holds.

Layer: daemon, event loop.  Below: pricefile, pricing, ledger.  Above: server.
Owns: when one looks, and why the file as it is now prices nothing.
Not here: what was seen of the file (pricefile), which book prices what (pricing).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor

from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import NoburnError
from noburn_daemon.ledger import Ledger
from noburn_daemon.pricefile import PriceFile
from noburn_daemon.pricing import Pricing

#: How often the user's price file is looked at.
PRICES_S = 2.0

_log = logging.getLogger("noburn.prices")


class PriceFollower:
    """Brings a changed price file into `pricing`.

    thread: parses it.  replaced: called when new holds are priced by another book.
    """

    def __init__(
        self, file: PriceFile, pricing: Pricing, ledger: Ledger, *, thread: Executor,
        loop: asyncio.AbstractEventLoop, replaced: Callable[[], None],
    ) -> None:  # fmt: skip
        self._file = file
        self._pricing = pricing
        self._ledger = ledger
        self._thread = thread
        self._loop = loop
        self._replaced = replaced
        self._looked_at = loop.time()
        #: Why the user's price file as it is now does not price anything.
        self.refused: str | None = None

    def changed(self) -> bool:
        """Whether the file is another than the one that was read last."""
        return self._file.changed()

    def look(self) -> None:
        """Take the user's price file when it has changed; it is parsed in a thread."""
        if self._loop.time() - self._looked_at < PRICES_S:
            return
        self._looked_at = self._loop.time()
        if self._file.changed():
            self.read(lambda: None)

    def read(self, then: Callable[[], object]) -> None:
        """Read the file in the thread, take what it says, and call `then`."""

        def done(reading: asyncio.Future[PriceBook]) -> None:
            self._take(reading)
            then()

        self._loop.run_in_executor(self._thread, self._file.read).add_done_callback(done)

    def _take(self, done: asyncio.Future[PriceBook]) -> None:
        """New holds are priced by the new book; a broken one changes nothing, and is told."""
        if done.cancelled():
            return
        try:
            book = done.result()
            self._ledger.store_book(book.version, list(book.texts))
        except NoburnError as error:
            self.refused = error.message
            _log.warning("prices are as before: %s", error.message)
            return
        self.refused = None
        if book.version != self._pricing.book.version:
            self._pricing.replace_book(book)
            _log.info("prices are now those of book %s", book.version)
            self._replaced()
