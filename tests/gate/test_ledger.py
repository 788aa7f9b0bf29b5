"""Calls, outputs and cached shares out of a real ledger, which is only read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from noburn_cli.core.recorded_tags import TEST_TAG
from noburn_cli.paths import ledger_path
from tests.daemon.parts import MODEL
from tests.daemon.taught import Taught, teach
from tests.gate.repository import Repo, words

DAY_MS = 86_400_000


def _bill(output: int, **more: int) -> dict[str, int]:
    return {"input": 10, "output": output, **more}


@pytest.fixture
def ledger(repo: Repo) -> Path:
    """60 calls of chat in the last 30 days; 5 of another feature, some of tests, too old or new."""
    path = ledger_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    chat, search = {"feature": "chat"}, {"feature": "search"}
    # What the month is counted from: midnight of today, UTC.
    today = time.time_ns() // 1_000_000 // DAY_MS * DAY_MS
    old, day = today - 30 * DAY_MS, today - 29 * DAY_MS
    teach(path, [Taught(_bill(9), attrs=chat)] * 3, start_ms=old - 4 * 60_000)
    usual = _bill(100, cache_read=30)
    calls = [Taught(usual, attrs=chat)] * 50
    calls += [Taught(usual, attrs={**chat, "tag.test": "a variant of a product's own"})] * 10
    calls += [Taught(usual, attrs={**chat, TEST_TAG: "tests/test_a.py::test"})] * 4
    calls += [Taught(_bill(500), attrs=search)] * 5
    calls += [Taught(end="void", attrs=chat)] * 2
    teach(path, calls, start_ms=day)
    teach(path, [Taught(_bill(7), attrs=chat)] * 2, start_ms=today)
    return path


def _toml(*tables: str, model: str = MODEL) -> str:
    listed = "".join(f"\n[[gate.prompt]]\n{one}\n" for one in tables)
    return f'[gate]\nmodel = "{model}"\n{listed}'


_CHAT = 'files = ["a.md"]\ncalls_per_month = "ledger"\nfeature = "chat"'


def test_real_volumes_and_what_calls_teach(repo: Repo, ledger: Path) -> None:
    before = ledger.read_bytes()
    repo.commit({"noburn.toml": _toml(_CHAT), "a.md": words(100)})
    # Another model: the calls that were made are those of the base's, for both sides.
    repo.write({"noburn.toml": _toml(_CHAT, model="gpt-6.1-sol")})
    done = repo.judged("--base", "HEAD")
    (change,) = done.data["changes"]
    for side in (change["before"], change["after"]):
        assert (side["calls_per_month"], side["calls_from"]) == (60, "ledger")
        assert side["output_from"] == "ledger"
        assert side["output_tokens"]["high"] == change["before"]["output_tokens"]["high"]
    assert [one["kind"] for one in change["causes"]] == ["model"]
    assert change["before"]["cached_share"] > 0.5
    assert ledger.read_bytes() == before


def test_a_feature_without_calls_is_not_free(repo: Repo, ledger: Path) -> None:
    other = _CHAT.replace("chat", "nobody").replace("a.md", "b.md")
    search = _CHAT.replace("chat", "search").replace("a.md", "c.md")
    written = search.replace('"ledger"', "7").replace("c.md", "d.md") + "\noutput = 3"
    repo.write({"noburn.toml": _toml(other, search, written)})
    repo.write(dict.fromkeys(("b.md", "c.md", "d.md"), words(5)))
    done = repo.judged()
    assert done.findings == [("known", "b.md", "error")]
    assert "no call of feature nobody in the 30 days before today" in done.out
    calls = {c["name"]: c["after"]["calls_per_month"] for c in done.data["changes"]}
    assert calls == {"c.md": 5, "d.md": 7}


def test_a_change_may_name_at_last_what_is_called(repo: Repo, ledger: Path) -> None:
    """Goal: a wrong model in the base, on which there is no call, can be put right."""
    own = _CHAT.replace('feature = "chat"', "")
    repo.commit({"noburn.toml": _toml(own, model="gpt-6.1-sol"), "a.md": words(5)})
    assert "no call on `gpt-6.1-sol` in the 30 days before today (UTC)" in repo.judged().out
    repo.write({"noburn.toml": _toml(own)})
    (change,) = repo.judged("--base", "HEAD").data["changes"]
    for side in (change["before"], change["after"]):
        assert (side["calls_per_month"], side["output_from"]) == (65, "ledger")


def test_without_a_ledger_only_who_asks_for_one_fails(repo: Repo) -> None:
    repo.write({"noburn.toml": _toml(_CHAT), "a.md": words(5)})
    done = repo.gate()
    assert done.code == 4
    assert "there is no ledger" in done.err
    repo.write({"noburn.toml": _toml(_CHAT.replace('"ledger"', "10"))})
    (change,) = repo.judged().data["changes"]
    assert change["after"]["output_tokens"] is None
    assert change["after"]["output_from"] is None


def test_volumes_are_saved_for_machines_without_a_ledger(repo: Repo, ledger: Path) -> None:
    """What is told is the same with the file as with the ledger, which is then not needed."""
    own = _toml(_CHAT, _CHAT.replace("a.md", "b.md") + '\nlabel = "twice"')
    repo.write({"noburn.toml": own, "a.md": words(100), "b.md": words(50)})
    asked = repo.judged().data["changes"]
    saying = own.replace("[gate]", '[gate]\nvolumes = "ci/volumes.json"')
    repo.write({"noburn.toml": saying})
    missing = repo.gate()
    assert missing.code == 2
    assert "--update-volumes" in missing.err
    written = repo.gate("--update-volumes")
    assert written.code == 0
    assert "ci/volumes.json is written: 1 line" in written.err
    text = (repo.path / "ci/volumes.json").read_text()
    assert '{"feature": "chat", "model": "gpt-6-luna", "calls": 60, "output": 97, ' in text
    assert "search" not in text  # Of what no prompt names nothing leaves the ledger.
    ledger.unlink()
    done = repo.judged()
    assert done.data["changes"] == asked
    assert "as they were saved" in done.data["notes"][0]
    # Another model has no line of its own: the feature's calls are those that were made.
    repo.commit({"noburn.toml": saying.replace("gpt-6-luna", "gpt-6.1-sol")})
    (first, _) = repo.judged("--base", "HEAD").data["changes"]
    assert first["after"]["calls_per_month"] == 60
    for broken in ("{", "[]", text.replace("60", '"60"'), text.replace("volumes", "x", 1)):
        repo.write({"ci/volumes.json": broken})
        done = repo.gate("--no-base")
        assert done.code == 2
        assert "ci/volumes.json cannot be read" in done.err


def test_nothing_is_saved_that_nobody_asks_for(repo: Repo, ledger: Path) -> None:
    plain = 'files = ["a.md"]\ncalls_per_month = 5'
    for toml, said in (
        (_toml(_CHAT), "`volumes`"),
        (_toml(plain).replace("[gate]", '[gate]\nvolumes = "v.json"'), "no prompt asks the ledger"),
    ):
        repo.write({"noburn.toml": toml, "a.md": words(5)})
        done = repo.gate("--update-volumes")
        assert done.code == 2
        assert said in done.err
    assert not (repo.path / "v.json").exists()
