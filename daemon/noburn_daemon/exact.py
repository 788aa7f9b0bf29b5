"""Counts a request's text exactly, in a thread, for calls whose cheap bound did not fit.

Layer: daemon.  Below: noburn_cli.ranks, core.bounds.  Above: server.
The text is counted and dropped: it is neither stored nor logged.
"""

from __future__ import annotations

from noburn_cli.core.bounds import exact_bound, overhead_max, utf8_bytes
from noburn_cli.ranks import count, seams
from noburn_daemon.frames import Input, Texts


def count_input(texts: Texts, size: Input, *, tokenizer: str) -> int:
    """The most tokens of the whole input: texts by the model's encoding, the schema by its bytes.

    Texts that the provider joins count as apart or joined, whichever is more.

    Slow at first use of an encoding, then linear in the text.
    """
    counted = sum(count(tokenizer, text) for text in texts.texts)
    around = overhead_max(tokenizer, size.overhead, size.requests)
    joined = seams(tokenizer, texts.texts)
    return exact_bound(
        counted, utf8_bytes(texts.schema), around, size.tokens, tokenizer=tokenizer, seams=joined
    ).tokens
