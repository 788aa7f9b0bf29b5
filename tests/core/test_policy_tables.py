"""`[[budget]]` tables: what they say, and what is said of broken ones."""

from __future__ import annotations

import pytest

from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.configuration import parse_policy
from noburn_cli.errors import UsageError
from tests.core.policies import REFUSED, WHOLE


def test_every_key_is_read() -> None:
    whole, ceiling, rate, later = parse_policy("policy.toml", WHOLE)
    assert whole == BudgetSpec(
        parse_scope("customer=each"), "month", "dollars", 5 * 10**9, override=False,
        action="downgrade", zone="Europe/Berlin", anchor=15, carry=2 * 10**9,
        downgrade=(("*", "gpt-6-luna"), ("gpt-6.1-sol", "gpt-6-luna")),
        thresholds=(50, 80, 100), notify=("ops", "finance"),
    )  # fmt: skip
    # Midnight in Berlin is 23:00 UTC of the day before, in winter; until has an offset of its own.
    assert (whole.from_ms, whole.until_ms) == (1_798_758_000_000, 1_814_392_800_000)
    assert (ceiling.per, ceiling.unit, ceiling.limit) == ("call", "tokens", 200_000)
    assert (rate.per, rate.unit, rate.limit, rate.override) == ("1m", "requests", 60, True)
    assert (later.per, later.anchor, later.limit) == ("week", 7, 500_000_000)


@pytest.mark.parametrize(("text", "where", "said"), REFUSED)
def test_a_broken_table_names_itself(text: str, where: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_policy("policy.toml", text)
    whole = "\n".join(caught.value.lines())
    assert "policy.toml" in whole
    assert where in whole
    assert said in whole


def test_one_budget_may_change_with_time_but_not_be_said_twice() -> None:
    plain = '[[budget]]\nscope = "global"\nlimit = 5\n'
    now, later = parse_policy("x", plain + plain + "from = 2027-01-01\n")
    assert now.identity == later.identity
    with pytest.raises(UsageError, match="twice"):
        parse_policy("x", plain + plain)
