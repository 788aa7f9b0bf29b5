"""`noburn gate --init`: what it finds, what it writes, and what it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import pytest
import tomllib

from tests.gate.repository import Repo, words

_CHAT = {"messages": [{"role": "user", "content": words(9)}]}
_FILES = {
    "prompts/a.md": words(3),
    "prompts/deep/b.md": words(4),
    "prompts/README.md": "What lies here.",
    "prompts/chat.json": json.dumps(_CHAT),
    "prompts/terms.yaml": "system: hello\nuser: world\n",
    "prompts/needs.j2": "Hello {{ name }}",
    "prompts/parts/c.j2": "A part",
    "prompts/bad.txt": b"\xff\xfe\x00",
    "tests/prompts/d.md": words(5),
    "app/agent.py": 'PLAN_PROMPT = "You plan a refund."\nPROMPT_PATH = "prompts/a.md"\n'
    'MODEL = "gpt-4o-mini"\n',
    "app/settings.ts": 'const embedding = "text-embedding-3-small";\n',
}


def written(repo: Repo) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((repo.path / "noburn.toml").read_text("utf-8-sig"))
    return found


def test_a_first_gate_holds(repo: Repo) -> None:
    repo.commit(dict(_FILES))
    done = repo.gate("--init")
    assert done.code == 0, done.err
    assert done.out == (repo.path / "noburn.toml").read_text()
    gate = written(repo)["gate"]
    tables = gate.pop("prompt")
    assert gate == {"base": "main", "growth_max": "10%", "model": "gpt-4o-mini"}
    assert tables == [
        {"files": ["prompts/a.md", "prompts/deep/b.md"]},  # Not the README.
        {"files": "prompts/**/*.json"},
        {"files": "app/agent.py", "constants": ["PLAN_PROMPT"]},
    ]
    left_out = done.out.partition("# Not taken:\n")[2]
    assert [line.split()[2] for line in left_out.splitlines()] == [
        "prompts/bad.txt", "prompts/needs.j2", "prompts/terms.yaml",
    ]  # fmt: skip
    assert "`name`; add it to `variables`" in left_out
    held = repo.judged()
    assert held.code == 0
    assert len(held.data["changes"]) == 4
    # And what it wrote is a rule: a prompt that grows breaks it.
    repo.write({"prompts/a.md": words(900)})
    assert ("growth_max", "error") in {(rule, level) for rule, _, level in repo.judged().findings}


def test_what_is_there_stays(repo: Repo) -> None:
    """Goal: the configuration keeps each of its bytes, its mode and its link; a [gate] its word."""
    before = b'\xef\xbb\xbf[pnl]\r\nmargin_min = "50%"'
    repo.write({"prompts/a.md": words(3), "own.toml": before})
    own = repo.path / "own.toml"
    own.chmod(0o600)
    (repo.path / "noburn.toml").symlink_to("own.toml")
    assert repo.gate("--init").code == 0
    after = own.read_bytes()
    assert after.startswith(before + b"\r\n\r\n# What ")
    assert after.count(b"\n") == after.count(b"\r\n")
    assert own.stat().st_mode & 0o777 == 0o600
    assert (repo.path / "noburn.toml").is_symlink()
    assert written(repo)["pnl"] == {"margin_min": "50%"}
    again = repo.gate("--init")
    assert again.code == 2
    assert "has a [gate] already" in again.err
    assert own.read_bytes() == after


@pytest.mark.parametrize(
    ("files", "arguments", "code", "said"),
    [
        ({"texts/a.md": "x"}, (), 1, "nothing below"),
        ({"prompts/t.j2": "{{ name }}"}, (), 1, "looks like a prompt: prompts/t.j2 needs"),
        ({"prompts/a.md": "x", "noburn.toml": "gaet = 1\n"}, (), 2, "no such key"),
        ({"prompts/a.md": "x"}, ("--json",), 2, "--init stands alone"),
    ],
)
def test_nothing_is_written_otherwise(
    repo: Repo, files: dict[str, str], arguments: tuple[str, ...], code: int, said: str
) -> None:
    repo.write(files)
    done = repo.gate("--init", *arguments)
    assert (done.code, done.out) == (code, "")
    assert said in done.err
    path = repo.path / "noburn.toml"
    assert (path.read_text() if path.exists() else None) == files.get("noburn.toml")


def test_a_configuration_around_the_repository_is_left_alone(repo: Repo) -> None:
    """Goal: a home folder's file gets no [gate], and its settings are not hidden by a new one."""
    around = repo.path.parent / "noburn.toml"
    around.write_text("", encoding="utf-8")
    repo.write({"prompts/a.md": words(3)})
    done = repo.gate("--init")
    assert done.code == 2
    assert "outside of this repository" in done.err
    assert around.read_text(encoding="utf-8") == ""
    assert not (repo.path / "noburn.toml").exists()


def test_no_model_is_chosen_among_several(repo: Repo) -> None:
    """Without a commit there is no base, and so no rule about growth."""
    repo.write({'prompts/it\'s "a".md': words(3), "app/a.py": "A = 'gpt-4o'\nB = 'gpt-4.1'\n"})
    done = repo.gate("--init")
    assert "named are gpt-4o (app/a.py), gpt-4.1 (app/a.py)" in done.out
    assert "say the `model`" in done.err
    assert written(repo)["gate"] == {"prompt": [{"files": "prompts/**/*.md"}]}
