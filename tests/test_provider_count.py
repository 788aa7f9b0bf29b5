"""Counting through the providers' own SDKs, against the stub: what is sent, and what goes wrong."""

from __future__ import annotations

import io
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.core.estimates import COUNTING_PROVIDERS
from noburn_cli.demo.stub import BillingStub
from noburn_cli.estimating import Job
from noburn_cli.inputs import PLAIN, Item, read_inputs
from noburn_cli.provider_count import _PLACES, CountFailed, count_input
from noburn_cli.providers import registry
from noburn_cli.providers.call import Call
from noburn_cli.providers.gemini import Gemini
from noburn_cli.render.progress import Progress

TOOL = {"name": "look", "description": "Look it up.", "input_schema": {"type": "object"}}
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJ"
    "RU5ErkJggg=="
)
IMAGE = {"type": "base64", "media_type": "image/png", "data": PNG}
REQUESTS: dict[str, dict[str, Any]] = {
    "claude-opus-5-5": {
        "system": "Be brief.", "tools": [TOOL], "max_tokens": 9,
        "messages": [{"role": "user", "content": [{"type": "image", "source": IMAGE}]}],
    },
    "gpt-6.1-sol": {
        "instructions": "Be brief.", "tools": [{"type": "function", "name": "look"}],
        "input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}]}],
    },
    "gemini-4-argon": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "tools": [{"functionDeclarations": [{"name": "look"}]}],
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": PNG}}]}],
    },
}  # fmt: skip
PATHS = {
    "claude-opus-5-5": "/v1/messages/count_tokens",
    "gpt-6.1-sol": "/v1/responses/input_tokens",
    "gemini-4-argon": "/v1beta/models/gemini-4-argon:countTokens",
}
KEY = "sk-of-nobody"


def environment(stub: BillingStub, *, path: str = "") -> dict[str, str]:
    url = f"{stub.url}{path}"
    return {
        "OPENAI_BASE_URL": f"{url}/v1", "ANTHROPIC_BASE_URL": url, "GOOGLE_GEMINI_BASE_URL": url,
        "OPENAI_API_KEY": KEY, "ANTHROPIC_API_KEY": KEY, "GEMINI_API_KEY": KEY,
    }  # fmt: skip


def item_of(model: str) -> Item:
    body = json.dumps({"model": model, **REQUESTS[model]}).encode()
    codec = Gemini(model) if "gemini" in model else registry.codec(_api(model))
    return Item("r.json", codec.parse(body), body=body)


def _api(model: str) -> str:
    return "anthropic_messages" if "claude" in model else "openai_responses"


def test_who_counts_is_told_in_the_notes() -> None:
    assert set(_PLACES) == COUNTING_PROVIDERS


@pytest.fixture
def stub() -> Any:
    with BillingStub() as running:
        yield running


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_the_whole_request_is_counted_and_nothing_is_billed(stub: BillingStub, name: str) -> None:
    """Goal: tools, image and system prompt are in the count, which is one free request."""
    model = stub.book.resolve(name)
    whole = count_input(item_of(name), model, environment(stub))
    plain = count_input(Item("t", Call(PLAIN, "", texts=("hi",))), model, environment(stub))
    assert whole > plain > 0
    assert [one["path"] for one in stub.requests] == [PATHS[name]] * 2
    bare = json.dumps({"model": name, **REQUESTS[name]})
    assert stub.requests[0]["bytes"] > len(bare) - len('"max_tokens": 9, ') - 40
    assert stub.bill_nano() == 0


def test_the_provider_is_asked_by_the_name_that_was_named(
    stub: BillingStub, monkeypatch: Any, tmp_path: Path
) -> None:
    """Goal: a model of a date, behind a listed prefix, is not asked for by another name."""
    for variable, value in environment(stub).items():
        monkeypatch.setenv(variable, value)
    (tmp_path / "t.txt").write_text("hi")
    dated = next(name for name in REQUESTS if name.startswith("gemini")) + "-2026-03-05"
    job = Job(
        book=stub.book, names=(f"google/{dated}",), compare=False, output=None, calls=1,
        ask_provider=True, at_ms=int(time.time() * 1000), progress=Progress(io.StringIO()),
    )  # fmt: skip
    (row,) = job.estimate_all(read_inputs([str(tmp_path / "t.txt")], io.BytesIO()))
    assert (row.how, job.warnings) == ("counted", {})
    assert [one["path"] for one in stub.requests] == [f"/v1beta/models/{dated}:countTokens"]


@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_a_count_that_fails_says_why_and_never_the_key(stub: BillingStub, name: str) -> None:
    model, item = stub.book.resolve(name), item_of(name)
    with pytest.raises(CountFailed, match="is not set"):
        count_input(item, model, {})
    with (
        BillingStub(required_key="another") as strict,
        pytest.raises(CountFailed, match=r"answered 40[01]") as refused,
    ):
        count_input(item, model, environment(strict))
    assert KEY not in f"{refused.value} {refused.value.why} {refused.value.next_step}"
    nobody = {name: "http://127.0.0.1:9" for name in environment(stub) if "_BASE_URL" in name}
    with pytest.raises(CountFailed, match="cannot be reached"):
        count_input(item, model, {**environment(stub), **nobody})


def test_a_missing_sdk_names_the_extra(stub: BillingStub, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "anthropic", None)
    model = stub.book.resolve("claude-opus-5-5")
    with pytest.raises(CountFailed, match=r"pip install 'noburn-cli\[count\]'"):
        count_input(item_of("claude-opus-5-5"), model, environment(stub))
