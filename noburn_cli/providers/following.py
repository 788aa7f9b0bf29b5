"""Following a streamed answer: the part that is the same for every provider.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.sse, providers.codec.
A codec's reader says what one event means (`look`); this keeps bytes and order.
"""

from __future__ import annotations

import json
from typing import Any

from noburn_cli.providers.codec import Settlement
from noburn_cli.providers.sse import EVENT_BYTES_MAX, LATE_LF, Event, EventSplitter


class Following:
    """A StreamReader whose subclasses implement `look`.

    Bytes are handed on at once, or, when an event may have to be left out, event by event.
    """

    def __init__(self, *, strip_usage: bool, event_bytes_max: int = EVENT_BYTES_MAX) -> None:
        self.settlement: Settlement | None = None
        self.ended = False
        self.failed = False
        self._strip_usage = strip_usage
        self._splitter = EventSplitter(event_bytes_max=event_bytes_max)
        self._dropped_last = False

    def look(self, event: Event) -> bool:
        """Learn from one event; true when it carries only the usage that was not asked for."""
        raise NotImplementedError

    def receive(self, chunk: bytes) -> bytes:
        if self._splitter.given_up():
            return chunk
        kept = [event.raw for event in self._splitter.receive(chunk) if self._keep(event)]
        if not self._strip_usage:
            return chunk
        if self._splitter.given_up():
            # Rather hand on everything unread than hold a stream back: the call stays uncertain.
            rest = self._splitter.rest()
            kept.append(rest.raw if rest else b"")
        return b"".join(kept)

    def pending(self) -> int | None:
        return self._splitter.pending()

    def close(self) -> bytes:
        if self._splitter.given_up():
            return b""
        rest = self._splitter.rest()
        if rest is None:
            return b""
        return rest.raw if self._keep(rest) and self._strip_usage else b""

    def _keep(self, event: Event) -> bool:
        if event.name != LATE_LF:
            self._dropped_last = self.look(event) and self._strip_usage
        return not self._dropped_last


class NoStream(Following):
    """For an API without streams: nothing is learnt, everything is handed on."""

    def look(self, event: Event) -> bool:  # noqa: ARG002
        return False


def event_object(event: Event) -> dict[str, Any] | None:
    """The JSON object in an event's data, or None: what cannot be read tells us nothing."""
    try:
        value = json.loads(event.data)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def answer_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a complete answer is, or None."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def count_of(holder: object, key: str) -> int | None:
    """A count in a usage block: 0 when absent or null, None when it is not a count."""
    value = holder.get(key) if isinstance(holder, dict) else None
    if value is None:
        return 0
    return value if type(value) is int and value >= 0 else None


def text_of(value: object) -> str:
    """A short string of an answer (an id, a model), or ""."""
    return value[:200] if isinstance(value, str) else ""
