"""The stub's answers to OpenAI's chat completions, responses and embeddings.

Layer: demo.  Below: demo.stub_plan, demo.stub_tokens.  Above: demo.stub_answers; other providers'
modules, which speak the same shapes.
Source: the response types of the openai Python SDK 3.54 (checked 2026-11-23).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

from noburn_cli.demo import stub_tokens
from noburn_cli.demo.stub_plan import WORD, Piece, Plan, as_json, shares, text


def openai_usage(made: Plan, inputs: str, outputs: str) -> dict[str, Any]:
    output = made.produced * made.choices
    return {
        f"{inputs}_tokens": made.inputs,
        f"{outputs}_tokens": output,
        "total_tokens": made.inputs + output,
        f"{inputs}_tokens_details": {
            "cached_tokens": made.cached,
            "cache_write_tokens": made.written,
            "audio_tokens": made.heard,
        },
        f"{outputs}_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": min(made.spoken, output),
        },
    }


def _tier(made: Plan) -> str:
    return "default" if made.variant == "standard" else made.variant


def chat(made: Plan) -> dict[str, Any]:
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text(made.produced), "refusal": None},
            "logprobs": None,
            "finish_reason": "length" if made.cut else "stop",
        }
        for index in range(made.choices)
    ]
    return {
        "id": made.request_id, "object": "chat.completion", "created": int(time.time()),
        "model": made.body["model"], "choices": choices, "service_tier": _tier(made),
        "usage": openai_usage(made, "prompt", "completion"),
    }  # fmt: skip


def chat_pieces(made: Plan) -> Iterator[Piece]:
    options = made.body.get("stream_options") or {}
    with_usage = bool(options.get("include_usage"))
    base = {
        "id": made.request_id, "object": "chat.completion.chunk", "created": int(time.time()),
        "model": made.body["model"], "service_tier": _tier(made),
    }  # fmt: skip

    def chunk(choices: list[dict[str, Any]], usage: object = None) -> bytes:
        extra = {"usage": usage} if with_usage else {}
        return b"data: " + as_json({**base, "choices": choices, **extra}) + b"\n\n"

    def for_all(delta: dict[str, Any], reason: str | None) -> list[dict[str, Any]]:
        return [
            {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
            for index in range(made.choices)
        ]

    yield Piece(chunk(for_all({"role": "assistant", "content": ""}, None)), 0)
    sent = 0
    for share in shares(made.produced):
        sent += share
        yield Piece(chunk(for_all({"content": WORD * share}, None)), sent)
    yield Piece(chunk(for_all({}, "length" if made.cut else "stop")), sent, final=True)
    if with_usage:
        yield Piece(chunk([], openai_usage(made, "prompt", "completion")), sent, final=True)
    yield Piece(b"data: [DONE]\n\n", sent, final=True)


def response(made: Plan, *, status: str = "") -> dict[str, Any]:
    done = not status
    status = status or ("incomplete" if made.cut else "completed")
    return {
        "id": made.request_id, "object": "response", "created_at": int(time.time()),
        "status": status, "error": None, "background": False,
        "incomplete_details": {"reason": "max_output_tokens"} if done and made.cut else None,
        "instructions": made.body.get("instructions"), "metadata": {},
        "max_output_tokens": made.body.get("max_output_tokens"), "model": made.body["model"],
        "output": _output(made) if done else [], "parallel_tool_calls": True,
        "previous_response_id": None, "reasoning": {"effort": None, "summary": None},
        "service_tier": _tier(made), "store": False, "temperature": 1.0, "tool_choice": "auto",
        "text": {"format": {"type": "text"}}, "tools": made.body.get("tools") or [], "top_p": 1.0,
        "truncation": "disabled", **({"tool_usage": _tool_usage(made)} if done else {}),
        "usage": openai_usage(made, "input", "output") if done else None, "user": None,
    }  # fmt: skip


def _output(made: Plan) -> list[dict[str, Any]]:
    searches = [
        {"id": f"fs-{number}", "type": "file_search_call", "status": "completed", "queries": []}
        for number in range(made.fees.get("file_search", 0))
    ]
    return [*searches, _output_item(made)]


def _tool_usage(made: Plan) -> dict[str, Any]:
    searches = made.fees.get("web_search", 0) + made.fees.get("web_search_preview", 0)
    drawn = {"image_tokens": 0, "text_tokens": 0}
    image_gen = {"input_tokens": 0, "input_tokens_details": drawn, "output_tokens": 0}
    return {
        "web_search": {"num_requests": searches},
        "image_gen": {**image_gen, "total_tokens": 0},
    }


def _output_item(made: Plan) -> dict[str, Any]:
    return {
        "id": f"msg-{made.request_id}", "type": "message", "role": "assistant",
        "status": "incomplete" if made.cut else "completed",
        "content": [{"type": "output_text", "text": text(made.produced), "annotations": []}],
    }  # fmt: skip


def response_pieces(made: Plan) -> Iterator[Piece]:
    numbers = itertools.count()
    place = {"item_id": f"msg-{made.request_id}", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    item = _output_item(made)

    def event(kind: str, **members: object) -> bytes:
        data = {"type": kind, "sequence_number": next(numbers), **members}
        return f"event: {kind}\n".encode() + b"data: " + as_json(data) + b"\n\n"

    started = response(made, status="in_progress")
    yield Piece(event("response.created", response=started), 0)
    yield Piece(event("response.in_progress", response=started), 0)
    begun = {**item, "status": "in_progress", "content": []}
    yield Piece(event("response.output_item.added", output_index=0, item=begun), 0)
    yield Piece(event("response.content_part.added", **place, part=empty), 0)
    sent = 0
    for share in shares(made.produced):
        delta = WORD * share if sent else (WORD * share).lstrip()
        sent += share
        delta_event = event("response.output_text.delta", **place, delta=delta, logprobs=[])
        yield Piece(delta_event, sent)
    part = item["content"][0]
    done = event("response.output_text.done", **place, text=part["text"], logprobs=[])
    yield Piece(done, sent, final=True)
    yield Piece(event("response.content_part.done", **place, part=part), sent, final=True)
    yield Piece(event("response.output_item.done", output_index=0, item=item), sent, final=True)
    kind = "response.incomplete" if made.cut else "response.completed"
    yield Piece(event(kind, response=response(made)), sent, final=True)


def embeddings(made: Plan) -> dict[str, Any]:
    count = len(stub_tokens.embedding_tokens(made.model, made.body))
    vector: object = [0.25, -0.5, 0.125]
    if made.body.get("encoding_format") == "base64":
        vector = "AACAPgAAAL8AAAA+"  # The same three numbers as little-endian floats.
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(count)]
    usage = {"prompt_tokens": made.inputs, "total_tokens": made.inputs}
    return {"object": "list", "data": data, "model": made.body["model"], "usage": usage}
