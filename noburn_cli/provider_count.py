"""Ask a provider how many tokens a request's input has; it counts for free.

Layer: I/O.  Below: providers (the codecs word the question), errors, and the providers' own SDKs,
imported when somebody counts (1.5 s each; the extra `count`).
Above: estimating, on `--count` only: the text leaves the machine.
Sources, checked 2026-11-27 in the SDKs' own modules: `messages.count_tokens` (anthropic 2.14),
`responses.input_tokens.count` (openai 3.57), `models.count_tokens` (google-genai 3.6).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from noburn_cli.core.models import Model
from noburn_cli.errors import InputRefused, NoburnError
from noburn_cli.inputs import PLAIN, Item
from noburn_cli.providers import registry
from noburn_cli.providers.codec import Codec
from noburn_cli.providers.gemini import Gemini

TIMEOUT_S = 30
#: Beyond the first try, and only where the SDK says that another may help.
RETRIES = 1


class CountFailed(NoburnError):
    """The provider did not count."""


@dataclass(frozen=True)
class _Place:
    """Where a provider counts, through which SDK, and which variables say so.

    keys: the variables that may hold the key, the first one that is set wins.
    ask: (base, key, model, members of the request) -> the SDK's answer; raises the SDK's errors.
    """

    sdk: str
    api: str
    base_variable: str
    base: str
    keys: tuple[str, ...]
    ask: Callable[[str, str, str, dict[str, Any]], object]


def _ask_openai(base: str, key: str, model: str, members: dict[str, Any]) -> object:
    from openai import OpenAI

    with OpenAI(api_key=key, base_url=base, timeout=TIMEOUT_S, max_retries=RETRIES) as client:
        counted = client.responses.input_tokens.count(model=model, extra_body=members)
        return counted.input_tokens


def _ask_anthropic(base: str, key: str, model: str, members: dict[str, Any]) -> object:
    from anthropic import Anthropic

    with Anthropic(api_key=key, base_url=base, timeout=TIMEOUT_S, max_retries=RETRIES) as client:
        messages = members.pop("messages")
        counted = client.messages.count_tokens(model=model, messages=messages, extra_body=members)
        return counted.input_tokens


def _ask_google(base: str, key: str, model: str, members: dict[str, Any]) -> object:
    from google import genai
    from google.genai import types

    options = types.HttpOptions(
        base_url=base,
        api_version="v1beta",  # Where whole requests are counted: ai.google.dev/api/tokens
        timeout=TIMEOUT_S * 1000,
        retry_options=types.HttpRetryOptions(attempts=1 + RETRIES),
        extra_body=members,
    )
    with genai.Client(api_key=key, vertexai=False, http_options=options) as client:
        # Contents alone would leave out the instruction and the tools: they are in the body above.
        counted = client.models.count_tokens(model=model, contents=None)  # type: ignore[arg-type]
        return counted.total_tokens


_PLACES: Mapping[str, _Place] = {
    "openai": _Place(
        "openai",
        "openai_responses",
        "OPENAI_BASE_URL",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        _ask_openai,
    ),
    "anthropic": _Place(
        "anthropic",
        "anthropic_messages",
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        ("ANTHROPIC_API_KEY",),
        _ask_anthropic,
    ),
    "google": _Place(
        "google-genai",
        Gemini.api,
        "GOOGLE_GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        _ask_google,
    ),
}


def count_input(item: Item, model: Model, environment: Mapping[str, str], *, name: str = "") -> int:
    """The provider's own count of one request's input, as `model` would read it.

    name: how the provider is asked for it; a fine-tune, and a model of a date, have their own.

    What is sent is the request itself, with its tools, images and system prompt, as far as the
    count endpoint takes it.  The key goes to the provider's address, or to the one that its base
    variable names, and into no message.
    Raises CountFailed with the reason: no endpoint, no key, no SDK, no connection, no answer.
    """
    place = _PLACES.get(model.provider)
    if place is None:
        raise CountFailed(f"{model.provider} offers no count that noburn can ask for")
    key = next((environment[name] for name in place.keys if environment.get(name)), "")
    if not key:
        raise CountFailed(f"{place.keys[0]} is not set")
    base = environment.get(place.base_variable) or place.base
    if not base.startswith(("https://", "http://")):
        raise CountFailed(f"{place.base_variable} is not a web address: {base}")
    name = name or model.name
    members = _members(item, model, name, place)
    try:
        count = place.ask(base.rstrip("/"), key, name, members)
    except ImportError as error:
        raise CountFailed(
            f"counting needs the package {place.sdk}: pip install 'noburn-cli[count]'"
        ) from error
    except Exception as error:
        raise CountFailed(_reason(error, base)) from error
    if type(count) is not int or count < 0:
        raise CountFailed(f"{base} answered without a count")
    return count


def _members(item: Item, model: Model, name: str, place: _Place) -> dict[str, Any]:
    """The request as the counting API takes it.  Raises CountFailed when it can't be put so."""
    codec: Codec = Gemini(name) if place.api == Gemini.api else registry.codec(place.api)
    try:
        question = codec.count_request(_body(item, name, place.api))
    except InputRefused as error:
        raise CountFailed(f"the request cannot be counted: {error.message}") from error
    if question is None:
        raise CountFailed(f"{model.provider} does not count this kind of request")
    members: dict[str, Any] = json.loads(question.body)
    return members


def _body(item: Item, name: str, api: str) -> bytes:
    """The request's own bytes under the name, or the text as one.  Raises CountFailed."""
    if item.call.api == PLAIN:
        text = item.call.texts[0] if item.call.texts else ""
        messages = [{"role": "user", "content": text}]
        plain: dict[str, object] = {"input": text}
        if api == "anthropic_messages":
            plain = {"messages": messages}
        elif api == Gemini.api:
            plain = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        return json.dumps({"model": name, **plain}).encode("ascii")
    if item.call.api != api or item.body is None:
        raise CountFailed(f"a request for {item.call.api} cannot be counted by {api}")
    values = json.loads(item.body)
    return json.dumps({**values, "model": name}).encode("ascii")


def _reason(error: Exception, base: str) -> str:
    """What an SDK's error says, without its text: that may repeat the request, or its key."""
    status = getattr(error, "status_code", None) or getattr(error, "code", None)
    if isinstance(status, int):
        return f"{base} answered {status}"
    if "Connect" in type(error).__name__ or "Timeout" in type(error).__name__:
        return f"{base} cannot be reached: {type(error).__name__}"
    if isinstance(error, OSError):
        return f"{base} cannot be reached: {error.strerror or type(error).__name__}"
    return f"{base} gave no count that the SDK can read: {type(error).__name__}"
