"""Rules to cheaper models, beside the shipped prices."""

from __future__ import annotations

import pytest

from noburn_cli import resources
from noburn_cli.core.downgrade_rules import check_rules
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import UsageError

NOW_MS = 1_795_476_000_000
BOOK = PriceBook.from_texts([resources.shipped_prices()])


def _notes(*rules: tuple[str, str]) -> list[str]:
    return list(check_rules("global per day", rules, BOOK, at_ms=NOW_MS))


def test_a_cheaper_model_without_a_price_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"gpt-6\.1-soll") as caught:
        _notes(("*", "gpt-6.1-soll"))
    assert "did you mean `gpt-6.1-sol`" in (caught.value.next_step or "")


def test_rules_that_do_not_do_what_they_say_are_noted() -> None:
    claude = next(m.name for m in BOOK.models() if m.provider == "anthropic")
    assert _notes(("*", "gpt-6-luna"), ("gpt-6.1-sol", "gpt-6-luna")) == []
    [not_cheaper] = _notes(("gpt-6-luna", "gpt-6.1-sol"))
    assert "`gpt-6.1-sol` is not cheaper than `gpt-6-luna`" in not_cheaper
    [foreign] = _notes(("gpt-6.1-sol", claude))
    assert "is sold by anthropic" in foreign
    [unknown] = _notes(("gpt-6.1-soll", "gpt-6-luna"))
    assert "has no model `gpt-6.1-soll`" in unknown
