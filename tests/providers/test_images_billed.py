"""What an image may cost: by the model that is billed, whatever the request's body calls it."""

from __future__ import annotations

import base64
import json
from functools import cache
from typing import Any

import pytest

from noburn_cli import protocol, resources
from noburn_cli.core import image_tokens as images
from noburn_cli.core.image_headers import Size
from noburn_cli.core.media_tokens import media_tokens
from noburn_cli.core.openai_names import OPENAI_MODEL
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.enforce.decisions import AskDaemon, Request
from noburn_cli.enforce.guard import admit, route_of
from noburn_cli.input_counts import InputCounts
from noburn_cli.providers import registry
from noburn_cli.providers.call import Call
from noburn_cli.providers.routes import OPENAI, Upstream
from noburn_daemon import frames
from noburn_daemon.pricing import Pricing
from tests.core.test_media import png
from tests.daemon.parts import START_MS

DETAILS = (None, "low", "high", "original", "strange")
BODY_MODELS = ("gpt-4o", "gpt-4o-mini", "llava")
PNG = "data:image/png;base64," + base64.b64encode(png(1024, 768)).decode()
SIZES = tuple(
    Size(*sides)
    for sides in ((1, 1), (512, 512), (768, 2048), (2048, 2048), (6000, 6000), (65_535, 65_535))
)
MINI_MOST = 2833 + 8 * 5667


@cache
def book() -> PriceBook:
    return PriceBook.from_texts([resources.shipped_prices()])


def chat(model: str, detail: str | None, count: int = 1) -> bytes:
    address = {"url": PNG} if detail is None else {"url": PNG, "detail": detail}
    content = [{"type": "image_url", "image_url": address}] * count
    said = [{"role": "user", "content": content}]
    return json.dumps({"model": model, "messages": said, "max_completion_tokens": 9}).encode()


def calls(model: str, detail: str | None) -> list[Call]:
    """The same image as each API would be asked for it."""
    address: dict[str, Any] = {"type": "input_image", "image_url": PNG}
    address |= {} if detail is None else {"detail": detail}
    packed = PNG.partition(",")[2]
    source = {"type": "base64", "media_type": "image/png", "data": packed}
    claude = [{"role": "user", "content": [{"type": "image", "source": source}]}]
    part = {"inlineData": {"mimeType": "image/png", "data": packed}}
    said = {
        "openai_responses": {"input": [{"role": "user", "content": [address]}]},
        "anthropic_messages": {"max_tokens": 9, "messages": claude},
        "gemini": {"contents": [{"parts": [part]}]},
    }
    others = {
        api: json.dumps({"model": model, **members}).encode() for api, members in said.items()
    }
    return [
        registry.parse_body(api, body)
        for api, body in {"openai_chat": chat(model, detail), **others}.items()
    ]


def test_the_bound_follows_the_model_that_is_billed() -> None:
    """Goal: for each of OpenAI's models and aliases, never below its own formula for any image."""
    found = 0
    for body_model in BODY_MODELS:
        for detail in DETAILS:
            for call in calls(body_model, detail):
                plain = call.measured()
                for model in book().models():
                    if not OPENAI_MODEL.match(model.name):
                        continue
                    found += 1
                    for name in (model.name, *model.aliases):
                        assert_covered(call, plain, name)
                    measured = call.billed_as(plain, model.name, aliases=model.aliases)
                    assert not measured.window
                    for name in (model.name, *model.aliases):
                        assert call.billed_as(plain, name).overhead <= measured.overhead
    assert found > 5_000


def assert_covered(call: Call, plain: Any, model: str) -> None:
    measured = call.billed_as(plain, model)
    if measured.window:
        assert not OPENAI_MODEL.match(model)
        return
    left = measured.overhead - plain.overhead
    (image,) = call.media
    rule = images.openai_rule(model)
    expected = media_tokens(call.media, tokenizer="o200k_base", model=model)
    if rule is None:
        assert expected is None
        assert left == images.openai_image_max("gpt-99", image.detail)
        return
    assert expected is not None
    assert expected.high <= left
    assert max(rule.tokens(size, image.detail) for size in SIZES) <= left


@pytest.mark.parametrize("model", ["gpt-4o-mini", "gpt-4o", "claude-haiku-5-5", "gemini-4-argon"])
def test_an_estimate_on_another_model_is_never_above_its_bound(model: str) -> None:
    billed = book().resolve(model)
    for name in BODY_MODELS:
        for call in calls(name, "low"):
            measured = call.billed_as(call.measured(), billed.name, aliases=billed.aliases)
            size = InputCounts(call).size(billed, measured)
            assert size.expected is not None
            assert size.expected.high <= size.bound.tokens


def test_other_servers_images_are_as_large_as_their_window() -> None:
    call = registry.parse_body("openai_chat", chat("gpt-4o", "low"))
    for name in ("llava", "groq/gpt-4o", "azure/llava", "my-server/claudette"):
        assert call.billed_as(call.measured(), name).window


AZURE = Upstream(OPENAI, "https://my.openai.azure.com", "azure", (("gpt-4o", "gpt-4o-mini"),))
RENAMED = Upstream(OPENAI, "https://llm.example.com/v1", "openai", (("small", "gpt-4o-mini"),))


@pytest.mark.parametrize(
    ("upstream", "url", "asked"),
    [
        (AZURE, "https://my.openai.azure.com/openai/deployments/gpt-4o/chat/completions", "gpt-4o"),
        (RENAMED, "https://llm.example.com/v1/chat/completions", "small"),
    ],
)
def test_a_renamed_endpoint_is_held_by_the_model_behind_it(
    upstream: Upstream, url: str, asked: str
) -> None:
    """Goal: the money held covers the dearest image on the model that the endpoint runs."""
    frame, _ = reserve(upstream, url, chat(asked, None, count=2))
    assert frame.model.endswith("gpt-4o-mini")
    assert 2 * MINI_MOST <= frame.input.overhead < 2 * MINI_MOST + 100
    quote = Pricing(book(), lambda _: None).quote(frame, now_ms=START_MS)
    rate = 150  # nano-dollars a token: $0.15 a million
    assert quote.full[0] >= 2 * MINI_MOST * rate


def test_a_cheaper_model_is_held_by_its_own_images() -> None:
    known = Upstream(OPENAI, "https://api.openai.com/v1")
    frame, steps = reserve(known, "https://api.openai.com/v1/chat/completions", chat("gpt-4o", ""))
    assert frame.input.overhead < 2_000
    moved = {"ok": False, "error": protocol.DOWNGRADE, "model": "gpt-4o-mini", "downgraded": []}
    again = steps.send(moved)
    assert decoded(again).input.overhead >= MINI_MOST


def reserve(upstream: Upstream, url: str, body: bytes) -> tuple[frames.Reserve, Any]:
    route = route_of("POST", url, (upstream,))
    assert route is not None
    steps = admit(route, Request("POST", url, {}, body), (upstream,))
    return decoded(next(steps)), steps


def decoded(asked: object) -> frames.Reserve:
    assert isinstance(asked, AskDaemon)
    frame = frames.decode(protocol.encode({"n": 1, "op": asked.op, **asked.fields}))
    assert isinstance(frame, frames.Reserve)
    return frame
