"""NOBURN_POLICY: what it says is what holds, and one that cannot be read lets nothing out."""

from __future__ import annotations

import json

import pytest

from noburn_cli import protocol
from noburn_cli.enforce import context
from noburn_cli.enforce.decisions import AskDaemon, Refuse, Request
from noburn_cli.enforce.guard import admit, route_of
from noburn_cli.enforce.policy import NO_POLICY, VARIABLE, policy, read_policy
from noburn_cli.providers.registry import GUARD, Upstream, recognise

WRITTEN = {
    "endpoints": [
        {
            "name": "fast",
            "base_url": "https://llm.example/openai/v1",
            "api": "openai",
            "provider": "groq",
            "models": {"chat": "llama-3.3-70b-versatile"},
        }
    ],
    "ceilings": {"web_search": 2_000_000_000},
    "on_abort": "drain",
    "fields": {"metadata.user_id": "user"},
    "notional": ["anthropic"],
}
URL = "https://api.openai.com/v1/chat/completions"


def test_what_is_written_is_what_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps(WRITTEN))
    found = policy()
    assert found.failure is None
    assert found.endpoints == (
        Upstream(
            "openai",
            "https://llm.example/openai/v1",
            provider="groq",
            models=(("chat", "llama-3.3-70b-versatile"),),
        ),
    )
    assert found.names == ("fast",)
    assert (found.ceilings, found.on_abort) == ({"web_search": 2_000_000_000}, "drain")
    assert (found.fields, found.notional) == ({"metadata.user_id": "user"}, ("anthropic",))
    assert policy() is found  # read once
    url = "https://llm.example/openai/v1/chat/completions"
    assert recognise("POST", url, context.upstreams()).kind == GUARD
    monkeypatch.setenv(VARIABLE, "{}")
    assert policy() == NO_POLICY
    assert context.upstreams() == ()


def test_without_the_variable_nothing_is_added() -> None:
    assert read_policy("") == NO_POLICY


@pytest.mark.parametrize(
    "raw",
    [
        "{",
        "[]",
        "7",
        "[" * 100_000,
        '{"on_abort": "forget"}',
        '{"on_abort": ["hold"]}',
        '{"ceilings": {"web_search": 1.5}}',
        '{"ceilings": {"web_search": true}}',
        '{"ceilings": {"web_search": -1}}',
        '{"ceilings": []}',
        '{"endpoints": {}, "fields": {"user": 1}}',
        '{"endpoints": [{"name": "x"}]}',
        '{"endpoints": [{"name": "x", "api": "openai", "base_url": "nowhere", "provider": ""}]}',
        '{"endpoints": [{"name": "x", "api": "openai", "base_url": "http://[", "provider": ""}]}',
        '{"notional": 5}',
    ],
)
def test_a_policy_that_cannot_be_read_fails_closed(
    raw: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, raw)
    assert policy().failure is not None
    assert context.upstreams() == ()
    route = route_of("POST", URL, ())
    assert route is not None
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "a"}]}
    steps = admit(route, Request("POST", URL, {}, json.dumps(body).encode()), ())
    asked = next(steps)
    assert isinstance(asked, AskDaemon)
    assert asked.op == protocol.REFUSED  # recorded, never reserved
    with pytest.raises(StopIteration) as ended:
        steps.send({"ok": True})
    decision = ended.value.value
    assert isinstance(decision, Refuse)
    assert b"NOBURN_POLICY cannot be read" in decision.block.body
