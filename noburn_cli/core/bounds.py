"""The most tokens that a request's input can be, and how that was reached.

Layer: core (pure, standard library, Python 3.10: it travels into guests).
Below: core.claude_bound.  Above: the guard, which measures; the daemon and `estimate`, which bound.
Not here: exact counting (core.tokens), money (core.cost).  docs/bounds.md has the proofs.

The guest measures once, without knowing the model's tokeniser; whoever holds the price book turns
the measure into a bound:

- `bytes`: byte-level BPE (o200k, cl100k) and SentencePiece with byte fallback (Gemini) start from
  one token per UTF-8 byte and only ever merge.
- `expanded`: Claude's normaliser rewrites characters and adds markers, so bytes do not bound it.
  It is never less than the bytes of the composed text (NFC), so it also bounds byte-level BPE
  behind a tokeniser that composes first, as Qwen's does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from noburn_cli.core.claude_bound import tokens_max

EXACT = "exact"
COUNTED = "counted"
BYTES = "bytes"
WINDOW = "window"
ASSUMED = "assumed"
#: Every word that a bound can have for how it was reached, the most certain first.
HOW = (EXACT, COUNTED, BYTES, WINDOW, ASSUMED)

#: Tokenisers whose tokens are never more than the text's UTF-8 bytes.
BYTE_TOKENIZERS = frozenset({"o200k_base", "cl100k_base", "gemini"})
CLAUDE = "claude"
#: Byte-level BPE of models whose chat template is their server's own (Llama, Mistral, DeepSeek);
#: `bytes` says no more than that of a model, the others name its vocabulary.
#: A template's role marks and its text around tools are not in the request, and each server may
#: have its own: twice the overhead that a message has at OpenAI, and TEMPLATE_TOKENS, are allowed
#: for (an allowance of 2026-11-27, not read off every server; more would raise the factor).  So no
#: bound of theirs is proven, however their texts were counted: all are `assumed`.
OTHER_BYTES = "bytes"
TEMPLATE_TOKENS = 1024
TEMPLATED_BYTES = frozenset(
    {OTHER_BYTES, "o200k_harmony", "deepseek_v3", "tekken", "llama3", "llama4"}
)
#: The same, of texts that are composed first (NFC): Qwen 2 to 3, and 3.5 with 3.6.
TEMPLATED_COMPOSED = frozenset({"qwen2", "qwen3_5"})
TEMPLATED = TEMPLATED_BYTES | TEMPLATED_COMPOSED

FACTOR_ONE_PER_MILLE = 1000

#: Where one text has to be counted in two, although no cut is safe, the sum may differ by so much.
#: Most seen is 3 over 80,000 random joins (tiktoken 0.14, 2026-11-23), but it is no bound: digits
#: go in threes from the left, and a cut shifts all that follow.  Bounds have core.seams.
SEAM_TOKENS = 4


@dataclass(frozen=True)
class Measure:
    """What a guest can say of a request's input without a tokeniser; counts, each >= 0.

    bytes: UTF-8 bytes of all texts and the schema.
    expanded: the most tokens that Claude's tokeniser can make of them.
    overhead: tokens that the provider adds around them, an upper bound.
    tokens: input that arrives as token ids.
    window: whether only the context window bounds the input.
    counted: the provider's own count of the whole input, or None.
    requests: how many requests were measured together (a batch); each has a context window.
    windows: further inputs that only the window bounds: rounds of a hosted tool's loop, requests
        of a batch with images.
    """

    bytes: int
    expanded: int
    overhead: int
    tokens: int
    window: bool
    counted: int | None = None
    requests: int = 1
    windows: int = 0


class Bound(NamedTuple):
    """A number of input tokens that cannot be exceeded, and which kind of proof it has."""

    tokens: int
    how: str


def utf8_bytes(text: str) -> int:
    """Length in UTF-8; a lone surrogate, which JSON can carry, becomes U+FFFD: three bytes."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-8", "surrogatepass"))


def measure(
    texts: Sequence[str],
    schema_text: str,
    *,
    overhead_tokens: int,
    counted_tokens: int,
    window: bool,
    requests: int = 1,
    windows: int = 0,
) -> Measure:
    """Measure a call's input: `Call.texts`, `schema_text`, `overhead_tokens`, `counted_tokens`.

    Linear in the text, one pass in C for ASCII.
    """
    pieces = [*texts, schema_text] if schema_text else list(texts)
    return Measure(
        bytes=sum(map(utf8_bytes, pieces)),
        expanded=sum(map(tokens_max, pieces)),
        overhead=overhead_tokens,
        tokens=counted_tokens,
        window=window,
        requests=requests,
        windows=windows,
    )


def input_bound(
    measured: Measure,
    *,
    tokenizer: str,
    context_window: int,
    factor_per_mille: int = FACTOR_ONE_PER_MILLE,
) -> Bound:
    """The most input tokens a call can be billed for.

    tokenizer: the price book's name; one without a rule here is bounded by the window alone.
    factor_per_mille: raised by the daemon when a settlement was above its bound.
    The context window caps every bound: a longer input is refused by the provider, unbilled.
    """
    return Bound(*input_tokens_max(measured, tokenizer, context_window, factor_per_mille))


def input_tokens_max(
    measured: Measure, tokenizer: str, context_window: int, factor_per_mille: int
) -> tuple[int, str]:
    """The same as a plain pair, for the daemon, which asks for every call."""
    most = measured.requests * context_window
    if measured.counted is not None:
        tokens, how = measured.counted, COUNTED
    elif measured.window:
        tokens, how = most, WINDOW
    elif tokenizer in BYTE_TOKENIZERS:
        tokens, how = measured.bytes + measured.overhead + measured.tokens, BYTES
    elif tokenizer in TEMPLATED:
        text = measured.bytes if tokenizer in TEMPLATED_BYTES else measured.expanded
        around = overhead_max(tokenizer, measured.overhead, measured.requests)
        tokens, how = text + around + measured.tokens, ASSUMED
    elif tokenizer == CLAUDE:
        tokens, how = measured.expanded + measured.overhead + measured.tokens, BYTES
    else:
        tokens, how = most, WINDOW
    if factor_per_mille != FACTOR_ONE_PER_MILLE:
        tokens = -(-tokens * factor_per_mille // FACTOR_ONE_PER_MILLE)  # rounded up
    if tokens > most:
        tokens, how = most, WINDOW
    if measured.windows:  # hosted tools, and images of a batch, come on top
        tokens, how = tokens + measured.windows * context_window, WINDOW
    return tokens, how


def overhead_max(tokenizer: str, overhead: int, requests: int = 1) -> int:
    """What stands around the texts at most: as the codec says, or a server's own template."""
    if tokenizer in TEMPLATED:
        return 2 * overhead + TEMPLATE_TOKENS * requests
    return overhead


def exact_bound(
    text_tokens: int,
    schema_bytes: int,
    overhead: int,
    counted_tokens: int,
    *,
    tokenizer: str,
    seams: int = 0,
) -> Bound:
    """The bound of texts that were counted with the model's own encoding.

    text_tokens: the sum of each text's exact count, each text tokenised by itself.
    schema_bytes: what the provider renders in its own way stays at a token per byte.
    overhead: see `overhead_max`.
    seams: what joining the texts can add, see core.seams.
    """
    tokens = text_tokens + seams + schema_bytes + overhead + counted_tokens
    return Bound(tokens, how_counted(tokenizer))


def how_counted(tokenizer: str) -> str:
    """How sure a bound is whose texts were counted with the model's own encoding."""
    return ASSUMED if tokenizer in TEMPLATED else EXACT
