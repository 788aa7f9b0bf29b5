"""The stub's answers to Bedrock: Converse, and InvokeModel for Claude and Titan's embeddings.

Layer: demo.  Below: demo.stub_plan.  Above: demo.stub_routes.
Source: botocore 1.44's `bedrock-runtime` model, https://smithy.io/2.0/aws/amazon-eventstream.html
(checked 2026-11-27).  Signatures are not looked at.
"""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.demo import stub_claude, stub_plan, stub_tokens
from noburn_cli.demo.stub_plan import Piece, Plan, Shape

CONVERSE = "bedrock_converse"
INVOKE = "bedrock_invoke"
TITAN = "bedrock_titan"
_FRAME = 7
_MESSAGE = 4
_TOOLS = 346


def _inputs(model: Model, body: dict[str, Any]) -> int:  # noqa: ARG001
    total = _FRAME + stub_tokens.dense(body.get("system"))
    for message in body["messages"]:
        total += _MESSAGE + stub_tokens.dense(message["content"])
    tools = body.get("toolConfig") or body.get("tools")
    return total + (_TOOLS + stub_tokens.dense(json.dumps(tools)) if tools else 0)


def _converse_cap(body: dict[str, Any]) -> int | None:
    cap = (body.get("inferenceConfig") or {}).get("maxTokens")
    if cap is not None and (type(cap) is not int or cap < 1):
        raise stub_plan.BadRequestError("maxTokens must be at least 1")
    return cap


def _invoke_cap(body: dict[str, Any]) -> int:
    if not isinstance(body.get("anthropic_version"), str):
        raise stub_plan.BadRequestError("anthropic_version: Field required")
    if type(body.get("max_tokens")) is not int:
        raise stub_plan.BadRequestError("max_tokens: Field required")
    return int(body["max_tokens"])


def _one(_: dict[str, Any]) -> int:
    return 1


def _variant(body: dict[str, Any]) -> str:
    tier = (body.get("serviceTier") or {}).get("type", "default")
    return "standard" if tier == "default" else str(tier)


def message(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of the binary stream, with headers that are text."""
    packed = b"".join(
        struct.pack("!B", len(name))
        + name.encode()
        + struct.pack("!BH", 7, len(value))
        + value.encode()
        for name, value in headers.items()
    )
    prelude = struct.pack("!II", 16 + len(packed) + len(payload), len(packed))
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + payload
    return whole + struct.pack("!I", zlib.crc32(whole))


def _event(kind: str, value: object) -> bytes:
    headers = {
        ":event-type": kind, ":content-type": "application/json", ":message-type": "event",
    }  # fmt: skip
    return message(headers, stub_plan.as_json(value))


def _usage(made: Plan) -> dict[str, Any]:
    written = made.written + made.written_1h
    return {
        "inputTokens": made.inputs - made.cached - written,
        "outputTokens": made.produced,
        "totalTokens": made.inputs + made.produced,
        "cacheReadInputTokens": made.cached,
        "cacheWriteInputTokens": written,
        "cacheDetails": [{"ttl": "1h", "inputTokens": made.written_1h}] if made.written_1h else [],
    }


def _served(made: Plan) -> dict[str, Any]:
    return {} if made.variant == "standard" else {"serviceTier": {"type": made.variant}}


def _converse(made: Plan) -> dict[str, Any]:
    return {
        "output": {
            "message": {"role": "assistant", "content": [{"text": stub_plan.text(made.produced)}]}
        },
        "stopReason": "max_tokens" if made.cut else "end_turn",
        "usage": _usage(made),
        "metrics": {"latencyMs": 1},
        **_served(made),
    }


def _converse_pieces(made: Plan) -> Iterator[Piece]:
    yield Piece(_event("messageStart", {"role": "assistant"}), 0)
    sent = 0
    for share in stub_plan.shares(made.produced):
        sent += share
        delta = {"contentBlockIndex": 0, "delta": {"text": stub_plan.WORD * share}}
        yield Piece(_event("contentBlockDelta", delta), sent)
    yield Piece(_event("contentBlockStop", {"contentBlockIndex": 0}), sent, final=True)
    reason = "max_tokens" if made.cut else "end_turn"
    yield Piece(_event("messageStop", {"stopReason": reason}), sent, final=True)
    metadata = {"usage": _usage(made), "metrics": {"latencyMs": 1}, **_served(made)}
    yield Piece(_event("metadata", metadata), sent, final=True)


def _invoke_pieces(made: Plan) -> Iterator[Piece]:
    """Anthropic's own events, each inside a chunk."""
    for piece in stub_claude.message_pieces(made):
        data = json.loads(piece.data.partition(b"data: ")[2])
        if data["type"] == "message_stop":
            data["amazon-bedrock-invocationMetrics"] = {
                "inputTokenCount": made.inputs, "outputTokenCount": made.produced,
            }  # fmt: skip
        packed = {"bytes": base64.b64encode(stub_plan.as_json(data)).decode()}
        yield Piece(_event("chunk", packed), piece.sent, final=piece.final)


def _titan_inputs(model: Model, body: dict[str, Any]) -> int:  # noqa: ARG001
    return 1 + stub_tokens.dense(body["inputText"])


def _titan(made: Plan) -> dict[str, Any]:
    return {"embedding": [0.25, -0.5, 0.125], "inputTextTokenCount": made.inputs}


def _no_cap(_: dict[str, Any]) -> None:
    return None


def _binary(_: Plan) -> str:
    return "application/vnd.amazon.eventstream"


SHAPES = {
    CONVERSE: Shape(
        inputs=_inputs, cap=_converse_cap, choices=_one, whole=_converse, pieces=_converse_pieces,
        variant=_variant, content_type=_binary,
    ),
    INVOKE: Shape(
        inputs=_inputs, cap=_invoke_cap, choices=_one, whole=stub_claude.message,
        pieces=_invoke_pieces, content_type=_binary,
    ),
    TITAN: Shape(inputs=_titan_inputs, cap=_no_cap, choices=_one, whole=_titan),
}  # fmt: skip
