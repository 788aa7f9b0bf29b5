"""requests, urllib3 and urllib.request behind the guard: one hook, below all of them."""

from __future__ import annotations

import gc
import http.client
import io
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from functools import partial

import pytest
import requests
import urllib3
from urllib3.util.retry import Retry

from noburn_cli.enforce import layers
from noburn_cli.enforce.http_client_hook import hook_http_client
from noburn_cli.providers.registry import ANTHROPIC, OPENAI, Upstream
from tests.enforce.conftest import FOREVER_MS
from tests.enforce.scripted import (
    CHAT_EVENTS,
    CHAT_NANO,
    EVENT_STREAM,
    Answer,
    Scripted,
    chat_answer,
)

BODY = {
    "model": "gpt-6-luna",
    "messages": [{"role": "user", "content": "Which ships lay in the harbour?"}],
    "max_completion_tokens": 100,
}


@pytest.fixture(autouse=True)
def marked(desk):
    """The hook is in place, and this test's provider may be called."""
    hook_http_client(http.client, every_client=False)
    with layers.marking((Upstream(OPENAI, desk.stub.url + "/v1"),)):
        yield


@pytest.fixture
def url(desk):
    return desk.stub.url + "/v1/chat/completions"


@pytest.fixture
def provider():
    """Serves what a test says, and is known as OpenAI."""
    with Scripted(chat_answer) as running, layers.marking((Upstream(OPENAI, running.url),)):
        yield running


def by_requests(url, body):
    answer = requests.post(url, json=body, timeout=30)
    return answer.status_code, answer.json()


def by_urllib3(url, body):
    answer = urllib3.PoolManager().request("POST", url, json=body)
    return answer.status, answer.json()


def by_urllib(url, body):
    request = urllib.request.Request(url, data=json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def by_http_client(url, body):
    parts = urllib3.util.parse_url(url)
    connection = http.client.HTTPConnection(parts.host, parts.port, timeout=30)
    pieces = io.BytesIO(json.dumps(body).encode())
    connection.request("POST", parts.request_uri, body=pieces, encode_chunked=True,
                       headers={"transfer-encoding": "chunked"})  # fmt: skip
    answer = connection.getresponse()
    try:
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@pytest.mark.parametrize("ask", [by_requests, by_urllib3, by_urllib, by_http_client])
def test_each_library_is_counted_once_and_blocked_once(desk, url, ask):
    status, answer = ask(url, BODY)
    assert (status, answer["usage"]["completion_tokens"]) == (200, 40)
    assert desk.calls("state, status") == [("settled", 200)]
    assert desk.cost_nano() == desk.bill_nano() > 0
    desk.limit(1)
    status, answer = ask(url, BODY)
    assert (status, answer["error"]["code"]) == (402, "noburn_budget_exceeded")
    assert desk.states() == ["settled", "blocked"]
    assert len(desk.stub.requests) == 1


def test_an_uncapped_output_is_clamped_on_the_wire_alone(desk, url):
    desk.stub.defaults["x-stub-output-tokens"] = "100000"
    desk.limit(500_000)
    body = {key: value for key, value in BODY.items() if not key.startswith("max")}
    answer = requests.post(url, json=body, timeout=30)
    assert answer.json()["choices"][0]["finish_reason"] == "length"
    assert json.loads(answer.request.body) == body
    assert desk.cost_nano() == desk.bill_nano() <= 500_000


@pytest.mark.parametrize("read", ["lines", "whole", "bytes"])
def test_a_stream_is_read_along_and_arrives_as_it_is(desk, url, read):
    """Without the usage that only the guard asked for; the connection serves the next call."""
    with requests.Session() as session:
        for _ in range(2):
            answer = session.post(url, json={**BODY, "stream": True}, stream=True, timeout=30)
            if read == "lines":
                seen = b"\n".join(answer.iter_lines())
            elif read == "whole":
                seen = answer.content
            else:
                seen = b"".join(iter(partial(answer.raw.read, 7), b""))
            assert seen.rstrip().endswith(b"data: [DONE]")
            assert b"completion_tokens" not in seen
        (pool,) = session.get_adapter(url).poolmanager.pools._container.values()
        assert pool.num_connections == 1
    assert desk.states() == ["settled"] * 2
    assert desk.cost_nano() == desk.bill_nano()


def test_a_stream_arrives_piece_by_piece(desk, provider):
    """Each piece is handed on before the next one is there."""
    pieces = CHAT_EVENTS.split(b"\n\n")
    released = []

    def slowly():
        for piece in pieces[:-1]:
            released.append(piece)
            yield piece + b"\n\n"

    provider.answer = lambda _: Answer(headers=EVENT_STREAM, body=slowly())
    answer = requests.post(
        provider.url + "/chat/completions", json={**BODY, "stream": True}, stream=True, timeout=30
    )
    first = next(answer.iter_content(chunk_size=None))
    assert first.startswith(b"data:")
    answer.close()
    assert desk.states_when_ended() in (["settled"], ["uncertain"])


@pytest.mark.parametrize("how", ["closed", "forgotten", "connection"])
def test_an_answer_that_is_let_go_is_charged_in_full(desk, url, how):
    desk.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    session = requests.Session()
    answer = session.post(url, json={**BODY, "stream": True}, stream=True, timeout=30)
    pieces = answer.iter_content(chunk_size=16)
    assert next(pieces)
    if how == "connection":
        answer.raw._connection.close()
    elif how == "closed":
        answer.close()
    else:
        del answer, pieces
        gc.collect()
    session.close()
    assert desk.states_when_ended() == ["uncertain"]
    assert desk.calls("cost_nano = hold_nano") == [(1,)]


def test_each_attempt_of_urllib3s_retry_is_a_call_of_its_own(desk, url):
    desk.stub.defaults["x-stub-status"] = "500"
    retry = Retry(total=2, status_forcelist=[500], allowed_methods=None, backoff_factor=0)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        with pytest.raises(requests.exceptions.RetryError):
            session.post(url, json=BODY, timeout=30)
    assert len(desk.stub.requests) == 3
    assert desk.calls("state, status") == [("uncertain", 500)] * 3
    desk.limit(1)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
        assert session.post(url, json=BODY, timeout=30).status_code == 402
    assert desk.states()[3:] == ["blocked"]


def test_a_redirected_call_is_held_again(desk, provider, url):
    provider.answer = lambda _: Answer(status=307, headers=(("location", url),))
    with layers.marking((Upstream(OPENAI, provider.url), Upstream(OPENAI, desk.stub.url))):
        answer = requests.post(provider.url + "/chat/completions", json=BODY, timeout=30)
    assert answer.status_code == 200
    assert desk.calls("state, status") == [("voided", 307), ("settled", 200)]


def test_what_was_not_sent_is_void_and_what_may_have_been_is_not(desk, url):
    with pytest.raises(requests.ConnectionError):
        requests.post(url, json=BODY, headers={"x-stub-reset": "before"}, timeout=30)
    with (
        layers.marking((Upstream(OPENAI, "http://127.0.0.1:9"),)),
        pytest.raises(requests.ConnectionError),
    ):
        requests.post("http://127.0.0.1:9/chat/completions", json=BODY, timeout=30)
    with pytest.raises(requests.Timeout):
        requests.post(url, json=BODY, headers={"x-stub-delay-ms": FOREVER_MS}, timeout=0.3)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.post(url, json=BODY, headers={"x-stub-reset": "after"}, timeout=30)
    assert desk.states() == ["uncertain", "voided", "uncertain", "uncertain"]
    assert desk.cost_nano() >= desk.bill_nano()


def test_a_daemon_counts_before_it_blocks(desk, provider):
    """The provider's free count is asked on the same connection, when the bound does not fit."""

    def answer(seen):
        if "/count_tokens" in seen.path:
            return Answer(body=b'{"input_tokens": 4}')
        usage = {"input_tokens": 4, "output_tokens": 2}
        return Answer(body=json.dumps({"type": "message", "usage": usage}).encode())

    provider.answer = answer
    desk.limit(120_000)
    body = {"model": "claude-haiku-5-5", "max_tokens": 16,
            "messages": [{"role": "user", "content": "harbour " * 200}]}  # fmt: skip
    with layers.marking((Upstream(ANTHROPIC, provider.url),)):
        answered = requests.post(provider.url + "/v1/messages?beta=true", json=body, timeout=30)
    assert answered.status_code == 200, answered.text
    paths = [seen.path for seen in provider.seen]
    assert paths == ["/v1/messages/count_tokens?beta=true", "/v1/messages?beta=true"]
    assert desk.states() == ["settled"]


def test_what_is_no_call_costs_nothing(desk, provider):
    """Other requests pass as they are, and load nothing."""
    code = (
        "import urllib.request, sys\n"
        "from noburn_cli.enforce.http_client_hook import hook_http_client\n"
        "import http.client\nhook_http_client(http.client, every_client=True)\n"
        f"print(urllib.request.urlopen({provider.url + '/models'!r}).status,"
        " 'noburn_cli.enforce.guard' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True,
                         env=os.environ)  # fmt: skip
    assert ran.stdout == "200 False\n"
    assert provider.seen[0].headers["accept-encoding"] == "identity"
    requests.post(provider.url + "/moderations", json={"input": "x"}, timeout=30)
    assert desk.calls() == []


def test_a_scripted_answer_is_booked_to_the_nano(desk, provider):
    answered = requests.post(provider.url + "/chat/completions", json=BODY, timeout=30)
    assert answered.json()["id"] == "chat-1"
    assert desk.cost_nano() == CHAT_NANO
    assert provider.seen[0].headers["accept-encoding"] == "identity"


def test_headers_that_say_whom_it_is_for_end_at_the_guard(desk, provider):
    asked = {"x-noburn-feature": "by-header", "X-Noburn-Tag-Team": "x", "other": "kept"}
    url = provider.url + "/v1/chat/completions"
    assert requests.post(url, json=BODY, headers=asked, timeout=30).status_code == 200
    assert requests.get(provider.url + "/v1/models", headers=asked, timeout=30).status_code == 200
    assert desk.calls("feature, tags") == [("by-header", '{"team":"x"}')]
    for seen in provider.seen:
        assert seen.headers["other"] == "kept"
        assert not [name for name in seen.headers if name.startswith("x-noburn")]
