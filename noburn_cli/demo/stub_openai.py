"""The stub's answers to OpenAI's legacy completions.

Layer: demo.  Below: demo.stub_plan.  Above: demo.stub_routes.
Source: the response types of the openai Python SDK 3.54 (checked 2026-11-27).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.demo import stub_gpt, stub_plan, stub_tokens
from noburn_cli.demo.stub_plan import Piece, Plan, Shape

COMPLETIONS = "openai_completions"
API_OF = {"/v1/completions": COMPLETIONS}
_DEFAULT_CAP = 16


def _prompts(body: dict[str, Any]) -> list[Any]:
    given = body["prompt"]
    return [given] if isinstance(given, str) or isinstance(given[0], int) else list(given)


def _inputs(model: Model, body: dict[str, Any]) -> int:
    return sum(
        stub_tokens.text_tokens(model, one) if isinstance(one, str) else len(one)
        for one in (*_prompts(body), body.get("suffix") or "")
    )


def _cap(body: dict[str, Any]) -> int:
    return int(_DEFAULT_CAP if body.get("max_tokens") is None else body["max_tokens"])


def _choices(body: dict[str, Any]) -> int:
    """Answers that are written, and billed."""
    per_prompt = max(int(body.get("n") or 1), int(body.get("best_of") or 1))
    return per_prompt * len(_prompts(body))


def _shown(made: Plan) -> range:
    return range(int(made.body.get("n") or 1) * len(_prompts(made.body)))


def _base(made: Plan) -> dict[str, Any]:
    return {
        "id": made.request_id, "object": "text_completion", "created": int(time.time()),
        "model": made.body["model"],
    }  # fmt: skip


def _whole(made: Plan) -> dict[str, Any]:
    reason = "length" if made.cut else "stop"
    text = stub_plan.text(made.produced)
    choices = [
        {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
        for index in _shown(made)
    ]
    usage = stub_gpt.openai_usage(made, "prompt", "completion")
    return {**_base(made), "choices": choices, "usage": usage}


def _pieces(made: Plan) -> Iterator[Piece]:
    base = _base(made)

    def chunk(text: str, reason: str | None) -> bytes:
        choices = [
            {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
            for index in _shown(made)
        ]
        return stub_plan.sse({**base, "choices": choices})

    sent = 0
    for share in stub_plan.shares(made.produced):
        sent += share
        yield Piece(chunk(stub_plan.WORD * share, None), sent)
    yield Piece(chunk("", "length" if made.cut else "stop"), sent, final=True)
    if (made.body.get("stream_options") or {}).get("include_usage"):
        usage = stub_gpt.openai_usage(made, "prompt", "completion")
        yield Piece(stub_plan.sse({**base, "choices": [], "usage": usage}), sent, final=True)
    yield Piece(b"data: [DONE]\n\n", sent, final=True)


SHAPES = {
    COMPLETIONS: Shape(inputs=_inputs, cap=_cap, choices=_choices, whole=_whole, pieces=_pieces)
}
