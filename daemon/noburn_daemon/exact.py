"""Counts a request's text exactly, in a thread, for calls whose cheap bound did not fit.

Layer: daemon.  Below: noburn_cli.ranks, core.bounds.  Above: server.
The text is counted and dropped: it is neither stored nor logged.
"""

from __future__ import annotations

from noburn_cli.core.bounds import exact_bound
from noburn_cli.ranks import count
from noburn_daemon.frames import Input, Texts


def count_input(texts: Texts, size: Input, *, tokenizer: str) -> int:
    """Tokens of the whole input: texts by the model's encoding, the schema by its bytes.

    Slow at first use of an encoding, then linear in the text.
    """
    counted = sum(count(tokenizer, text) for text in texts.texts)
    schema_bytes = len(texts.schema.encode("utf-8"))
    return exact_bound(counted, schema_bytes, size.overhead, size.tokens).tokens
