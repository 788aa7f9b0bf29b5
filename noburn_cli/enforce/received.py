"""What came of an answer that the program let go of, for `on_abort = "received"`.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: providers.sse,
core.usage.  Above: bodies, outcome; guard makes one where the policy asks for it.

An estimate, and shown as one: providers stop soon after a client goes away, but not at once, and
nobody sees the reasoning that had been done.  The input counts at its bound, the output as one
token for each byte of text that came, which is more than any tokenizer makes of it, and never more
than the hold paid for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from noburn_cli.core.usage import CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT, OUTPUT
from noburn_cli.providers.sse import EventSplitter

#: Where the APIs put the text of a piece: chat and completions, responses, messages, Gemini.
_TEXT_KEYS = frozenset(
    (
        *("content", "text", "delta", "refusal", "reasoning", "reasoning_content"),
        *("arguments", "partial_json", "thinking", "transcript"),
    )
)
#: Gemini's arguments of a function come as an object, whose every text counts.
_OBJECT = "args"
#: Events that say once more what came piece by piece.
_REPEATS = (".done", ".completed", ".added", ".created", ".in_progress")
_DEAREST_FIRST = (CACHE_WRITE_1H, CACHE_WRITE_5M, INPUT)


class Received:
    """Measures an answer as it passes.

    input_tokens: the bound that the hold was made for.  output_max: the tokens that it paid for.
    """

    def __init__(
        self, *, input_tokens: int, input_kinds: Sequence[str], output_max: int, variant: str
    ) -> None:
        self.variant = variant
        self._input_tokens = input_tokens
        self._input_kind = next((kind for kind in _DEAREST_FIRST if kind in input_kinds), INPUT)
        self._output_max = output_max
        self._bytes = 0
        self._splitter = EventSplitter()
        self._has_events = False
        self._raw_bytes = 0

    def event_bytes(self, data: bytes) -> None:
        """Bytes of a stream of events; of one that is no text, every byte counts."""
        self._raw_bytes += len(data)
        for event in self._splitter.receive(data):
            try:
                value = json.loads(event.data)
            except (ValueError, RecursionError):
                continue
            self._has_events = True
            if isinstance(value, dict) and not str(value.get("type", "")).endswith(_REPEATS):
                self._bytes += _text_bytes(value)

    def body_bytes(self, data: bytes) -> None:
        """Bytes of an answer in one piece."""
        self._raw_bytes += len(data)

    def output_tokens(self) -> int:
        return min(self._bytes if self._has_events else self._raw_bytes, self._output_max)

    def usage(self) -> Mapping[str, int]:
        usage = {self._input_kind: self._input_tokens, OUTPUT: self.output_tokens()}
        return {kind: count for kind, count in usage.items() if count}

    def said(self, reason: str) -> str:
        """Why the call is booked at an estimate."""
        return f"accepted as received, an estimate: {reason}"


def _text_bytes(value: Any, *, key: str = "", all_of_it: bool = False) -> int:
    """UTF-8 bytes of the texts under the keys that carry the answer."""
    if isinstance(value, str):
        counts = all_of_it or key in _TEXT_KEYS
        return len(value.encode("utf-8", "surrogatepass")) if counts else 0
    if isinstance(value, dict):
        return sum(
            _text_bytes(inner, key=name, all_of_it=all_of_it or name == _OBJECT)
            for name, inner in value.items()
        )
    if isinstance(value, list):
        return sum(_text_bytes(inner, key=key, all_of_it=all_of_it) for inner in value)
    return 0
