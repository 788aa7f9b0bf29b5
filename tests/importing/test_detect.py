"""`noburn import` as a person meets it: logs that are found, summaries, mistakes in words."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timedelta, timezone

import pytest

from noburn_cli.commands.importing import logs
from noburn_cli.importing.detecting import detect
from noburn_cli.importing.sources.registry import SOURCES
from noburn_cli.main import main
from noburn_cli.render.detected import render_detected
from tests.importing.conftest import CORPUS

NOW = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A home folder with logs of three agents, written to today; noburn's own home beside it."""
    home = tmp_path / "person"
    for source, place in {
        "claude_code.jsonl": ".claude/projects/-srv-work-shop/one.jsonl",
        "claude_code_sidechain.jsonl": ".claude/projects/-srv-work-shop/one/subagents/two.jsonl",
        "codex_fork.jsonl": ".codex/sessions/2026/11/23/rollout-2026-11-23T09-00-00-"
        "01999999-0000-7000-8000-000000000002.jsonl",
        "codex.jsonl": ".codex/archived_sessions/rollout-2026-11-22T10-00-00-"
        "01999999-0000-7000-8000-000000000001.jsonl",
        "gemini_cli.jsonl": ".gemini/tmp/desk/chats/session-1.jsonl",
    }.items():
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(CORPUS / source, home / place)
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path / "noburn"))
    return home


def looked(home, prices, *, since, environment=None):
    return detect(
        environment or {}, home, since_ms=int(since.timestamp() * 1000),
        until_ms=int(NOW.timestamp() * 1000), zone=timezone(timedelta(hours=1)), prices=prices,
        tell=lambda *_: None,
    )  # fmt: skip


def test_the_period_at_list_price(machine, prices):
    """Goal: each answer once, on the day of the zone that was asked for; nothing is written."""
    before = sorted((p, p.stat().st_mtime_ns) for p in machine.rglob("*"))
    found = looked(machine, prices, since=NOW - timedelta(days=30))
    assert {a.source.name: a.sums.calls for a in found.agents} == {
        "claude-code": 5, "codex": 4, "gemini-cli": 1,
    }  # fmt: skip
    # 23:00:01 UTC is the next day an hour further east.
    assert {day: sums.calls for day, sums in found.by_day.items()} == {
        "2026-11-21": 5, "2026-11-22": 3, "2026-11-23": 1, "2026-11-24": 1,
    }  # fmt: skip
    assert found.total.unpriced == 1
    assert found.unpriced_models == {"claude-made-up-9": 1}
    assert found.by_model["claude-opus-5-5"].list_nano == 13_020_000
    for sums in (found.by_day, found.by_model, found.by_project):
        assert sum(one.list_nano for one in sums.values()) == found.total.list_nano
    assert sorted((p, p.stat().st_mtime_ns) for p in machine.rglob("*")) == before


def test_what_was_found_fits_a_narrow_terminal(machine, prices):
    """Goal: 60 columns; an amount that lacks a call says so."""
    found = looked(machine, prices, since=NOW - timedelta(days=30))
    shown = render_detected(found, width=60)
    assert max(len(line) for line in shown if str(machine) not in line) <= 60
    (made_up,) = (line.split() for line in shown if line.startswith("claude-made-up-9 "))
    assert made_up[-2:] == ["?", "-"]
    assert any(line.startswith("2026-11-21 ") and " + ? " in line for line in shown)


def test_old_logs_stay_closed_but_for_what_was_forked(machine, prices):
    """Goal: a log from before the period is read only where a fork begins with a copy of it."""
    old = NOW.timestamp() - 40 * 86_400
    for path in machine.rglob("*.jsonl"):
        if "subagents" in str(path) or "archived" in str(path):
            os.utime(path, (old, old))
    found = looked(machine, prices, since=NOW - timedelta(days=4, hours=20))
    codex = next(a for a in found.agents if a.source.name == "codex")
    assert (codex.files, codex.opened, codex.sums.calls) == (2, 2, 1)
    claude = next(a for a in found.agents if a.source.name == "claude-code")
    assert (claude.files, claude.opened) == (2, 1)


def test_where_the_environment_says(machine, prices, tmp_path):
    elsewhere = {
        "CLAUDE_CONFIG_DIR": f"{tmp_path}/none,{machine}/.claude",
        "CODEX_HOME": "/nowhere",
    }
    found = looked(machine, prices, since=NOW - timedelta(days=30), environment=elsewhere)
    assert {a.source.name for a in found.agents} == {"claude-code", "gemini-cli"}


def test_from_the_command_line(machine, capsys, tmp_path):
    assert main(["import", "--detect", "--days", "3650"]) == 0
    shown = capsys.readouterr().out
    assert "Claude Code: 5 calls in 2 logs of 2" in shown
    assert "Nothing was written" in shown
    assert "it has no timestamp" in shown
    assert not (tmp_path / "noburn").exists()
    assert main(["import", "--detect", "--json", "--days", "3650"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["total"]["calls"] == 10

    assert main(["import", "claude-code"]) == 0
    shown = capsys.readouterr().out
    assert "Claude Code: 2 files; 5 new" in shown
    assert "cost unknown, and not zero: claude-made-up-9 (1)" in shown
    assert "one.jsonl:9" in shown
    assert main(["report"]) == 0
    shown = capsys.readouterr().out
    assert "5 from claude-code" in shown
    assert "1 imported call has no known price, and is in no amount" in shown
    assert main(["import", "claude-code"]) == 0
    assert "2 more unchanged" in capsys.readouterr().out
    assert main(["import", "codex", "--billing", "api", "--json"]) == 0
    money = json.loads(capsys.readouterr().out)["data"]["money"]
    assert (money["notional"], money["records"]) == (0, 4)
    assert main(["import", "list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        "BATCH", "claude-code/1", "codex/3",
    ]  # fmt: skip
    assert main(["import", "undo", "codex"]) == 0
    assert main(["import", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["data"]["batches"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--detect", "list"], 2, "--detect stands alone"),
        (["codex", "--billing", "me"], 2, "--billing is plan or api"),
        (["codex", "/nowhere"], 1, "does not exist"),
        (["litellm", "claude_code.jsonl"], 1, "nothing could be read as LiteLLM"),
        (["litellm", "litellm.json", "--cost", "mine"], 2, "--cost cannot be 'mine'"),
        (["litellm", "litellm.json", "--zone", "Mars/Base"], 2, "there is no time zone"),
        (["litellm", "litellm.json", "--attribute", "custmer=x"], 2, "unknown attribute 'custmer'"),
        (["litellm", "litellm.json", "--set", "customer"], 2, "--set cannot be read"),
        (["csv", "table.csv", "--map", "time=when"], 2, "no column for the model"),
        (["csv", "table.csv", "--map", "tine=when"], 2, "did you mean time"),
        (["csv", "table.csv", "--map", "none.toml"], 1, "cannot be read"),
        (["csv", "table.csv", "--map", "time=when,model=llm,cost=usdd"], 1, "no column 'usdd'"),
        (["helicone", "helicone.csv", "--customer-from", "tenat"], 1, "no column 'tenat'"),
        (["openai", "table.csv"], 1, "is no export that is known"),
        (["openai", "table.csv", "--customer-from", "who"], 1, "a bill has project and key"),
        (["undo", "litellm/9"], 2, "nothing was imported as"),
    ],
)
def test_mistakes_are_said_in_words(machine, capsys, monkeypatch, arguments, code, said):
    monkeypatch.chdir(CORPUS)
    assert main(["import", *arguments]) == code
    assert said in capsys.readouterr().err


def test_the_table_of_commands_is_that_of_the_sources():
    assert {*logs.FILES, *logs.AGENTS} == set(SOURCES)
    assert set(logs.AGENTS) == {name for name, one in SOURCES.items() if one.agent}
