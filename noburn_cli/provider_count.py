"""Ask a provider how many tokens a request's input has; it counts for free.

Layer: I/O.  Below: providers (the codecs word the question and read the answer), errors.
Above: commands.estimate, on `--count` only: the text leaves the machine.
Sources, checked 2026-11-23: `POST /v1/messages/count_tokens` (Anthropic) and `POST
/v1/responses/input_tokens` (OpenAI); checked 2026-11-27: `POST /v1beta/models/MODEL:countTokens`
(Google).
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from noburn_cli.core.models import Model
from noburn_cli.errors import InputRefused, NoburnError
from noburn_cli.inputs import PLAIN, Item
from noburn_cli.providers import registry
from noburn_cli.providers.gemini import Gemini

TIMEOUT_S = 30
_ANSWER_BYTES_MAX = 1024 * 1024
_ANTHROPIC_VERSION = "2023-06-01"


@dataclass(frozen=True)
class _Place:
    """Where a provider counts, and which variables say so.

    path: of the call that is counted; `{model}` stands for the model's name.
    """

    api: str
    base_variable: str
    base: str
    path: str
    key_variable: str


_PLACES: Mapping[str, _Place] = {
    "openai": _Place(
        "openai_responses",
        "OPENAI_BASE_URL",
        "https://api.openai.com/v1",
        "/responses",
        "OPENAI_API_KEY",
    ),
    "anthropic": _Place(
        "anthropic_messages",
        "ANTHROPIC_BASE_URL",
        "https://api.anthropic.com",
        "/v1/messages",
        "ANTHROPIC_API_KEY",
    ),
    "google": _Place(
        Gemini.api,
        "GOOGLE_GEMINI_BASE_URL",
        "https://generativelanguage.googleapis.com",
        "/v1beta/models/{model}:generateContent",
        "GEMINI_API_KEY",
    ),
}


class CountFailed(NoburnError):
    """The provider did not count."""


def count_input(item: Item, model: Model, environment: Mapping[str, str]) -> int:
    """The provider's own count of one request's input, as `model` would read it.

    Raises CountFailed with the reason: no endpoint, no key, no connection, no answer.
    """
    place = _PLACES.get(model.provider)
    if place is None:
        raise CountFailed(f"{model.provider} offers no count that noburn can ask for")
    key = environment.get(place.key_variable, "")
    if not key:
        raise CountFailed(f"{place.key_variable} is not set")
    base = environment.get(place.base_variable) or place.base
    codec = Gemini(model.name) if place.api == Gemini.api else registry.codec(place.api)
    try:
        question = codec.count_request(_body(item, model, place.api))
        if question is None:
            raise CountFailed(f"{model.provider} does not count this kind of request")
        path = place.path.format(model=quote(model.name, safe=""))
        url = question.url_of(base.rstrip("/") + path)
        return codec.parse_count(_post(url, question.body, _headers(model.provider, key)))
    except InputRefused as error:
        raise CountFailed(f"the answer cannot be read: {error.message}") from error


def _body(item: Item, model: Model, api: str) -> bytes:
    """The request as the counting API takes it.  Raises CountFailed when it can't be put so."""
    if item.call.api == PLAIN:
        text = item.call.texts[0]
        messages = [{"role": "user", "content": text}]
        plain: dict[str, object] = {"input": text}
        if api == "anthropic_messages":
            plain = {"messages": messages}
        elif api == Gemini.api:
            plain = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
        return json.dumps({"model": model.name, **plain}).encode("ascii")
    if item.call.api != api or item.body is None:
        raise CountFailed(f"a request for {item.call.api} cannot be counted by {api}")
    values = json.loads(item.body)
    return json.dumps({**values, "model": model.name}).encode("ascii")


def _headers(provider: str, key: str) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
    if provider == "anthropic":
        return {**headers, "x-api-key": key, "anthropic-version": _ANTHROPIC_VERSION}
    if provider == "google":
        return {**headers, "x-goog-api-key": key}
    return {**headers, "Authorization": f"Bearer {key}"}


def _post(url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """One POST.  Raises CountFailed; the key is never part of a message."""
    if not url.startswith(("https://", "http://")):
        raise CountFailed(f"{url} is not a web address")
    request = urllib.request.Request(url, data=body, headers=dict(headers), method="POST")  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            content: bytes = answer.read(_ANSWER_BYTES_MAX)
            return content
    except urllib.error.HTTPError as error:
        with error:
            raise CountFailed(f"{url} answered {error.code}") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise CountFailed(f"{url} cannot be reached: {reason}") from error
