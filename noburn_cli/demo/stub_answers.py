"""The answers of the stub: what a call used, and the very shapes that the SDKs parse.

Layer: demo.  Below: demo.stub_tokens, core.pricebook.
Source of the shapes: the response types of the openai Python SDK 3.54 and of the anthropic Python
SDK 2.12 (checked 2026-11-23).
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.demo import stub_tokens

CHAT = "openai_chat"
RESPONSES = "openai_responses"
EMBEDDINGS = "openai_embeddings"
MESSAGES = "anthropic_messages"

#: An answer without a cap and without instructions is this long.
ANSWER_TOKENS = 400
#: A stream sends its answer in about so many pieces.
PIECES = 12
WORD = " word"
_numbers = itertools.count(1)


class BadRequestError(Exception):
    """What a provider would answer with 400."""


@dataclass(frozen=True)
class Plan:
    """One call, as the provider sees it; all counts in tokens.

    cap: the most output per choice, or None.
    length: what the answer would be without the cap, per choice.
    cached, written, written_1h, heard (audio): parts of `inputs`, spoken of the output.
    fees: units that are billed beside tokens.
    """

    api: str
    model: Model
    body: dict[str, Any]
    request_id: str
    inputs: int
    cached: int
    written: int
    written_1h: int
    cap: int | None
    length: int
    choices: int
    variant: str
    heard: int = 0
    spoken: int = 0
    fees: Mapping[str, int] = field(default_factory=dict)

    @property
    def produced(self) -> int:
        """Output tokens per choice that the client gets."""
        return self.length if self.cap is None else min(self.length, self.cap)

    @property
    def cut(self) -> bool:
        return self.cap is not None and self.length > self.cap

    @property
    def stream(self) -> bool:
        return bool(self.body.get("stream"))

    def usage(self, output_per_choice: int) -> dict[str, int]:
        """Usage by disjoint kinds, for so many output tokens per choice."""
        counts = {
            "input": self.inputs - self.cached - self.written - self.written_1h,
            "cache_read": self.cached,
            "cache_write_5m": self.written,
            "cache_write_1h": self.written_1h,
            "output": output_per_choice * self.choices,
        }
        spoken = min(self.spoken, counts["output"])
        counts["input"] -= self.heard
        counts["output"] -= spoken
        counts.update({"audio_input": self.heard, "audio_output": spoken, **self.fees})
        return {kind: count for kind, count in counts.items() if count}


@dataclass(frozen=True)
class Piece:
    """One event of a stream, and how many output tokens per choice have been sent with it.

    final: the provider has finished and says so with this piece: it is billed before it is sent.
    """

    data: bytes
    sent: int
    final: bool = False


@dataclass(frozen=True)
class Shape:
    """An API whose answers another module makes.

    inputs: its input tokens.  cap: the request's own cap per choice, or None; may raise
        BadRequestError.  choices: how many answers are billed.
    whole: the complete answer.  pieces: its stream; None for an API without output.
    variant: the price variant that is served.  count: the answer of a count endpoint.
    """

    inputs: Callable[[Model, dict[str, Any]], int]
    cap: Callable[[dict[str, Any]], int | None]
    choices: Callable[[dict[str, Any]], int]
    whole: Callable[[Plan], dict[str, Any]]
    pieces: Callable[[Plan], Iterator[Piece]] | None = None
    variant: Callable[[dict[str, Any]], str] = lambda _: "standard"
    count: Callable[[int], dict[str, Any]] = lambda tokens: {"input_tokens": tokens}
    content_type: Callable[[Plan], str] = lambda _: "text/event-stream"


#: The APIs beyond those of this module, by name; demo.stub_routes fills it.
FURTHER: dict[str, Shape] = {}


def plan(api: str, model: Model, body: dict[str, Any], wishes: Mapping[str, str]) -> Plan:
    """What this request will use.  wishes: the `x-stub-…` headers.  Raises BadRequestError."""
    try:
        inputs = _input_tokens(api, model, body)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise BadRequestError(f"the input cannot be read: {error!r}") from error
    # A hosted tool's rounds: each reads the whole input again, and what the tool found.
    rounds = _wish(wishes, "x-stub-tool-rounds", 0)
    inputs += rounds * (inputs + _wish(wishes, "x-stub-round-tokens", 500))
    cap = _cap(api, body)
    limits = [limit for limit in (cap, model.output_max) if limit is not None]
    cap = min(limits) if limits else None
    length = ANSWER_TOKENS if cap is None or _explicit(api, body) is None else -(-cap * 6 // 10)
    writes = FURTHER[api].pieces is not None if api in FURTHER else api != EMBEDDINGS
    if not writes:
        cap, length = None, 0
    cached = min(_wish(wishes, "x-stub-cached-tokens", 0), inputs)
    written = min(_wish(wishes, "x-stub-cache-write-tokens", 0), inputs - cached)
    written_1h = min(_wish(wishes, "x-stub-cache-write-1h-tokens", 0), inputs - cached - written)
    return Plan(
        api=api, model=model, body=body, request_id=f"stub-{next(_numbers):08d}", inputs=inputs,
        cached=cached, written=written, written_1h=written_1h, cap=cap,
        length=_wish(wishes, "x-stub-output-tokens", length) if writes else 0,
        choices=FURTHER[api].choices(body) if api in FURTHER else int(body.get("n") or 1),
        variant=_variant(api, body),
        heard=min(_wish(wishes, "x-stub-audio-input-tokens", 0), inputs - cached - written),
        spoken=_wish(wishes, "x-stub-audio-output-tokens", 0),
        fees=_fees(body, wishes),
    )  # fmt: skip


def count_input(api: str, model: Model, body: dict[str, Any]) -> int:
    """The answer of a count endpoint."""
    try:
        return _input_tokens(api, model, body)
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise BadRequestError(f"the input cannot be read: {error!r}") from error


def whole(made: Plan) -> dict[str, Any]:
    """The complete answer of a call that does not stream."""
    if made.api in FURTHER:
        return FURTHER[made.api].whole(made)
    return {CHAT: chat, RESPONSES: _response, EMBEDDINGS: embeddings, MESSAGES: message}[made.api](
        made
    )


def pieces(made: Plan) -> Iterator[Piece]:
    """The events of a stream, in order."""
    further = FURTHER.get(made.api)
    if further is not None and further.pieces is not None:
        return further.pieces(made)
    return {CHAT: chat_pieces, RESPONSES: _response_pieces, MESSAGES: message_pieces}[made.api](
        made
    )


def text(tokens: int) -> str:
    """An answer of so many tokens; `word` with its blank is one in o200k and cl100k."""
    return (WORD * tokens).lstrip() if tokens else ""


def _input_tokens(api: str, model: Model, body: dict[str, Any]) -> int:
    if api in FURTHER:
        return FURTHER[api].inputs(model, body)
    if api == EMBEDDINGS:
        return sum(stub_tokens.embedding_tokens(model, body))
    if api == MESSAGES:
        return stub_tokens.claude_tokens(body)
    return stub_tokens.openai_tokens(model, body)


def _explicit(api: str, body: dict[str, Any]) -> int | None:
    if api in FURTHER:
        return FURTHER[api].cap(body)
    names = {
        CHAT: ("max_completion_tokens", "max_tokens"),
        RESPONSES: ("max_output_tokens",),
        EMBEDDINGS: (),
        MESSAGES: ("max_tokens",),
    }[api]
    given = [body[name] for name in names if body.get(name) is not None]
    return given[0] if given else None


def _cap(api: str, body: dict[str, Any]) -> int | None:
    cap = _explicit(api, body)
    if api == MESSAGES and cap is None:
        raise BadRequestError("max_tokens: Field required")
    least = {RESPONSES: 16, MESSAGES: 0}.get(api, 1)
    if cap is not None and (type(cap) is not int or cap < least):
        raise BadRequestError(f"the output cap must be a whole number of at least {least}")
    return cap


def _variant(api: str, body: dict[str, Any]) -> str:
    if api in FURTHER:
        return FURTHER[api].variant(body)
    if api == MESSAGES:
        return "fast" if body.get("speed") == "fast" else "standard"
    tier = body.get("service_tier")
    return {"flex": "flex", "priority": "priority", "fast": "priority"}.get(str(tier), "standard")


def _wish(wishes: Mapping[str, str], name: str, otherwise: int) -> int:
    value = wishes.get(name)
    return otherwise if value is None else max(0, int(value))


def _fees(body: dict[str, Any], wishes: Mapping[str, str]) -> dict[str, int]:
    """Searches that the client asked to have made: by the tool that the request brings."""
    kinds = [str(tool.get("type")) for tool in body.get("tools") or () if isinstance(tool, dict)]
    preview = any(kind.startswith("web_search_preview") for kind in kinds)
    search = "web_search_preview" if preview else "web_search"
    return {
        search: _wish(wishes, "x-stub-web-searches", 0),
        "file_search": _wish(wishes, "x-stub-file-searches", 0),
    }


def shares(tokens: int) -> list[int]:
    """How many tokens each piece of a stream carries."""
    size = max(1, -(-tokens // PIECES))
    return [min(size, tokens - start) for start in range(0, tokens, size)]


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


def _response(made: Plan, *, status: str = "") -> dict[str, Any]:
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


def _response_pieces(made: Plan) -> Iterator[Piece]:
    numbers = itertools.count()
    place = {"item_id": f"msg-{made.request_id}", "output_index": 0, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    item = _output_item(made)

    def event(kind: str, **members: object) -> bytes:
        data = {"type": kind, "sequence_number": next(numbers), **members}
        return f"event: {kind}\n".encode() + b"data: " + as_json(data) + b"\n\n"

    started = _response(made, status="in_progress")
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
    yield Piece(event(kind, response=_response(made)), sent, final=True)


def embeddings(made: Plan) -> dict[str, Any]:
    count = len(stub_tokens.embedding_tokens(made.model, made.body))
    vector: object = [0.25, -0.5, 0.125]
    if made.body.get("encoding_format") == "base64":
        vector = "AACAPgAAAL8AAAA+"  # The same three numbers as little-endian floats.
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(count)]
    usage = {"prompt_tokens": made.inputs, "total_tokens": made.inputs}
    return {"object": "list", "data": data, "model": made.body["model"], "usage": usage}


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


def sse(value: object) -> bytes:
    """One event without a name."""
    return b"data: " + as_json(value) + b"\n\n"


def as_json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
