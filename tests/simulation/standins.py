"""What stands in for the daemon's few looks at the outside, while a simulation runs."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import random
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import apsw

from noburn_daemon import accounts, checkpoint, names, opening, server
from noburn_daemon.peer import PeerConnection
from noburn_daemon.server import Daemon
from tests.simulation.disk import simulated
from tests.simulation.workload import price_book

if TYPE_CHECKING:
    from tests.simulation.world import World


class SimulatedPrices:
    """The price files: one book, which never changes."""

    def __init__(self) -> None:
        self.book = price_book()

    def changed(self) -> bool:
        return False

    def read(self) -> Any:
        return self.book


class SimulatedPeer(PeerConnection):
    """As it is, but in the same order in every set, whatever its address."""

    count = 0

    def __init__(self, daemon: Daemon) -> None:
        super().__init__(daemon)
        SimulatedPeer.count += 1
        self._number = SimulatedPeer.count

    def __hash__(self) -> int:
        return self._number

    def __eq__(self, other: object) -> bool:
        return self is other


def close_connections(folder: Path) -> None:
    """A daemon that died in its constructor left connections that nobody can name."""
    for connection in apsw.connections():
        with contextlib.suppress(apsw.Error):
            if connection.filename.startswith(str(folder)):
                connection.close()


def memory_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextlib.contextmanager
def standing_in(world: World) -> Iterator[None]:
    """The daemon's few looks at the outside go to the world."""
    SimulatedPeer.count = 0
    salts = random.Random(f"{world.seed} salts")
    with contextlib.ExitStack() as stack:
        patch = mock.patch.object
        stack.enter_context(simulated(world.disk, world.faults.slept))
        stack.enter_context(patch(checkpoint, "PASSIVE_PAGES", 20))
        stack.enter_context(patch(checkpoint, "TRUNCATE_PAGES", 120))
        stack.enter_context(
            patch(names.secrets, "token_hex", lambda n: f"{salts.getrandbits(8 * n):0{2 * n}x}")
        )
        stack.enter_context(patch(server, "count_input", _count))
        stack.enter_context(_logged(world))
        if world.whole is not None:
            stack.enter_context(world.whole.standing_in())
        stack.enter_context(
            patch(opening, "_write_log_again", lambda path: world.disk.write_again(f"{path}-wal"))
        )
        # It is told in replies, whose length decides how they are cut.
        stack.enter_context(patch(os, "getpid", lambda: 4711))
        stack.enter_context(patch(accounts.Account, "__hash__", _account_hash, create=True))
        try:
            yield
        finally:
            world.disk.is_dead = True
            world.checks.stopped()
            close_connections(world.folder)


class _Told(logging.Handler):
    """The daemon's log is part of the trace."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage().replace(str(self._world.folder), "")
        self._world.trace(f"log: {text}")
        if (
            record.exc_info is not None
            and record.exc_info[0] is not None
            and not issubclass(record.exc_info[0], (apsw.Error, OSError))  # the disk's
            and not (self._world.disk.is_dead)
        ):
            self._world.defects.append("".join(traceback.format_exception(*record.exc_info)))


@contextlib.contextmanager
def _logged(world: World) -> Iterator[None]:
    log = logging.getLogger("noburn")
    before = log.propagate, log.level
    handler = _Told(world)
    log.addHandler(handler)
    log.propagate = False
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate, log.level = before


def _count(texts: Any, size: Any, *, tokenizer: str) -> int:
    """Tokens by words: an encoding of our own, which needs no file."""
    return sum(len(text.split()) for text in texts.texts) + size.overhead


def _account_hash(account: Any) -> int:
    text = f"{account.budget.row.id} {account.key} {account.start_ms}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big")
