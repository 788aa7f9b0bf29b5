"""The Gemini codecs: bounds, caps, usage, refusals, streams in both forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from noburn_cli.core.image_tokens import GEMINI_IMAGE_MAX
from noburn_cli.errors import InputRefused
from noburn_cli.providers.ceilings import CEILINGS
from noburn_cli.providers.gemini import Gemini
from noburn_cli.providers.gemini_embeddings import GeminiEmbeddings
from noburn_cli.providers.registry import FREE, GUARD, REFUSED, Upstream, parse_body, recognise

MODEL = "gemini-3.8-flash"
CODEC = Gemini(MODEL)
EMBED = GeminiEmbeddings("gemini-embedding-001")
HI = [{"role": "user", "parts": [{"text": "hi"}]}]


def body(**members: Any) -> bytes:
    return json.dumps({"contents": HI, **members}).encode()


def part(**members: Any) -> bytes:
    return body(contents=[{"parts": [{"text": "hi"}, members]}])


@pytest.mark.parametrize("version", ["", "/v1", "/v1beta", "/v1alpha"])
@pytest.mark.parametrize("base", ["https://generativelanguage.googleapis.com", "http://gate:1/g"])
def test_paths(version: str, base: str) -> None:
    named = [Upstream("google", "http://gate:1/g"), Upstream("google", "http://gate:1/g/v1beta")]
    for colon in (":", "%3A"):
        url = f"{base}{version}/models/{MODEL}{colon}streamGenerateContent?alt=sse"
        route = recognise("POST", url, named)
        assert (route.kind, route.codec) == (GUARD, Gemini(MODEL, streams=True))
        assert route.qualified(MODEL) == MODEL
    assert recognise("POST", f"{base}{version}/models/{MODEL}:countTokens", named).kind == FREE
    for method in ("embedContent", "batchEmbedContents"):
        route = recognise("POST", f"{base}{version}/models/m:{method}", named)
        assert route.codec == GeminiEmbeddings("m")
    for refused in (":predict", ":batchGenerateContent", ":predictLongRunning"):
        route = recognise("POST", f"{base}{version}/models/m{refused}", named)
        assert route.kind == REFUSED
        assert route.next_step
    assert recognise("POST", f"{base}{version}/cachedContents", named).kind == REFUSED
    assert (
        recognise("POST", f"{base}{version}/tunedModels/t:generateContent", named).kind == REFUSED
    )
    assert recognise("GET", f"{base}/ws/google.ai.BidiGenerateContent", named).kind == REFUSED


def test_what_a_request_holds() -> None:
    call = Gemini(MODEL, streams=True).parse(
        body(
            systemInstruction={"parts": [{"text": "Be brief."}]},
            tools=[{"functionDeclarations": [{"name": "look"}]}],
            generationConfig={"maxOutputTokens": 90, "candidateCount": 2},
        )
    )
    assert call.model == MODEL
    assert set(call.texts) == {"hi", "Be brief."}
    assert '"name":"look"' in call.schema_text
    assert (call.output.wanted, call.output.choices, call.stream) == (90, 2, True)
    assert call.input_kinds == ("input", "cache_read")
    assert (call.window, call.unbounded) == ("", "")
    assert call.overhead_tokens > 0
    assert parse_body(None, json.dumps({"model": "models/m", "contents": HI}).encode()).model == "m"


def test_both_spellings_are_one_field_and_never_two() -> None:
    config = {"max_output_tokens": 90, "thinking_config": {"thinking_budget": 80}}
    call = CODEC.parse(body(generation_config=config, system_instruction={"parts": {"text": "x"}}))
    assert call.output.wanted == 90
    assert "x" in call.texts
    edited = json.loads(CODEC.edit(body(generation_config=config), cap=50))
    assert edited["generation_config"] == {
        "max_output_tokens": 50,
        "thinking_config": {"thinking_budget": 49},
    }
    with pytest.raises(InputRefused, match="two spellings"):
        CODEC.parse(body(generation_config={}, generationConfig={}))
    with pytest.raises(InputRefused, match="two spellings"):
        CODEC.parse(body(generationConfig={"max_output_tokens": 1, "maxOutputTokens": 1}))


@pytest.mark.parametrize(
    ("config", "cap", "wanted"),
    [
        (None, 70, {"maxOutputTokens": 70}),
        ({"topP": 0.10}, 70, {"topP": 0.10, "maxOutputTokens": 70}),
        ({"maxOutputTokens": 60}, 70, {"maxOutputTokens": 60}),
        ({"maxOutputTokens": 90}, 70, {"maxOutputTokens": 70}),
        ({"maxOutputTokens": 90}, None, {"maxOutputTokens": 90}),
        (
            {"maxOutputTokens": 90, "thinkingConfig": {"thinkingBudget": -1}},
            70,
            {"maxOutputTokens": 70, "thinkingConfig": {"thinkingBudget": -1}},
        ),
        (
            {"maxOutputTokens": 90, "thinkingConfig": {"thinkingBudget": 70, "x": 1}},
            70,
            {"maxOutputTokens": 70, "thinkingConfig": {"thinkingBudget": 69, "x": 1}},
        ),
    ],
)  # fmt: skip
def test_the_cap_is_written_and_everything_else_kept(config, cap, wanted) -> None:
    given = body() if config is None else body(generationConfig=config)
    edited = CODEC.edit(given, cap=cap)
    assert json.loads(edited) == {"contents": HI, "generationConfig": wanted}
    assert edited.startswith(given[:-1] if config is None else given[:40])


def test_an_edit_keeps_the_bytes_of_numbers() -> None:
    given = b'{"contents":[],  "generationConfig": {"temperature":1.0e-1, "maxOutputTokens" : 9}}'
    assert CODEC.edit(given, cap=4) == given.replace(b" 9}", b" 4}")


def test_a_thinking_budget_is_the_floor() -> None:
    thinking = {"thinkingConfig": {"thinkingBudget": 512}}
    assert CODEC.parse(body(generationConfig=thinking)).output.floor == 513
    capped = {**thinking, "maxOutputTokens": 100}
    assert CODEC.parse(body(generationConfig=capped)).output.floor == 100
    assert CODEC.parse(body()).output.floor == 1


@pytest.mark.parametrize(
    "config",
    [
        {"maxOutputTokens": "9"}, {"maxOutputTokens": 9.0}, {"maxOutputTokens": 0},
        {"candidateCount": 9}, {"thinkingConfig": {"thinkingBudget": -2}}, [1],
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused(config) -> None:
    with pytest.raises(InputRefused):
        CODEC.parse(body(generationConfig=config))
    with pytest.raises(InputRefused):
        CODEC.parse(b'{"contents":[]}')


@pytest.mark.parametrize(
    ("request_body", "why"),
    [
        (body(tools=[{"googleSearch": {}}]), "googleSearch"),
        (body(tools=[{"google_search": {}}]), "googleSearch"),
        (body(tools=[{"urlContext": {}}]), "urlContext"),
        (body(tools=[{"codeExecution": {}}]), "codeExecution"),
        (body(tools=[{"fileSearch": {}}]), "fileSearch"),
        (body(tools=[{"googleMaps": {}}]), "googleMaps"),
        (body(tools=[{"mcpServers": [{}]}]), "mcpServers"),
        (body(tools=[{"teleport": {}}]), "not known"),
        (body(serviceTier="gold"), "service tier"),
        (body(serviceTier=5), "service tier"),
        (body(newThing=1), "newThing"),
        (body(generationConfig={"newThing": 1}), "newThing"),
        (body(generationConfig={"thinkingConfig": {"more": 1}}), "more"),
        (body(generationConfig={"responseModalities": ["TEXT", "IMAGE"]}), "images"),
        (body(generationConfig={"responseModalities": ["AUDIO"]}), "audio"),
        (body(generationConfig={"speechConfig": {}}), "audio"),
        (body(generationConfig={"imageConfig": {}}), "images"),
    ],
)
def test_what_nothing_bounds_is_refused_by_name(request_body: bytes, why: str) -> None:
    call = CODEC.parse(request_body)
    assert why in call.unbounded
    assert call.unbounded_kinds
    assert set(call.unbounded_kinds) <= set(CEILINGS)


@pytest.mark.parametrize(
    ("request_body", "why"),
    [
        (body(cachedContent="cachedContents/x"), "cached content"),
        (part(fileData={"fileUri": "files/x", "mimeType": "application/pdf"}), "file"),
        (part(inlineData={"mimeType": "application/pdf", "data": ""}), "file"),
        (body(tools=[{"computerUse": {"environment": "x"}}]), "computerUse"),
        (part(inlineData={"mimeType": "audio/wav", "data": ""}), "audio"),
        (part(inline_data={"mime_type": "audio/wav", "data": ""}), "audio"),
        (part(fileData={"fileUri": "https://youtu.be/x"}), "video"),
        (part(inlineData={"mimeType": "video/mp4", "data": ""}), "video"),
    ],
)
def test_what_only_the_provider_counts_is_bounded_by_the_window(request_body, why) -> None:
    call = CODEC.parse(request_body)
    assert why in call.window
    assert not call.unbounded
    assert ("audio_input" in call.input_kinds) == (why in ("audio", "video"))


def test_images_have_a_documented_most_on_gemini_3() -> None:
    image = {"mimeType": "image/png", "data": "AAAA"}
    call = CODEC.parse(part(inlineData=image))
    measured = call.billed_as(call.measured(), "vertex/gemini-4-argon")
    assert (measured.window, measured.overhead) == (False, call.overhead_tokens + GEMINI_IMAGE_MAX)
    assert call.billed_as(call.measured(), "gemini-2.5-flash").window


def test_nothing_that_a_model_could_see_is_left_out() -> None:
    seen = CODEC.parse(
        part(
            functionCall={"name": "look", "args": {"at": "harbour"}}, thoughtSignature="c2ln",
            functionResponse={"name": "look", "response": {"saw": "ships"},
                              "parts": [{"text": "more ships"}]},
            invented={"deep": "words"},
        )
    )  # fmt: skip
    everything = " ".join((*seen.texts, seen.schema_text))
    for word in ("harbour", "c2ln", "ships", "more ships", "words", "look"):
        assert word in everything


@pytest.mark.parametrize(
    ("tier", "variants"),
    [
        (None, ("standard",)),
        ("flex", ("flex", "standard")),
        ("SERVICE_TIER_PRIORITY", ("priority", "standard")),
    ],
)
def test_service_tiers(tier, variants) -> None:
    assert CODEC.parse(body(serviceTier=tier)).variants == variants


# -- Usage ---------------------------------------------------------------------------------------

USAGE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 60,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "toolUsePromptTokenCount": 7,
    "totalTokenCount": 157,
}


def answer(usage: object, **members: object) -> bytes:
    return json.dumps(
        {"candidates": [{"finishReason": "STOP"}], "usageMetadata": usage, **members}
    ).encode()


def test_usage_by_disjoint_kinds() -> None:
    settled = CODEC.usage(
        answer({**USAGE, "serviceTier": "FLEX"}, modelVersion="v", responseId="r")
    )
    assert settled.usage == {
        "input": 47, "cache_read": 60, "output": 50, "reasoning": 30,
    }  # fmt: skip
    assert (settled.variant, settled.served_model, settled.provider_id) == ("flex", "v", "r")
    # An answer cut off while thinking has no candidates' tokens.
    cut = CODEC.usage(
        answer({"promptTokenCount": 5, "thoughtsTokenCount": 9, "totalTokenCount": 14})
    )
    assert cut.usage == {"input": 5, "output": 9, "reasoning": 9}
    # What the parts leave out is in the total.
    assert CODEC.usage(answer({"promptTokenCount": 5, "totalTokenCount": 14})).usage["output"] == 9


@pytest.mark.parametrize(
    "usage",
    [
        None, {}, {**USAGE, "promptTokenCount": "100"}, {**USAGE, "candidatesTokenCount": -1},
        {**USAGE, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5_000}]},
        {**USAGE, "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": "5"}]},
    ],
)  # fmt: skip
def test_usage_that_cannot_be_trusted_is_none(usage) -> None:
    assert CODEC.usage(answer(usage)) is None


def test_tokens_of_audio_and_images_are_kinds_of_their_own() -> None:
    usage = {
        **USAGE,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 50}],
        "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 15}],
    }
    assert CODEC.usage(answer(usage)).usage == {
        "input": 37, "cache_read": 20, "audio_input": 10, "audio_cache_read": 40,
        "output": 35, "image_output": 15, "reasoning": 30,
    }  # fmt: skip


def test_a_grounded_answer_bills_fees_that_are_no_tokens() -> None:
    grounded = {"finishReason": "STOP", "groundingMetadata": {"webSearchQueries": ["x"]}}
    assert CODEC.usage(answer(USAGE, candidates=[grounded])) is None


def chunks() -> list[dict[str, Any]]:
    """A stream of two candidates, of which the second ends later."""

    def one(index: int, reason: str | None, thoughts: int, said: int) -> dict[str, Any]:
        ending = {"finishReason": reason} if reason else {}
        usage = {
            "promptTokenCount": 9,
            "thoughtsTokenCount": thoughts,
            "candidatesTokenCount": said,
        }
        parts = {"content": {"parts": [{"text": 'héé 🚀 "usageMetadata"'}]}}
        return {"candidates": [{**parts, "index": index, **ending}], "usageMetadata": usage}

    return [
        one(0, None, 3, 1),
        one(1, None, 3, 2),
        one(0, "STOP", 3, 3),
        one(1, "MAX_TOKENS", 3, 6),
    ]


def test_a_stream_settles_when_its_last_candidate_has_ended() -> None:
    reader = CODEC.stream(strip_usage=False)
    seen = []
    for chunk in chunks():
        event = b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n"
        assert reader.receive(event) == event
        seen.append((reader.ended, reader.settlement and reader.settlement.usage))
    wanted = {"input": 9, "output": 9, "reasoning": 3}
    assert seen == [(False, None)] * 3 + [(True, wanted)]


def test_an_array_settles_like_the_stream_that_it_is() -> None:
    whole = json.dumps(chunks()).encode()
    assert CODEC.usage(whole).usage == {"input": 9, "output": 9, "reasoning": 3}
    assert CODEC.usage(json.dumps(chunks()[:3]).encode()) is None
    for end in range(0, len(whole), 7):
        assert CODEC.usage(whole[:end]) is None


def test_a_blocked_prompt_settles_on_what_it_read() -> None:
    reader = CODEC.stream(strip_usage=False)
    said = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    reader.receive(b"data: " + json.dumps(said).encode() + b"\n\n")
    assert (reader.ended, reader.settlement.usage) == (True, {"input": 4})


def test_our_own_error_is_seen_as_a_failure() -> None:
    reader = CODEC.stream(strip_usage=False)
    reader.receive(CODEC.stream_error(message="budget", code="stopped"))
    assert (reader.failed, reader.ended, reader.settlement) == (True, False, None)


def test_counting_asks_for_the_whole_request() -> None:
    given = body(tools=[{"functionDeclarations": []}], generationConfig={"maxOutputTokens": 5})
    count = CODEC.count_request(given)
    url = f"https://generativelanguage.googleapis.com/v1beta/models/{MODEL}"
    assert count.url_of(f"{url}:streamGenerateContent?alt=sse&key=k") == f"{url}:countTokens?key=k"
    assert json.loads(count.body) == {
        "generateContentRequest": {
            "model": f"models/{MODEL}", "contents": HI, "tools": [{"functionDeclarations": []}],
        }
    }  # fmt: skip
    assert CODEC.parse_count(b'{"totalTokens": 12}') == 12
    for garbage in (b"{}", b'{"totalTokens": "12"}', b"[]", b""):
        with pytest.raises(InputRefused):
            CODEC.parse_count(garbage)


# -- Embeddings ----------------------------------------------------------------------------------


def test_embeddings() -> None:
    content = {"parts": [{"text": "one"}]}
    call = EMBED.parse(json.dumps({"content": content, "title": "t", "taskType": "X"}).encode())
    assert (set(call.texts), call.output, call.unbounded) == ({"one", "t"}, None, "")
    both = {"requests": [{"model": "models/m", "content": content}] * 2}
    assert EMBED.parse(json.dumps(both).encode()).texts == ("one", "one")
    image = {"parts": [{"inlineData": {"mimeType": "image/png", "data": ""}}]}
    assert "media" in EMBED.parse(json.dumps({"content": image}).encode()).unbounded
    assert EMBED.usage(b'{"embedding":{},"usageMetadata":{"promptTokenCount":3}}').usage == {
        "input": 3
    }
    assert EMBED.usage(b'{"embedding":{}}') is None
    for garbage in ({}, {"content": "text"}, {"requests": [{}]}, {"content": {"parts": "x"}}):
        with pytest.raises(InputRefused):
            EMBED.parse(json.dumps(garbage).encode())
