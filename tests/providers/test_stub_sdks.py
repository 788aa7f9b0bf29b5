"""The stub with the real SDKs: what they read is what is billed, and what our codecs read."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import anthropic
import openai
import pytest

from noburn_cli.core.pricebook import call_cost
from noburn_cli.demo.stub import BillingStub
from noburn_cli.providers import registry

PROMPT = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
CHAT_MODEL = "gpt-6-luna"
CLAUDE_MODEL = "claude-haiku-5-5"


@pytest.fixture
def stub():
    with BillingStub() as running:
        yield running


def ask_openai(stub, **settings):
    return openai.OpenAI(
        api_key="any", base_url=stub.url + "/v1", max_retries=0, timeout=30, **settings
    )


def ask_claude(stub):
    return anthropic.Anthropic(api_key="any", base_url=stub.url, max_retries=0, timeout=30)


def only_call(stub):
    assert stub.wait_idle()
    (call,) = stub.bill.calls
    return call


def test_chat(stub):
    with ask_openai(stub) as client:
        answer = client.chat.completions.create(
            model=CHAT_MODEL, messages=PROMPT, max_completion_tokens=50, n=2
        )
    call = only_call(stub)
    assert answer.usage.prompt_tokens == call.usage["input"]
    assert answer.usage.completion_tokens == call.usage["output"] == 2 * 30
    assert answer.choices[1].finish_reason == "stop"
    settled = registry.codec("openai_chat").usage(answer.model_dump_json().encode())
    assert settled.usage == call.usage
    assert settled.provider_id == call.request_id


def test_chat_input_is_counted_as_openai_documents(stub):
    """3 a message, 1 for its role, the text's tokens, 3 for the reply: `hi` makes 8."""
    with ask_openai(stub) as client:
        answer = client.chat.completions.create(
            model=CHAT_MODEL, messages=[{"role": "user", "content": "hi"}]
        )
    assert answer.usage.prompt_tokens == 8


@pytest.mark.parametrize("asked", [True, False])
def test_chat_stream(stub, asked):
    options = {"stream_options": {"include_usage": True}} if asked else {}
    with ask_openai(stub) as client:
        chunks = list(
            client.chat.completions.create(
                model=CHAT_MODEL,
                messages=PROMPT,
                max_completion_tokens=20,
                stream=True,
                extra_headers={"x-stub-output-tokens": "100"},
                **options,
            )
        )
    call = only_call(stub)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert said.split() == ["word"] * 20
    assert any(chunk.choices and chunk.choices[0].finish_reason == "length" for chunk in chunks)
    used = [chunk.usage for chunk in chunks if chunk.usage]
    assert len(used) == asked
    assert all(usage.completion_tokens == 20 == call.usage["output"] for usage in used)


def test_responses(stub):
    with ask_openai(stub) as client:
        answer = client.responses.create(
            model=CHAT_MODEL, input="hello", instructions="Be brief.", max_output_tokens=16,
            extra_headers={"x-stub-output-tokens": "17"},
        )  # fmt: skip
    call = only_call(stub)
    assert answer.status == "incomplete"
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.usage.input_tokens == call.usage["input"]
    assert answer.usage.output_tokens == call.usage["output"] == 16
    assert len(answer.output_text.split()) == 16


def test_responses_stream(stub):
    with (
        ask_openai(stub) as client,
        client.responses.stream(model=CHAT_MODEL, input="hello", max_output_tokens=100) as stream,
    ):
        kinds = [event.type for event in stream]
        answer = stream.get_final_response()
    call = only_call(stub)
    assert kinds[0] == "response.created"
    assert kinds[-1] == "response.completed"
    assert answer.usage.output_tokens == call.usage["output"] == 60
    assert len(answer.output_text.split()) == 60


@pytest.mark.parametrize("settings", [{"encoding_format": "float"}, {}], ids=["float", "default"])
def test_embeddings(stub, settings):
    """By default the SDK asks for base64 and unpacks it."""
    with ask_openai(stub) as client:
        answer = client.embeddings.create(
            model="text-embedding-3-small", input=["one", "two words"], **settings
        )
    call = only_call(stub)
    assert [item.embedding for item in answer.data] == [[0.25, -0.5, 0.125]] * 2
    assert answer.usage.prompt_tokens == call.usage["input"] == 3
    assert "output" not in call.usage


def test_messages(stub):
    with ask_claude(stub) as client:
        answer = client.messages.create(
            model=CLAUDE_MODEL, messages=PROMPT, max_tokens=10, system="Be brief.",
            extra_headers={"x-stub-output-tokens": "11"},
        )  # fmt: skip
        count = client.messages.count_tokens(
            model=CLAUDE_MODEL, messages=PROMPT, system="Be brief."
        )
    call = only_call(stub)
    assert answer.stop_reason == "max_tokens"
    assert answer.usage.input_tokens == count.input_tokens == call.usage["input"]
    assert answer.usage.output_tokens == call.usage["output"] == 10


def test_messages_stream_with_a_cache(stub):
    headers = {
        "x-stub-cached-tokens": "3",
        "x-stub-cache-write-tokens": "2",
        "x-stub-cache-write-1h-tokens": "1",
    }
    with (
        ask_claude(stub) as client,
        client.messages.stream(
            model=CLAUDE_MODEL, messages=PROMPT, max_tokens=100, extra_headers=headers
        ) as stream,
    ):
        answer = stream.get_final_message()
    call = only_call(stub)
    assert call.usage["cache_read"] == answer.usage.cache_read_input_tokens == 3
    assert (call.usage["cache_write_5m"], call.usage["cache_write_1h"]) == (2, 1)
    settled = registry.codec("anthropic_messages").usage(answer.model_dump_json().encode())
    assert settled.usage == call.usage


def test_async_clients(stub):
    async def both():
        async with (
            openai.AsyncOpenAI(api_key="any", base_url=stub.url + "/v1", max_retries=0) as first,
            anthropic.AsyncAnthropic(api_key="any", base_url=stub.url, max_retries=0) as second,
        ):
            chat = await first.chat.completions.create(
                model=CHAT_MODEL, messages=PROMPT, max_completion_tokens=10, stream=True
            )
            ids = {chunk.id async for chunk in chat}
            async with second.messages.stream(
                model=CLAUDE_MODEL, messages=PROMPT, max_tokens=10
            ) as stream:
                ids.add((await stream.get_final_message()).id)
        return ids

    ids = asyncio.run(both())
    assert stub.wait_idle()
    assert ids == {call.request_id for call in stub.bill.calls}


def test_the_bill_is_right_and_agrees_with_our_own_cost(stub):
    """Two arithmetics that share no code: Decimal dollars here, pico-dollars in core.cost."""
    with ask_openai(stub) as client:
        client.chat.completions.create(
            model="gpt-6.1-sol", messages=PROMPT, max_completion_tokens=7,
            extra_headers={"x-stub-cached-tokens": "5", "x-stub-cache-write-tokens": "4",
                           "x-stub-output-tokens": "9"},
        )  # fmt: skip
    call = only_call(stub)
    plain = call.usage["input"]
    # $2 / $0.1 / $2.5 / $10 per million (pricing.toml, checked 2026-11-23).
    dollars = (2 * plain + Decimal("0.1") * 5 + Decimal("2.5") * 4 + 10 * 7) / 1_000_000
    assert call.nano == dollars * 10**9
    model = stub.book.resolve(call.model)
    assert call.nano == call_cost(model, call.usage, variant=call.variant, at_ms=call.at_ms)


@pytest.mark.parametrize("status", [429, 500, 529])
def test_a_failure_is_the_sdks_own_error_and_costs_nothing(stub, status):
    stub.defaults["x-stub-status"] = str(status)
    with ask_openai(stub) as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model=CHAT_MODEL, messages=PROMPT)
    assert caught.value.status_code == status
    with ask_claude(stub) as claude, pytest.raises(anthropic.APIStatusError) as refused:
        claude.messages.create(model=CLAUDE_MODEL, messages=PROMPT, max_tokens=9)
    assert refused.value.status_code == status
    assert stub.bill_nano() == 0


@pytest.mark.parametrize("reset", ["before", "after"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_reset_connection(stub, reset, stream):
    def ask():
        with ask_openai(stub) as client:
            return list(
                client.chat.completions.create(model=CHAT_MODEL, messages=PROMPT, stream=stream)
            )

    stub.defaults["x-stub-reset"] = reset
    with pytest.raises(openai.APIConnectionError):
        ask()
    assert stub.wait_idle()
    assert len(stub.bill.calls) == (reset == "after")
    assert all(call.disconnected for call in stub.bill.calls)


@pytest.mark.parametrize(("mode", "billed"), [("stop", None), ("run_on", 240), ("to_cap", 400)])
def test_a_client_that_leaves_is_billed_as_told(mode, billed):
    """400 asked, 240 would come, and the client is gone after the first words."""
    with BillingStub(on_disconnect=mode, defaults={"x-stub-chunk-delay-ms": "200"}) as stub:
        with ask_openai(stub) as client:
            stream = client.chat.completions.create(
                model=CHAT_MODEL, messages=PROMPT, max_completion_tokens=400, stream=True
            )
            for chunk in stream:
                if chunk.choices[0].delta.content:
                    stream.close()
                    break
        call = only_call(stub)
    assert call.disconnected
    output = call.usage["output"]
    assert output == billed or (billed is None and 0 < output < 240)


def test_an_answer_without_usage_is_billed_all_the_same(stub):
    stub.defaults["x-stub-fault"] = "no-usage"
    with ask_openai(stub) as client:
        answer = client.chat.completions.create(model=CHAT_MODEL, messages=PROMPT)
    assert answer.usage is None
    assert registry.codec("openai_chat").usage(answer.model_dump_json().encode()) is None
    assert only_call(stub).nano > 0


def test_many_connections_at_once(stub):
    """128 clients in one moment, each with a connection of its own: none is turned away."""
    stub.defaults["x-stub-delay-ms"] = "200"
    body = json.dumps({"model": CHAT_MODEL, "messages": PROMPT}).encode()

    def call(_):
        request = urllib.request.Request(stub.url + "/v1/chat/completions", body)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())["id"]

    with ThreadPoolExecutor(128) as pool:
        ids = set(pool.map(call, range(128)))
    assert len(ids) == 128
    assert len(stub.bill.calls) == 128


def test_as_a_process_with_its_bill_over_http():
    command = [sys.executable, "-m", "noburn_cli.demo.stub", "--port", "0", "--print-url"]
    command += ["--default", "x-stub-output-tokens=3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            url = process.stdout.readline().strip()
            with openai.OpenAI(api_key="any", base_url=url + "/v1", max_retries=0) as client:
                answer = client.chat.completions.create(model=CHAT_MODEL, messages=PROMPT)
            with urllib.request.urlopen(url + "/stub/bill", timeout=30) as page:
                bill = json.loads(page.read())
        finally:
            process.terminate()
    assert process.returncode == 0
    assert answer.usage.completion_tokens == 3
    assert bill["total_nano"] == bill["calls"][0]["nano"] > 0


def test_a_tier_without_a_price_is_refused(stub):
    with ask_openai(stub) as client, pytest.raises(openai.BadRequestError, match="no flex tier"):
        client.chat.completions.create(model="gpt-4o", messages=PROMPT, service_tier="flex")
    assert stub.bill.calls == []


def test_an_unknown_model_is_not_found(stub):
    with ask_openai(stub) as client, pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-none", messages=PROMPT)
    assert stub.bill.calls == []
