"""How many input tokens the stub bills, counted the provider's way.

Layer: demo.  Below: noburn_cli.ranks.  Reads bodies by itself: the codecs are what is tested.
OpenAI: the exact tokens of every text, 3 a message and 1 for its role, 1 for a name, 3 for the
reply (https://github.com/openai/openai-cookbook, "How to count tokens with tiktoken", checked
2026-11-23).
Claude: no public tokeniser; a plausible density of 3.2 bytes a token, and the published frame.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from noburn_cli.core.models import Model

_MESSAGE = 3
_ROLE = 1
_NAME = 1
_REPLY = 3
_OPENAI_TOOLS = 12
_IMAGE = 85
_CLAUDE_FRAME = 7
_CLAUDE_MESSAGE = 4
_CLAUDE_TOOLS = 346


def openai_tokens(model: Model, body: dict[str, Any]) -> int:
    """Input tokens of a chat or Responses request."""
    total = _REPLY
    for message in _messages(body):
        total += _MESSAGE + _ROLE
        if message.get("name"):
            total += _NAME
        rest = {key: value for key, value in message.items() if key not in ("role", "type", "id")}
        total += sum(text_tokens(model, text) for text in _strings(rest))
        total += _IMAGE * json.dumps(rest).count('"image_url"')
    tools = body.get("tools") or body.get("functions")
    if tools:
        total += _OPENAI_TOOLS + text_tokens(model, _compact(tools))
    form = body.get("response_format") or (body.get("text") or {}).get("format")
    return total + (text_tokens(model, _compact(form)) if form else 0)


def embedding_tokens(model: Model, body: dict[str, Any]) -> list[int]:
    """Tokens of each input of an embeddings request."""
    given = body["input"]
    if isinstance(given, str) or (given and isinstance(given[0], int)):
        given = [given]
    return [text_tokens(model, one) if isinstance(one, str) else len(one) for one in given]


def claude_tokens(body: dict[str, Any]) -> int:
    """Input tokens of a messages request."""
    total = _CLAUDE_FRAME + dense(body.get("system"))
    for message in body["messages"]:
        total += _CLAUDE_MESSAGE + dense(message.get("content"))
    if body.get("tools"):
        total += _CLAUDE_TOOLS + dense(_compact(body["tools"]))
    return total


def text_tokens(model: Model, text: str) -> int:
    """Tokens of one text: exact in OpenAI's encodings, a plausible density otherwise."""
    from noburn_cli import ranks  # Loading an encoding takes most of a second: when needed.

    if model.tokenizer not in ("o200k_base", "cl100k_base"):
        return dense(text)
    return len(ranks.encoding(model.tokenizer).encode_ordinary(text))


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    if "messages" in body:
        return list(body["messages"])
    given = body.get("input") or []
    items = [{"role": "user", "content": given}] if isinstance(given, str) else list(given)
    if body.get("instructions"):
        items.insert(0, {"role": "system", "content": body["instructions"]})
    return items


def _strings(value: object) -> Iterator[str]:
    """Every text in a message; images, types and ids are no text."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for key, member in value.items():
            if key not in ("type", "image_url", "id", "call_id", "tool_call_id"):
                yield from _strings(member)


def dense(value: object) -> int:
    """Tokens of the texts in a value where no tokeniser is public: 3.2 bytes each."""
    size = sum(len(text.encode()) for text in _strings(value))
    return -(-size * 10 // 32)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
