"""Every source's sample file, read as its format says: tokens by kind, costs, whose call it was."""

from __future__ import annotations

import json

import pytest

from noburn_cli.core.usage import KINDS
from noburn_cli.importing import batches
from tests.importing.conftest import CORPUS


def told(call):
    """What a call used, by kind."""
    usage = {kind: call[kind] for kind in KINDS if call[kind]}
    return {**usage, **json.loads(call["extra"] or "{}")}


def named(found):
    return {call["call"].split(":", 2)[2]: call for call in found}


def reasons(outcome):
    return {reason: [p[1] for p in found.places] for reason, found in outcome.unread.items()}


def test_claude_code(bring, calls):
    """Goal: an answer that streamed over several lines counts once, with its last counts and first
    time; a sidechain's copy is the same answer; cache writes are split; searches are fees.
    """
    logs = [CORPUS / "claude_code.jsonl", CORPUS / "claude_code_sidechain.jsonl"]
    outcome = bring("claude-code", *logs)
    found = named(calls())
    assert set(found) == {"msg_01A", "msg_01B", "msg_01C", "msg_01E", "msg_01F"}
    first = found["msg_01A"]
    assert told(first) == {
        "input": 10, "cache_read": 20_000, "cache_write_5m": 1_000, "output": 500,
    }  # fmt: skip
    assert first["reserved_at_ms"] == 1_795_215_601_000  # 2026-11-20T23:00:01Z, the first line's
    # Before 2026-11-21: 10 × 2 + 20,000 × 0.2 + 1,000 × 4 + 500 × 10 micro-dollars.
    assert first["list_nano"] == first["cost_nano"] == 13_020_000
    assert (first["project"], first["run"]) == ("shop", "5f0f7a30-0000-4000-8000-000000000001")
    assert json.loads(first["detail"]) == {"notional": True}
    assert told(found["msg_01B"]) == {
        "input": 100, "cache_write_1h": 3_000, "output": 200, "web_search": 2,
    }  # fmt: skip
    assert found["msg_01B"]["list_nano"] == 100_000 + 12_000_000 + 1_000_000 + 20_000_000
    # Nobody knows what it costs: unpriced, never zero.
    assert found["msg_01C"]["state"] == "unpriced"
    assert found["msg_01C"]["cost_nano"] is None
    assert outcome.money.unpriced == {"claude-made-up-9": 1}
    assert reasons(outcome) == {"it has no timestamp": [9]}
    assert outcome.left["lines of Claude Code's own, not of a model"] == 1


@pytest.mark.parametrize("order", [1, -1])
def test_codex_counts_what_was_used_once(bring, calls, order):
    """Goal: totals are cumulative, events come again, and a fork copies its parent's: whichever
    file comes first, each answer counts once, on its model, and on its own day.
    """
    files = [CORPUS / "codex.jsonl", CORPUS / "codex_fork.jsonl"][::order]
    bring("codex", *files)
    found = calls()
    assert [(told(call), call["model"]) for call in found] == [
        ({"input": 10_000, "output": 500, "reasoning": 200}, "gpt-6.1-sol"),
        ({"input": 12_000, "cache_read": 9_000, "output": 400, "reasoning": 100}, "gpt-6.1-sol"),
        ({"input": 1_000, "cache_read": 20_000, "output": 600, "reasoning": 300}, "gpt-6-luna"),
        ({"input": 5_000, "cache_read": 24_000, "output": 900, "reasoning": 400}, "gpt-6.1-sol"),
    ]
    assert [call["reserved_at_ms"] // 86_400_000 for call in found] == [20_779] * 3 + [20_780]
    assert {call["project"] for call in found} == {"desk"}


@pytest.mark.parametrize("order", [1, -1])
def test_codex_answers_that_are_told_by_id(bring, calls, order):
    """Goal: newer logs name each answer; a child's copy of its parent's is the same answer."""
    bring("codex", *[CORPUS / "codex_answers.jsonl", CORPUS / "codex_child.jsonl"][::order])
    assert [(call["provider_id"], told(call), call["model"]) for call in calls()] == [
        ("resp_01", {
            "input": 9_200, "cache_read": 500, "cache_write_5m": 300, "output": 60, "reasoning": 20,
        }, "gpt-6.1-sol"),
        ("resp_02", {"input": 10_500, "cache_read": 500, "output": 60}, "gpt-6.1-sol"),
        ("resp_03", {"input": 9_000, "output": 30}, "gpt-6-luna"),
    ]  # fmt: skip


def test_gemini_cli(bring, calls):
    bring("gemini-cli", CORPUS / "gemini_cli.jsonl", CORPUS / "gemini_cli_old.json")
    old, new = calls()
    assert told(new) == {"input": 4_040, "cache_read": 1_000, "output": 500, "reasoning": 300}
    assert told(old) == {"input": 100, "output": 25, "reasoning": 5}
    assert old["state"] == "unpriced"


def test_litellm(bring, calls):
    outcome = bring("litellm", CORPUS / "litellm.json", CORPUS / "litellm.csv")
    found = named(calls())
    assert told(found["chatcmpl-0001"]) == {
        "input": 600, "cache_read": 400, "output": 200, "reasoning": 50,
    }  # fmt: skip
    assert found["chatcmpl-0001"]["said_nano"] == found["chatcmpl-0001"]["cost_nano"] == 225_000
    assert found["chatcmpl-0001"]["latency_ms"] == 1_250
    assert told(found["msg_0002"]) == {
        "input": 500, "cache_read": 4_000, "cache_write_5m": 200, "cache_write_1h": 300,
        "output": 300,
    }  # fmt: skip
    whose = [found["chatcmpl-0001"][name] for name in ("customer", "feature", "project", "run")]
    assert whose == ["acme", "search-key", "Red", "sess-1"]
    # A 0 is believed of an answer from the cache and of a failure, and of nothing else.
    assert (found["chatcmpl-0003"]["cost_nano"], found["chatcmpl-0003"]["counts"]) == (0, "source")
    assert (found["req-0005"]["cost_nano"], found["req-0005"]["failure"]) == (0, "RateLimitError")
    assert (found["req-0005"]["status"], found["chatcmpl-0004"]["state"]) == (429, "unpriced")
    # Azure's own row prices Azure's call: 300 × 2 + 30 × 10 micro-dollars.
    assert found["chatcmpl-0006"]["counts"] == "list"
    assert found["chatcmpl-0006"]["cost_nano"] == 900_000
    assert outcome.money.zero_said == 2
    assert outcome.left == {"records without a model and tokens": 1}
    assert reasons(outcome) == {"it is not CSV with as many fields as the heading": [4]}


@pytest.mark.parametrize(
    ("source", "record"),
    [
        ("langfuse", {"id": "o1", "type": "GENERATION", "model": "gpt-6-luna",
                      "startTime": "2026-11-22T10:00:00Z", "usage": {"input": None}}),
        ("langsmith", {"id": "r1", "run_type": "llm", "start_time": "2026-11-22T10:00:00Z",
                       "extra": {"metadata": {"ls_model_name": "gpt-6-luna"}}}),
        ("helicone", {"request_id": "q1", "model": "gpt-6-luna", "response_status": 200,
                      "request_created_at": "2026-11-22T10:00:00Z"}),
    ],
)  # fmt: skip
def test_a_call_without_tokens_and_cost_is_not_free(bring, calls, tmp_path, source, record):
    log = tmp_path / "export.jsonl"
    log.write_text(json.dumps(record) + "\n")
    assert bring(source, log).became == {"new": 1}
    assert [(one["counts"], one["cost_nano"]) for one in calls()] == [("unpriced", None)]


def test_an_end_that_cannot_be_read_costs_nothing(bring, calls, tmp_path):
    """Goal: a call whose duration is nonsense is counted all the same, without one."""
    row = {
        "request_id": "r1", "model": "gpt-6-luna", "startTime": "2026-11-22T10:00:00Z",
        "endTime": "None", "prompt_tokens": 100, "completion_tokens": 10, "spend": 0.5,
    }  # fmt: skip
    log = tmp_path / "spend.jsonl"
    log.write_text(json.dumps(row) + "\n")
    assert bring("litellm", log).became == {"new": 1}
    assert [(one["cost_nano"], one["latency_ms"]) for one in calls()] == [(500_000_000, None)]


def test_helicone(bring, calls):
    outcome = bring("helicone", CORPUS / "helicone.jsonl", CORPUS / "helicone.csv")
    found = named(calls())
    assert told(found["req-1"]) == {"input": 600, "cache_read": 400, "output": 200}
    assert told(found["req-2"]) == {
        "input": 500, "cache_read": 4_000, "cache_write_5m": 500, "output": 200,
    }  # fmt: skip
    assert found["req-3"]["failure"] == "status -3"
    assert (told(found["req-4"]), found["req-4"]["cost_nano"]) == ({}, 0)
    assert found["r-req-6"]["customer"] == "globex"
    assert reasons(outcome) == {"its request_created_at cannot be read": [5]}


def test_langfuse(bring, calls):
    outcome = bring("langfuse", CORPUS / "langfuse_v4.jsonl", CORPUS / "langfuse_v3.json")
    found = named(calls())
    assert told(found["obs-1"]) == {
        "input": 600, "cache_read": 400, "output": 200, "reasoning": 50,
    }  # fmt: skip
    assert told(found["obs-3"]) == {
        "input": 500, "cache_read": 4_000, "cache_write_5m": 500, "output": 300,
    }  # fmt: skip
    assert (found["obs-3"]["counts"], found["obs-1"]["counts"]) == ("list", "source")
    assert told(found["obs-9"]) == {"input": 1_000, "output": 100}
    assert found["obs-9"]["failure"] == "error"
    assert found["obs-1"]["tags"] == '{"environment": "production"}'
    assert reasons(outcome) == {"its tokens are no counts": [4]}
    bring("langfuse", CORPUS / "langfuse_trace.json")
    inside = named(calls())["obs-20"]
    assert [inside[name] for name in ("customer", "feature", "user", "run", "counts")] == [
        "acme", "search", "u-1", "s-7", "list",
    ]  # fmt: skip


def test_langsmith(bring, calls):
    outcome = bring("langsmith", CORPUS / "langsmith.jsonl")
    done, failed = calls()
    assert told(done) == {"input": 600, "cache_read": 400, "output": 200, "reasoning": 50}
    assert (done["cost_nano"], done["feature"], done["run"], done["step"]) == (
        1_620_000, "chat", "th-1", "draft",
    )  # fmt: skip
    assert (failed["failure"], failed["counts"]) == ("error", "list")
    assert outcome.left == {"steps that call no model": 1}
    assert reasons(outcome) == {"its tokens do not add up": [4]}


def test_openrouter(bring, calls):
    """Goal: what was charged counts, 0 too; with a key of one's own the provider's charge is in."""
    outcome = bring("openrouter", CORPUS / "openrouter.csv", CORPUS / "openrouter_activity.json")
    found = named(calls())
    free, own = found["gen-1795082460-bbbb"], found["gen-1795082520-cccc"]
    assert (free["cost_nano"], free["counts"], free["failure"]) == (0, "source", "cancelled")
    assert own["cost_nano"] == 45_700_000
    day = next(call for call in found.values() if call["requests"] == 5)
    assert (day["cost_nano"], day["reserved_at_ms"]) == (15_000_000, 1_795_046_400_000)
    assert reasons(outcome) == {"its cost cannot be read": [5]}
    # The generation by the API is the activity's line: told again, it changes nothing but its id.
    bring("openrouter", CORPUS / "openrouter_generation.json")
    assert len(calls()) == len(found)
    assert named(calls())["gen-1795082400-aaaa"]["provider_id"] == "chatcmpl-0001"


def test_portkey(bring, calls):
    outcome = bring("portkey", CORPUS / "portkey.jsonl")
    found = named(calls())
    assert told(found["pk-1"]) == {"input": 600, "cache_read": 400, "output": 200}
    assert found["pk-1"]["cost_nano"] == 1_620_000  # 0.162 cents
    assert told(found["pk-2"]) == {"input": 1_000, "output": 200}
    assert (found["pk-4"]["failure"], found["pk-4"]["status"]) == ("failed", 500)
    assert reasons(outcome) == {"its cost is not in US dollars": [3]}


def test_one_call_that_two_sources_tell_of_counts_once(bring, calls, tmp_path):
    """Goal: the proxy's record and the tracing's are one call, by the provider's id."""
    bring("litellm", CORPUS / "litellm.json")
    outcome = bring("langsmith", CORPUS / "langsmith.jsonl")
    assert (outcome.money.shadowed, outcome.money.beside) == (1, ("litellm",))
    assert [call["source"] for call in calls("provider_id = 'chatcmpl-0001'")] == ["litellm"]
    assert calls("source = 'langsmith'")[0]["failure"] == "error"
    bring("langsmith", CORPUS / "langsmith.jsonl", rule="list")  # Replaced, and still behind it.
    assert len(calls("provider_id = 'chatcmpl-0001'")) == 1
    home = tmp_path / "home"
    batches.undo(home, batches.chosen(home, "litellm"))
    assert [call["source"] for call in calls("provider_id = 'chatcmpl-0001'")] == ["langsmith"]


def test_no_prompt_is_kept(bring, tmp_path):
    """Goal: what the samples have as prompts, answers and keys is in no byte of our file."""
    for source in ("helicone", "langfuse", "langsmith", "portkey", "litellm"):
        bring(source, *sorted(CORPUS.glob(f"{source}*")))
    bring("claude-code", *sorted(CORPUS.glob("claude_code*")))
    kept = b"".join(p.read_bytes() for p in (tmp_path / "home").iterdir())
    assert b"made up" not in kept
    assert b"88dc28d0f030c55e" not in kept  # LiteLLM's hash of a key
    assert (tmp_path / "home" / "imports.sqlite3").stat().st_mode & 0o077 == 0
