"""Tools that bill, audio, images, ceilings: what bounds each kind of call, what it is billed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.core.usage import FEE_KINDS
from noburn_cli.demo import stub_answers, stub_bill
from noburn_cli.enforce.reserving import reserve_fields
from noburn_cli.providers import registry
from noburn_cli.providers.anthropic_batches import AnthropicBatches, AnthropicResults
from noburn_cli.providers.ceilings import CEILINGS, TOLD_BY_USAGE
from noburn_daemon import frames
from noburn_daemon.pricing import Pricing
from tests.daemon.parts import ROOT, START_MS

CHAT = registry.codec("openai_chat")
RESPONSES = registry.codec("openai_responses")
MESSAGES = registry.codec("anthropic_messages")
AUDIO_BOOK = """
format = 1
[[model]]
name = "speaker"
like = "gpt-4o"
[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 2.5
cache_read = 2.5
output = 10
audio_input = 32
audio_output = 64
url = "https://example.org/prices"
checked_on = 2026-11-27
"""
BOOK = PriceBook.from_texts([resources.shipped_prices(), ("audio.toml", AUDIO_BOOK)])


def body(**members: Any) -> bytes:
    return json.dumps(members).encode()


def ask(tools: list[dict[str, Any]], **more: Any) -> bytes:
    return body(model="gpt-6-luna", input="hi", tools=tools, **more)


def say(tools: list[dict[str, Any]], **more: Any) -> bytes:
    said = [{"role": "user", "content": "hi"}]
    return body(model="claude-haiku-5-5", max_tokens=100, messages=said, tools=tools, **more)


@pytest.mark.parametrize(
    ("tools", "extra"),
    [
        ([{"type": "web_search"}], {"web_search": 3}),
        ([{"type": "web_search_2025_08_26"}], {"web_search": 3}),
        ([{"type": "web_search_preview_2025_03_11"}], {"web_search_preview": 3}),
        ([{"type": "file_search", "vector_store_ids": ["v"]}], {"file_search": 3}),
        ([{"type": "web_search"}, {"type": "file_search"}], {"web_search": 3, "file_search": 3}),
    ],
)
def test_max_tool_calls_bounds_the_rounds_and_the_fees(tools: Any, extra: dict[str, int]) -> None:
    call = RESPONSES.parse(ask(tools, max_tool_calls=3, max_output_tokens=500))
    assert (call.unbounded, call.windows, dict(call.extra)) == ("", 3, extra)
    assert call.output is not None
    assert (call.output.wanted, call.output.choices) == (500, 1)  # the cap covers the whole answer


def test_max_uses_bounds_the_rounds_and_the_fees() -> None:
    """Each round may have the whole cap, and one more follows a use too many."""
    search = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    fetch = {
        "type": "web_fetch_20260309",
        "name": "f",
        "max_uses": 3,
        "allowed_callers": ["direct"],
    }
    call = MESSAGES.parse(say([search, fetch]))
    assert (call.unbounded, call.windows, dict(call.extra)) == ("", 6, {"web_search": 2})
    assert call.output is not None
    assert (call.output.wanted, call.output.choices) == (100, 7)
    by_code = {"type": "web_search_20260209", "name": "web_search", "max_uses": 2}
    assert MESSAGES.parse(say([by_code])).unbounded_kinds == ("web_search",)


@pytest.mark.parametrize(
    ("codec", "request_body", "kinds", "told"),
    [
        (RESPONSES, ask([{"type": "web_search"}]), ("web_search",), True),
        (RESPONSES, ask([{"type": "file_search"}]), ("file_search",), True),
        (RESPONSES, ask([{"type": "code_interpreter"}]), ("code_execution",), False),
        (RESPONSES, ask([{"type": "image_generation"}]), ("image_generation",), False),
        (RESPONSES, ask([{"type": "mcp"}, {"type": "web_search"}]), ("mcp", "web_search"), True),
        (RESPONSES, ask([], background=True), ("background",), True),
        (RESPONSES, ask([], prompt={"id": "p"}), ("stored_prompt",), True),
        (RESPONSES, ask([], context_management=[{"type": "compaction"}]), ("compaction",), False),
        (RESPONSES, ask([], brand_new=1), ("unknown",), False),
        (MESSAGES, say([{"type": "code_execution_20260521"}]), ("code_execution",), False),
        (MESSAGES, say([{"type": "mcp_toolset"}], mcp_servers=[{}]), ("mcp",), True),
        (MESSAGES, say([{"type": "tool_search_tool_bm25"}]), ("tool_search",), True),
        (MESSAGES, say([], inference_geo=7), ("regional",), False),
        (CHAT, body(model="gpt-4o", messages=[{"role": "user"}], web_search_options={}),
         ("web_search",), False),
    ],
)  # fmt: skip
def test_what_nothing_bounds_names_its_ceiling(
    codec: Any, request_body: bytes, kinds: tuple[str, ...], told: bool
) -> None:
    call = codec.parse(request_body)
    assert call.unbounded
    assert (call.unbounded_kinds, call.usage_tells_all) == (kinds, told)


def test_every_ceiling_is_documented() -> None:
    assert set(CEILINGS) >= TOLD_BY_USAGE
    page = (ROOT / "docs" / "bounds.md").read_text(encoding="utf-8")
    for name, meaning in CEILINGS.items():
        told = "as the usage says" if name in TOLD_BY_USAGE else "at its hold"
        assert f"| `{name}` | {meaning} | {told} |" in page


def test_context_management_that_only_clears_is_harmless() -> None:
    edits = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    assert MESSAGES.parse(say([], context_management=edits)).unbounded == ""
    edits = {"edits": [{"type": "compact_20260112"}]}
    assert MESSAGES.parse(say([], context_management=edits)).unbounded_kinds == ("compaction",)


def test_an_image_has_a_most_whatever_its_size() -> None:
    part = [{"type": "image_url", "image_url": {"url": "u"}}]
    for model, most in (
        ("gpt-6-luna", 36_000),
        ("gpt-4o-mini", 48_169),
    ):
        call = CHAT.parse(body(model=model, messages=[{"role": "user", "content": part * 2}]))
        assert call.window == ""
        measured = call.billed_as(call.measured(), model)
        assert not measured.window
        assert measured.overhead >= 2 * most > call.overhead_tokens
    image = {"type": "image", "source": {"type": "base64", "data": "A" * 10**6}}
    said = [{"role": "user", "content": [image] * 3}]
    call = MESSAGES.parse(body(model="claude-haiku-5-5", max_tokens=9, messages=said))
    assert (call.window, call.schema_text) == ("", "")
    measured = call.billed_as(call.measured(), "claude-haiku-5-5")
    assert not measured.window
    assert 3 * 4_784 <= measured.overhead < 20_000


def test_audio_is_bounded_by_the_window_and_the_cap_at_its_own_rates() -> None:
    said = [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "x"}}]}]
    call = CHAT.parse(
        body(model="speaker", messages=said, modalities=["text", "audio"], max_completion_tokens=50)
    )
    assert call.unbounded == ""
    assert {"audio_input", "audio_cache_read"} <= set(call.input_kinds)
    assert call.output_kinds == ("output", "audio_output")
    assert quoted(call).full[0] == 128_000 * 32_000 + 50 * 64_000


def test_long_lived_cache_writes_are_priced() -> None:
    call = CHAT.parse(
        body(model="m", messages=[{"role": "user"}], prompt_cache_options={"ttl": "12h"})
    )
    assert (call.unbounded, "cache_write_1h" in call.input_kinds) == ("", True)
    details = {"cache_write_tokens": 9, "cache_write_tokens_details": {"ttl_12h_tokens": 4}}
    answer = {"usage": {"input_tokens": 20, "output_tokens": 1, "input_tokens_details": details}}
    settled = RESPONSES.usage(json.dumps(answer).encode())
    assert settled is not None
    assert settled.usage == {
        "input": 11, "cache_write_5m": 5, "cache_write_1h": 4, "output": 1,
    }  # fmt: skip


def quoted(call: Any) -> Any:
    fields = {**reserve_fields("c1", {}, call), "n": 1, "op": "reserve"}
    frame = frames.decode(json.dumps(fields).encode())
    return Pricing(BOOK, lambda _: None).quote(frame, now_ms=START_MS)


REQUESTS = st.sampled_from(
    [
        (RESPONSES, {"model": "gpt-6-luna", "input": "look it up", "max_output_tokens": 64,
                     "tools": [{"type": "web_search"}, {"type": "file_search"}],
                     "max_tool_calls": 4}),
        (RESPONSES, {"model": "gpt-4.1", "input": "look", "max_output_tokens": 64,
                     "tools": [{"type": "web_search_preview"}], "max_tool_calls": 4}),
        (MESSAGES, {"model": "claude-sonnet-5-5", "max_tokens": 64,
                    "messages": [{"role": "user", "content": "look"}],
                    "tools": [{"type": "web_search_20250305", "name": "s", "max_uses": 4}]}),
        (CHAT, {"model": "speaker", "max_completion_tokens": 64, "modalities": ["audio"],
                "messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    REQUESTS, st.integers(0, 4), st.integers(0, 200_000), st.integers(0, 10**5), st.integers(0, 9)
)
def test_no_bill_is_above_its_bound_and_each_is_read_to_the_nano_dollar(
    asked: tuple[Any, dict[str, Any]], rounds: int, read: int, audio: int, cached: int
) -> None:
    """Goal: whatever rounds, searches and audio come true, the hold pays, and we know the cost."""
    codec, request = asked
    call = codec.parse(json.dumps(request).encode())
    speaks = codec is CHAT
    files = any(tool["type"] == "file_search" for tool in request.get("tools", ()))
    wishes = {
        "x-stub-tool-rounds": str(0 if speaks else rounds),
        "x-stub-round-tokens": str(read),
        "x-stub-web-searches": str(0 if speaks else rounds),
        "x-stub-file-searches": str(rounds if files else 0),
        "x-stub-cached-tokens": str(0 if speaks else cached),
        "x-stub-audio-input-tokens": str(audio if speaks else 0),
        "x-stub-audio-output-tokens": str(audio if speaks else 0),
    }
    model = BOOK.resolve(request["model"])
    made = stub_answers.plan(call.api, model, request, wishes)
    usage = made.usage(made.produced)
    billed = stub_bill.price_nano(model, usage, variant="standard", at_ms=START_MS)
    settled = codec.usage(json.dumps(stub_answers.whole(made)).encode())
    assert settled is not None
    assert dict(settled.usage) == usage
    prices = Pricing(BOOK, lambda _: None)
    counts = frames.Usage(
        **{kind: count for kind, count in usage.items() if kind in frames.KINDS},
        extra={kind: count for kind, count in usage.items() if kind not in frames.KINDS},
    )
    cost = prices.cost(
        version=BOOK.version, model=model.name, usage=counts, variant="standard", at_ms=START_MS
    )
    quote = quoted(call)
    assert cost == billed <= quote.full[0]
    # Each side by itself, too: the window's size would hide what is missing elsewhere.
    row = model.row_at("standard", START_MS)
    assert row is not None
    spoken = usage.get("audio_output", 0) * row.extra.get("audio_output", 0)
    written = usage.get("output", 0) * row.tiers[-1].rates["output"]
    assert spoken + written <= quote.want * quote.choices * quote.output_pico
    assert all(usage.get(kind, 0) <= call.extra.get(kind, 0) for kind in FEE_KINDS)


def test_a_batch_is_held_in_the_regions_of_its_requests_and_settled_in_one() -> None:
    def request(name: str, **more: object) -> dict[str, object]:
        said = [{"role": "user", "content": "hi"}]
        params = {"model": "claude-opus-5-5", "max_tokens": 9, "messages": said, **more}
        return {"custom_id": name, "params": params}

    def result(geo: str) -> str:
        usage = {"input_tokens": 3, "output_tokens": 2, "service_tier": "batch"}
        message = {"usage": {**usage, "inference_geo": geo}}
        return json.dumps({"custom_id": geo, "result": {"type": "succeeded", "message": message}})

    asked = {"requests": [request("a", inference_geo="us"), request("b", inference_geo="us")]}
    assert AnthropicBatches().parse(json.dumps(asked).encode()).variants == ("batch@us",)
    asked["requests"].append(request("c"))
    expected = ("batch@us", "batch", "batch@us?")
    assert AnthropicBatches().parse(json.dumps(asked).encode()).variants == expected
    told = AnthropicResults("b1").results(f"{result('us')}\n{result('us')}\n".encode())
    assert told is not None
    assert {one.variant for one in told} == {"batch@us"}
    assert AnthropicResults("b1").results(f"{result('us')}\n{result('global')}\n".encode()) is None
