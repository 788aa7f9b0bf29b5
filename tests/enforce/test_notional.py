"""A subscription's login: recorded at list price, charged to no budget of dollars."""

from __future__ import annotations

import anthropic
import openai
import pytest

import noburn_cli
from noburn_cli import paths, protocol
from noburn_cli.client import Client
from noburn_cli.enforce.policy import VARIABLE
from noburn_cli.providers.credentials import is_subscription
from noburn_cli.render.report import render_report, report_data
from noburn_cli.reports.calls import read_call
from noburn_cli.reports.query import Question, read_report
from noburn_cli.run_summary import read_run_summary, summary_lines

MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
LOGIN = "sk-ant-oat01-a-login-of-claude-max"


def ask(client):
    return client.messages.create(model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50)


def test_a_claude_login_costs_no_dollars_and_weighs_on_requests(desk, monkeypatch):
    """Goal: no dollar budget is in its way, a request budget is; reports show it apart."""
    run = f"n{desk.customer}"
    monkeypatch.setenv("NOBURN_RUN", run)
    desk.home.client.run_start(run=run, attrs={}, command=["claude"], limit=None)
    desk.limit(1)
    desk.home.client.budget_set(
        scope=f"customer={desk.customer}", per="total", limit={"unit": "requests", "amount": 2}
    )
    made = anthropic.Anthropic(auth_token=LOGIN, base_url=desk.stub.url, max_retries=0)
    with noburn_cli.wrap(made) as client:
        answers = [ask(client) for _ in range(2)]
        assert all(answer.usage.output_tokens for answer in answers)
        with pytest.raises(anthropic.APIStatusError, match="requests"):
            ask(client)
    keyed = anthropic.Anthropic(api_key="sk-ant-api03", base_url=desk.stub.url, max_retries=0)
    with noburn_cli.wrap(keyed) as client, pytest.raises(anthropic.APIStatusError, match="left"):
        ask(client)
    assert desk.cost_nano() == desk.bill_nano() > 0
    ledger = paths.ledger_path(desk.home.folder)
    report = read_report(ledger, Question(by=("customer",), where={"customer": desk.customer}))
    assert (report.total.cost_nano, report.total.notional_nano) == (0, desk.bill_nano())
    assert report_data(report)["total"]["cost_usd"] == "0"
    assert any("at list price is notional" in line for line in render_report(report))
    summary = read_run_summary(ledger, run)
    assert (summary.cost_nano, summary.notional, summary.unlimited) == (0, 2, 0)
    lines = summary_lines(summary, killed_by=None, limited=True)
    assert any(line.strip().startswith("2 calls paid by a subscription") for line in lines)
    call = desk.calls("call")[0][0]
    assert read_call(ledger, call).detail["notional"] is True


def test_a_login_behind_a_virtual_key_is_known_by_the_daemon(desk):
    """Goal: the guard sees a virtual key; whoever lends the real one knows what it is."""
    desk.limit(1)
    virtual = f"sk-ant-noburn-vk-{desk.customer}"
    with Client(desk.home.folder) as lender:
        lender.request(protocol.KEYS_LEND, run="r1", keys={virtual: LOGIN})
        made = anthropic.Anthropic(auth_token=virtual, base_url=desk.stub.url, max_retries=0)
        with noburn_cli.wrap(made) as client:
            assert ask(client).usage.output_tokens
    assert read_call(paths.ledger_path(desk.home.folder), desk.calls("call")[0][0]).detail[
        "notional"
    ]


def test_logins_that_do_not_tell_are_named_by_the_policy(desk, monkeypatch):
    """Goal: a token that could be anything is paid for, until the configuration says otherwise."""
    desk.limit(1)
    made = openai.OpenAI(api_key="eyJhbGciOi.eyJhdWQ.c2ln", base_url=desk.stub.url + "/v1")
    with noburn_cli.wrap(made.with_options(max_retries=0)) as client:

        def chat():
            return client.chat.completions.create(
                model="gpt-6-luna", messages=MESSAGES, max_completion_tokens=20
            )

        with pytest.raises(openai.APIStatusError, match="left"):
            chat()
        monkeypatch.setenv(VARIABLE, '{"notional": ["openai"]}')
        assert chat().usage.completion_tokens
    assert desk.states() == ["blocked", "settled"]


@pytest.mark.parametrize(
    ("headers", "sold", "paid"),
    [
        ({"authorization": f"Bearer {LOGIN}"}, False, True),
        ({"authorization": f"Bearer {LOGIN}", "x-api-key": "k"}, True, False),
        ({"authorization": "Bearer sk-proj-1"}, True, False),
        ({"authorization": "Bearer sk-ant-api03-1"}, True, False),
        ({"authorization": "Bearer sk-noburn-vk-1"}, True, False),
        ({"authorization": "Bearer ya29.a0"}, True, True),
        ({"authorization": "Bearer ya29.a0"}, False, False),
        ({"authorization": "Basic c2st"}, True, False),
        ({"x-api-key": LOGIN}, True, False),
        ({}, True, False),
    ],
)
def test_what_counts_as_a_subscription(headers, sold, paid):
    assert is_subscription(headers, sold=sold) is paid
