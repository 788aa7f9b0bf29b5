"""Prompts inside YAML and JSON: whole requests, or the texts under some keys.

Layer: I/O only in what it imports: PyYAML, an extra.  Below: core.key_paths, inputs, errors.
Above: gating.prompts.
A document that is a request (a chat file in OpenAI's or Anthropic's format, tools included) is
counted as `estimate` counts it; where it names no model, or is the list of messages alone, the
table's model is put in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from noburn_cli.core.key_paths import find
from noburn_cli.errors import InputRefused, NoburnError
from noburn_cli.inputs import Item, plain_item, request_items
from noburn_cli.providers import registry

#: Values in a document, aliases followed: more is a trick, or no prompt.
VALUES_MAX = 1_000_000
CHARS_MAX = 64 * 1024 * 1024
#: Anthropic's API requires max_tokens; a file without it is held at this many.
_CAP_KEY = "max_tokens"


def parse_json(name: str, text: str) -> Any:
    """The value in a JSON text.  Raises InputRefused."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputRefused(f"{name} is not JSON", why=_one_line(error)) from error


def parse_yaml(name: str, text: str) -> Any:
    """The value in a YAML text of one document.

    Raises InputRefused; NoburnError when PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError as error:
        raise missing_extra("PyYAML", f"{name} is YAML") from error
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # Since 6.0.4 tables that are merged (`<<`) by many names are not doubled at each.
        value = yaml.load(text, Loader=loader)  # noqa: S506 -- both loaders are the safe ones
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError, TypeError) as error:
        raise InputRefused(f"{name} is not YAML", why=_one_line(error)) from error
    _check_size(name, value)
    return value


def missing_extra(package: str, why: str) -> NoburnError:
    """The error for a library that is not part of every installation."""
    return NoburnError(
        f"{package} is not installed",
        why=f"{why}, which it reads",
        next_step="pip install 'noburn-cli[gate]'",
    )


def request_of(name: str, value: Any, *, model: str | None, cap: int | None) -> Item | None:
    """The request that a document is, or None when it is none.

    model, cap: of the table, where the document has none.  Raises InputRefused for a request that
    breaks a rule.
    """
    body = _body(value)
    if body is None:
        return None
    if not isinstance(body.get("model"), str):
        if model is None:
            raise InputRefused(
                f"{name} is a chat without a model",
                why="the model decides how its tokens are counted and what they cost",
                next_step="name one in its table, or `model` in [gate]",
            )
        body = {**body, "model": model}
    if _CAP_KEY not in body and registry.guess_api(body) == "anthropic_messages":
        if cap is None:
            raise InputRefused(
                f"{name} has no {_CAP_KEY}, which Anthropic requires",
                next_step="add it to the file, or `cap` to its table",
            )
        body = {**body, _CAP_KEY: cap}
    _check_size(name, body)
    try:
        text = json.dumps(body, default=str)
    except (TypeError, ValueError, RecursionError) as error:
        raise InputRefused(f"{name} is no request", why=_one_line(error)) from error
    items = request_items(name, text)
    return items[0] if items else None


def _body(value: Any) -> dict[str, Any] | None:
    """The request's body: the document itself, or the messages that it is."""
    if isinstance(value, list) and value and all(_is_message(one) for one in value):
        return {"messages": value}
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return None
    if isinstance(value.get("messages"), list):
        return value
    # `input`, `prompt` and `contents` are words that any document may have.
    named = isinstance(value.get("model"), str)
    return value if named and registry.guess_api(value) is not None else None


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str) and "content" in value


def keyed_item(name: str, value: Any, keys: Sequence[str]) -> Item:
    """One request of all the texts under some keys.  Raises InputRefused."""
    texts: list[str] = []
    for key in keys:
        found = list(find(value, key))
        if not found:
            raise InputRefused(
                f"{name} has nothing at `{key}`",
                why="a prompt that is not there would cost nothing, and nobody would know",
            )
        for place, one in found:
            texts += _texts(name, place, one)
    return plain_item(name, *texts)


def each_item(name: str, value: Any, keys: Sequence[str]) -> list[tuple[str, Item]]:
    """(place, request) of every text under some keys, each by itself.  Raises InputRefused."""
    found: dict[str, Item] = {}
    for key in keys:
        places = list(find(value, key))
        if not places:
            raise InputRefused(f"{name} has nothing at `{key}`")
        for place, one in places:
            found[place] = plain_item(f"{name}:{place}", *_texts(name, place, one))
    return list(found.items())


def _texts(name: str, place: str, value: Any) -> list[str]:
    """The texts of a value: itself, or the items of a list."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return list(value)
    raise InputRefused(
        f"{name}: `{place}` is no text",
        why=f"it is {_kind(value)}",
        next_step="name the keys of the texts in it, such as `messages[*].content`",
    )


def _kind(value: Any) -> str:
    words = {dict: "a table", list: "a list", bool: "true or false", type(None): "empty"}
    return words.get(type(value), type(value).__name__)


def _check_size(name: str, value: Any) -> None:
    """A few lines of YAML can mean billions of values, by aliases of aliases."""
    waiting, left, chars = [value], VALUES_MAX, CHARS_MAX
    while waiting:
        one = waiting.pop()
        left -= 1
        if left < 0:
            raise InputRefused(f"{name} has more than {VALUES_MAX:,} values")
        if isinstance(one, str):
            chars -= len(one)
            if chars < 0:
                raise InputRefused(f"{name} has more than {CHARS_MAX:,} characters")
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
