"""The Bedrock codecs: model ids, bounds, caps, usage, refusals, the binary stream."""

from __future__ import annotations

import base64
import itertools
import json
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.demo import stub_bedrock
from noburn_cli.enforce import cutting
from noburn_cli.enforce.decisions import AskDaemon, Refuse, Request
from noburn_cli.enforce.guard import admit
from noburn_cli.enforce.outcome import Tracker
from noburn_cli.errors import InputRefused
from noburn_cli.providers import registry
from noburn_cli.providers.bedrock_converse import BedrockConverse
from noburn_cli.providers.bedrock_invoke import BedrockInvoke
from noburn_cli.providers.eventstream import MessageSplitter, encode
from noburn_cli.providers.registry import FREE, GUARD, REFUSED, Upstream, recognise

CLAUDE = "us.anthropic.claude-haiku-5-5-v1:0"
CODEC = BedrockConverse(CLAUDE, in_url=True)
INVOKE = BedrockInvoke(CLAUDE, in_url=True)
HI = [{"role": "user", "content": [{"text": "hi"}]}]
HOST = "https://bedrock-runtime.eu-west-1.amazonaws.com"


def body(**members: Any) -> bytes:
    return json.dumps({"messages": HI, **members}).encode()


def block(**members: Any) -> bytes:
    return body(messages=[{"role": "user", "content": [members]}])


def invoked(**members: Any) -> bytes:
    messages = [{"role": "user", "content": "hi"}]
    own = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 90, "messages": messages}
    return json.dumps({**own, **members}).encode()


@pytest.mark.parametrize(
    ("operation", "codec"),
    [
        ("converse", BedrockConverse(CLAUDE, in_url=True)),
        ("converse-stream", BedrockConverse(CLAUDE, streams=True, in_url=True)),
        ("invoke", BedrockInvoke(CLAUDE, in_url=True)),
        ("invoke-with-response-stream", BedrockInvoke(CLAUDE, streams=True, in_url=True)),
    ],
)
@pytest.mark.parametrize(
    "identifier",
    [
        CLAUDE.replace(":", "%3A"),
        CLAUDE,
        f"arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Ainference-profile%2F{CLAUDE}",
        f"arn%3Aaws%3Abedrock%3Aeu-west-1%3A%3Afoundation-model%2F{CLAUDE}",
    ],
)
def test_paths(operation, codec, identifier) -> None:
    named = [Upstream("bedrock", "http://127.0.0.1:1/bedrock")]
    for base in (HOST, HOST.replace("runtime", "runtime-fips"), named[0].base_url):
        route = recognise("POST", f"{base}/model/{identifier}/{operation}", named)
        assert (route.kind, route.codec) == (GUARD, codec)
        assert route.qualified(CLAUDE) == f"bedrock/{CLAUDE}"
    assert recognise("POST", f"{HOST}/model/{identifier}/count-tokens").kind == FREE
    assert recognise("POST", f"{HOST}/async-invoke").kind == REFUSED
    assert recognise("POST", f"{HOST}/guardrail/g/version/1/apply").kind == REFUSED


@pytest.mark.parametrize(
    "arn",
    [
        "application-inference-profile/abc", "provisioned-model/abc", "imported-model/abc",
        "custom-model-deployment/abc", "prompt/abc:1", "default-prompt-router/anthropic.claude:1",
    ],
)  # fmt: skip
def test_what_names_no_model_is_refused_unless_the_configuration_maps_it(arn: str) -> None:
    whole = f"arn:aws:bedrock:eu-west-1:123456789012:{arn}"
    url = f"{HOST}/model/{whole.replace(':', '%3A').replace('/', '%2F')}/converse"
    route = recognise("POST", url)
    with pytest.raises(InputRefused, match="not a model") as caught:
        route.codec.parse(body())
    assert "[[endpoint]]" in caught.value.next_step
    mapped = [Upstream("bedrock", HOST, "bedrock", ((whole, CLAUDE),))]
    route = recognise("POST", url, mapped)
    assert route.codec.parse(body()).model == CLAUDE


def test_what_a_request_holds() -> None:
    call = CODEC.parse(
        body(
            system=[{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
            toolConfig={"tools": [{"toolSpec": {"name": "look"}}]},
            inferenceConfig={"maxTokens": 90},
        )
    )
    assert call.model == CLAUDE
    assert set(call.texts) == {"hi", "Be brief."}
    assert '"name":"look"' in call.schema_text
    assert call.output.wanted == 90
    assert call.input_kinds == ("input", "cache_read", "cache_write_5m", "cache_write_1h")
    assert (call.window, call.unbounded) == ("", "")
    assert CODEC.parse(body()).output.wanted is None
    assert CODEC.parse(body()).input_kinds == ("input", "cache_read")


def test_caps() -> None:
    assert json.loads(CODEC.edit(body(), cap=7))["inferenceConfig"] == {"maxTokens": 7}
    capped = body(inferenceConfig={"topP": 0.10, "maxTokens": 90})
    assert CODEC.edit(capped, cap=70) == capped.replace(b"90", b"70")
    assert CODEC.edit(capped, cap=90) == CODEC.edit(capped, cap=None) == capped
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 2_000}, "top_k": 5}
    thoughtful = body(inferenceConfig={"maxTokens": 9_000}, additionalModelRequestFields=thinking)
    assert CODEC.parse(thoughtful).output.floor == 2_001
    edited = json.loads(CODEC.edit(thoughtful, cap=1_500))
    assert edited["inferenceConfig"] == {"maxTokens": 1_500}
    assert edited["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 1_499}, "top_k": 5,
    }  # fmt: skip
    with pytest.raises(InputRefused, match="room for thinking"):
        CODEC.edit(thoughtful, cap=500)
    for garbage in ("9", 9.0, True, 0):
        with pytest.raises(InputRefused):
            CODEC.parse(body(inferenceConfig={"maxTokens": garbage}))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (body(guardrailConfig={"guardrailIdentifier": "g"}), "guardrail"),
        (body(performanceConfig={"latency": "optimized"}), "latency"),
        (body(serviceTier={"type": "reserved"}), "service tier"),
        (body(promptVariables={"x": {"text": "y"}}), "promptVariables"),
        (body(inferenceConfig={"maxToken": 5}), "maxToken"),
        (body(additionalModelRequestFields={"max_tokens": 99_999}), "max_tokens"),
        (
            body(toolConfig={"tools": [{"systemTool": {"name": "nova_grounding"}}]}),
            "nova_grounding",
        ),
        (block(audio={"format": "wav"}), "audio"),
        (block(hologram={}), "hologram"),
    ],
)
def test_what_nothing_bounds_is_refused_by_name(given: bytes, why: str) -> None:
    assert why in CODEC.parse(given).unbounded


@pytest.mark.parametrize("kind", ["image", "document", "video"])
def test_media_are_bounded_by_the_window(kind: str) -> None:
    call = CODEC.parse(block(**{kind: {"format": "x", "source": {"bytes": ""}}}))
    assert call.window
    assert not call.unbounded
    hidden = CODEC.parse(block(reasoningContent={"redactedContent": "x"}))
    assert "thinking" in hidden.window


def test_tiers() -> None:
    assert CODEC.parse(body(serviceTier={"type": "flex"})).variants == ("flex",)
    assert CODEC.parse(body(serviceTier={"type": "default"})).variants == ("standard",)


@pytest.mark.parametrize(
    ("name", "value", "refused"),
    [
        ("x-amzn-bedrock-service-tier", "priority", True),
        ("x-amzn-bedrock-service-tier", "default", False),
        ("x-amzn-bedrock-performanceconfig-latency", "optimized", True),
        ("x-amzn-bedrock-guardrailidentifier", "g", True),
    ],
)
def test_headers_that_cost_are_refused(name: str, value: str, refused: bool) -> None:
    url = f"{HOST}/model/{CLAUDE}/invoke"
    route = recognise("POST", url)
    steps = admit(route, Request("POST", url, {name: value}, invoked()), ())
    asked = next(steps)
    assert isinstance(asked, AskDaemon)
    assert asked.op == ("refused" if refused else "reserve")
    if refused:
        with pytest.raises(StopIteration) as ended:
            steps.send({"ok": True})
        assert isinstance(ended.value.value, Refuse)
    else:
        assert asked.fields["model"] == f"bedrock/{CLAUDE}"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("bedrock-runtime.sa-east-1.amazonaws.com", "sa-east-1"),
        ("bedrock-runtime-fips.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
        ("bedrock-runtime.eu-west-2.api.aws", "eu-west-2"),
        ("vpce-0a1-b2.bedrock-runtime.ap-south-1.vpce.amazonaws.com", "ap-south-1"),
        ("bedrock-runtime.us-east-1.amazonaws.com", ""),
    ],
)
def test_a_call_is_held_at_the_price_of_the_hosts_region(host: str, region: str) -> None:
    """A model without a profile's prefix costs more elsewhere: Llama 3 70B 68 % in São Paulo."""
    held = _held(host, "meta.llama3-70b-instruct-v1:0")
    assert held == ["standard" + (f"@{region}" if region else "")]


@pytest.mark.parametrize(
    ("model", "region", "held"),
    [
        (CLAUDE, "us-west-2", "standard"),
        (CLAUDE, "us-gov-west-1", "standard@us-gov-west-1"),
        (CLAUDE, "ca-central-1", "standard@ca-central-1"),
        ("eu.anthropic.claude-sonnet-5", "eu-central-1", "standard"),
        ("jp.anthropic.claude-sonnet-5", "ap-northeast-3", "standard"),
        ("global.anthropic.claude-sonnet-5", "sa-east-1", "standard"),
        ("global.amazon.nova-2-lite-v1:0", "us-east-2", "standard"),
        ("global.amazon.nova-2-lite-v1:0", "eu-south-1", "standard@eu-south-1"),
        ("anthropic.claude-sonnet-5", "eu-central-1", "standard@eu-central-1"),
    ],
)
def test_a_profile_has_its_own_price_in_its_own_regions(model: str, region: str, held: str) -> None:
    assert _held(f"bedrock-runtime.{region}.amazonaws.com", model) == [held]


def _held(host: str, model: str) -> Any:
    """The variants for which the guard asks the daemon."""
    url = f"https://{host}/model/{model}/converse"
    asked = next(admit(recognise("POST", url), Request("POST", url, {}, body()), ()))
    assert isinstance(asked, AskDaemon)
    return list(asked.fields["variants"])


# -- InvokeModel -----------------------------------------------------------------------------------


def test_invoking_claude_reads_its_own_body() -> None:
    call = BedrockInvoke(CLAUDE, streams=True, in_url=True).parse(invoked(anthropic_beta=["x"]))
    assert (call.api, call.model, call.stream) == ("bedrock_invoke", CLAUDE, True)
    assert (call.output.wanted, call.unbounded) == (90, "")
    assert b'"max_tokens": 9,' in INVOKE.edit(invoked(), cap=9)
    assert "newThing" in INVOKE.parse(invoked(newThing=1)).unbounded


def test_invoking_nova_and_titan() -> None:
    nova = BedrockInvoke("eu.amazon.nova-lite-v1:0", in_url=True)
    given = body(schemaVersion="messages-v1", inferenceConfig={"maxTokens": 90})
    call = nova.parse(given)
    assert (call.output.wanted, call.unbounded) == (90, "")
    assert json.loads(nova.edit(given, cap=9))["inferenceConfig"] == {"maxTokens": 9}
    titan = BedrockInvoke("amazon.titan-embed-text-v2:0", in_url=True)
    call = titan.parse(b'{"inputText": "hi", "dimensions": 256}')
    assert (call.texts, call.output) == (("hi",), None)
    assert titan.usage(b'{"embedding":[],"inputTextTokenCount":3}').usage == {"input": 3}
    with pytest.raises(InputRefused):
        titan.parse(b'{"inputText": 5}')


@pytest.mark.parametrize("model", ["meta.llama3-8b-instruct-v1:0", "cohere.embed-v4:0", "x"])
def test_other_bodies_are_refused_by_name(model: str) -> None:
    with pytest.raises(InputRefused, match="not known") as caught:
        BedrockInvoke(model, in_url=True).parse(b'{"prompt": "hi"}')
    assert "Converse" in caught.value.next_step


# -- Usage -----------------------------------------------------------------------------------------


def test_usage_by_disjoint_kinds() -> None:
    usage = {
        "inputTokens": 10, "outputTokens": 20, "totalTokens": 67, "cacheReadInputTokens": 30,
        "cacheWriteInputTokens": 7, "cacheDetails": [{"ttl": "1h", "inputTokens": 3}],
    }  # fmt: skip
    settled = CODEC.usage(json.dumps({"usage": usage, "serviceTier": {"type": "flex"}}).encode())
    assert settled.usage == {
        "input": 10, "cache_read": 30, "cache_write_5m": 4, "cache_write_1h": 3, "output": 20,
    }  # fmt: skip
    assert settled.variant == "flex"
    faster = {"usage": usage, "performanceConfig": {"latency": "optimized"}}
    assert CODEC.usage(json.dumps(faster).encode()).variant == "optimized"
    for garbage in ({}, {"usage": {"inputTokens": "1"}}, {"usage": {**usage, "outputTokens": -1}}):
        assert CODEC.usage(json.dumps(garbage).encode()) is None


def event(kind: str, value: object) -> bytes:
    return stub_bedrock.message(
        {":event-type": kind, ":message-type": "event"}, json.dumps(value).encode()
    )


def converse_stream() -> bytes:
    usage = {"inputTokens": 9, "outputTokens": 4, "totalTokens": 13}
    return (
        event("messageStart", {"role": "assistant"})
        + event("contentBlockDelta", {"delta": {"text": "Grüße 🚀"}})
        + event("messageStop", {"stopReason": "max_tokens"})
        + event("metadata", {"usage": usage})
    )


def chunk(value: object) -> bytes:
    return event("chunk", {"bytes": base64.b64encode(json.dumps(value).encode()).decode()})


def invoke_stream() -> bytes:
    start = {"usage": {"input_tokens": 9, "output_tokens": 1}}
    return (
        chunk({"type": "message_start", "message": start})
        + chunk({"type": "content_block_delta", "delta": {"text": "x"}})
        + chunk({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
                 "usage": {"output_tokens": 4}})
        + chunk({"type": "message_stop"})
    )  # fmt: skip


STREAMS = {"bedrock_converse": converse_stream(), "bedrock_invoke": invoke_stream()}


@pytest.mark.parametrize("api", STREAMS)
@given(places=st.lists(st.integers(0, 2_000), max_size=30))
def test_a_binary_stream_reads_the_same_wherever_it_is_cut(api: str, places: list[int]) -> None:
    data = STREAMS[api]
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    for cuts in ([0, len(data)], edges, range(len(data) + 1)):
        reader = registry.codec(api).stream(strip_usage=False)
        handed_on = b"".join(reader.receive(data[a:b]) for a, b in itertools.pairwise(cuts))
        assert handed_on + reader.close() == data
        assert reader.settlement.usage == {"input": 9, "output": 4}
        assert (reader.ended, reader.failed) == (True, False)


@given(data=st.binary(max_size=200), at=st.integers(0, 400), flip=st.integers(1, 255))
def test_broken_bytes_pass_on_and_settle_nothing(data: bytes, at: int, flip: int) -> None:
    """Goal: one wrong byte is seen by a checksum, and nothing after it is believed."""
    good = bytearray(STREAMS["bedrock_converse"])
    good[at % len(good)] ^= flip
    for bytes_in in (data, bytes(good)):
        reader = registry.codec("bedrock_converse").stream(strip_usage=False)
        assert reader.receive(bytes_in) == bytes_in
        assert reader.settlement is None


def test_lengths_that_would_fill_the_memory_end_the_reading() -> None:
    prelude = struct.pack("!II", 2**31, 0)
    splitter = MessageSplitter()
    assert splitter.receive(prelude + struct.pack("!I", zlib.crc32(prelude))) == []
    assert splitter.given_up()


def test_every_type_of_header_is_passed_over() -> None:
    values = [
        b"\x00", b"\x01", b"\x02a", b"\x03ab", b"\x04abcd", b"\x05abcdefgh", b"\x06\x00\x02ab",
        b"\x08abcdefgh", b"\x09abcdefghabcdefgh",
    ]  # fmt: skip
    packed = b"".join(b"\x01n" + value for value in values) + b"\x01t\x07\x00\x01v"
    prelude = struct.pack("!II", 16 + len(packed) + 2, len(packed))
    whole = prelude + struct.pack("!I", zlib.crc32(prelude)) + packed + b"{}"
    (message,) = MessageSplitter().receive(whole + struct.pack("!I", zlib.crc32(whole)))
    assert (message.headers, message.payload) == ({"t": "v"}, b"{}")


def test_our_own_error_is_seen_as_a_failure() -> None:
    for api in STREAMS:
        reader = registry.codec(api).stream(strip_usage=False)
        reader.receive(registry.codec(api).stream_error(message="budget", code="stopped"))
        assert (reader.failed, reader.ended, reader.settlement) == (True, False, None)
    assert MessageSplitter().receive(encode({"a": "b"}, b"c"))[0].payload == b"c"


@pytest.mark.parametrize("size", [1, 7, 50, 10_000])
def test_a_cut_of_a_stopped_run_falls_between_two_messages(
    size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: what is handed on before our error is whole messages, wherever the bytes are cut."""
    monkeypatch.setattr(cutting, "watch", lambda: None)
    monkeypatch.setattr(cutting, "_stopped", {})
    codec = registry.codec("bedrock_converse")
    tracker = Tracker("c", codec, stream=True, strip_usage=False)
    tracker.answered(200, {"content-type": "application/vnd.amazon.eventstream"})
    first = event("messageStart", {"role": "assistant"})
    whole = first + b"".join(
        event("contentBlockDelta", {"delta": {"text": f"{n}\n\n"}}) for n in range(9)
    )
    came = b""
    for at in range(0, len(whole), size):
        if at >= 100:
            cutting._stopped["r"] = "run `r` was stopped"
        came += tracker.receive(whole[at : at + size])
        if tracker.cut is not None:
            break
    if size > len(whole):
        return  # It had come before the run was stopped.
    splitter = MessageSplitter()
    messages = splitter.receive(came)
    assert tracker.cut is not None
    assert (splitter.given_up(), splitter.pending()) == (False, 0)
    assert messages[-1].headers[":message-type"] == "exception"
    assert whole.startswith(came.removesuffix(encode(messages[-1].headers, messages[-1].payload)))
