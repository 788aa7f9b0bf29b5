"""Calls that bill more than text, from the SDK through the guard and the daemon to the bill."""

from __future__ import annotations

import json

import anthropic
import openai
import pytest

import noburn_cli
from noburn_cli.reports.calls import read_call
from noburn_cli.reports.receipt import bill_of, hold_of

SEARCH = [{"type": "web_search"}]
ASKED = {"model": "gpt-6-luna", "input": "look it up", "max_output_tokens": 50}
SEARCHED = {"x-stub-tool-rounds": "2", "x-stub-web-searches": "2"}


@pytest.fixture
def openai_client(desk):
    client = openai.OpenAI(api_key="sk-x", base_url=desk.stub.url + "/v1", max_retries=2)
    with noburn_cli.wrap(client) as wrapped:
        yield wrapped


@pytest.fixture
def claude(desk):
    client = anthropic.Anthropic(api_key="sk-x", base_url=desk.stub.url, max_retries=2)
    with noburn_cli.wrap(client) as wrapped:
        yield wrapped


def with_ceilings(monkeypatch, **nano):
    monkeypatch.setenv("NOBURN_POLICY", json.dumps({"ceilings": nano}))


def facts_of(desk):
    ((call,),) = desk.calls("call")
    return read_call(desk.home.folder / "ledger.sqlite3", call)


@pytest.mark.parametrize("stream", [False, True])
def test_searches_are_held_for_and_billed(desk, openai_client, stream):
    answer = openai_client.responses.create(
        **ASKED, tools=SEARCH, max_tool_calls=3, stream=stream, extra_headers=SEARCHED
    )
    if stream:
        assert [event.type for event in answer][-1] == "response.completed"
    assert desk.states_when_ended() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano() > 20_000_000
    facts = facts_of(desk)
    assert (facts.bound, facts.usage["web_search"], dict(facts.extra_max)) == (
        "window", 2, {"web_search": 3},
    )  # fmt: skip
    bill, hold = bill_of(facts), hold_of(facts)
    assert bill is not None
    assert hold is not None
    assert bill.agrees
    assert {part.kind: part.tokens for part in hold.parts}["web_search"] == 3


def test_claudes_searches_are_billed_by_use(desk, claude):
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    said = [{"role": "user", "content": "look it up"}]
    claude.messages.create(
        model="claude-haiku-5-5", max_tokens=60, messages=said, tools=[tool], extra_headers=SEARCHED
    )
    assert desk.states() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano() > 20_000_000
    ((granted, hold),) = desk.calls("granted, hold_nano")
    assert granted == 60
    assert hold >= desk.cost_nano()


def test_what_nothing_bounds_is_refused_with_the_line_that_bounds_it(desk, openai_client):
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client.responses.create(**ASKED, tools=SEARCH)
    assert caught.value.status_code == 402
    message = str(caught.value)
    assert "web_search without `max_tool_calls`" in message
    assert (
        '[ceilings] web_search = \\"$2\\"' in message or '[ceilings] web_search = "$2"' in message
    )
    assert desk.states() == ["refused"]
    assert desk.stub.requests == []


def test_a_ceiling_lets_it_go_and_the_usage_settles_it(desk, openai_client, monkeypatch):
    with_ceilings(monkeypatch, web_search=500_000_000, mcp=10)
    openai_client.responses.create(**ASKED, tools=SEARCH, extra_headers=SEARCHED)
    assert desk.states() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano()
    facts = facts_of(desk)
    assert (facts.bound, facts.ceiling_nano) == ("assumed", 500_000_000)
    assert facts.hold_nano > 500_000_000
    both = [*SEARCH, {"type": "code_interpreter", "container": {"type": "auto"}}]
    with pytest.raises(openai.APIStatusError, match="code_execution"):
        openai_client.responses.create(**ASKED, tools=both)  # each part needs a ceiling


def test_what_no_answer_tells_stays_at_its_hold(desk, openai_client, monkeypatch):
    with_ceilings(monkeypatch, code_execution=300_000_000)
    tools = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    openai_client.responses.create(**ASKED, tools=tools)
    assert desk.states() == ["uncertain"]
    ((hold, cost, failure),) = desk.calls("hold_nano, cost_nano, failure")
    assert hold == cost > 300_000_000
    assert "does not tell all" in failure
    assert desk.bill_nano() < cost


def test_a_budget_that_does_not_afford_the_ceiling_blocks(desk, openai_client, monkeypatch):
    with_ceilings(monkeypatch, code_execution=300_000_000)
    desk.limit(200_000_000)
    tools = [{"type": "code_interpreter", "container": {"type": "auto"}}]
    with pytest.raises(openai.APIStatusError, match=r"0\.2"):
        openai_client.responses.create(**ASKED, tools=tools)
    assert desk.states() == ["blocked"]
