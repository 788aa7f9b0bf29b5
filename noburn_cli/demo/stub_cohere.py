"""The stub's answers to Cohere: v2 chat and v2 embed.

Layer: demo.  Below: demo.stub_plan.  Above: demo.stub_routes.
Source: the response types of cohere 7.3 (checked 2026-11-27).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.demo import stub_plan, stub_tokens
from noburn_cli.demo.stub_plan import Piece, Plan, Shape

CHAT = "cohere_chat"
EMBED = "cohere_embed"
API_OF = {"/v2/chat": CHAT, "/v2/embed": EMBED}
#: What the model reads beyond what is billed.
_PREAMBLE = 60


def _inputs(model: Model, body: dict[str, Any]) -> int:  # noqa: ARG001
    total = sum(stub_tokens.dense(message["content"]) for message in body["messages"])
    tools = body.get("tools")
    return total + (stub_tokens.dense(json.dumps(tools)) if tools else 0)


def _cap(body: dict[str, Any]) -> int | None:
    cap = body.get("max_tokens")
    if cap is not None and (type(cap) is not int or cap < 1):
        raise stub_plan.BadRequestError("max_tokens must be at least 1")
    return cap


def _one(_: dict[str, Any]) -> int:
    return 1


def _usage(made: Plan) -> dict[str, Any]:
    return {
        "billed_units": {"input_tokens": float(made.inputs), "output_tokens": made.produced},
        "tokens": {"input_tokens": made.inputs + _PREAMBLE, "output_tokens": made.produced},
    }


def _reason(made: Plan) -> str:
    return "MAX_TOKENS" if made.cut else "COMPLETE"


def _whole(made: Plan) -> dict[str, Any]:
    content = [{"type": "text", "text": stub_plan.text(made.produced)}]
    return {
        "id": made.request_id,
        "finish_reason": _reason(made),
        "message": {"role": "assistant", "content": content},
        "usage": _usage(made),
    }


def _pieces(made: Plan) -> Iterator[Piece]:
    def event(kind: str, **members: object) -> bytes:
        data = stub_plan.as_json({"type": kind, **members})
        return f"event: {kind}\n".encode() + b"data: " + data + b"\n\n"

    yield Piece(
        event("message-start", id=made.request_id, delta={"message": {"role": "assistant"}}), 0
    )
    begun = {"message": {"content": {"type": "text", "text": ""}}}
    yield Piece(event("content-start", index=0, delta=begun), 0)
    sent = 0
    for share in stub_plan.shares(made.produced):
        sent += share
        delta = {"message": {"content": {"text": stub_plan.WORD * share}}}
        yield Piece(event("content-delta", index=0, delta=delta), sent)
    yield Piece(event("content-end", index=0), sent, final=True)
    delta_end = {"finish_reason": _reason(made), "usage": _usage(made)}
    yield Piece(event("message-end", delta=delta_end), sent, final=True)


def _embed_inputs(model: Model, body: dict[str, Any]) -> int:  # noqa: ARG001
    return stub_tokens.dense(body["texts"])


def _no_cap(_: dict[str, Any]) -> None:
    return None


def _embed(made: Plan) -> dict[str, Any]:
    return {
        "id": made.request_id,
        "response_type": "embeddings_by_type",
        "embeddings": {"float": [[0.25, -0.5, 0.125] for _ in made.body["texts"]]},
        "texts": made.body["texts"],
        "meta": {"api_version": {"version": "2"}, "billed_units": {"input_tokens": made.inputs}},
    }


SHAPES = {
    CHAT: Shape(inputs=_inputs, cap=_cap, choices=_one, whole=_whole, pieces=_pieces),
    EMBED: Shape(inputs=_embed_inputs, cap=_no_cap, choices=_one, whole=_embed),
}
