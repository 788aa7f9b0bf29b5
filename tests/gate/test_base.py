"""The base: read from git without a checkout, and every difference has its causes."""

from __future__ import annotations

import os
import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.core.gate_model import CAUSES
from tests.gate.repository import Done, Repo, gate_toml, prices, words

_CALLS = 'files = ["{}"]\nmodel = "test-small"\noutput = 50\ncalls_per_month = 1000\n'


def table(files: str = "*.md", **other: str) -> str:
    """A table of prompts; keywords replace its lines."""
    text = _CALLS.format(files)
    for key, value in other.items():
        text = "".join(line for line in text.splitlines(True) if not line.startswith(f"{key} "))
        text += f"{key} = {value}\n" if value else ""
    return text


def changes(done: Done) -> dict[str, tuple[Any, Any, str]]:
    """Name to tokens before and after, and the difference."""
    return {
        one["name"]: (
            *(one[side] and one[side]["input_tokens"]["high"] for side in ("before", "after")),
            one["difference"],
        )
        for one in done.data["changes"]
    }


def causes(done: Done) -> list[tuple[str, str]]:
    return [
        (cause["kind"], cause["amount"])
        for change in done.data["changes"]
        for cause in change["causes"]
    ]


def test_the_working_tree_against_a_commit(repo: Repo) -> None:
    first = repo.commit({"noburn.toml": gate_toml('base = "HEAD"', table()), "a.md": words(100)})
    same = repo.gate()
    assert same.code == 0
    assert "1 prompt unchanged (--all shows them)" in same.out
    assert "a.md" in repo.gate("--all").out
    repo.write({"a.md": words(1_000)})
    done = repo.gate()
    assert "100 → 1,000" in done.out
    assert "a.md: grew by 900 tokens" in done.out
    assert "+$0.90 a month (+150 %)" in done.out.splitlines()[-1]
    told = repo.judged()
    assert changes(told) == {"a.md": (100, 1_000, "0.9")}
    assert told.data["base"] == {"rev": "HEAD", "commit": first, "merge_base": False}
    # An older commit as the side of now, and nothing in the working tree matters.
    second = repo.commit({})
    assert changes(repo.judged("--base", first, "--head", second))["a.md"] == (100, 1_000, "0.9")
    # A head behind the base is compared with where both part: what came later is not its own.
    assert changes(repo.judged("--base", second, "--head", first))["a.md"] == (100, 100, "0")
    assert repo.git("status", "--porcelain") == ""


def test_prompts_come_and_go_and_move(repo: Repo) -> None:
    repo.commit({"noburn.toml": gate_toml("", table()), "old.md": words(50), "gone.md": words(60)})
    repo.git("mv", "old.md", "new.md")
    repo.write({"new.md": words(52), "gone.md": None, "come.md": "other " * 70})
    done = repo.judged("--base", "HEAD")
    assert changes(done) == {
        "come.md": (None, 71, "0.571"),
        "new.md": (50, 52, "0.002"),
        "gone.md": (60, None, "-0.56"),
    }
    assert [one["renamed_from"] for one in done.data["changes"]] == [None, "old.md", None]
    assert causes(done) == [("added", "0.571"), ("tokens", "0.002"), ("removed", "-0.56")]


def test_the_same_text_elsewhere_is_the_same_prompt(repo: Repo) -> None:
    """Moved without git being told, or into another constant: nothing is new and nothing gone."""
    toml = gate_toml("", table(), table("a.py", constants='["*_PROMPT"]'))
    repo.commit({"noburn.toml": toml, "a.md": words(9), "a.py": "A_PROMPT = 'one two three'"})
    repo.write({"a.md": None, "b.md": words(9), "a.py": "B_PROMPT = 'one two three'"})
    done = repo.judged("--base", "HEAD")
    assert done.data["difference"] == "0"
    renamed = {one["name"]: one["renamed_from"] for one in done.data["changes"]}
    assert renamed == {"b.md": "a.md", "a.py:B_PROMPT": "a.py:A_PROMPT"}


def test_a_base_without_a_gate_is_read_with_the_one_of_now(repo: Repo) -> None:
    repo.commit({"a.md": words(10)})
    repo.write({"noburn.toml": gate_toml("", table()), "a.md": words(20)})
    done = repo.judged("--base", "HEAD")
    assert changes(done) == {"a.md": (10, 20, "0.01")}
    assert "has no [gate]" in done.data["notes"][0]
    repo.commit({"noburn.toml": "[gate]\nfuture = 1\n"})
    repo.write({"noburn.toml": gate_toml("", table())})
    done = repo.judged("--base", "HEAD")
    assert "no such key" in done.data["notes"][0]
    assert changes(done)["a.md"][:2] == (20, 20)


def test_a_base_that_is_not_there_says_what_to_fetch(repo: Repo, tmp_path: Path) -> None:
    repo.commit({"noburn.toml": gate_toml("", table()), "a.md": words(10)})
    repo.git("checkout", "-q", "-b", "change")
    repo.commit({"a.md": words(20)})
    repo.git("checkout", "-q", "main")
    repo.commit({"a.md": words(500)})
    repo.git("checkout", "-q", "change")
    done = repo.gate("--base", "nonsense")
    assert done.code == 1
    assert "git knows no commit called `nonsense`" in done.err
    clone = tmp_path / "clone"
    url = repo.path.as_uri()
    repo.git("clone", "-q", "--depth=1", "--branch=change", url, str(clone))
    os.chdir(clone)
    done = repo.gate("--base", "origin/main")
    assert done.code == 1
    assert "shallow" in done.err
    fetch = "git fetch --unshallow origin +refs/heads/main:refs/remotes/origin/main"
    assert fetch in done.err
    # With the tip alone, what others merged meanwhile would be told as this branch's.
    alone = fetch.replace("--unshallow", "--depth=1")
    subprocess.run(alone.split(), check=True, cwd=clone, capture_output=True)
    done = repo.gate("--base", "origin/main")
    assert done.code == 1
    assert "would be told as yours" in done.err
    assert fetch in done.err
    subprocess.run(fetch.split(), check=True, cwd=clone, capture_output=True)
    assert changes(repo.judged("--base", "origin/main")) == {"a.md": (10, 20, "0.01")}


def test_a_shallow_merge_names_its_base_itself(repo: Repo, tmp_path: Path) -> None:
    """What CI checks out: the merge alone; its parents are hidden from git, not from the gate."""
    repo.commit({"noburn.toml": gate_toml("", table()), "a.md": words(10)})
    repo.git("checkout", "-q", "-b", "change")
    repo.commit({"a.md": words(20)})
    repo.git("checkout", "-q", "main")
    base = repo.commit({"b.md": words(500)})
    repo.git("merge", "-q", "--no-ff", "-m", "merge", "change")
    clone = tmp_path / "clone"
    repo.git("clone", "-q", "--depth=1", repo.path.as_uri(), str(clone))
    repo.git("fetch", "-q", "--depth=1", "origin", base, folder=clone)
    os.chdir(clone)
    assert changes(repo.judged("--base", base)) == {
        "a.md": (10, 20, "0.01"),
        "b.md": (500, 500, "0"),
    }


def test_a_branch_is_compared_with_where_it_began(repo: Repo) -> None:
    start = repo.commit({"noburn.toml": gate_toml("", table()), "a.md": words(10)})
    repo.git("checkout", "-q", "-b", "change")
    repo.commit({"a.md": words(20)})
    repo.git("checkout", "-q", "main")
    repo.commit({"a.md": words(500)})
    repo.git("checkout", "-q", "change")
    done = repo.judged("--base", "main")
    assert changes(done) == {"a.md": (10, 20, "0.01")}
    assert done.data["base"] == {"rev": "main", "commit": start, "merge_base": True}


def test_a_gate_below_the_top_of_a_repository(repo: Repo) -> None:
    toml = gate_toml("", table()).replace('"prices.toml"', '"own.toml"')
    files = {"app/noburn.toml": toml, "app/own.toml": prices(), "app/a.md": words(60)}
    repo.commit({**files, "a.md": words(99)})
    repo.git("mv", "app/a.md", "app/b.md")
    repo.write({"app/b.md": words(61)})
    os.chdir(repo.path / "app")
    done = repo.judged("--base", "HEAD")
    assert changes(done) == {"b.md": (60, 61, "0.001")}
    assert done.data["changes"][0]["renamed_from"] == "a.md"


def test_a_project_whose_folder_is_renamed_is_compared(repo: Repo) -> None:
    """Else everything in it would be new, and nothing new has grown."""
    toml = gate_toml('growth_max = "10%"', table()).replace('"prices.toml"', '"own.toml"')
    files = {"noburn.toml": toml, "own.toml": prices(), "a.md": words(60)}
    repo.commit({f"app/{name}": text for name, text in files.items()})
    repo.git("mv", "app", "web")
    repo.write({"web/a.md": words(600)})
    os.chdir(repo.path / "web")
    done = repo.judged("--base", "HEAD")
    assert changes(done) == {"a.md": (60, 600, "0.54")}
    assert done.findings == [("growth_max", "total", "error")]
    # Of several that are gone nobody knows which it was: that is no pass.
    repo.git("reset", "-q", "--hard")
    os.chdir(repo.path)
    repo.commit({f"api/{name}": text for name, text in files.items()})
    repo.git("rm", "-q", "-r", "api", "app")
    new = {"noburn.toml": gate_toml('growth_max = "9%"', table("c.md")), "c.md": "other " * 99}
    repo.write(new)
    done = repo.judged("--base", "HEAD")
    assert done.findings == [("growth_max", "total", "error")]
    assert "api/noburn.toml, app/noburn.toml are gone" in done.data["findings"][0]["text"]
    # The configuration alone went down to the prompts, or up.
    repo.git("reset", "-q", "--hard")
    repo.write({"noburn.toml": None})
    repo.git("mv", "app/noburn.toml", "noburn.toml")
    repo.write({"noburn.toml": gate_toml("", table("app/*.md")), "app/a.md": "other " * 99})
    assert changes(repo.judged("--base", "HEAD"))["app/a.md"] == (60, 100, "0.04")


def test_a_link_to_a_folder_leads_to_the_same_on_both_sides(repo: Repo) -> None:
    """Goal: what git has is what the folder shows; a repository inside of this one is neither."""
    repo.write({"real/deep/a.md": words(60)})
    (repo.path / "prompts").symlink_to("real/deep")
    (repo.path / "again").symlink_to("prompts")
    toml = gate_toml("", table("prompts/a.md"), table("again/a.md"))
    repo.commit({"noburn.toml": toml})
    repo.write({"real/deep/a.md": words(61)})
    done = repo.judged("--base", "HEAD")
    one = (60, 61, "0.001")
    assert changes(done) == {"prompts/a.md": one, "again/a.md": one}
    inner = repo.path / "inner"
    inner.mkdir()
    repo.git("init", "-q", folder=inner)
    repo.write({"inner/b.md": words(9), "noburn.toml": gate_toml("", table("inner/b.md"))})
    assert repo.judged("--base", "HEAD").findings == [("found", "inner/b.md", "error")]


def test_without_git_there_is_no_base(tmp_path: Path, repo: Repo) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "noburn.toml").write_text(gate_toml("", table()), encoding="utf-8")
    (outside / "prices.toml").write_text(prices(), encoding="utf-8")
    (outside / "a.md").write_text(words(10), encoding="utf-8")
    (outside / ".hidden.md").write_text(words(10), encoding="utf-8")
    os.chdir(outside)
    assert changes(repo.judged()) == {"a.md": (None, 10, "0.51")}
    done = repo.gate("--base", "main")
    assert done.code == 1
    assert "no git repository" in done.err


@pytest.mark.parametrize(
    ("now", "kind"),
    [
        ({"a.md": words(300)}, "tokens"),
        ({"noburn.toml": gate_toml("", table(model='"test-big"'))}, "model"),
        ({"noburn.toml": gate_toml("", table(variant='"batch"'))}, "model"),
        ({"noburn.toml": gate_toml("", table(cap="400"))}, "cap"),
        ({"noburn.toml": gate_toml("", table(output='"60-80"'))}, "output"),
        ({"noburn.toml": gate_toml("", table(cached_share='"50%"'))}, "cache"),
        ({"noburn.toml": gate_toml("", table(calls_per_month='"2k"'))}, "calls"),
        ({"prices.toml": prices(small=3)}, "price"),
    ],
)
def test_each_cause_by_itself(repo: Repo, now: dict[str, str], kind: str) -> None:
    repo.commit({"noburn.toml": gate_toml("", table()), "a.md": words(100)})
    repo.write(now)
    done = repo.judged("--base", "HEAD")
    (change,) = done.data["changes"]
    assert [one["kind"] for one in change["causes"]] == [kind]
    assert change["causes"][0]["amount"] == change["difference"]
    assert (change["difference"] == "0") == (kind == "cap")
    assert change["causes"][0]["text"]


def test_all_causes_together_add_up_exactly(repo: Repo) -> None:
    before = table(cap="200", cached_share='"10%"')
    repo.commit({"noburn.toml": gate_toml("", before), "a.md": "The quick brown fox. " * 33})
    after = table(
        model='"test-old"', variant='"batch"', cap="400", output='"77-333"',
        cached_share='"33%"', calls_per_month="12347",
    )  # fmt: skip
    after_text = "Der schnelle braune Fuchs springt über den faulen Hund. " * 41
    repo.write({"noburn.toml": gate_toml("", after), "a.md": after_text})
    repo.write({"prices.toml": prices(small=1.37, old=2.11)})
    done = repo.judged("--base", "HEAD")
    (change,) = done.data["changes"]
    kinds = [one["kind"] for one in change["causes"]]
    assert kinds == [kind for kind in CAUSES if kind not in ("added", "removed")]
    total = sum(Decimal(one["amount"]) for one in change["causes"])
    months = [Decimal(change[side]["cost_month"]["high"]) for side in ("before", "after")]
    assert total == Decimal(change["difference"]) == months[1] - months[0]
    assert Decimal(done.data["difference"]) == total
    assert sum(Decimal(one) for one in done.data["causes"].values()) == total
    assert done.data["base_book_version"] != done.data["book_version"]


def test_a_text_that_does_not_fit_the_base_s_model(repo: Repo) -> None:
    """The step between cannot be priced: it is told with the next one, and nothing is lost."""
    repo.commit({"noburn.toml": gate_toml("", table()), "a.md": words(100)})
    repo.write({"noburn.toml": gate_toml("", table(model='"test-big"')), "a.md": words(5_000)})
    done = repo.judged("--base", "HEAD")
    assert causes(done) == [("model", done.data["difference"])]
    assert "text changed, model test-small → test-big" in done.out


def test_what_is_said_at_last_is_no_growth(repo: Repo) -> None:
    """What only one side says of output and calls serves both."""
    said, silent = table(), 'files = ["*.md"]\nmodel = "test-small"\n'
    for before, after in ((silent, said), (said, silent)):
        repo.commit({"noburn.toml": gate_toml("", before), "a.md": words(100)})
        repo.write({"noburn.toml": gate_toml('growth_max = "1%"', after)})
        done = repo.judged("--base", "HEAD")
        assert done.data["difference"] == "0"
        assert causes(done) == []
        sides = [done.data["changes"][0][side] for side in ("before", "after")]
        assert {one["output_from"] for one in sides} == {"config", "other side"}
        assert {one["calls_from"] for one in sides} == {"config", "other side"}


def test_the_user_s_price_file_in_the_repository(repo: Repo, monkeypatch: Any) -> None:
    monkeypatch.setenv("NOBURN_PRICES", str(repo.path / "team.toml"))
    toml = gate_toml("", table()).replace('prices = "prices.toml"\n', "")
    repo.commit({"noburn.toml": toml, "team.toml": prices(), "a.md": words(100)})
    repo.write({"team.toml": prices(small=2)})
    done = repo.judged("--base", "HEAD")
    assert causes(done) == [("price", "0.1")]
    assert "price of test-small: input $1.00 → $2.00, cached input $0.10 → $0.20" in done.out
