"""What the daemon says of itself: `status`, and its warnings.

Layer: daemon, event loop.  Below: book, commits, clock, pricing, sqlite.  Above: server.
Owns: the reply to `status`.  It changes nothing, and is answered whatever the disk does.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from noburn_cli import protocol
from noburn_cli.version import __version__
from noburn_daemon import frames
from noburn_daemon.clock import Clock
from noburn_daemon.commits import Commits
from noburn_daemon.pricefollowing import PriceFollower
from noburn_daemon.pricing import Pricing
from noburn_daemon.replies import Reply
from noburn_daemon.sqlite import SqliteLedger


class Teller:
    """Reads the daemon's parts for whoever asks."""

    def __init__(
        self, *, ledger: SqliteLedger, commits: Commits, pricing: Pricing, prices: PriceFollower,
        clock: Clock, more: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        """more: gives further warnings."""
        self._ledger = ledger
        self._commits = commits
        self._pricing = pricing
        self._prices = prices
        self._clock = clock
        self._more = more
        self._started_ms = clock.now_ms()

    def status(self, frame: frames.Status, now_ms: int, *, connections: int) -> Reply:
        """The reply to `status`."""
        book = self._commits.book
        seq, head = self._ledger.head
        return {
            "n": frame.n, "ok": True, "version": __version__, "protocol": protocol.VERSION,
            "pid": os.getpid(), "uptime_ms": now_ms - self._started_ms, "now_ms": now_ms,
            "open_holds": len(book.calls.open), "waiters": len(book.waiting),
            "connections": connections, "runs": len(book.runs.owners),
            "budgets": len(book.accounts.budgets), "book": self._pricing.book.version,
            "durability": self._ledger.durability,
            "ledger": {"path": str(self._ledger.path), "head_seq": seq, "head": head,
                       **self._ledger.counts()},
            "warnings": self.warnings(),
        }  # fmt: skip

    def warnings(self) -> list[str]:
        """What a person should know, each a sentence."""
        warnings = []
        if self._commits.sick is not None:
            warnings.append(self._commits.sick)
        jump = self._clock.jump_ms()
        if jump:
            warnings.append(
                f"the wall clock is {jump} ms off the ledger's time, which follows the boot clock"
            )
        if self._prices.refused is not None:
            warnings.append(f"prices are as before: {self._prices.refused}")
        for model, factor in self._pricing.factors.items():
            if factor > 1000:
                warnings.append(
                    f"a bill of {model} was above its bound; bounds are ×{factor / 1000}"
                )
        return warnings + self._more()
