"""The codec of Bedrock's InvokeModel and InvokeModelWithResponseStream.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the modules it imports.
The body is the model family's own: Anthropic's messages, Nova's form of Converse, Titan's text
embeddings.  The bodies of other families are refused by name.
Source: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html and botocore
1.44's `bedrock-runtime` model (checked 2026-11-27).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from noburn_cli.core.usage import INPUT
from noburn_cli.providers import bedrock_common as common
from noburn_cli.providers.anthropic_messages import AnthropicMessages
from noburn_cli.providers.bedrock_converse import BedrockConverse
from noburn_cli.providers.call import Call
from noburn_cli.providers.codec import Settlement, StreamReader
from noburn_cli.providers.collect import Collector, model_name, names, refuse_unknown
from noburn_cli.providers.eventstream import FollowingMessages, Message
from noburn_cli.providers.following import answer_object, count_of
from noburn_cli.providers.jsonbody import Body, deep_refused, refused
from noburn_cli.providers.renaming import Addressed, in_path
from noburn_cli.providers.sse import Event

#: After a region's prefix, which inference profiles have (`us.`, `global.`).
_FAMILY = re.compile(r"^([a-z-]{2,10}\.)?(anthropic\.|amazon\.nova-|amazon\.titan-embed-text)")
_ANTHROPIC = AnthropicMessages()
_CONVERSE = BedrockConverse()
#: What Bedrock's body has beside Anthropic's own; it costs nothing by itself.
_ENVELOPE = ("model", "stream", "anthropic_version", "anthropic_beta")
_TITAN = names("inputText dimensions normalize embeddingTypes")
_OVERHEAD_TEXT = 4


@dataclass(frozen=True)
class BedrockInvoke(common.BedrockCodec):
    """`POST …/model/ID/invoke` and `/invoke-with-response-stream`.

    model, streams, in_url: as in BedrockConverse.
    """

    model: str = ""
    streams: bool = False
    in_url: bool = False

    api = "bedrock_invoke"

    @deep_refused
    def parse(self, body: bytes) -> Call:
        request = Body(body)
        model = common.named(self.model) if self.in_url else model_name(request.get("modelId"))
        family = _family(model)
        if family == "anthropic.":
            kept = [key for key in request.values if key not in (*_ENVELOPE, "modelId")]
            inner = Body(request.only(kept)).with_values({"model": model})
            call = _ANTHROPIC.parse(inner)
        elif family == "amazon.nova-":
            call = _nova(request, model)
        else:
            call = _titan(request, model)
        return replace(call, api=self.api, model=model, stream=self.streams)

    @deep_refused
    def edit(self, body: bytes, *, cap: int | None) -> bytes:
        if cap is None:
            return body
        request = Body(body)
        family = _family(self.model or model_name(request.get("modelId")))
        if family == "anthropic.":
            return _ANTHROPIC.edit(body, cap=cap)
        if family == "amazon.nova-":
            return _CONVERSE.edit(body, cap=cap)
        raise refused("embeddings have no output that could be capped")

    def with_model(self, url: str, body: bytes, model: str) -> Addressed:
        # The body is the family's own.
        if _family(model) != _family(self.model):
            raise refused(f"the body of this request is not one that {model[:80]} takes")
        return Addressed(in_path(url, common.MODEL_IN_URL, model), body)

    def asks_usage(self, body: bytes) -> bool:  # noqa: ARG002
        return True  # Usage is part of every answer.

    def usage(self, body: bytes) -> Settlement | None:
        answer = answer_object(body)
        if answer is None:
            return None
        if "inputTextTokenCount" in answer:
            count = count_of(answer, "inputTextTokenCount")
            return None if count is None else Settlement(usage={INPUT: count} if count else {})
        return common.settlement_of(answer) or _ANTHROPIC.usage(body)

    def stream(self, *, strip_usage: bool) -> StreamReader:  # noqa: ARG002
        return _InvokeStream()


class _InvokeStream(FollowingMessages):
    """Each `chunk` carries one event of the family's own stream, as Base64."""

    def __init__(self) -> None:
        super().__init__()
        self._anthropic: Any = _ANTHROPIC.stream(strip_usage=False)

    def look(self, message: Message) -> None:
        if message.headers.get(":event-type") != "chunk":
            return
        try:
            holder = json.loads(message.payload)
            data = base64.b64decode(holder["bytes"], validate=True)
            event = json.loads(data)
        except (ValueError, RecursionError, KeyError, TypeError, binascii.Error):
            return
        if not isinstance(event, dict):
            return
        kind = event.get("type")
        if isinstance(kind, str):
            self._anthropic.look(Event(b"", kind, data))
            self.ended = self._anthropic.ended
            self.failed = self.failed or self._anthropic.failed
            self.settlement = self._anthropic.settlement
        elif "messageStop" in event:
            self.ended = True
        elif isinstance(event.get("metadata"), dict):
            self.settlement = common.settlement_of(event["metadata"])


def _family(model: str) -> str:
    """Whose body the model takes.  Raises InputRefused for one that is not read here."""
    found = _FAMILY.match(model)
    if found is None:
        raise refused(
            f"the body that InvokeModel takes for {model[:80]} is not known",
            next_step="call the model by Converse, whose body is the same for every model",
        )
    return found[2]


def _nova(request: Body, model: str) -> Call:
    """Nova's body is Converse's, with the version of its schema."""
    kept = [key for key in request.values if key not in ("schemaVersion", "modelId")]
    inner = Body(request.only(kept)).with_values({"modelId": model})
    return _CONVERSE.parse(inner)


def _titan(request: Body, model: str) -> Call:
    found = Collector()
    refuse_unknown(found, request.values, _TITAN | {"modelId"})
    if not isinstance(request.get("inputText"), str):
        raise refused("the request has no `inputText`")
    found.text(request.get("inputText"))
    return Call(
        api="bedrock_invoke",
        model=model,
        texts=found.texts,
        overhead_tokens=_OVERHEAD_TEXT,
        unbounded=found.why_unbounded,
        unbounded_kinds=found.unbounded_kinds,
        usage_tells_all=found.usage_tells_all,
        input_kinds=(INPUT,),
        output=None,
    )
