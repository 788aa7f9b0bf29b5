"""One call as the stub's provider sees it, and what every shape of an answer is made with.

Layer: demo.  Below: core.models.  Above: stub_answers, and the modules that know the shapes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from noburn_cli.core.models import Model

#: A stream sends its answer in about so many pieces.
PIECES = 12
WORD = " word"


class BadRequestError(Exception):
    """What a provider would answer with 400."""


@dataclass(frozen=True)
class Plan:
    """One call, as the provider sees it; all counts in tokens.

    cap: the most output per choice, or None.
    length: what the answer would be without the cap, per choice.
    cached, written, written_1h, heard (audio): parts of `inputs`, spoken of the output.
    fees: units that are billed beside tokens.
    """

    api: str
    model: Model
    body: dict[str, Any]
    request_id: str
    inputs: int
    cached: int
    written: int
    written_1h: int
    cap: int | None
    length: int
    choices: int
    variant: str
    heard: int = 0
    spoken: int = 0
    fees: Mapping[str, int] = field(default_factory=dict)

    @property
    def produced(self) -> int:
        """Output tokens per choice that the client gets."""
        return self.length if self.cap is None else min(self.length, self.cap)

    @property
    def cut(self) -> bool:
        return self.cap is not None and self.length > self.cap

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    def usage(self, output_per_choice: int) -> dict[str, int]:
        """Usage by disjoint kinds, for so many output tokens per choice."""
        counts = {
            "input": self.inputs - self.cached - self.written - self.written_1h,
            "cache_read": self.cached,
            "cache_write_5m": self.written,
            "cache_write_1h": self.written_1h,
            "output": output_per_choice * self.choices,
        }
        spoken = min(self.spoken, counts["output"])
        counts["input"] -= self.heard
        counts["output"] -= spoken
        counts.update({"audio_input": self.heard, "audio_output": spoken, **self.fees})
        return {kind: count for kind, count in counts.items() if count}


@dataclass(frozen=True)
class Piece:
    """One event of a stream, and how many output tokens per choice have been sent with it.

    final: the provider has finished and says so with this piece: it is billed before it is sent.
    """

    data: bytes
    sent: int
    final: bool = False


@dataclass(frozen=True)
class Shape:
    """An API whose answers another module makes.

    inputs: its input tokens.  cap: the request's own cap per choice, or None; may raise
        BadRequestError.  choices: how many answers are billed.
    whole: the complete answer.  pieces: its stream; None for an API without output.
    variant: the price variant that is served.  count: the answer of a count endpoint.
    """

    inputs: Callable[[Model, dict[str, Any]], int]
    cap: Callable[[dict[str, Any]], int | None]
    choices: Callable[[dict[str, Any]], int]
    whole: Callable[[Plan], dict[str, Any]]
    pieces: Callable[[Plan], Iterator[Piece]] | None = None
    variant: Callable[[dict[str, Any]], str] = lambda _: "standard"
    count: Callable[[int], dict[str, Any]] = lambda tokens: {"input_tokens": tokens}
    content_type: Callable[[Plan], str] = lambda _: "text/event-stream"


def text(tokens: int) -> str:
    """An answer of so many tokens; `word` with its blank is one in o200k and cl100k."""
    return (WORD * tokens).lstrip() if tokens else ""


def shares(tokens: int) -> list[int]:
    """How many tokens each piece of a stream carries."""
    size = max(1, -(-tokens // PIECES))
    return [min(size, tokens - start) for start in range(0, tokens, size)]


def sse(value: object) -> bytes:
    """One event without a name."""
    return b"data: " + as_json(value) + b"\n\n"


def as_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
