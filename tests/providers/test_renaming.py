"""The same request for another model, in every API: the model changes, and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.errors import InputRefused
from noburn_cli.providers.jsonbody import Body
from noburn_cli.providers.paths import CODECS
from noburn_cli.providers.registry import OPENAI, Upstream, recognise

HI = [{"role": "user", "content": "hi"}]
GOOGLE = "https://generativelanguage.googleapis.com/v1beta/models"
BEDROCK = "https://bedrock-runtime.eu-west-1.amazonaws.com/model"
AZURE = Upstream(
    OPENAI,
    "https://acme.openai.azure.com/openai",
    provider="azure",
    models=(("prod", "gpt-5.4"), ("thrifty", "gpt-5-nano")),
)
FORM = (
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n%s\r\n--x\r\n'
    b'Content-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nRIFF\r\n--x--\r\n'
)


def body(**members):
    return json.dumps(members, indent=1).encode()


#: codec: (URL, body), the model as the price book calls it, and what is to become of both.
CASES = {
    "openai_chat": (
        ("https://api.openai.com/v1/chat/completions", body(model="gpt-5", messages=HI, n=2)),
        ("gpt-6-luna", "gpt-6-luna"),
    ),
    "azure": (
        ("https://acme.openai.azure.com/openai/deployments/prod/chat/completions?api-version=1",
         body(messages=HI)),
        ("azure/gpt-5-nano", "/deployments/thrifty/chat/completions?api-version=1"),
    ),
    "openai_responses": (
        ("https://api.openai.com/v1/responses", body(model="gpt-5", input="hi", stream=True)),
        ("gpt-6-luna", "gpt-6-luna"),
    ),
    "openai_completions": (
        ("https://api.openai.com/v1/completions", body(model="gpt-5", prompt="hi", max_tokens=9)),
        ("gpt-6-luna", "gpt-6-luna"),
    ),
    "openai_embeddings": (
        ("https://api.openai.com/v1/embeddings", body(model="text-embedding-3-large", input="hi")),
        ("openai/text-embedding-3-small", "text-embedding-3-small"),
    ),
    "openai_images": (
        ("https://api.openai.com/v1/images/generations", body(model="gpt-image-1", prompt="a cat")),
        ("gpt-image-1-mini", "gpt-image-1-mini"),
    ),
    "openai_speech": (
        ("https://api.openai.com/v1/audio/speech",
         body(model="tts-1-hd", input="hello", voice="alloy")),
        ("tts-1", "tts-1"),
    ),
    "openai_transcription": (
        ("https://api.openai.com/v1/audio/transcriptions", FORM % b"whisper-1"),
        ("gpt-4o-mini-transcribe", "gpt-4o-mini-transcribe"),
    ),
    "anthropic_messages": (
        ("https://api.anthropic.com/v1/messages",
         body(model="claude-opus-5-5", max_tokens=64, messages=HI)),
        ("claude-haiku-5-5", "claude-haiku-5-5"),
    ),
    "anthropic_batches": (
        ("https://api.anthropic.com/v1/messages/batches",
         body(requests=[{"custom_id": c, "params": {"model": "claude-opus-5-5", "max_tokens": 9,
                                                    "messages": HI}} for c in "ab"])),
        ("claude-haiku-5-5", "claude-haiku-5-5"),
    ),
    "gemini": (
        (f"{GOOGLE}/gemini-4-argon:streamGenerateContent?alt=sse",
         body(contents=[{"parts": [{"text": "hi"}]}])),
        ("gemini-3.8-flash", "/models/gemini-3.8-flash:streamGenerateContent?alt=sse"),
    ),
    "gemini_embeddings": (
        (f"{GOOGLE}/gemini-embedding-002:batchEmbedContents",
         body(requests=[{"model": "models/gemini-embedding-002",
                         "content": {"parts": [{"text": "hi"}]}}])),
        ("gemini-embedding-001", "/models/gemini-embedding-001:batchEmbedContents"),
    ),
    "bedrock_converse": (
        (f"{BEDROCK}/anthropic.claude-opus-4-6-v1%3A0/converse-stream",
         body(messages=[{"role": "user", "content": [{"text": "hi"}]}])),
        ("bedrock/amazon.nova-lite-v1:0", "/model/amazon.nova-lite-v1%3A0/converse-stream"),
    ),
    "bedrock_invoke": (
        (f"{BEDROCK}/us.anthropic.claude-opus-4-6-v1:0/invoke",
         body(anthropic_version="bedrock-2023-05-31", max_tokens=9, messages=HI)),
        ("bedrock/anthropic.claude-haiku-4-5-v1:0",
         "/model/anthropic.claude-haiku-4-5-v1%3A0/invoke"),
    ),
    "mistral_chat": (
        ("https://api.mistral.ai/v1/chat/completions", body(model="mistral-large", messages=HI)),
        ("ministral-3b", "ministral-3b"),
    ),
    "mistral_fim": (
        ("https://api.mistral.ai/v1/fim/completions", body(model="codestral-latest", prompt="a")),
        ("mistral/ministral-3b", "ministral-3b"),
    ),
    "mistral_embeddings": (
        ("https://api.mistral.ai/v1/embeddings", body(model="mistral-embed", input="hi")),
        ("mistral/codestral-embed", "codestral-embed"),
    ),
    "cohere_chat": (
        ("https://api.cohere.com/v2/chat", body(model="command-a", messages=HI)),
        ("cohere/command-r7b", "command-r7b"),
    ),
    "cohere_embed": (
        ("https://api.cohere.com/v2/embed", body(model="embed-v4.0", texts=["hi"])),
        ("cohere/embed-english-light", "embed-english-light"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("api", CASES)
def test_another_model_and_nothing_else(api):
    (url, given_body), (cheaper, seen) = CASES[api]
    route = recognise("POST", url, (AZURE,))
    before = route.codec.parse(given_body)
    name = route.requested(cheaper, instead_of=before.model)
    addressed = route.codec.with_model(url, given_body, name)
    again = recognise("POST", addressed.url, (AZURE,))
    after = again.codec.parse(addressed.body)
    named = again.qualified(after.model)
    assert named.endswith(cheaper.removeprefix("openai/"))
    assert seen in addressed.url + addressed.body.decode()
    # What bounds the call is the same but for what depends on the model's name itself.
    assert replace(after, model="", fixed_usage=None) == replace(before, model="", fixed_usage=None)
    # Set back again, it is byte for byte what the program sent.
    original = route.requested(route.qualified(before.model), instead_of=before.model)
    back = again.codec.with_model(addressed.url, addressed.body, original)
    assert (back.url.replace("%3A", ":"), back.body) == (url.replace("%3A", ":"), given_body)


def test_every_codec_is_covered():
    assert set(CODECS) == set(CASES) - {"azure"}


@pytest.mark.parametrize(
    ("url", "given_body", "why"),
    [
        ("https://api.openai.com/v1/batches", b"{}", "names no model"),
        ("https://api.openai.com/v1/audio/transcriptions", b"--x--", "has no model"),
        (f"{BEDROCK}/anthropic.claude-opus-4-6-v1:0/invoke", body(messages=HI), "is not one that"),
        ("https://api.mistral.ai/v1/chat/completions", body(messages=HI), "no `model`"),
    ],
)
def test_what_cannot_name_another_model_says_why(url, given_body, why):
    route = recognise("POST", url)
    with pytest.raises(InputRefused, match=why):
        route.codec.with_model(url, given_body, "amazon.nova-lite-v1:0")


@given(
    st.lists(st.recursive(st.none() | st.integers() | st.text(), st.lists)),
    st.sampled_from(((",", ":"), (" , ", " : "), (",\n\t", ":"))),
)
def test_a_list_keeps_its_very_bytes_around_changed_items(values, separators):
    text = json.dumps({"a": 1, "list": values}, separators=separators)
    seen = []
    changed = Body(text.encode()).with_items("list", lambda item: seen.append(item) or item)
    assert changed.decode() == text
    assert [json.loads(item) for item in seen] == values
