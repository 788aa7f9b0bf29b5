"""Endings of calls that could not be delivered, kept until a daemon takes them.

Layer: client.  Below: journal_files, protocol, connection.  Above: opening, both clients.
Owns: what is kept, and sending it over the next connection.  The daemon reads the folder as well
(noburn_daemon.undelivered): whoever is first; sending a line twice is harmless, because endings are
idempotent.
Not here: files and locks (journal_files).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from noburn_cli import journal_files, protocol
from noburn_cli.client.connection import Connection
from noburn_cli.client.retry import REPLY_S
from noburn_cli.errors import DaemonUnavailable, FrameRefused, NoburnError

_BATCH = 256

_LATER = frozenset({protocol.UNKNOWN, protocol.LEDGER, protocol.DRAINING})


def append(folder: Path, frame: Mapping[str, Any]) -> None:
    """Keep one frame.  Raises OSError when the disk does not take it."""
    journal_files.append(folder, protocol.encode(frame))


def keep(folder: Path, frame: Mapping[str, Any], error: NoburnError) -> None:
    """Keep what `error` kept from being delivered.  Raises DaemonUnavailable if that fails, too."""
    try:
        append(folder, frame)
    except OSError as problem:
        raise DaemonUnavailable(
            f"`{frame['op']}` of call {frame['call']} could be neither delivered nor kept",
            why=f"{error.message}; {problem}",
            next_step="the call stays charged at its hold: see `noburn ledger orphans`",
        ) from problem


def replay(folder: Path, connection: Connection) -> int:
    """Send what lies in `folder`, and delete each file once all of it was answered.

    Returns how many lines were answered.  Raises Lost or Late; what is left stays in place.
    """
    answered = 0
    for path in journal_files.files(folder):
        with journal_files.take(path) as taken:
            if taken is None:
                continue
            count, refused = _send(taken.lines, connection)
            answered += count
            if count + len(refused) == len(taken.lines):
                taken.finish(refused)
    return answered


def _send(lines: list[bytes], connection: Connection) -> tuple[int, list[bytes]]:
    """How many lines were answered, and those that no daemon will ever take."""
    answered = 0
    refused: list[bytes] = []
    for start in range(0, len(lines), _BATCH):
        batch = lines[start : start + _BATCH]
        frames = [(line, frame) for line in batch if (frame := _frame(line)) is not None]
        refused.extend(line for line in batch if _frame(line) is None)
        replies = connection.exchange_all(
            [frame for _, frame in frames], deadline=time.monotonic() + REPLY_S
        )
        for (line, _), reply in zip(frames, replies, strict=True):
            if reply.get("ok") or reply.get("error") in protocol.NEVER_BOOKED:
                answered += 1
            elif reply.get("error") not in _LATER:
                refused.append(line)
    return answered, refused


def _frame(line: bytes) -> dict[str, Any] | None:
    try:
        return protocol.decode(line)
    except FrameRefused:
        return None
