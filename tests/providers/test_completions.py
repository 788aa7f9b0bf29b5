"""The codec of legacy completions, and Azure's paths that name the model."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from noburn_cli.demo.stub import BillingStub
from noburn_cli.errors import InputRefused
from noburn_cli.providers import registry
from noburn_cli.providers.openai_chat import OpenAIChat
from noburn_cli.providers.openai_completions import OpenAICompletions
from noburn_cli.providers.openai_embeddings import OpenAIEmbeddings
from noburn_cli.providers.registry import GUARD, Upstream, recognise

CODEC = registry.codec("openai_completions")
OLD = "gpt-3.5-turbo-instruct"


def body(model: str = OLD, **members: Any) -> bytes:
    return json.dumps({"model": model, "prompt": "Say hi", **members}).encode()


@pytest.mark.parametrize(
    ("prompt", "texts", "counted", "prompts"),
    [
        ("hi", ("hi",), 0, 1),
        (["a", "b"], ("a", "b"), 0, 2),
        ([1, 2, 3], (), 3, 1),
        ([[1, 2], [3]], (), 3, 2),
    ],
)
def test_prompts(prompt, texts, counted, prompts) -> None:
    call = CODEC.parse(body(prompt=prompt, n=2, best_of=3))
    assert (call.texts, call.counted_tokens) == (texts, counted)
    assert call.output.choices == 3 * prompts
    assert not call.unbounded


@pytest.mark.parametrize("prompt", [None, [], 5, {}, ["a", 1], [[]], [["a"]], [1.5]])
def test_prompts_that_cannot_be_read(prompt) -> None:
    if prompt == [[]]:
        return  # An empty list of ids is one, of none.
    with pytest.raises(InputRefused):
        CODEC.parse(body(prompt=prompt))


def test_caps() -> None:
    """OpenAI's default is 16, and written down; servers beyond it have others."""
    assert CODEC.parse(body()).output.wanted == 16
    assert CODEC.parse(body("llama")).output.wanted is None
    assert json.loads(CODEC.edit(body(), cap=None))["max_tokens"] == 16
    assert json.loads(CODEC.edit(body(), cap=9))["max_tokens"] == 9
    assert json.loads(CODEC.edit(body(max_tokens=5), cap=9))["max_tokens"] == 5
    assert json.loads(CODEC.edit(body("llama"), cap=9))["max_tokens"] == 9
    assert CODEC.edit(body("llama"), cap=None) == body("llama")
    assert CODEC.parse(body(max_tokens=0, echo=True)).output is None
    for garbage in ("9", 9.0, True, -1):
        with pytest.raises(InputRefused):
            CODEC.parse(body(max_tokens=garbage))
    with pytest.raises(InputRefused):
        CODEC.parse(body(best_of=1_000))


def test_streams_are_asked_for_their_usage() -> None:
    asked = json.loads(CODEC.edit(body(stream=True, max_tokens=5), cap=None))
    assert asked["stream_options"] == {"include_usage": True}
    assert not CODEC.asks_usage(body(stream=True))
    assert CODEC.asks_usage(body(stream_options={"include_usage": True}))


def test_what_is_not_known_is_refused_by_name() -> None:
    assert "web_search" in CODEC.parse(body(web_search=1)).unbounded


def test_azure_names_the_deployment_in_the_url() -> None:
    base = "https://lab.openai.azure.com"
    listed = [Upstream("openai", base, "azure", (("prod", "gpt-6-luna"),))]
    for path, wanted in (
        ("chat/completions", OpenAIChat("gpt-6-luna")),
        ("completions", OpenAICompletions("gpt-6-luna")),
        ("embeddings", OpenAIEmbeddings("gpt-6-luna")),
    ):
        url = f"{base}/openai/deployments/prod/{path}?api-version=2024-10-21"
        route = recognise("POST", url, listed)
        assert (route.kind, route.codec) == (GUARD, wanted)
        assert route.qualified("gpt-6-luna") == "azure/gpt-6-luna"
        assert recognise("POST", url).codec == type(wanted)("prod")
    # The body need not name a model, and the cap is that model's own.
    given = json.dumps({"messages": [{"role": "user", "content": "hi"}]}).encode()
    assert OpenAIChat("gpt-6-luna").parse(given).model == "gpt-6-luna"
    assert b'"max_completion_tokens":9' in OpenAIChat("gpt-6-luna").edit(given, cap=9)


def test_the_total_tells_what_the_output_leaves_out() -> None:
    """xAI and Google's OpenAI path report thoughts beside the output."""
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 40}
    settled = registry.codec("openai_chat").usage(json.dumps({"usage": usage}).encode())
    assert settled.usage == {"input": 10, "output": 30}


@pytest.mark.parametrize("stream", [False, True])
def test_the_sdk_with_the_stub(stream: bool) -> None:
    with (
        BillingStub() as stub,
        openai.OpenAI(api_key="any", base_url=stub.url + "/v1", max_retries=0) as client,
    ):
        options: dict[str, Any] = {"stream_options": {"include_usage": True}} if stream else {}
        answer = client.completions.create(
            model="gpt-6-luna", prompt=["one", "two words"], best_of=2, max_tokens=10,
            stream=stream, extra_headers={"x-stub-output-tokens": "30"}, **options,
        )  # fmt: skip
        parts = list(answer) if stream else [answer]
        assert stub.wait_idle()
        (call,) = stub.bill.calls
    assert call.usage == {"input": 3, "output": 2 * 2 * 10}
    assert {part.choices[0].finish_reason for part in parts if part.choices} >= {"length"}
    used = [part.usage for part in parts if part.usage]
    assert [one.completion_tokens for one in used] == [40]
    bound = CODEC.parse(body("gpt-6-luna", prompt=["one", "two words"], best_of=2, max_tokens=10))
    assert bound.output.wanted * bound.output.choices == 40
