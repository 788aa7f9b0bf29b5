"""Endings that clients could not deliver, taken from their folder: at the start, and from then on.

Layer: daemon, event loop.  Below: journal_files, frames, ending, commits.  Above: server.
Owns: when one looks, and that a file goes only when what it says is durable.
Not here: files and locks (noburn_cli.journal_files), what an ending does (ending).

A client that comes later sends them as well: whoever is first.  At the start they come before the
dead are looked for, so that a call whose bill is known is not an orphan in between.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from noburn_cli import journal_files, protocol
from noburn_cli.errors import FrameRefused, LedgerUnavailable, UsageError
from noburn_daemon import ending, frames
from noburn_daemon.commits import Commits

#: How often the folder is looked at.
LOOK_S = 2.0
#: Lines that are booked in one transaction, and between which others are answered.
_BATCH = 256
#: Batches that are booked at the start before anybody is answered.
_AT_START = 40
_ENDINGS: Mapping[type, Callable[..., Any]] = {
    frames.Settle: ending.settle,
    frames.Lose: ending.lose,
    frames.Void: ending.void,
}

_log = logging.getLogger("noburn.daemon")


class Undelivered:
    """The folder of one home."""

    def __init__(self, folder: Path, commits: Commits, loop: asyncio.AbstractEventLoop) -> None:
        self._folder = folder
        self._commits = commits
        self._loop = loop
        self._looked_at = loop.time()
        self._work: Generator[None, None, None] | None = None
        self._closed = False

    def start(self) -> None:
        """Book what lies there; a great deal of it goes on beside the first requests."""
        self._work = self._book_all()
        for _ in range(_AT_START):
            if not self._step():
                return
        self._loop.call_soon(self._go_on)

    def look(self) -> None:
        """Book what has come, if it is time to look."""
        if self._work is not None or self._loop.time() - self._looked_at < LOOK_S:
            return
        self._looked_at = self._loop.time()
        self._work = self._book_all()
        self._go_on()

    def close(self) -> None:
        """Leave the rest to the next daemon."""
        self._closed = True
        self._end()

    def _go_on(self) -> None:
        if not self._closed and self._step():
            self._loop.call_soon(self._go_on)

    def _step(self) -> bool:
        """Book one batch; whether there may be more."""
        if self._work is None:
            return False
        try:
            next(self._work)
        except StopIteration:
            self._end()
            return False
        except OSError as error:
            _log.warning("undelivered endings in %s cannot be read: %s", self._folder, error)
            self._end()
            return False
        return True

    def _end(self) -> None:
        if self._work is not None:
            self._work.close()
            self._work = None

    def _book_all(self) -> Generator[None, None, None]:
        for path in journal_files.files(self._folder):
            with ExitStack() as stack:
                taken = stack.enter_context(journal_files.take(path))
                if taken is None:
                    continue
                refused: list[bytes] = []
                for start in range(0, len(taken.lines), _BATCH):
                    batch = taken.lines[start : start + _BATCH]
                    if not self._book(batch, refused):
                        return  # The ledger cannot be written: the file stays.
                    yield
                taken.finish(refused)
                _log.info(
                    "booked %d endings that a client could not deliver",
                    len(taken.lines) - len(refused),
                )
                if refused:
                    _log.warning("%d lines of %s are no endings: they are kept", len(refused), path)

    def _book(self, batch: list[bytes], refused: list[bytes]) -> bool:
        """Book a batch; whether it is durable.  `refused` gets what never will be booked."""
        commits = self._commits
        if commits.sick is not None and not commits.recovered():
            return False
        now_ms = commits.now()
        for line in batch:
            try:
                if not self._is_answered(line, now_ms):
                    refused.append(line)
            except LedgerUnavailable as error:
                commits.fall_sick(error)
                return False
            except Exception as error:  # noqa: BLE001 - see Commits.distrust_memory
                commits.distrust_memory(error)
                return False
        commits.flush()
        return commits.sick is None

    def _is_answered(self, line: bytes, now_ms: int) -> bool:
        try:
            frame = frames.decode(protocol.encode({**protocol.decode(line), "n": 0}))
            handle = _ENDINGS.get(type(frame))
            if handle is None:
                return False
            reply = handle(self._commits.book, frame, now_ms)
        except (frames.BadFrame, FrameRefused, UsageError):
            return False
        if isinstance(reply, dict) and not reply.get("ok"):
            return reply.get("error") in protocol.NEVER_BOOKED
        return True
