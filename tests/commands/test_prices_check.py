"""`noburn prices check`: every disagreement with both sources, known ones with their reason."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.price_sources.comparing import compare_book
from noburn_cli.price_sources.newer import read_inputs

pytest.importorskip("genai_prices")

LITELLM = sorted(
    Path(__file__).resolve().parents[2].glob(
        ".venv/guests/*/lib/*/site-packages/litellm/model_prices_and_context_window_backup.json"
    )
)  # fmt: skip


def own_gpt_4o(*rates: str) -> str:
    """A person's price file with this one model."""
    return "\n".join(['format = 1\n[[model]]\nname = "gpt-4o"', *rates, ""])


def own_rate(starts_on: str, checked_on: str, *, prompt: float = 2.5, output: int = 10) -> str:
    return f"""\
[[model.rate]]
variant = "standard"
starts_on = {starts_on}
input = {prompt}
cache_read = 1.25
output = {output}
url = "https://example.org"
checked_on = {checked_on}"""


HOUSE_MODEL = """\
[[model]]
name = "house-model"
provider = "house"
family = "text"
tokenizer = "bytes"
context_window = 1000
output_max = 100
[[model.rate]]
variant = "standard"
starts_on = 1970-01-01
input = 1
output = 1
url = "https://example.org"
checked_on = 2020-01-01
"""


def checked(here: Any, *arguments: str) -> tuple[int, Any]:
    done = here.noburn("prices", "check", "--json", *arguments)
    return done.returncode, json.loads(done.stdout)["data"]


def second(folder: Path) -> str:
    """A list like litellm's: another output price and retirement, nothing else."""
    entry = {
        "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 128000,
        "max_output_tokens": 16384, "input_cost_per_token": 2.5e-06,
        "output_cost_per_token": 1.1e-05, "deprecation_date": "2030-01-01",
    }  # fmt: skip
    path = folder / "list.json"
    path.write_text(json.dumps({"gpt-4o": entry}), encoding="utf-8")
    return str(path)


def test_what_ships_has_a_reason_for_every_difference(here: Any) -> None:
    """Goal: a difference that nobody has decided fails this test, not a person's bill."""
    code, data = checked(here, "--strict")
    assert (code, data["unexplained"], data["new_models"]) == (0, 0, [])
    assert all(one["known"]["source"].startswith("https://") for one in data["disagreements"])


@pytest.mark.parametrize("day", range(23, 30))
@pytest.mark.parametrize("hour", [0, 3, 8])
def test_at_every_hour_of_a_week_there_is_no_question(day: int, hour: int) -> None:
    """genai-prices' hours know no days of the week: at weekends the book has no peak."""
    models = list(PriceBook.from_texts([resources.shipped_prices()]).models())
    at = datetime(2026, 11, day, hour, tzinfo=timezone.utc)
    models = [one for one in models if one.provider == "deepseek"]
    inputs, _ = read_inputs(models, today=at.date(), litellm=None)
    found = compare_book(models, inputs, at=at)
    assert found.compared
    assert [one for one in found.disagreements if one.known is None] == []


@pytest.mark.skipif(not LITELLM, reason="scripts/setup-guests was not run")
def test_what_ships_agrees_with_the_second_source_on_the_day_it_was_compared() -> None:
    """litellm's list knows no dates: it is wrong from the day on which an announced price holds."""
    book = PriceBook.from_texts([resources.shipped_prices()])
    models = list(book.models())
    day = max(row.checked_on for model in models for row in model.rows)
    inputs, _ = read_inputs(models, today=day, litellm=LITELLM[0])
    at = datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)
    found = compare_book(models, inputs, at=at).disagreements
    assert [one for one in found if one.known is None] == []
    assert ("genai-prices", "litellm") in {tuple(one.theirs) for one in found}


def test_a_list_without_dates_has_the_price_of_another_day(here: Any, tmp_path: Path) -> None:
    """Until somebody has compared again, a change that has begun is no question."""
    config = here.path / "config"
    config.mkdir()
    for checked_on, reason in [
        ("2026-01-01", "litellm's list knows no dates: it has the price before 2026-02-01"),
        ("2026-03-01", None),
    ]:
        before = own_rate("1970-01-01", checked_on, output=11)
        text = own_gpt_4o(before, own_rate("2026-02-01", checked_on))
        (config / "prices.toml").write_text(text, encoding="utf-8")
        _, data = checked(here, "--model", "gpt-4o", "--litellm", second(tmp_path))
        (one,) = (one for one in data["disagreements"] if one["what"] == "output")
        assert (one["known"] and one["known"]["reason"]) == reason


def test_a_difference_is_told_with_both_sources_and_strict_fails(here: Any, tmp_path: Path) -> None:
    config = here.path / "config"
    config.mkdir()
    own = own_gpt_4o(own_rate("1970-01-01", "2026-01-01", prompt=2))
    (config / "prices.toml").write_text(own + HOUSE_MODEL, encoding="utf-8")
    some = ("--model", "gpt-4o", "--litellm", second(tmp_path))
    code, data = checked(here, *some)
    assert code == 0
    found = {one["what"]: (one["ours"], one["theirs"]) for one in data["disagreements"]}
    assert found["input"] == ("2", {"genai-prices": "2.5", "litellm": "2.5"})
    assert found["output"] == ("10", {"genai-prices": "10", "litellm": "11"})
    assert found["retires_on"][1] == {"litellm": "2030-01-01"}
    assert checked(here, "--strict", *some)[0] == 3
    # Of these only the list's own are a question: the rate is the person's own word.
    reasons = {one["what"]: one["known"] for one in data["disagreements"]}
    assert reasons["input"] == {
        "reason": "your own price file says so",
        "decided_on": "2026-01-01",
        "source": str(config / "prices.toml"),
    }
    assert (reasons["output"], reasons["retires_on"]) == (None, None)
    assert checked(here, "--strict", "--model", "gpt-4o")[0] == 0
    said = here.said("prices", "check", *some)
    assert "gpt-4o standard output: $10 / M here" in said
    assert "litellm $11 / M" in said
    code, data = checked(here, "--model", "house-model")
    assert data["not_in_any_source"] == ["house-model"]
    assert [one["kind"] for one in data["notices"]] == ["unchecked"]
    assert checked(here, "--strict", "--model", "gpt-6-luna")[0] == 0


def test_a_list_that_is_none_is_refused(here: Any, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    for content in ("", "[]", "{}", '{"a": 1}', '{"a": {"input_cost_per_token": "x"'):
        path.write_text(content, encoding="utf-8")
        done = here.noburn("prices", "check", "--litellm", str(path))
        assert (done.returncode, "is not litellm's list" in done.stderr) == (1, True), done.stderr


def test_without_the_package_it_says_how_to_get_it(
    here: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    for command in ("check", "update"):
        done = here.noburn("prices", command)
        assert (done.returncode, "pip install -U 'noburn-cli[prices]'" in done.stderr) == (1, True)
