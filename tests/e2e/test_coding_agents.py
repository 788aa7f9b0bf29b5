"""Coding agents under `noburn run`: simonw's llm for real; the others' habits as they were seen.

docs/coding-agents.md says what was tried by hand with the agents that are too heavy for CI.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from noburn_cli.core.money import Nano
from noburn_cli.providers.registry import codec
from tests.e2e.conftest import Provider, World

GUEST = str(Path(sys.prefix) / "guests" / "current" / "bin" / "python")


@pytest.fixture
def llm(world: World, tmp_path: Path) -> list[str]:
    """The command `llm`, with a folder of its own."""
    world.environment["LLM_USER_PATH"] = str(tmp_path)
    return [GUEST, "-m", "llm"]


def test_llm_streams_within_its_budget_and_stops_at_it(
    world: World, provider: Provider, llm: list[str]
) -> None:
    """Goal: its chat and its Responses models, billed as the provider bills; a block is an error.

    With `--usage`, so that what llm itself counts can be compared.
    """
    for model in ("gpt-4o-mini", "gpt-6-luna"):
        done = world.noburn("run", "--budget", "0.5", "--", *llm, "-m", model, "-u", "hello")
        assert done.returncode == 0, done.stderr
        assert "word" in done.stdout
        assert "400 output" in done.stderr
    [(cost,)] = world.rows("SELECT sum(cost_nano) FROM calls")
    assert cost == provider.bill()["total_nano"]
    blocked = world.noburn("run", "--budget", "0.00001", "--", *llm, "-m", "gpt-6-luna", "hello")
    assert blocked.returncode == 1
    assert "noburn: Call blocked" in blocked.stderr
    assert provider.bill()["total_nano"] == cost
    total = json.loads(world.noburn("report", "--by", "model", "--json").stdout)["data"]["total"]
    assert total["cost_usd"] == Nano(cost).exact()


#: As codex-cli 0.171.0 sends it (2026-11-27), shortened.
CODEX = {
    "model": "gpt-6-luna",
    "stream": True,
    "input": [
        {
            "type": "additional_tools", "id": "at_1", "role": "developer",
            "tools": [
                {"type": "namespace", "name": "functions", "description": "", "tools": [
                    {"type": "custom", "name": "exec", "description": "Run JavaScript code."},
                ]},
            ],
        },
        {"type": "message", "id": "m_1", "role": "user",
         "content": [{"type": "input_text", "text": "say hello"}]},
    ],
    "tool_choice": "auto", "parallel_tool_calls": False, "store": False,
    "reasoning": {"effort": "medium", "context": "all_turns"},
    "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
    "text": {"verbosity": "low"}, "client_metadata": {"thread_id": "t_1"},
}  # fmt: skip


def test_what_codex_asks_is_bounded() -> None:
    """Goal: tools that come as input count, and a hosted one among them is not overlooked."""
    responses = codec("openai_responses")
    call = responses.parse(json.dumps(CODEX).encode())
    assert (call.window, call.unbounded) == ("", "")
    counted = "".join(call.texts) + call.schema_text
    assert all(word in counted for word in ("Run JavaScript code.", "t_1", "say hello"))
    tools = CODEX["input"][0]["tools"]  # type: ignore[index]
    hosted = [*tools, {"type": "code_interpreter", "container": {"type": "auto"}}]
    first = {**CODEX["input"][0], "tools": hosted}  # type: ignore[dict-item,index]
    asked = {**CODEX, "input": [first, *CODEX["input"][1:]]}  # type: ignore[index]
    assert "code_interpreter" in responses.parse(json.dumps(asked).encode()).unbounded
