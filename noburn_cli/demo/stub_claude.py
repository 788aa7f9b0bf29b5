"""The stub's answers to Anthropic's messages.

Layer: demo.  Below: demo.stub_plan.  Above: demo.stub_answers, demo.stub_bedrock.
Source: the response types of the anthropic Python SDK 2.12 (checked 2026-11-23).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from noburn_cli.demo.stub_plan import WORD, Piece, Plan, as_json, shares, text


def _claude_usage(made: Plan, output: int) -> dict[str, Any]:
    return {
        "input_tokens": made.inputs - made.cached - made.written - made.written_1h,
        "cache_read_input_tokens": made.cached,
        "cache_creation_input_tokens": made.written + made.written_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": made.written,
            "ephemeral_1h_input_tokens": made.written_1h,
        },
        "output_tokens": output,
        "service_tier": "standard",
        "server_tool_use": {
            "web_search_requests": made.fees.get("web_search", 0),
            "web_fetch_requests": 0,
        },
        **({"speed": "fast"} if made.variant == "fast" else {}),
    }


def message(made: Plan) -> dict[str, Any]:
    return {
        "id": made.request_id, "type": "message", "role": "assistant", "model": made.body["model"],
        "content": [{"type": "text", "text": text(made.produced)}],
        "stop_reason": "max_tokens" if made.cut else "end_turn", "stop_sequence": None,
        "usage": _claude_usage(made, made.produced),
    }  # fmt: skip


def message_pieces(made: Plan) -> Iterator[Piece]:
    def event(kind: str, **members: object) -> bytes:
        return (
            f"event: {kind}\n".encode() + b"data: " + as_json({"type": kind, **members}) + b"\n\n"
        )

    start = {**message(made), "content": [], "stop_reason": None, "usage": _claude_usage(made, 1)}
    yield Piece(event("message_start", message=start), 0)
    block = {"type": "text", "text": ""}
    yield Piece(event("content_block_start", index=0, content_block=block), 0)
    yield Piece(event("ping"), 0)
    sent = 0
    for share in shares(made.produced):
        delta = {"type": "text_delta", "text": WORD * share if sent else text(share)}
        sent += share
        yield Piece(event("content_block_delta", index=0, delta=delta), sent)
    yield Piece(event("content_block_stop", index=0), sent, final=True)
    reason = "max_tokens" if made.cut else "end_turn"
    ending = {"stop_reason": reason, "stop_sequence": None}
    usage = {"output_tokens": made.produced}
    yield Piece(event("message_delta", delta=ending, usage=usage), sent, final=True)
    yield Piece(event("message_stop"), sent, final=True)
