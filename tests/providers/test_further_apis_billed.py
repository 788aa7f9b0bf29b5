"""Each API beyond OpenAI's and Anthropic's, by its bytes, against the stub that bills: the bound is
never below the bill, and what we settle is the bill.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noburn_cli.core.bounds import input_bound, measure
from noburn_cli.core.usage import input_total
from noburn_cli.demo.stub import BillingStub
from noburn_cli.prices import load_book
from noburn_cli.providers.registry import Upstream, recognise

CLAUDE = "us.anthropic.claude-haiku-5-5-v1:0"
GEMINI = "/gemini/v1beta/models/gemini-3.8-flash"
BEDROCK = f"/model/{quote(CLAUDE)}"
TOOL = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}


@pytest.fixture(scope="module")
def stub() -> Iterator[BillingStub]:
    book = load_book({"NOBURN_PRICES": str(Path(__file__).parent / "guests" / "prices.toml")})
    with BillingStub(book=book, defaults={"x-stub-output-tokens": "70"}) as running:
        yield running


def chat(text: str, **members: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}] * 2, **members}


def contents(text: str) -> dict[str, Any]:
    turn = {"role": "user", "parts": [{"text": text}, {"text": text}]}
    return {
        "contents": [turn] * 2,
        "systemInstruction": {"parts": [{"text": text}]},
        "tools": [{"functionDeclarations": [TOOL]}],
        "generationConfig": {"candidateCount": 2, "thinkingConfig": {"thinkingBudget": 20}},
    }


def converse(text: str) -> dict[str, Any]:
    tool = {"toolSpec": {"name": "look", "inputSchema": {"json": TOOL["parameters"]}}}
    return {
        "messages": [{"role": "user", "content": [{"text": text}, {"text": text}]}] * 2,
        "system": [{"text": text}],
        "toolConfig": {"tools": [tool]},
    }


def invoked(text: str) -> dict[str, Any]:
    return {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 90, **chat(text)}


def prompts(text: str, **members: Any) -> dict[str, Any]:
    return {"prompt": [text, "x"], "n": 1, "best_of": 2, **members}


#: By name: the path, the body for a text.
WAYS: dict[str, tuple[str, Any]] = {
    "completions": ("/v1/completions", lambda t: prompts(t, model="gpt-6-luna")),
    "completions_stream": (
        "/v1/completions", lambda t: prompts(t, model="gpt-6-luna", stream=True),
    ),
    "azure": ("/groq/openai/deployments/llama-test/chat/completions", chat),
    "groq": ("/groq/openai/v1/chat/completions", lambda t: chat(t, model="llama-test", n=3)),
    "gemini": (f"{GEMINI}:generateContent", contents),
    "gemini_events": (f"{GEMINI}:streamGenerateContent?alt=sse", contents),
    "gemini_array": (f"{GEMINI}:streamGenerateContent", contents),
    "gemini_embed": (
        "/gemini/v1beta/models/gemini-embedding-001:batchEmbedContents",
        lambda t: {"requests": [{"content": {"parts": [{"text": t}]}}] * 2},
    ),
    "mistral": (
        "/mistral/v1/chat/completions",
        lambda t: chat(t, model="mistral-small-test", safe_prompt=True),
    ),
    "mistral_stream": (
        "/mistral/v1/chat/completions",
        lambda t: chat(t, model="mistral-small-test", stream=True, n=2),
    ),
    "mistral_fim": (
        "/mistral/v1/fim/completions",
        lambda t: {"model": "mistral-small-test", "prompt": t, "suffix": t},
    ),
    "mistral_embed": (
        "/mistral/v1/embeddings", lambda t: {"model": "mistral-embed-test", "input": [t, "x"]},
    ),
    "converse": (f"{BEDROCK}/converse", converse),
    "converse_stream": (f"{BEDROCK}/converse-stream", converse),
    "invoke": (f"{BEDROCK}/invoke", invoked),
    "invoke_stream": (f"{BEDROCK}/invoke-with-response-stream", invoked),
    "titan": (
        f"/model/{quote('amazon.titan-embed-text-v2:0')}/invoke", lambda t: {"inputText": t},
    ),
    "cohere": ("/v2/chat", lambda t: chat(t, model="command-test")),
    "cohere_stream": ("/v2/chat", lambda t: chat(t, model="command-test", stream=True)),
    "cohere_embed": (
        "/v2/embed", lambda t: {"model": "embed-test", "texts": [t], "input_type": "image"},
    ),
}  # fmt: skip
TEXTS = st.one_of(
    st.text(min_size=1, max_size=60),
    st.sampled_from(["hi", "Grüße aus Köln, 你好, مرحبا", "🚢" * 50, "aAbB" * 100, "𝅘𝅥𝅮" * 20]),
)


@pytest.mark.parametrize("way", WAYS)
@given(text=TEXTS, cap=st.integers(25, 90))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow,
          HealthCheck.function_scoped_fixture])  # fmt: skip
def test_the_bound_covers_the_bill_and_the_settlement_is_it(
    stub: BillingStub, way: str, text: str, cap: int
) -> None:
    path, make = WAYS[way]
    named = [
        Upstream("openai", stub.url + "/v1"),
        Upstream("google", stub.url + "/gemini"),
        Upstream("mistral", stub.url + "/mistral"),
        Upstream("openai", stub.url + "/groq", "groq"),
        Upstream("bedrock", stub.url),
        Upstream("cohere", stub.url),
    ]
    route = recognise("POST", stub.url + path, named)
    codec = route.codec
    assert codec is not None
    body = json.dumps(make(text)).encode("utf-8", "surrogatepass")
    call = codec.parse(body)
    assert (call.unbounded, call.window) == ("", "")
    written = None if call.output is None else cap
    answer = post(stub.url + path, codec.edit(body, cap=written))
    billed = stub.bill.calls[-1]
    assert billed.model == route.qualified(call.model)
    model = stub.book.resolve(billed.model)
    measured = measure(
        call.texts, call.schema_text, overhead_tokens=call.overhead_tokens,
        counted_tokens=call.counted_tokens, window=False,
    )  # fmt: skip
    bound = input_bound(measured, tokenizer=model.tokenizer, context_window=model.context_window)
    assert input_total(billed.usage) <= bound.tokens
    if call.output is not None:
        assert billed.usage["output"] <= min(cap, call.output.wanted or cap) * call.output.choices
    assert settled(codec, answer, stream=call.stream) == billed.usage


def post(url: str, body: bytes) -> tuple[str, bytes]:
    """The content type and the bytes of an answer."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return answer.headers["content-type"], answer.read()


def settled(codec: Any, answer: tuple[str, bytes], *, stream: bool) -> dict[str, int]:
    """What our reader says was used; thoughts, which have no price of their own, left out."""
    kind, data = answer
    if stream and kind != "application/json":
        reader = codec.stream(strip_usage=False)
        for place in range(0, len(data), 61):
            reader.receive(data[place : place + 61])
        assert reader.ended
        found = reader.settlement
    else:
        found = codec.usage(data)
    return {name: count for name, count in found.usage.items() if name != "reasoning"}
