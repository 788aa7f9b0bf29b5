"""The codecs of Anthropic's message batches: the submission, and the results that come later.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.anthropic_messages.
Source: https://platform.claude.com/docs/en/build-with-claude/batch-processing and the types of the
anthropic Python SDK 2.14 (checked 2026-11-27).

A batch is one call: it is held for the sum of its requests at batch rates.  What they used is told
hours later, in a file of results that perhaps another program reads: until then the call is charged
at its hold, under the batch's id, by which the results settle it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.variants import STANDARD, with_region, without_region
from noburn_cli.providers.anthropic_messages import AnthropicMessages, settlement_of
from noburn_cli.providers.call import Call, OutputCap
from noburn_cli.providers.codec import Block, Settlement
from noburn_cli.providers.collect import Collector, object_list
from noburn_cli.providers.following import answer_object, text_of
from noburn_cli.providers.jsonbody import Body, compact, deep_refused, refused
from noburn_cli.providers.openai_media import Uncapped
from noburn_cli.providers.renaming import Addressed, in_each

#: More requests, or output tokens in all, than a frame may say are not read but need a ceiling.
REQUESTS_MAX = 100_000
_OUTPUT_MAX = 10**10
_BATCH = "batch"


class _LikeMessages(Uncapped):
    def block(self, *, message: str, code: str, status: int = 402) -> Block:
        return AnthropicMessages().block(message=message, code=code, status=status)

    def rate_limit(self, *, message: str, unit: str, retry_after_ms: int) -> Block:
        return AnthropicMessages().rate_limit(
            message=message, unit=unit, retry_after_ms=retry_after_ms
        )


class AnthropicBatches(_LikeMessages):
    """`POST …/messages/batches`, the requests inline."""

    api = "anthropic_batches"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        requests = object_list(Body(body).get("requests"), what="requests")
        if not requests:
            raise refused("the batch has no requests")
        calls = [_inner(request) for request in requests[: REQUESTS_MAX + 1]]
        return _together(self.api, calls)

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        return Addressed(url, in_each(body, model, each="requests", inside="params"))

    def later(self, body: bytes) -> str:
        """The batch's id, under which its results settle the call; "" when the answer has none."""
        answer = answer_object(body)
        return text_of(answer.get("id")) if answer is not None else ""


def _inner(request: dict[str, Any]) -> Call:
    params = request.get("params")
    if not isinstance(params, dict):
        raise refused("a request of the batch has no `params`")
    return AnthropicMessages().parse(compact(params).encode("utf-8", "surrogatepass"))


def _together(api: str, calls: list[Call]) -> Call:
    """The sum of the requests' bounds; several models have several prices: a ceiling for them."""
    found = Collector()
    for call in calls:
        if call.unbounded:
            for kind in call.unbounded_kinds:
                found.unbounded(call.unbounded, kind)
        if without_region(call.variants[0])[0] != STANDARD:
            found.unbounded("a speed that batches have no price for", "service_tier")
    output = sum(_output_of(call) for call in calls)
    models = {call.model for call in calls}
    if len(models) > 1 or len(calls) > REQUESTS_MAX or output > _OUTPUT_MAX:
        return Call(
            api=api,
            model="",
            unbounded="a batch that is too large, or of several models: send one for each",
            unbounded_kinds=(_BATCH,),
            usage_tells_all=False,
            output=None,
        )
    seen = [call for call in calls if not call.window]
    extra: dict[str, int] = {}
    for call in calls:
        for kind, count in call.extra.items():
            extra[kind] = extra.get(kind, 0) + count
    return Call(
        api=api,
        model=calls[0].model,
        texts=tuple(text for call in seen for text in call.texts),
        schema_text="\n".join(call.schema_text for call in seen if call.schema_text),
        overhead_tokens=sum(call.overhead_tokens for call in seen),
        media=tuple(one for call in seen for one in call.media),
        unbounded=found.why_unbounded,
        unbounded_kinds=found.unbounded_kinds,
        usage_tells_all=found.usage_tells_all,
        requests=max(1, len(seen)),
        windows=sum(call.windows for call in calls) + len(calls) - len(seen),
        extra=extra,
        input_kinds=tuple(dict.fromkeys(kind for call in calls for kind in call.input_kinds)),
        variants=tuple(
            dict.fromkeys(
                with_region(_BATCH, without_region(variant)[1])
                for call in calls
                for variant in call.variants
            )
        ),
        # Granted whole or not at all: a lower sum would not say whose cap is to be lowered.
        output=OutputCap(wanted=output, floor=output) if output else None,
    )


def _output_of(call: Call) -> int:
    return 0 if call.output is None else (call.output.wanted or 0) * call.output.choices


@dataclass(frozen=True)
class AnthropicResults(_LikeMessages):
    """`GET …/messages/batches/ID/results`: a line of JSON for each request, in any order."""

    batch: str
    api: str = "anthropic_results"

    def parse(self, body: bytes) -> Call:  # noqa: ARG002
        raise refused("results are read, not asked for")

    def results(self, body: bytes) -> list[Settlement] | None:
        """What each request that succeeded used; None when one of them does not tell it.

        Requests that failed, expired or were cancelled are not billed.
        """
        found = []
        for line in body.splitlines():
            if not line.strip():
                continue
            try:
                result = _result(json.loads(line))
            except (ValueError, RecursionError, TypeError):
                return None
            if result is None:
                continue
            settled = _settled(result)
            if settled is None:
                return None
            found.append(settled)
        # A settlement names one variant; results of several regions stay at their hold.
        return found if len({one.variant for one in found}) <= 1 else None


def _result(line: Any) -> Mapping[str, Any] | None:
    """The message of a request that succeeded, or None.  Raises TypeError for another form."""
    result = line.get("result") if isinstance(line, dict) else None
    if not isinstance(result, dict) or not isinstance(result.get("type"), str):
        raise TypeError("not a result")
    if result["type"] != "succeeded":
        return None
    if not isinstance(result.get("message"), dict):
        raise TypeError("a result without a message")
    message: Mapping[str, Any] = result["message"]
    return message


def _settled(message: Mapping[str, Any]) -> Settlement | None:
    usage = message.get("usage")
    settled = settlement_of(dict(message), usage) if isinstance(usage, dict) else None
    if settled is None or without_region(settled.variant)[0] != _BATCH:
        return None
    return settled
