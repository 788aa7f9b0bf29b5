"""The stub's answers to Mistral: chat, FIM and embeddings, which are OpenAI's but for the stream.

Layer: demo.  Below: demo.stub_plan.  Above: demo.stub_routes.
Source: the response types of mistralai 3.7 (checked 2026-11-27).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.demo import stub_gpt, stub_plan, stub_tokens
from noburn_cli.demo.stub_plan import Piece, Plan, Shape

CHAT = "mistral_chat"
FIM = "mistral_fim"
EMBEDDINGS = "mistral_embeddings"
API_OF = {
    "/v1/chat/completions": CHAT,
    "/v1/fim/completions": FIM,
    "/v1/embeddings": EMBEDDINGS,
}
#: Tokens of the safety prompt.
_SAFE_PROMPT = 40


def _inputs(model: Model, body: dict[str, Any]) -> int:
    if "prompt" in body:
        return 3 + sum(
            stub_tokens.text_tokens(model, body.get(name) or "") for name in ("prompt", "suffix")
        )
    return stub_tokens.openai_tokens(model, body) + _SAFE_PROMPT * bool(body.get("safe_prompt"))


def _cap(body: dict[str, Any]) -> int | None:
    cap = body.get("max_tokens")
    if cap is not None and (type(cap) is not int or cap < 1):
        raise stub_plan.BadRequestError("max_tokens must be at least 1")
    return cap


def _choices(body: dict[str, Any]) -> int:
    return int(body.get("n") or 1)


def _usage(made: Plan) -> dict[str, Any]:
    output = made.produced * made.choices
    return {
        "prompt_tokens": made.inputs,
        "completion_tokens": output,
        "total_tokens": made.inputs + output,
        "prompt_tokens_details": {"cached_tokens": made.cached},
    }


def _whole(made: Plan) -> dict[str, Any]:
    return {**stub_gpt.chat(made), "usage": _usage(made)}


def _pieces(made: Plan) -> Iterator[Piece]:
    """The last chunk with choices has the usage."""
    for piece in stub_gpt.chat_pieces(made):
        if piece.data.startswith(b"data: {"):
            chunk = json.loads(piece.data[len(b"data: ") :])
            chunk.pop("usage", None)
            if any(choice["finish_reason"] for choice in chunk["choices"]):
                chunk["usage"] = _usage(made)
            yield Piece(stub_plan.sse(chunk), piece.sent, piece.final)
        else:
            yield piece


def _embedding_inputs(model: Model, body: dict[str, Any]) -> int:
    return sum(stub_tokens.embedding_tokens(model, body))


def _embeddings(made: Plan) -> dict[str, Any]:
    return {"id": made.request_id, **stub_gpt.embeddings(made)}


def _no_cap(_: dict[str, Any]) -> None:
    return None


SHAPES = {
    CHAT: Shape(inputs=_inputs, cap=_cap, choices=_choices, whole=_whole, pieces=_pieces),
    FIM: Shape(inputs=_inputs, cap=_cap, choices=_choices, whole=_whole, pieces=_pieces),
    EMBEDDINGS: Shape(inputs=_embedding_inputs, cap=_no_cap, choices=_choices, whole=_embeddings),
}
