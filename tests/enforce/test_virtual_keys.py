"""Virtual keys for what an environment and its files hold, and what is said of the rest."""

from __future__ import annotations

import json
import os
import stat

import pytest

from noburn_cli.enforce.dotenv_keys import find_keys
from noburn_cli.enforce.key_file import (
    LastingKey,
    add_key,
    digest_of,
    read_keys,
    real_key,
    remove_key,
)
from noburn_cli.enforce.keys import redacted, virtual_keys
from noburn_cli.enforce.unprotected import find_unprotected
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.run_notes import RunNotes

REAL = "sk-proj-0123456789abcdef0123"


def test_keys_keep_their_look_and_are_one_under_two_names():
    given = {
        "OPENAI_API_KEY": REAL, "OPENROUTER_API_KEY": "sk-or-v1-1", "ANTHROPIC_API_KEY": "sk-ant-1",
        "GEMINI_API_KEY": "AIza1", "GOOGLE_API_KEY": "AIza1\n", "GROQ_API_KEY": "gsk_1",
        "MISTRAL_API_KEY": "plain", "COHERE_API_KEY": "", "XAI_API_KEY": "xai-noburn-vk-1",
        "ANTHROPIC_AUTH_TOKEN": "sk-ant-oat01-x", "DEEPSEEK_API_KEY": "a b",
        "TOGETHER_API_KEY": "t",
    }  # fmt: skip
    keys = virtual_keys(given, found={}, keep=["TOGETHER_API_KEY"])
    looks = {name: key.partition("noburn-vk-")[0] for name, key in keys.variables.items()}
    assert looks == {
        "OPENAI_API_KEY": "sk-", "OPENROUTER_API_KEY": "sk-or-", "ANTHROPIC_API_KEY": "sk-ant-",
        "GEMINI_API_KEY": "AIza", "GOOGLE_API_KEY": "AIza", "GROQ_API_KEY": "gsk_",
        "MISTRAL_API_KEY": "",
    }  # fmt: skip
    assert keys.variables["GEMINI_API_KEY"] == keys.variables["GOOGLE_API_KEY"]
    assert keys.lent[keys.variables["GOOGLE_API_KEY"]] == "AIza1"
    assert sorted(keys.left) == ["ANTHROPIC_AUTH_TOKEN", "DEEPSEEK_API_KEY", "TOGETHER_API_KEY"]
    assert REAL not in repr(keys)


def test_files_that_a_program_would_load(tmp_path):
    project = tmp_path / "project"
    scripts = tmp_path / "elsewhere" / "scripts"
    for folder in (project, scripts):
        folder.mkdir(parents=True)
    (tmp_path / ".env").write_text("GROQ_API_KEY=far\nOPENAI_API_KEY=far\n")
    (project / ".env").write_text("export OPENAI_API_KEY='near'  # a comment\nBROKEN LINE\n")
    (project / ".env.local").write_text("MISTRAL_API_KEY=${BASE}-x\n")
    (scripts.parent / ".env").write_text("XAI_API_KEY=script\n")
    (project / "named").write_text("COHERE_API_KEY=named\nOTHER=1\n")
    (scripts / "run.py").write_text("")
    command = ["node", "--env-file=named", "python", "../elsewhere/scripts/run.py", "x" * 5000]
    found = find_keys(command, project, {"BASE": "m"})
    assert found == {
        "COHERE_API_KEY": "named", "MISTRAL_API_KEY": "m-x", "OPENAI_API_KEY": "near",
        "GROQ_API_KEY": "far", "XAI_API_KEY": "script",
    }  # fmt: skip
    keys = virtual_keys({"OPENAI_API_KEY": "set"}, found=found)
    assert keys.lent[keys.variables["OPENAI_API_KEY"]] == "set", "the environment wins"
    (project / ".env").unlink()
    (project / ".env").mkdir()
    assert find_keys(["a\0b/c"], project, {})["OPENAI_API_KEY"] == "far"


def test_what_is_recorded_of_a_command_has_no_key():
    given = {"OPENAI_API_KEY": "unusual-key-0123", "GROQ_API_KEY": "short"}
    command = ["llm", "--key=unusual-key-0123", f"Bearer {REAL}", "sk-short", "short"]
    assert redacted(command, given) == ["llm", "--key=[key]", "Bearer [key]", "sk-short", "short"]


def test_logins_are_named_and_not_read(tmp_path):
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").touch(mode=0)
    found = find_unprotected({"HOME": str(tmp_path), "AWS_PROFILE": "p"})
    assert found == ["AWS credentials"]
    assert find_unprotected({}) == []


def test_lasting_keys_are_digests_and_sources(tmp_path):
    path = tmp_path / "home" / "keys.json"
    key = LastingKey("shop", digest_of("sk-noburn-vk-1"), "openai", "env:KEY", {"tag.key": "shop"})
    add_key(path, key)
    assert read_keys(path) == [key]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "sk-noburn-vk-1" not in path.read_text()
    with pytest.raises(UsageError, match="already"):
        add_key(path, key)
    assert remove_key(path, "shop") == key
    with pytest.raises(UsageError, match="no key is called"):
        remove_key(path, "shop")
    path.write_text("{")
    with pytest.raises(NoburnError, match="cannot be read"):
        read_keys(path)
    assert [p.name for p in path.parent.iterdir() if "keys" in p.name] != []


def test_sources_of_real_keys():
    assert real_key("env:A", {"A": f" {REAL}\n"}) == REAL
    assert real_key("command:printf 'one\\ntwo'", dict(os.environ)) == "one"
    for source in ("env:B", "command:exit 3", "command:true"):
        with pytest.raises(NoburnError):
            real_key(source, {})


def test_the_bypass_report_in_sentences():
    notes = RunNotes(
        {
            "connection": ({"host": "api.openai.com", "pid": 7},),
            "process": tuple({"pid": n, "name": "python"} for n in range(5)),
            "key": ({"host": "api.groq.com"},),
            "credentials": ({"what": "AWS credentials"},),
            "gateway": ({"failure": "no port"},),
        }
    )
    named = ", ".join(f"python (pid {n})" for n in range(3))
    assert list(notes.lines()) == [
        "past the guard: 1 connection to api.openai.com by pid 7",
        f"without a guard, and without a key: {named} and 2 more",
        "guarded, but with a real key of the program's own: api.groq.com",
        "not covered by virtual keys: AWS credentials",
        "the gateway served nobody: no port",
    ]
    assert json.dumps(notes.as_json())
    assert list(RunNotes().lines()) == []
