"""Deliveries: which message goes out now, and what follows from how it went.

Layer: daemon, event loop.  Below: outbox, notices, webhook, hook_command.  Above: service.
Owns: at most one attempt per channel at a time, each in a thread, so that neither the loop nor
another channel waits for a slow receiver; and that an attempt is recorded before the next one.
A message may be delivered twice (a daemon that dies between a delivery and its record), never not
at all: it leaves the outbox's queue only by its record.
Not here: what is told, and when (alerts).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from noburn_cli.core.service_keys import Channel
from noburn_cli.errors import LedgerUnavailable
from noburn_daemon.hook_command import Commands
from noburn_daemon.ledger import Notice
from noburn_daemon.notices import ATTEMPTS_MAX, TEST, Outcome, delay_ms, shown_failure
from noburn_daemon.outbox import Message, Outbox
from noburn_daemon.webhook import post

#: How long a channel rests after failures in a row, at the most, whatever its messages wait for.
_REST_MS_MAX = 300_000
#: Messages that no disk can take, as that the disk cannot be written, wait in memory.
_UNSTORED_MAX = 32
_LOOK_AGAIN_MS = 1_000

_log = logging.getLogger("noburn.notify")


@dataclass
class _Rest:
    """A channel after failures: how many in a row, and when it is tried again."""

    failures: int = 0
    until_ms: int = 0


class Dispatcher:
    """Looks for messages that are due, and has each delivered in a thread.

    outbox: the ledger's, whose file may have been made anew.
    can_store: whether the ledger's file can be written now.
    environment: of the daemon, where secrets may be.
    """

    def __init__(
        self, outbox: Callable[[], Outbox], *, loop: asyncio.AbstractEventLoop,
        now_ms: Callable[[], int], can_store: Callable[[], bool], environment: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._outbox = outbox
        self._loop = loop
        self._now_ms = now_ms
        self._can_store = can_store
        self._environment = environment
        self._commands = Commands()
        self.channels: Mapping[str, Channel] = {}
        self._active: dict[str, Message] = {}
        self._rests: dict[str, _Rest] = {}
        #: What attempts came to that the disk could not take yet.
        self._unrecorded: list[tuple[Message, Outcome]] = []
        self._unstored: list[Message] = []
        self._wake_at_ms = 0
        self._closed = False

    @property
    def is_busy(self) -> bool:
        """Whether something is being delivered, or waits to be."""
        return bool(self._active or self._unrecorded or self._unstored or self._wake_at_ms)

    def use(self, channels: Mapping[str, Channel]) -> None:
        """Deliver by these from now on; what failed for their settings is tried at once."""
        self.channels = channels
        self.try_anew()

    def wake(self) -> None:
        """Something was put into the outbox."""
        self._wake_at_ms = 1

    def try_anew(self) -> None:
        """Everything that waits is to be tried now, by whichever channel."""
        self._rests.clear()
        self._wake_at_ms = 1

    def count_anew(self, channels: Collection[str] = ()) -> None:
        """What was told to be tried anew has had no attempt: what is under way is its first.

        channels: only those; empty for all.
        """
        for channel, message in self._active.items():
            if not channels or channel in channels:
                self._active[channel] = replace(message, attempts=0)
        self.try_anew()

    def say_unstored(self, notices: list[Notice]) -> None:
        """Deliver what the ledger's file cannot take: once a channel, while the process lives."""
        known = {message.payload for message in self._unstored}
        for notice in notices[: _UNSTORED_MAX - len(self._unstored)]:
            if notice.payload not in known:
                self._unstored.append(
                    Message(
                        0,
                        notice.key,
                        notice.at_ms,
                        notice.channel,
                        notice.kind,
                        notice.payload,
                        0,
                        0,
                    )
                )
        self._wake_at_ms = 1

    def look(self) -> None:
        """Start what is due."""
        now_ms = self._now_ms()
        if self._closed or not self._wake_at_ms or self._wake_at_ms > now_ms:
            return
        self._wake_at_ms = 0
        self._start_unstored(now_ms)
        if not self._can_store():
            self._wake_at_ms = now_ms + _LOOK_AGAIN_MS
            return
        try:
            self._record(now_ms)
            self._start_stored(now_ms)
        except LedgerUnavailable as error:
            _log.warning("the outbox cannot be read or written: %s", error.message)
            self._wake_at_ms = now_ms + _LOOK_AGAIN_MS

    def close(self) -> None:
        """Start nothing more; what is under way is told again by the next daemon."""
        self._closed = True
        self._commands.close()

    def _is_free(self, channel: str, now_ms: int) -> bool:
        rest = self._rests.get(channel)
        return channel not in self._active and (rest is None or rest.until_ms <= now_ms)

    def _start_stored(self, now_ms: int) -> None:
        """Start what is due, and note when to look again.  Raises LedgerUnavailable.

        An attempt under way wakes us by its end.
        """
        moments = [1] if self._unstored or self._unrecorded else []
        for channel, due_ms in self._outbox().channels().items():
            rest = self._rests.get(channel)
            at_ms = max(due_ms, 0 if rest is None else rest.until_ms, 1)
            if channel in self._active:
                continue
            if at_ms > now_ms:
                moments.append(at_ms)
                continue
            message = self._outbox().first(channel)
            if message is not None:
                self._start(message)
        if not self._wake_at_ms:
            self._wake_at_ms = min(moments, default=0)

    def _start_unstored(self, now_ms: int) -> None:
        for message in list(self._unstored):
            if self._is_free(message.channel, now_ms):
                self._unstored.remove(message)
                self._start(message)

    def _start(self, message: Message) -> None:
        channel = self.channels.get(message.channel)
        if channel is None:
            outcome = Outcome(f"there is no channel `{message.channel}` in the configuration")
            self._ended(message, outcome)
            return
        self._active[message.channel] = message
        thread = threading.Thread(
            target=self._attempt, args=(message, channel), name=f"notify-{channel.name}",
            daemon=True,
        )  # fmt: skip
        try:
            thread.start()
        except RuntimeError as error:  # the system gives no more threads
            self._ended(message, Outcome(str(error)))

    def _attempt(self, message: Message, channel: Channel) -> None:
        """In a thread: deliver once, and tell the loop."""
        body = message.payload.encode()
        try:
            if channel.command:
                outcome = self._commands.run(channel, message.key, body, self._environment)
            else:
                outcome = post(channel, message.key, body, self._environment)
        except Exception as error:  # noqa: BLE001 - a bug of ours must not lose the message
            outcome = Outcome(f"the daemon itself failed: {shown_failure(repr(error))}")
        with contextlib.suppress(RuntimeError):  # the loop has ended: the next daemon tells it
            self._loop.call_soon_threadsafe(self._ended, message, outcome)

    def _ended(self, message: Message, outcome: Outcome) -> None:
        if self._closed:
            return
        message = self._active.pop(message.channel, message)
        rest = self._rests.setdefault(message.channel, _Rest())
        if outcome.failure:
            _log.warning("%s by %s: %s", message.key, message.channel, outcome.failure)
            rest.failures += 1
            pause_ms = min(delay_ms(rest.failures, random.random()), _REST_MS_MAX)  # noqa: S311
            rest.until_ms = self._now_ms() + max(pause_ms, outcome.retry_after_ms)
        else:
            _log.info("%s by %s: delivered", message.key, message.channel)
            del self._rests[message.channel]
        if message.id:
            self._unrecorded.append((message, outcome))
        elif outcome.failure and message.attempts < ATTEMPTS_MAX:
            self._unstored.append(replace(message, attempts=message.attempts + 1))
        self._wake_at_ms = 1
        self._loop.call_soon(self.look)

    def _record(self, now_ms: int) -> None:
        """Write what attempts came to.  Raises LedgerUnavailable, and keeps what it could not."""
        while self._unrecorded:
            message, outcome = self._unrecorded[0]
            attempts = message.attempts + 1
            if not outcome.failure:
                self._outbox().delivered(message, now_ms)
            elif outcome.gone or attempts >= ATTEMPTS_MAX or message.kind == TEST:
                self._outbox().given_up(message, outcome.failure, now_ms)
            else:
                wait_ms = delay_ms(attempts, random.random())  # noqa: S311
                wait_ms = max(wait_ms, outcome.retry_after_ms)
                self._outbox().failed(message, outcome.failure, next_at_ms=now_ms + wait_ms)
            self._unrecorded.pop(0)
