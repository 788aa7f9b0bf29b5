"""The gateway as programs meet it: SDKs without a hook, curl, sockets, its death.

A real daemon, a provider that bills, and the gateway's own process.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from noburn_cli import protocol
from noburn_cli.demo.stub import BillingStub
from noburn_cli.enforce.gateway.hosted import HostedGateway
from noburn_cli.enforce.gateway.variables import pointed_to
from tests.daemon.parts import eventually
from tests.enforce.conftest import FOREVER_MS

REAL = "sk-real-0123456789abcdef"
VIRTUAL = "sk-noburn-vk-77aa"
CURRENT = Path(__file__).parents[2] / ".venv/guests/current/bin/python"
MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
CHAT = {"model": "gpt-6-luna", "messages": MESSAGES, "max_completion_tokens": 50}


class Site:
    """A provider that wants its real key, and a gateway in front of it."""

    def __init__(self, home: Any, stub: BillingStub, gateway: HostedGateway) -> None:
        self.home = home
        self.stub = stub
        self.gateway = gateway
        self.url = gateway.url

    def openai(self, key: str = VIRTUAL, **more: Any) -> openai.OpenAI:
        return openai.OpenAI(api_key=key, base_url=f"{self.url}/openai/v1", max_retries=2, **more)

    def claude(self, key: str = VIRTUAL) -> anthropic.Anthropic:
        return anthropic.Anthropic(api_key=key, base_url=f"{self.url}/anthropic", max_retries=2)

    def post(
        self, path: str, body: Any = CHAT, key: str | None = VIRTUAL, **headers: str
    ) -> tuple[int, Any]:
        """One request of no SDK's; header names with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            named.setdefault("authorization", f"Bearer {key}")
        request = urllib.request.Request(
            self.url + path,
            json.dumps(body).encode(),
            {"content-type": "application/json", **named},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
            return error.code, json.loads(text) if text.startswith("{") else text

    def when_ended(self, count: int) -> list[str]:
        """The states of the calls, once so many have ended."""
        deadline = time.monotonic() + 60
        while True:
            states: list[str] = self.home.states()
            if (len(states) >= count and "held" not in states) or time.monotonic() > deadline:
                return states
            time.sleep(0.05)


@pytest.fixture
def site(home: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NOBURN_RUN", "r1")
    home.client.request(protocol.KEYS_LEND, run="r1", keys={VIRTUAL: REAL})
    with BillingStub(defaults={"x-stub-output-tokens": "40"}, required_key=REAL) as stub:
        gateway = HostedGateway()
        before = {
            **os.environ,
            "OPENAI_BASE_URL": stub.url + "/v1",
            "ANTHROPIC_BASE_URL": stub.url,
            "GOOGLE_GEMINI_BASE_URL": stub.url,
        }
        gateway.start({**before, **pointed_to(gateway.url, before)})
        made = Site(home, stub, gateway)
        yield made
        made.gateway.close()


def test_sdks_without_a_hook_are_guarded_and_booked_as_billed(site: Site) -> None:
    with site.openai() as client, site.claude() as claude:
        direct = openai.OpenAI(api_key=REAL, base_url=site.stub.url + "/v1")
        client.chat.completions.create(**CHAT)
        with direct:  # The same chunks as without us: the usage that we asked for is taken out.
            plain = [c.choices for c in direct.chat.completions.create(**CHAT, stream=True)]
        assert [c.choices for c in client.chat.completions.create(**CHAT, stream=True)] == plain
        list(client.responses.create(model="gpt-6-luna", input="hello", stream=True))
        client.embeddings.create(model="text-embedding-3-small", input="hello")
        claude.messages.create(model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50)
        with claude.messages.stream(
            model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50
        ) as stream:
            assert stream.get_final_message().usage.output_tokens == 40
        assert client.models.list().data  # Free, with the real key.
    billed = sum(call.nano for call in site.stub.bill.calls) - site.stub.bill.calls[1].nano
    assert site.home.states() == ["settled"] * 6
    assert site.home.cost_nano() == billed > 0
    assert {run for (run,) in site.home.calls("run")} == {"r1"}


def test_paths_are_taken_as_sdks_append_them(site: Site) -> None:
    claude = {"model": "claude-haiku-5-5", "messages": MESSAGES, "max_tokens": 20}
    response = {"model": "gpt-6-luna", "input": "hello"}
    for path, body in [
        ("/v1/chat/completions", CHAT), ("/chat/completions", CHAT),
        ("/openai/chat/completions", CHAT), ("/openai/v1/responses", response),
        ("/v1/messages", claude), ("/messages", claude), ("/anthropic/messages", claude),
    ]:  # fmt: skip
        status, answer = site.post(path, body)
        assert status == 200, (path, answer)
    status, answer = site.post("/no/such/path")
    assert (status, "does not know the path" in answer["error"]["message"]) == (404, True)
    upstream = {"x_noburn_upstream": site.stub.url}
    assert site.post("/v1/chat/completions", **upstream)[0] == 200


def test_who_asks_and_for_whom(site: Site) -> None:
    path = "/openai/v1/chat/completions"
    said = {"x_noburn_customer": "acme", "x_noburn_tag_team": "search"}
    said["x_noburn_attributes"] = json.dumps({"feature": "chat", "run": "r1/r2"})
    assert site.post(path, **said)[0] == 200
    assert site.home.calls("customer, feature, run, tags") == [
        ("acme", "chat", "r1/r2", '{"team":"search"}')
    ]
    # The same connection, and nothing of it is left.
    assert site.post(path, x_noburn_attributes='{"run":"other"}')[0] == 200
    assert site.home.calls("customer, run")[1] == (None, "r1")
    for status, more in [
        (402, {"x_noburn_attributes": "{"}),
        (402, {"x_noburn_customer": "*"}),
        (403, {"host": "evil.example"}),
        (401, {"key": None}),
        (401, {"key": "sk-noburn-vk-0"}),
        (401, {"key": "sk-wrong"}),
    ]:
        assert site.post(path, **more)[0] == status, more
    # Whom nobody can read is recorded; a wrong real key costs nothing.
    assert site.when_ended(5) == ["settled", "settled", "refused", "refused", "voided"]
    sent = json.dumps(site.stub.requests)
    assert "noburn" not in sent


def test_it_is_no_open_proxy(site: Site) -> None:
    with BillingStub() as other:
        to_other = {"x_noburn_upstream": other.url}
        status, answer = site.post("/v1/chat/completions", **to_other)
        assert (status, "was not told about" in answer["error"]["message"]) == (402, True)
        status, answer = site.post("/v1/chat/completions", key=None, **to_other)
        assert (status, "[[endpoint]]" in answer["error"]["message"]) == (402, True), "key or not"
        assert site.post("/anything", **to_other)[0] == 403
        assert site.post("/v1/chat/completions", {"no": "call"}, **to_other)[0] == 403
        assert other.requests == []
    for named in ("http://api.openai.com", "ftp://api.openai.com", "api.openai.com", site.url):
        assert site.post("/v1/chat/completions", x_noburn_upstream=named)[0] == 400, named


def test_a_budget_ends_in_the_providers_own_words(site: Site) -> None:
    site.home.client.budget_set(
        scope="run=r1", per="total", limit={"unit": "requests", "amount": 1}
    )
    with site.openai() as client, site.claude() as claude:
        client.chat.completions.create(**CHAT)
        site.stub.requests.clear()
        with pytest.raises(openai.APIStatusError, match="noburn: Call blocked") as blocked:
            client.chat.completions.create(**CHAT)
        assert (blocked.value.status_code, blocked.value.code) == (402, "noburn_budget_exceeded")
        with pytest.raises(anthropic.APIStatusError, match="noburn: Call blocked"):
            claude.messages.create(model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50)
    assert site.stub.requests == []
    assert site.home.states() == ["settled", "blocked", "blocked"], "one each: not tried again"


def test_what_cannot_be_carried_is_refused_by_name(site: Site) -> None:
    with contextlib.closing(http.client.HTTPConnection(site.url.removeprefix("http://"))) as raw:
        raw.request(
            "GET", "/openai/v1/realtime",
            headers={"authorization": f"Bearer {VIRTUAL}", "connection": "Upgrade",
                     "upgrade": "websocket"},
        )  # fmt: skip
        answer = raw.getresponse()
        assert answer.status == 402
        assert "websocket" in answer.read().decode()
    status, answer = site.post(
        "/bedrock/model/m/converse", key=None, authorization="AWS4-HMAC-SHA256 Credential=x"
    )
    assert (status, "signed" in str(answer)) == (400, True) or "region" in str(answer)
    assert site.home.states()[0] == "refused"


def test_curl_with_a_large_body_and_expect(site: Site, tmp_path: Any) -> None:
    body = tmp_path / "body.json"
    large = [{"role": "user", "content": "a b c d " * 150_000}]
    body.write_text(json.dumps({**CHAT, "messages": large}))
    done = subprocess.run(
        ["curl", "-sS", "-i", "-H", "Expect: 100-continue",
         "-H", f"Authorization: Bearer {VIRTUAL}",
         "-H", "content-type: application/json", "--data-binary", f"@{body}", "-N",
         f"{site.url}/v1/chat/completions"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "HTTP/1.1 200 OK" in done.stdout
    assert '"usage"' in done.stdout
    assert site.home.cost_nano() == site.stub.bill_nano() > 0


def test_a_client_that_goes_away_leaves_its_hold(site: Site) -> None:
    site.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    with site.openai() as client:
        stream = client.chat.completions.create(**CHAT, stream=True)
        next(iter(stream))
        stream.close()
    assert site.when_ended(1) == ["uncertain"]
    site.stub.hurry.set()
    assert site.stub.wait_idle()
    assert site.home.cost_nano() >= site.stub.bill_nano() > 0


def test_a_client_that_goes_away_before_the_answer_may_be_drained(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.gateway.close()
    monkeypatch.setenv("NOBURN_POLICY", '{"on_abort":"drain"}')
    draining = HostedGateway()
    before = {**os.environ, "OPENAI_BASE_URL": site.stub.url + "/v1"}
    draining.start({**before, **pointed_to(draining.url, before)})
    site.gateway, site.url = draining, draining.url
    with site.openai() as client:
        client.models.list()  # It has started.
    asked = len(site.stub.requests)
    site.stub.defaults["x-stub-delay-ms"] = FOREVER_MS
    with contextlib.closing(http.client.HTTPConnection(site.url.removeprefix("http://"))) as raw:
        headers = {"authorization": f"Bearer {VIRTUAL}", "content-type": "application/json"}
        raw.request("POST", "/openai/v1/chat/completions", json.dumps(CHAT), headers)
        eventually(lambda: len(site.stub.requests) > asked, "the provider has the request")
    site.stub.defaults.pop("x-stub-delay-ms")
    site.stub.hurry.set()
    assert site.stub.wait_idle()
    site.stub.hurry.clear()
    site.stub.defaults["x-stub-chunk-delay-ms"] = "50"
    with site.openai() as client:
        stream = client.chat.completions.create(**CHAT, stream=True)
        next(iter(stream))
        stream.close()
    draining.close()
    draining.close = lambda: None  # type: ignore[method-assign]
    assert site.home.states() == ["settled"] * 2
    assert site.home.cost_nano() == site.stub.bill_nano() > 0


GEMINI = """
import sys
from google import genai
client = genai.Client(api_key=sys.argv[1], http_options={"base_url": sys.argv[2]})
ask = {"model": "gemini-3.8-flash", "contents": "hello", "config": {"max_output_tokens": 50}}
print(client.models.generate_content(**ask).usage_metadata.candidates_token_count)
print(len(list(client.models.generate_content_stream(**ask))) > 1)
"""


@pytest.mark.skipif(not CURRENT.exists(), reason="the guests are not installed")
def test_google_genai_without_a_hook(site: Site) -> None:
    done = subprocess.run(
        [str(CURRENT), "-c", GEMINI, VIRTUAL, f"{site.url}/gemini"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    tokens, streamed = done.stdout.split() or [done.stderr, ""]
    assert (int(tokens) > 0, streamed) == (True, "True")
    assert site.home.states() == ["settled"] * 2
    assert site.home.cost_nano() == site.stub.bill_nano() > 0


def test_upstream_failures(site: Site) -> None:
    with site.openai() as client:
        site.stub.defaults["x-stub-reset"] = "before"
        with pytest.raises(
            openai.InternalServerError, match="keeps its hold until its bill"
        ) as failed:
            client.with_options(max_retries=0).chat.completions.create(**CHAT)
        assert (failed.value.status_code, failed.value.type) == (502, "server_error")
        assert "noburn: The provider at 127.0.0.1 broke off before it answered." in str(
            failed.value
        )
        site.stub.defaults["x-stub-reset"] = "after"
        with pytest.raises(openai.APIConnectionError):
            client.with_options(max_retries=0).chat.completions.create(**CHAT)
        with pytest.raises(openai.APIConnectionError):
            list(client.chat.completions.create(**CHAT, stream=True))
        del site.stub.defaults["x-stub-reset"]
        site.stub.defaults["x-stub-status"] = "429"
        with pytest.raises(openai.RateLimitError):
            client.with_options(max_retries=1).chat.completions.create(**CHAT)
    assert site.home.states() == ["uncertain"] * 3 + ["voided"] * 2
    assert site.home.cost_nano() >= site.stub.bill_nano()


def test_a_killed_gateway_is_replaced_and_its_holds_are_charged(site: Site) -> None:
    site.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    with site.openai() as client:
        stream = client.chat.completions.create(**CHAT, stream=True)
        next(iter(stream))
        pid = site.gateway.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(openai.APIConnectionError):
            list(stream)
        site.stub.defaults.pop("x-stub-chunk-delay-ms")
        site.stub.hurry.set()
        client.chat.completions.create(**CHAT)
    assert site.gateway.pid != pid
    assert sorted(site.when_ended(2)) == ["orphaned", "settled"]
    assert site.stub.wait_idle()
    assert site.home.cost_nano() >= site.stub.bill_nano() > 0


def test_the_end_waits_for_outcomes_and_nothing_real_is_left_behind(site: Site) -> None:
    site.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    client = site.openai()
    stream = client.chat.completions.create(**CHAT, stream=True)
    next(iter(stream))
    site.gateway.close()
    site.gateway.close = lambda: None  # type: ignore[method-assign]
    assert site.home.states() == ["uncertain"]
    client.close()
    stored = b"".join(p.read_bytes() for p in site.home.folder.rglob("*") if p.is_file())
    assert stored
    assert REAL.encode() not in stored


def test_a_cheaper_model_is_put_into_body_and_url_with_the_real_key(site: Site) -> None:
    """Gemini's URL names the model, and here the key as well."""
    site.home.client.request(
        "budget.set", scope="run=r1", per="total", limit={"unit": "requests", "amount": 0},
        action="downgrade",
        downgrade={"gpt-6.1-sol": "gpt-6-luna", "gemini-4-argon": "gemini-3.5-flash-lite"},
    )  # fmt: skip
    said = {"contents": [{"parts": [{"text": "hello"}]}]}
    path = f"/gemini/v1beta/models/gemini-4-argon:generateContent?key={VIRTUAL}"
    assert site.post(path, said, key=None)[1]["modelVersion"] == "gemini-3.5-flash-lite"
    answer = site.post("/openai/v1/chat/completions", {**CHAT, "model": "gpt-6.1-sol"})[1]
    assert answer["model"] == "gpt-6-luna"
    assert [call.model for call in site.stub.bill.calls] == ["gemini-3.5-flash-lite", "gpt-6-luna"]
    assert site.when_ended(2) == ["settled"] * 2
