"""What a call to the stub uses, and which module makes its answer.

Layer: demo.  Below: demo.stub_plan, demo.stub_tokens, the modules that know the shapes.
Above: demo.stub_http, demo.stub_routes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.demo import stub_claude, stub_gpt, stub_tokens
from noburn_cli.demo.stub_plan import BadRequestError, Piece, Plan, Shape

CHAT = "openai_chat"
RESPONSES = "openai_responses"
EMBEDDINGS = "openai_embeddings"
MESSAGES = "anthropic_messages"

#: An answer without a cap and without instructions is this long.
ANSWER_TOKENS = 400
_numbers = itertools.count(1)


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
    return {
        CHAT: stub_gpt.chat,
        RESPONSES: stub_gpt.response,
        EMBEDDINGS: stub_gpt.embeddings,
        MESSAGES: stub_claude.message,
    }[made.api](made)


def pieces(made: Plan) -> Iterator[Piece]:
    """The events of a stream, in order."""
    further = FURTHER.get(made.api)
    if further is not None and further.pieces is not None:
        return further.pieces(made)
    return {
        CHAT: stub_gpt.chat_pieces,
        RESPONSES: stub_gpt.response_pieces,
        MESSAGES: stub_claude.message_pieces,
    }[made.api](made)


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
