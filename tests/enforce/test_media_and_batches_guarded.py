"""Images, speech, transcripts and batches: from the SDK through guard and daemon to the end."""

from __future__ import annotations

import json

import anthropic
import openai
import pytest

import noburn_cli
from noburn_cli.reports.verify import verify_ledger
from tests.enforce.scripted import EVENT_STREAM, Answer, Scripted

IMAGE_USAGE = {
    "input_tokens": 50, "output_tokens": 1000, "total_tokens": 1050,
    "input_tokens_details": {"text_tokens": 30, "image_tokens": 20},
    "output_tokens_details": {"image_tokens": 1000, "text_tokens": 0},
}  # fmt: skip
#: 30 x $5, 20 x $8 and 1,000 x $30 a million.
IMAGE_NANO = 30 * 5_000 + 20 * 8_000 + 1_000 * 30_000
BATCH = "msgbatch_01AbC"


@pytest.fixture
def provider(desk):
    with Scripted(lambda _: Answer(status=500)) as running:
        yield running


@pytest.fixture
def openai_client(provider):
    client = openai.OpenAI(api_key="sk-x", base_url=provider.url + "/v1", max_retries=0)
    with noburn_cli.wrap(client) as wrapped:
        yield wrapped


def with_ceilings(monkeypatch, **nano):
    monkeypatch.setenv("NOBURN_POLICY", json.dumps({"ceilings": nano}))


def answers(provider, value, headers=(("content-type", "application/json"),)):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    provider.answer = lambda _: Answer(headers=headers, body=body)


@pytest.mark.parametrize("stream", [False, True])
def test_an_image_needs_a_ceiling_and_is_billed_by_its_usage(
    desk, provider, openai_client, monkeypatch, stream
):
    asked = {"model": "gpt-image-2", "prompt": "a harbour in winter", "stream": stream}
    with pytest.raises(openai.APIStatusError, match=r"\[ceilings\] images = "):
        openai_client.images.generate(**asked)
    with_ceilings(monkeypatch, images=500_000_000)
    done = {"type": "image_generation.completed", "b64_json": "AA", "usage": IMAGE_USAGE}
    if stream:
        event = b"event: image_generation.completed\ndata: " + json.dumps(done).encode() + b"\n\n"
        answers(provider, event, EVENT_STREAM)
        assert [part.type for part in openai_client.images.generate(**asked)] == [done["type"]]
    else:
        answers(provider, {"created": 1, "data": [{"b64_json": "AA"}], "usage": IMAGE_USAGE})
        openai_client.images.generate(**asked)
    assert desk.states_when_ended() == ["refused", "settled"]
    assert desk.cost_nano() == IMAGE_NANO
    ((bound, hold),) = desk.calls("bound, hold_nano")[1:]
    assert bound == "assumed"
    assert 500_000_000 < hold < 501_000_000


def test_speech_by_the_character_is_exact_beforehand(desk, provider, openai_client):
    answers(provider, b"\x00\x01audio", (("content-type", "audio/mpeg"),))
    openai_client.audio.speech.create(model="tts-1", voice="alloy", input="é" * 999 + "🚢")
    ((state, hold, cost),) = desk.calls("state, hold_nano, cost_nano")
    assert (state, hold, cost) == ("settled", 1001 * 15_000, 1001 * 15_000)
    with pytest.raises(openai.APIStatusError, match="speech"):
        openai_client.audio.speech.create(model="gpt-4o-mini-tts", voice="alloy", input="hi")


def test_a_transcript_is_billed_by_the_second(desk, provider, openai_client, monkeypatch):
    with_ceilings(monkeypatch, transcription=100_000_000)
    answers(provider, {"text": "hello", "usage": {"type": "duration", "seconds": 61.2}})
    audio = ("a.wav", b"RIFF\r\n\r\n" + bytes(5000), "audio/wav")
    openai_client.audio.transcriptions.create(model="whisper-1", file=audio)
    ((state, hold, cost),) = desk.calls("state, hold_nano, cost_nano")
    assert (state, hold, cost) == ("settled", 100_000_000, 62 * 100_000)


def test_a_batch_in_a_file_is_held_for_its_ceiling(desk, provider, openai_client, monkeypatch):
    asked = {"endpoint": "/v1/responses", "completion_window": "24h", "input_file_id": "f"}
    with pytest.raises(openai.APIStatusError, match=r'batch = \\?"\$2'):
        openai_client.batches.create(**asked)
    with_ceilings(monkeypatch, batch=2_000_000_000)
    answers(provider, {"id": "batch_1", "object": "batch", "status": "validating"})
    openai_client.batches.create(**asked)
    assert desk.calls("state, cost_nano")[1:] == [("uncertain", 2_000_000_000)]


def asked_of(number, model="claude-haiku-5-5"):
    said = [{"role": "user", "content": "hello " * number}]
    return {
        "custom_id": f"c{number}",
        "params": {"model": model, "max_tokens": 100, "messages": said},
    }


def results(*usages, failed=1):
    lines = [
        {"custom_id": f"c{number}", "result": {"type": "succeeded", "message": {
            "id": f"m{number}", "model": "claude-haiku-5-5", "usage": usage}}}
        for number, usage in enumerate(usages)
    ]  # fmt: skip
    lines += [{"custom_id": f"f{n}", "result": {"type": "errored"}} for n in range(failed)]
    return b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"


def used(inputs, output):
    return {"input_tokens": inputs, "output_tokens": output, "service_tier": "batch"}


def test_a_batch_is_held_for_all_its_requests_and_settled_by_its_results(desk, provider):
    client = anthropic.Anthropic(api_key="sk-x", base_url=provider.url, max_retries=0)
    answers(provider, {"id": BATCH, "type": "message_batch", "processing_status": "in_progress"})
    with noburn_cli.wrap(client) as claude:
        claude.messages.batches.create(requests=[asked_of(number) for number in (1, 2, 3)])
        ((state, hold, cost, provider_id),) = desk.calls("state, hold_nano, cost_nano, provider_id")
        assert (state, cost, provider_id) == ("uncertain", hold, BATCH)
        # Not all of it is told: it stays at its hold.
        answers(provider, results(used(9, 9), {"input_tokens": 9}))
        assert read(claude, provider).status_code == 200
        assert desk.states() == ["uncertain"]
        # 100,001 tokens in all would be the dear tier; each request by itself is not.
        answers(provider, results(used(60, 99), used(50, 100)))
        for _ in range(2):  # Reading twice bills once.
            assert read(claude, provider).status_code == 200
        # Half of $0.1 and $0.5 a million.
        assert desk.calls("state, cost_nano") == [("settled", 110 * 50 + 199 * 250)]
        assert desk.cost_nano() < hold
        wide = [asked_of(1), asked_of(2, model="claude-sonnet-5-5")]
        with pytest.raises(anthropic.APIStatusError, match="several models"):
            claude.messages.batches.create(requests=wide)
    verdict = verify_ledger(desk.home.folder / "ledger.sqlite3")
    assert (verdict.bad_seq, verdict.wrong) == (None, ())


def read(claude, provider):
    """The results' bytes as they come; the SDK's own method reads them through here as well."""
    return claude.get(f"/v1/messages/batches/{BATCH}/results", cast_to=_Response)


_Response = __import__("httpx2").Response
