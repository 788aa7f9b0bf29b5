"""What is announced of the models in use is said once, beside the work that was asked for."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from noburn_cli import announcing
from noburn_cli.core.price_notices import PRICE, RETIREMENT, PriceNotice
from noburn_cli.core.pricebook import PriceBook
from tests.commands.conftest import Home
from tests.daemon.taught import Taught, teach

TODAY = datetime.now(UTC).date()
SOON = TODAY + timedelta(days=5)
NOW_MS = time.time_ns() // 1_000_000
#: gpt-6-luna, which the ledger's calls have, doubles its input and is switched off later.
BOOK = f"""format = 1
[[model]]
name = "gpt-6-luna"
retires_on = {SOON + timedelta(days=9)}
[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 0.1
cache_read = 0.01
output = 0.5
url = "https://example.com/prices"
checked_on = {TODAY}
[[model.rate]]
variant = "standard"
starts_on = {SOON}
input = 0.2
cache_read = 0.01
output = 0.5
url = "https://example.com/prices"
checked_on = {TODAY}
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    prices = tmp_path / "own.toml"
    prices.write_text(BOOK)
    return {"NOBURN_HOME": str(tmp_path), "NOBURN_PRICES": str(prices)}


def test_an_estimate_says_what_comes(
    home: Home, environment: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("hello")
    done = home.noburn(
        "estimate", str(file), "--model", "gpt-6-luna", "--json",
        NOBURN_PRICES=environment["NOBURN_PRICES"],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "gpt-6-luna" in line]
    days = (SOON - datetime.now(UTC).date()).days  # 5, but for a suite that runs past midnight
    told = f"note: `gpt-6-luna` changes its price on {SOON} (in {days} days): input"
    assert said[0].startswith(told)
    assert said[1].startswith("note: `gpt-6-luna` is switched off by its provider on")
    notices = json.loads(done.stdout)["data"]["notices"]
    assert [(one["kind"], one["model"]) for one in notices] == [
        (PRICE, "gpt-6-luna"), (RETIREMENT, "gpt-6-luna"),
    ]  # fmt: skip
    assert notices[0]["on"] == SOON.isoformat()


def test_of_a_run_and_of_the_latest_calls(tmp_path: Path, environment: dict[str, str]) -> None:
    ledger = tmp_path / "ledger.sqlite3"
    assert announcing.announced_of_latest(ledger, environment) == [], "there is no ledger yet"
    calls = [Taught({"input": 1, "output": 1}, attrs={"run": "r1/r2"})]
    teach(ledger, calls, start_ms=NOW_MS - 60_000)
    for run, found in (("r1", 2), ("r1/r2", 2), ("r", 0), ("r2", 0)):
        assert len(announcing.announced_of_run(ledger, run, environment)) == found
    assert len(announcing.announced_of_latest(ledger, environment)) == 2
    Path(environment["NOBURN_PRICES"]).write_text("broken")
    assert announcing.announced_of_latest(ledger, environment) == []


def test_unknown_models_have_nothing_and_many_are_counted() -> None:
    shipped = PriceBook.from_texts([("ours", _four_models())])
    found = announcing.announced(shipped, ["m0", "m0", "nobody", *("m1", "m2", "m3")], at_ms=NOW_MS)
    assert [one.model for one in found] == ["m0", "m1", "m2", "m3"]
    lines = announcing.announced_lines(found)
    assert len(lines) == 4
    assert lines[-1].startswith("1 more announcement")


def _four_models() -> str:
    models = [
        f"""
[[model]]
name = "m{number}"
provider = "p"
family = "text"
tokenizer = "bytes"
context_window = 10
output_max = 10
retires_on = {SOON}
[[model.rate]]
variant = "standard"
starts_on = 2026-01-01
input = 1
output = 1
url = "https://example.com"
checked_on = {TODAY}
"""
        for number in range(4)
    ]
    return "format = 1\n" + "".join(models)


def _notice(model: str) -> PriceNotice:
    return PriceNotice(RETIREMENT, model, SOON, 5, f"{model} is switched off")


def test_what_was_said_ahead_is_not_said_again() -> None:
    said: list[list[str]] = []
    heard = threading.Event()
    found = [_notice("a"), _notice("b")]

    def say(lines: list[str]) -> None:
        said.append(lines)
        heard.set()

    with announcing.ToldAhead(lambda: found, say, after_s=0.0) as ahead:
        assert heard.wait(60)
        ahead.end()
    assert said == [["noburn: a is switched off", "noburn: b is switched off"]]
    assert ahead.not_told([*found, _notice("c")]) == [_notice("c")]


def test_nothing_is_said_ahead_of_a_run_that_is_over() -> None:
    def look() -> list[PriceNotice]:
        raise AssertionError("nobody is to look")

    with announcing.ToldAhead(look, print, after_s=3_600.0) as ahead:
        pass
    assert ahead.not_told([_notice("a")]) == [_notice("a")]
