"""Budgets that downgrade, through the real SDKs: each call goes out for the cheaper model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import openai
import pytest

import noburn_cli
from noburn_cli.demo.stub import BillingStub
from noburn_cli.enforce.launch import LaunchSettings, child_environment
from noburn_cli.render.why import render_why, sentence
from noburn_cli.render.why_data import why_data
from noburn_cli.reports.calls import read_call
from noburn_cli.reports.receipt import bill_of, hold_of

GUESTS = Path(__file__).parents[1] / "providers" / "guests"
PYTHON = Path(sys.prefix) / "guests" / "current" / "bin" / "python"
RULES = {
    "gpt-6.1-sol": "gpt-6.1-terra",
    "gpt-6.1-terra": "gpt-6-luna",
    "azure/eu/gpt-5.5": "azure/eu/gpt-5-nano-2025-08-07",
    "claude-opus-5-5": "claude-haiku-5-5",
    "gemini-4-argon": "gemini-3.5-flash-lite",
    "bedrock/amazon.nova-pro-v1:0": "bedrock/amazon.nova-micro-v1:0",
    "mistral-large-4": "ministral-3b-2512",
    "command-r-plus-08-2024": "command-r7b-12-2024",
}


def downgrade(home: Any, rules: dict[str, str], *, scope: str = "global") -> None:
    """A budget of no requests: every call goes beyond it."""
    home.client.request(
        "budget.set", scope=scope, per="total", limit={"unit": "requests", "amount": 0},
        action="downgrade", downgrade=rules,
    )  # fmt: skip


def test_every_sdk_gets_its_answer_from_the_cheaper_model(home: Any) -> None:
    downgrade(home, RULES)
    with BillingStub(defaults={"x-stub-output-tokens": "30"}) as stub:
        environment = child_environment(
            {
                **os.environ,
                "OPENAI_BASE_URL": f"{stub.url}/v1",
                "AZURE_OPENAI_ENDPOINT": stub.url,
                "ANTHROPIC_BASE_URL": stub.url,
                "GOOGLE_GEMINI_BASE_URL": f"{stub.url}/gemini",
                "MISTRAL_API_BASE": f"{stub.url}/mistral",
                "CO_API_URL": stub.url,
                "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": stub.url,
            },
            LaunchSettings(),
            run="r1",
            home=home.folder,
            daemon_command=[sys.executable, "-m", "noburn_daemon"],
        )
        ran = subprocess.run(
            [str(PYTHON), "-W", "ignore", str(GUESTS / "cheaper.py"), stub.url],
            env=environment, capture_output=True, text=True, timeout=240, check=False, cwd="/",
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert stub.wait_idle()
        billed = [call.model for call in stub.bill.calls]
        cost = stub.bill_nano()
    cheapest = {RULES[model] for model in RULES.values() if model in RULES}
    cheapest |= {model for model in RULES.values() if model not in RULES}
    named = {model.removeprefix("mistral/") for model in json.loads(ran.stdout).values()}
    assert named < cheapest
    assert {model.removeprefix("mistral/").removeprefix("cohere/") for model in billed} == cheapest
    assert home.states() == ["settled"] * len(billed)
    assert home.cost_nano() == cost > 0
    for (detail,) in home.calls("detail"):
        note = json.loads(detail)
        assert [step["budget"] for step in note["downgraded"]] == (
            ["global per total in requests"] * len(note["downgraded"])
        )
    (steps,) = {
        tuple(step["model"] for step in json.loads(detail)["downgraded"])
        for detail, model in home.calls("detail, model")
        if model == "gpt-6-luna"
    }
    assert steps == ("gpt-6.1-sol", "gpt-6.1-terra")


def test_a_request_that_cannot_change_its_model_is_blocked_and_says_why(
    home: Any, stub: Any
) -> None:
    downgrade(home, {"gpt-6.1-sol": "claude-haiku-5-5"})
    with noburn_cli.wrap(
        openai.OpenAI(api_key="any", base_url=f"{stub.url}/v1", max_retries=2)
    ) as client:
        with pytest.raises(openai.APIStatusError) as blocked:
            client.chat.completions.create(
                model="gpt-6.1-sol", messages=[{"role": "user", "content": "hi"}]
            )
        assert blocked.value.status_code == 402
        assert "asks for claude-haiku-5-5 instead of gpt-6.1-sol" in blocked.value.message
        assert "sold by anthropic" in blocked.value.message
    assert (home.states(), stub.bill.calls) == (["blocked"], [])
    facts = read_call(home.folder / "ledger.sqlite3", None)
    assert "asks for claude-haiku-5-5 instead of gpt-6.1-sol" in sentence(facts)
    lines = render_why(facts, bill=bill_of(facts), hold=hold_of(facts))
    assert "downgrade rules" in " ".join(lines)
    assert why_data(facts, bill=None, hold=None)["blocked_by"]["why_blocked"] == "downgrade"


def test_without_a_run_the_log_hears_each_sentence_once(
    home: Any, stub: Any, caplog: pytest.LogCaptureFixture
) -> None:
    home.client.request(
        "budget.set", scope="global", per="total", action="warn",
        limit={"unit": "requests", "amount": 1},
    )  # fmt: skip
    downgrade(home, {"gpt-6.1-sol": "gpt-6-luna"}, scope="feature=chat")
    with noburn_cli.wrap(openai.OpenAI(api_key="any", base_url=f"{stub.url}/v1")) as client:
        for _ in range(3):
            with noburn_cli.attribute(feature="chat"):
                client.chat.completions.create(
                    model="gpt-6.1-sol", messages=[{"role": "user", "content": "hi"}]
                )
    down, warned = [one.getMessage() for one in caplog.records if one.name == "noburn"]
    assert down.startswith("noburn: calls for gpt-6.1-sol go out for gpt-6-luna: budget `feature=")
    assert warned.endswith("per total in requests` of 1 request is spent, and only warns")
    assert {call.model for call in stub.bill.calls} == {"gpt-6-luna"}
