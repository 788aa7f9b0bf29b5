"""The codec of OpenAI's legacy completions, and of the servers that still speak them.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports; a stream
has the form of a chat's (providers.openai_chat).
Source: https://platform.openai.com/docs/api-reference/completions and the parameter types of the
openai Python SDK 3.54 (checked 2026-11-27).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from noburn_cli.providers import openai_common as common
from noburn_cli.providers.call import Call, OutputCap
from noburn_cli.providers.codec import Settlement, StreamReader
from noburn_cli.providers.collect import (
    Collector,
    count_or_none,
    flag,
    model_name,
    names,
    object_or_none,
    refuse_unknown,
    texts_or_ids,
)
from noburn_cli.providers.following import answer_object
from noburn_cli.providers.jsonbody import Body, compact, deep_refused, refused
from noburn_cli.providers.openai_chat import ChatStream
from noburn_cli.providers.renaming import Addressed

#: `echo` repeats the prompt in the answer, where it is not billed again: `completion_tokens` are
#: those of "the generated completion".  The second group is what compatible servers take.
_HARMLESS = names(
    "echo frequency_penalty logit_bias logprobs presence_penalty seed stop temperature top_p user "
    "top_k top_a min_p repetition_penalty min_tokens stop_token_ids ignore_eos skip_special_tokens "
    "mirostat typical_p"
)
_READ = names("model prompt suffix max_tokens n best_of stream stream_options")
#: "The maximum number of tokens that can be generated in the completion … Defaults to 16."
_DEFAULT_CAP = 16
#: The models whose default that is; compatible servers have defaults of their own.
_OPENAI_MODEL = re.compile(r"^(ft:)?(gpt-3\.5-turbo-instruct|davinci|babbage)")
_CHOICES_MAX = 128
#: A server may begin a prompt with a token of its own, and joins prefix and suffix with three.
_OVERHEAD_TEXT = 4


@dataclass(frozen=True)
class OpenAICompletions(common.OpenAIErrors, common.Uncounted):
    """`POST …/completions`.  model: what the URL names, where the body need not (Azure)."""

    model: str = ""

    api = "openai_completions"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        values = Body(body).values
        found = Collector()
        model = self.model or model_name(values.get("model"))
        common.check_model(found, model)
        refuse_unknown(found, values, _HARMLESS | _READ)
        prompts, counted_tokens = texts_or_ids(found, values.get("prompt"), what="prompt")
        found.add_overhead(_OVERHEAD_TEXT * (prompts + 1))
        if values.get("suffix") is not None:
            found.text(values["suffix"])
        return Call(
            api=self.api,
            model=model,
            texts=found.texts,
            schema_text=found.schema_text,
            overhead_tokens=found.overhead_tokens,
            counted_tokens=counted_tokens,
            unbounded=found.why_unbounded,
            unbounded_kinds=found.unbounded_kinds,
            usage_tells_all=found.usage_tells_all,
            input_kinds=common.INPUT_KINDS,
            output=_output(values, model, prompts),
            stream=flag(values.get("stream"), what="stream"),
        )

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        request = Body(body)
        own = _cap(request.values, self.model or model_name(request.get("model")))
        wanted = own if cap is None else min(cap, own if own is not None else cap)
        changes: dict[str, object] = {}
        # A default is written down as well: the hold rests on it.
        if wanted is not None and request.get("max_tokens") != wanted:
            changes["max_tokens"] = wanted
        if flag(request.get("stream"), what="stream") and not self.asks_usage(body):
            options = object_or_none(request.get("stream_options"), what="stream_options")
            changes["stream_options"] = {**(options or {}), "include_usage": True}
        return request.with_values(changes) if changes else body

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        return common.with_model(url, body, model, in_url=bool(self.model))

    def asks_usage(self, body: bytes) -> bool:
        options = object_or_none(Body(body).get("stream_options"), what="stream_options")
        return flag((options or {}).get("include_usage"), what="include_usage")

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        if answer is None:
            return None
        return common.settlement_of(answer, inputs="prompt", outputs="completion")

    def stream(self, *, strip_usage: bool) -> StreamReader:
        return ChatStream(strip_usage=strip_usage)

    def stream_error(self, *, message: str, code: str) -> bytes:
        error = {"message": message, "type": "budget_exceeded", "param": None, "code": code}
        return b"data: " + compact({"error": error}).encode("utf-8", "replace") + b"\n\n"


def _cap(values: dict[str, Any], model: str) -> int | None:
    """The cap per choice: the request's, or OpenAI's documented default."""
    cap = count_or_none(values.get("max_tokens"), what="max_tokens", least=0)
    return _DEFAULT_CAP if cap is None and _OPENAI_MODEL.match(model) else cap


def _output(values: dict[str, Any], model: str, prompts: int) -> OutputCap | None:
    """`best_of` answers are written, and billed, for each prompt; `n` of them come back."""
    n = count_or_none(values.get("n"), what="n", least=1) or 1
    best_of = count_or_none(values.get("best_of"), what="best_of", least=0) or 1
    cap = _cap(values, model)
    if max(n, best_of) > _CHOICES_MAX:
        raise refused(f"`n` or `best_of` is above {_CHOICES_MAX}")
    if cap == 0:
        return None
    return OutputCap(wanted=cap, choices=max(n, best_of) * prompts)
