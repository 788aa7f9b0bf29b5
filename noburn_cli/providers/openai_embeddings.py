"""The codec of OpenAI's embeddings.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports.
Source: https://platform.openai.com/docs/api-reference/embeddings and the parameter types of the
openai Python SDK 3.54 (checked 2026-11-23).
"""

from __future__ import annotations

from dataclasses import dataclass

from noburn_cli.core.usage import INPUT
from noburn_cli.providers import openai_common as common
from noburn_cli.providers.call import Call
from noburn_cli.providers.codec import Settlement, StreamReader
from noburn_cli.providers.collect import (
    Collector,
    model_name,
    names,
    refuse_unknown,
    texts_or_ids,
)
from noburn_cli.providers.following import NoStream, answer_object, count_of, text_of
from noburn_cli.providers.jsonbody import Body, deep_refused, refused
from noburn_cli.providers.renaming import Addressed

_KNOWN = names("input model dimensions encoding_format user")
#: OpenAI adds nothing; compatible servers may add a token at each end.
_OVERHEAD_TEXT = 2


@dataclass(frozen=True)
class OpenAIEmbeddings(common.OpenAIErrors, common.Uncounted):
    """`POST …/embeddings`: no output, no stream, nothing to clamp.

    model: what the URL names, where the body need not (Azure).
    """

    model: str = ""

    api = "openai_embeddings"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        refuse_unknown(found, values, _KNOWN)
        counted_tokens = _read_input(found, values.get("input"))
        return Call(
            api=self.api,
            model=self.model or model_name(values.get("model")),
            texts=found.texts,
            overhead_tokens=found.overhead_tokens,
            frame_tokens=found.frame_tokens,  # Nothing stands around an embedded text.
            counted_tokens=counted_tokens,
            unbounded=found.why_unbounded,
            input_kinds=(INPUT,),
            output=None,
        )

    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        if cap is not None:
            raise refused("embeddings have no output that could be capped")
        return body

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        return common.with_model(url, body, model, in_url=bool(self.model))

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        usage = answer.get("usage") if answer is not None else None
        if answer is None or not isinstance(usage, dict) or "prompt_tokens" not in usage:
            return None
        count = count_of(usage, "prompt_tokens")
        if count is None:
            return None
        return Settlement(
            usage={INPUT: count} if count else {}, served_model=text_of(answer.get("model"))
        )

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return NoStream(strip_usage=False)

    def stream_error(self, *, message: str, code: str) -> bytes:  # noqa: ARG002
        return b""  # There is no stream to end.


def _read_input(found: Collector, value: object) -> int:
    """Note the texts; return how many tokens arrive as ids."""
    texts, counted_tokens = texts_or_ids(found, value, what="input")
    found.add_overhead(_OVERHEAD_TEXT * texts)
    return counted_tokens
