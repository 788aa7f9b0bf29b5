"""Whom a request is for: headers, the provider's own fields, and which of them wins."""

from __future__ import annotations

import json

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

import noburn_cli
from noburn_cli.core.budgets import check_attributes
from noburn_cli.enforce.attribution import from_fields, take
from noburn_cli.errors import UsageError

MESSAGES = [{"role": "user", "content": "hello"}]
FIELDS = {"user": "customer", "metadata.user_id": "user", "metadata.team": "tag.team"}


def test_headers_name_attributes_and_are_to_be_taken_away():
    headers = {
        "Authorization": "Bearer k", "X-Noburn-Customer": "acme", "x-noburn-step": "a/b",
        "x-noburn-tag-Team": "search", "x-noburn-job": "", "x-noburn-upstream": "https://x",
    }  # fmt: skip
    found, names = take(headers)
    assert found == {"customer": "acme", "step": "a/b", "tag.team": "search"}
    assert set(names) == set(headers) - {"Authorization"}
    assert take({"authorization": "x"}) == ({}, ())


def test_all_of_them_as_json_and_single_ones_above():
    everything = json.dumps({"customer": "a", "feature": "f", "tag.x": "1", "run": "r9", "job": ""})
    found, _ = take({"x-noburn-attributes": everything, "x-noburn-customer": "b"})
    assert found == {"customer": "b", "feature": "f", "tag.x": "1"}


def test_a_name_beyond_ascii_arrives_whole():
    as_a_stack_reads_it = "Müller 東京".encode().decode("latin-1")
    assert take({"x-noburn-customer": as_a_stack_reads_it})[0] == {"customer": "Müller 東京"}
    assert take({"x-noburn-customer": "M\xfcller"})[0] == {"customer": "Müller"}


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("x-noburn-custmer", "acme", "write x-noburn-customer"),
        ("x-noburn-run", "r1", "x-noburn-run"),
        ("x-noburn-tag-", "x", "a tag is"),
        ("x-noburn-customer", "*", "customer"),
        ("x-noburn-customer", "x" * 300, "longer"),
        ("x-noburn-step", "a//b", "path of steps"),
        ("x-noburn-attributes", "{", "JSON object"),
        ("x-noburn-attributes", '["a"]', "JSON object"),
        ("x-noburn-attributes", '{"customer": 1}', "JSON object"),
    ],
)
def test_a_header_that_cannot_be_used_says_why(name, value, says):
    with pytest.raises(UsageError) as caught:
        take({name: value})
    assert says in " ".join(caught.value.lines())


@given(st.dictionaries(st.text(max_size=8).map("x-noburn-{}".format), st.text(max_size=8)))
def test_any_header_is_an_attribute_or_a_refusal(headers):
    try:
        found, _ = take(headers)
    except UsageError:
        return
    assert check_attributes(found) == found


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"user": "acme", "metadata": {"user_id": "u1", "team": "x"}},
         {"customer": "acme", "user": "u1", "tag.team": "x"}),
        ({"user": None, "metadata": None}, {}),
        ({"user": "", "metadata": {"user_id": 7}}, {"user": "7"}),
        ({"metadata": "text"}, {}),
        (["a list"], {}),
    ],
)  # fmt: skip
def test_fields_fill_the_attributes_that_a_policy_maps(body, found):
    assert from_fields(json.dumps(body).encode(), FIELDS) == found
    assert from_fields(json.dumps(body).encode(), {}) == {}


def test_a_key_of_metadata_may_have_dots():
    body = json.dumps({"metadata": {"a.b": "x"}}).encode()
    assert from_fields(body, {"metadata.a.b": "customer"}) == {"customer": "x"}


@pytest.mark.parametrize("value", [True, {"a": 1}, ["x"], 1.5, "*", "a\nb", "x" * 300])
def test_a_field_that_cannot_be_used_says_why(value):
    with pytest.raises(UsageError):
        from_fields(json.dumps({"user": value}).encode(), FIELDS)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 5000, b"null"])
def test_a_body_that_is_no_json_has_no_fields(body):
    assert from_fields(body, FIELDS) == {}


def chat(client, **more):
    return client.chat.completions.create(
        model="gpt-6-luna", messages=MESSAGES, max_completion_tokens=20, **more
    )


class Below(httpx2.HTTPTransport):
    """Keeps the headers of what leaves, below the guard."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def handle_request(self, request):
        self.sent.append(dict(request.headers))
        return super().handle_request(request)


@pytest.fixture
def below():
    return Below()


@pytest.fixture
def client(desk, below):
    made = openai.OpenAI(
        api_key="any", base_url=desk.stub.url + "/v1", max_retries=0, timeout=30,
        default_headers={"x-noburn-feature": "by-client"},
        http_client=openai.DefaultHttpxClient(transport=below),
    )  # fmt: skip
    with made:
        yield noburn_cli.wrap(made)


def test_code_wins_over_header_over_field_over_environment(desk, client, monkeypatch):
    """One call each, without the layers above it."""
    monkeypatch.setenv("NOBURN_FEATURE", "by-environment")
    monkeypatch.setenv("NOBURN_JOB", "by-environment")
    monkeypatch.setenv("NOBURN_USER", "by-environment")
    monkeypatch.setenv("NOBURN_PROJECT", "by-environment")
    fields = {"user": "user", "metadata.job": "job", "metadata.feature": "feature"}
    monkeypatch.setenv("NOBURN_POLICY", json.dumps({"fields": fields}))
    with noburn_cli.attribute(feature="by-code"):
        chat(
            client, user="by-field", metadata={"job": "by-field", "feature": "by-field"},
            extra_headers={"x-noburn-job": "by-header", "x-noburn-feature": "by-header"},
        )  # fmt: skip
    found = desk.calls("feature, job, user, project, customer")
    assert found == [("by-code", "by-header", "by-field", "by-environment", desk.customer)]


def test_the_headers_go_no_further(desk, client, below):
    chat(client, extra_headers={"x-noburn-tag-team": "x"})
    client.models.list()  # Free, and so not guarded.
    assert desk.calls("feature, tags") == [("by-client", '{"team":"x"}')]
    assert len(below.sent) == 2
    assert not [name for sent in below.sent for name in sent if name.startswith("x-noburn")]
    assert {sent["authorization"] for sent in below.sent} == {"Bearer any"}


def test_a_wrong_header_is_one_refusal_with_a_reason(desk, client):
    with pytest.raises(openai.APIStatusError) as caught:
        chat(client, extra_headers={"x-noburn-custmer": "acme"})
    assert caught.value.status_code == 402
    assert "Write x-noburn-customer" in caught.value.message
    assert desk.states() == ["refused"]
    assert desk.stub.requests == []


def test_anthropic_and_its_own_field(desk, monkeypatch):
    monkeypatch.setenv("NOBURN_POLICY", json.dumps({"fields": {"metadata.user_id": "user"}}))
    made = anthropic.Anthropic(api_key="any", base_url=desk.stub.url, max_retries=0, timeout=30)
    with made:
        noburn_cli.wrap(made).messages.create(
            model="claude-haiku-5-5", max_tokens=20, messages=MESSAGES, metadata={"user_id": "u-7"}
        )
    assert desk.calls("user") == [("u-7",)]


def test_a_request_that_is_not_ours_keeps_its_headers(desk, below):
    with httpx2.Client(transport=below) as plain:
        noburn_cli.wrap(plain)
        plain.get(desk.stub.url + "/stub/bill", headers={"x-noburn-customer": "a"})
    assert below.sent[0]["x-noburn-customer"] == "a"
