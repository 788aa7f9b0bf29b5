"""The stub's answers to the Gemini API.

Layer: demo.  Below: demo.stub_plan.  Above: demo.stub_routes.
Source: https://ai.google.dev/api/generate-content and the response types of google-genai 3.6.1
(checked 2026-11-27).
Its tokeniser is not at hand: a plausible density of 3.2 bytes a token, and a frame of one a turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.demo import stub_plan, stub_tokens
from noburn_cli.demo.stub_plan import Piece, Plan, Shape

GENERATE = "gemini"
EMBEDDINGS = "gemini_embeddings"
_IMAGE = 1_120


def _inputs(model: Model, body: dict[str, Any]) -> int:  # noqa: ARG001
    body = body.get("generateContentRequest", body)
    total = 1
    instruction = body.get("systemInstruction")
    for turn in [*body["contents"], *([instruction] if instruction else [])]:
        total += 1 + stub_tokens.dense([part for part in turn["parts"] if "inlineData" not in part])
        total += _IMAGE * sum("inlineData" in part for part in turn["parts"])
    tools = body.get("tools")
    return total + (stub_tokens.dense(json.dumps(tools)) + 40 if tools else 0)


def _config(body: dict[str, Any]) -> dict[str, Any]:
    return dict(body.get("generationConfig") or {})


def _cap(body: dict[str, Any]) -> int | None:
    cap = _config(body).get("maxOutputTokens")
    if cap is not None and (type(cap) is not int or cap < 1):
        raise stub_plan.BadRequestError("max_output_tokens must be positive")
    return cap


def _choices(body: dict[str, Any]) -> int:
    return int(_config(body).get("candidateCount") or 1)


def _thoughts(made: Plan, produced: int) -> int:
    """A fifth of the answer is thought, where thinking is not switched off; within the cap."""
    thinking = _config(made.body).get("thinkingConfig") or {}
    budget = thinking.get("thinkingBudget", -1)
    thoughts = produced // 5
    return thoughts if budget < 0 else min(thoughts, budget)


def _usage(made: Plan, produced: int, *, choices: int) -> dict[str, Any]:
    thoughts = _thoughts(made, produced) * choices
    found = {
        "promptTokenCount": made.inputs,
        "cachedContentTokenCount": made.cached,
        "candidatesTokenCount": produced * choices - thoughts,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": made.inputs + produced * choices,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": made.inputs}],
    }
    tier = {} if made.variant == "standard" else {"serviceTier": made.variant}
    return {**{name: count for name, count in found.items() if count}, **tier}


def _chunk(made: Plan, text: str, reason: str | None, produced: int) -> dict[str, Any]:
    ending = {} if reason is None else {"finishReason": reason}
    parts = {"content": {"role": "model", "parts": [{"text": text}]}} if text else {}
    return {
        "candidates": [{**parts, **ending, "index": index} for index in range(made.choices)],
        "usageMetadata": _usage(made, produced, choices=made.choices),
        "modelVersion": made.body["model"],
        "responseId": made.request_id,
    }


def _reason(made: Plan) -> str:
    return "MAX_TOKENS" if made.cut else "STOP"


def _visible(made: Plan) -> int:
    return made.produced - _thoughts(made, made.produced)


def _whole(made: Plan) -> dict[str, Any]:
    return _chunk(made, stub_plan.text(_visible(made)), _reason(made), made.produced)


def _pieces(made: Plan) -> Iterator[Piece]:
    """Events with `alt=sse`, else the elements of one JSON array."""
    events = made.body.get("alt") == "sse"
    started = False

    def piece(chunk: dict[str, Any], sent: int, *, final: bool = False) -> Piece:
        nonlocal started
        data = json.dumps(chunk).encode()
        before = b",\r\n" if started else b"["
        started = True
        return Piece(b"data: " + data + b"\r\n\r\n" if events else before + data, sent, final=final)

    sent = _thoughts(made, made.produced)
    for share in stub_plan.shares(_visible(made)):
        sent += share
        yield piece(_chunk(made, stub_plan.WORD * share, None, sent), sent)
    yield piece(_chunk(made, "", _reason(made), made.produced), sent, final=True)
    if not events:
        yield Piece(b"]", sent, final=True)


def _embedding_inputs(model: Model, body: dict[str, Any]) -> int:  # noqa: ARG001
    requests = body.get("requests") or [body]
    return sum(1 + stub_tokens.dense(one["content"]["parts"]) for one in requests)


def _embeddings(made: Plan) -> dict[str, Any]:
    usage = {"usageMetadata": {"promptTokenCount": made.inputs}}
    vector = {"values": [0.25, -0.5, 0.125]}
    if made.body.get("requests"):
        return {"embeddings": [vector for _ in made.body["requests"]], **usage}
    return {"embedding": vector, **usage}


def _variant(body: dict[str, Any]) -> str:
    tier = str(body.get("serviceTier") or "standard").lower()
    return tier if tier in ("flex", "priority") else "standard"


def _no_cap(body: dict[str, Any]) -> None:  # noqa: ARG001
    return None


SHAPES = {
    GENERATE: Shape(
        inputs=_inputs, cap=_cap, choices=_choices, whole=_whole, pieces=_pieces, variant=_variant,
        count=lambda tokens: {"totalTokens": tokens},
        content_type=lambda made: (
            "text/event-stream" if made.body.get("alt") == "sse" else "application/json"
        ),
    ),
    EMBEDDINGS: Shape(
        inputs=_embedding_inputs, cap=_no_cap, choices=lambda _: 1, whole=_embeddings
    ),
}  # fmt: skip
