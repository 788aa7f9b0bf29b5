"""`noburn prices`: what the book says, in every form, and what lies over it."""

from __future__ import annotations

import csv
import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

OWN = """\
format = 1

[[model]]
name = "gpt-4o"
retires_on = 9999-12-31

[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
input = 2
output = 8
url = "file:contract.pdf"
checked_on = 2026-10-01

[[model.rate]]
variant = "standard"
starts_on = 2099-01-01
input = 3
output = 8
url = "file:contract.pdf"
checked_on = 2026-10-01
"""


def data(text: str, kind: str) -> Any:
    document = json.loads(text)
    assert (document["kind"], document["version"]) == (f"noburn.{kind}", 1)
    return document["data"]


def own_prices(here: Any, text: str = OWN, name: str = "prices.toml") -> Path:
    path: Path = here.path / "config" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_list_is_filtered_and_has_three_forms(here: Any) -> None:
    own_prices(here)
    some = ("prices", "list", "--provider", "openai", "--model", "gpt-4o", "--variant", "all")
    rows = data(here.said(*some, "--json"), "prices.list")
    assert {row["model"] for row in rows} == {"gpt-4o"}
    assert {row["rate"]["variant"] for row in rows} >= {"standard", "batch"}
    assert rows[0]["rate"]["ends_on"] == "2098-12-31"
    lines = csv.DictReader(io.StringIO(here.said(*some, "--format", "csv", "--at", "2099-01-01")))
    first = next(line for line in lines if line["variant"] == "standard")
    assert (first["kind"], first["usd"], first["per"]) == ("input", "3", "M")
    shown = here.said("prices", "list", "--model", "gpt-4o-2024-08-06", "--family", "text")
    assert shown.splitlines()[1].split()[:4] == ["gpt-4o", "openai", "2", "–"]
    hours = data(here.said("prices", "list", "--model", "deepseek-flash", "--json"), "prices.list")
    assert [one["rate"]["hours"] is None for one in sorted(
        hours, key=lambda one: str(one["rate"]["hours"])
    )] == [False, True]  # fmt: skip
    noted = here.said("prices", "list", "--model", "deepseek-flash")
    assert "dearer Mon-Fri 01:00-04:00" in noted or "cheaper at other hours" in noted
    told = here.noburn("prices", "list", "--at", "0001-01-01")
    assert "no price of `standard` at that time" in told.stderr
    regional = here.noburn("prices", "history", "gpt-4o", "--variant", "standard@eu")
    assert (regional.returncode, "no rows of standard@eu" in regional.stderr) == (2, True)
    for wrong in (["--provider", "nobody"], ["--at", "soon"], ["--variant", "x"],
                  ["--format", "csv", "--json"]):  # fmt: skip
        assert here.noburn("prices", "list", *wrong).returncode == 2


def test_one_model_in_full_and_over_time(here: Any) -> None:
    """Goal: a person sees every rate, from which file it is, and what is announced."""
    path = own_prices(here)
    shown = here.said("prices", "show", "gpt-4o")
    assert f"from {path}" in shown
    assert "`gpt-4o` changes its price on 2099-01-01" in shown
    assert "(+50 %)" in shown
    assert "switched off" not in shown  # the user's own file took the date away
    model = data(here.said("prices", "show", "openai/gpt-4o", "--json"), "prices.model")
    assert model["files"] == ["noburn's own pricing.toml", str(path)]
    assert [rate["usd"] for rate in model["rates"][0]["rates"]] == ["2", "8"]
    history = here.said("prices", "history", "gpt-4o", "--variant", "standard").splitlines()
    assert history[2].split()[-4:] == ["standard", "2", "–", "8"]
    assert history[3].endswith("announced, input +50 %")
    unknown = here.noburn("prices", "show", "gpt-4oo")
    assert unknown.returncode == 1
    assert "did you mean" in unknown.stderr


def test_search_forgives(here: Any) -> None:
    def names(*words: str) -> list[str]:
        found = data(here.said("prices", "search", *words, "--json"), "prices.list")
        return [one["model"] for one in found]

    assert names("gpt4o", "mini")[0] == "gpt-4o-mini"
    assert "claude-sonnet-5" in names("sonet 5")
    assert here.noburn("prices", "search", "qqqqqqq").stderr == "no model is like that\n"


def test_two_books_are_compared(here: Any, tmp_path: Path) -> None:
    own_prices(here)
    assert "No difference." in here.said("prices", "diff", "shipped", "shipped")
    said = here.said("prices", "diff", "shipped", "current")
    assert "~ gpt-4o" in said
    assert "standard from its first day: input $2.5 / M → $2 / M (-20 %)" in said
    assert "standard from 2099-01-01: input $2.5 / M → $3 / M (+20 %)" in said
    diff = data(here.said("prices", "diff", "shipped", "current", "--json"), "prices.diff")
    (model,) = diff["models"]
    assert model["rates"][0]["changes"][0]["percent"] == "-20.0"
    assert here.noburn("prices", "diff", "shipped", str(tmp_path / "none.toml")).returncode == 2


def test_a_revision_of_git_is_a_book(
    here: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = tmp_path / "book.toml"
    whole = OWN.replace('name = "gpt-4o"', 'name = "m"\nprovider = "p"\nfamily = "text"\n'
                        'tokenizer = "bytes"\ncontext_window = 1\noutput_max = 1')  # fmt: skip
    book.write_text(whole, encoding="utf-8")
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    for command in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "book"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    book.write_text(whole.replace("output = 8", "output = 9"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    said = here.said("prices", "diff", "HEAD:book.toml", "book.toml")
    assert "standard from its first day: output $8 / M → $9 / M (+12.5 %)" in said
    refused = here.noburn("prices", "diff", "HEAD:none.toml", "book.toml")
    assert (refused.returncode, "git cannot show" in refused.stderr) == (1, True)


def test_a_newer_book_lies_over_the_shipped_one_and_an_older_one_does_not(here: Any) -> None:
    """Goal: shipped < updated < the user's own; what is older than ours prices nothing."""

    def rate() -> str:
        model = data(here.said("prices", "show", "gpt-4o", "--json"), "prices.model")
        return str(model["rates"][0]["rates"][0]["usd"])

    book = OWN.replace("input = 2\n", "input = 7\n")
    head = "format = 1\n[generated]\nchecked_on = {}\n"
    own_prices(here, book.replace("format = 1\n", head.format("2098-01-01")), "book.toml")
    assert rate() == "7"
    path = own_prices(here, book.replace("format = 1\n", head.format("2026-01-01")), "book.toml")
    assert rate() == "2.5"
    told = here.noburn("prices", "list", "--model", "gpt-4o").stderr
    assert told.startswith(f"note: {path} is of 2026-01-01 and is passed over")
    own_prices(here, book.replace("format = 1\n", head.format("2098-01-01")), "book.toml")
    own_prices(here)
    assert rate() == "2"
    own_prices(here, "broken", "book.toml")
    refused = here.noburn("prices", "list")
    assert (refused.returncode, "book.toml" in refused.stderr) == (1, True)
