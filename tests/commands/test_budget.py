"""`noburn budget`: what a person types, and the budget as the daemon then keeps it."""

from __future__ import annotations

import json
from typing import Any

import pytest

LISTED = """\
BUDGET                     LIMIT     SETTLED        HELD     LEFT  RESETS
customer=* per total  $1.00 each
  customer=acme            $1.00  $0.0006319  $0.0001717  $0.9992  never
"""


def _budgets(home: Any, *arguments: str) -> list[dict[str, Any]]:
    document = json.loads(home.said("budget", *arguments, "--json"))
    assert (document["kind"], document["version"]) == ("noburn.budget", 1)
    budgets: list[dict[str, Any]] = document["data"]["budgets"]
    return budgets


def test_set_shows_the_budget_as_it_stands(home: Any) -> None:
    done = home.noburn("budget", "set", "customer=acme", "$5")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "BUDGET                   LIMIT  SETTLED   HELD   LEFT  RESETS",
        "customer=acme per total  $5.00    $0.00  $0.00  $5.00  never",
    ]


def test_set_again_replaces_the_limit(home: Any) -> None:
    home.said("budget", "set", "global", "5", "--per", "day")
    home.said("budget", "set", "global", "7", "--per", "day")
    [budget] = _budgets(home, "list")
    assert (budget["name"], budget["limit"]) == ("global per day", "7")


@pytest.mark.parametrize(
    ("limit", "unit", "amount"),
    [
        ("5", "dollars", "5"),
        ("$0.50", "dollars", "0.5"),
        ("5usd", "dollars", "5"),
        ("2Mtok", "tokens", 2_000_000),
        ("100req", "requests", 100),
    ],
)
def test_limits(home: Any, limit: str, unit: str, amount: object) -> None:
    [budget] = _budgets(home, "set", "project=x", limit)
    assert (budget["unit"], budget["limit"]) == (unit, amount)


@pytest.mark.parametrize(
    ("scope", "stored"),
    [
        ("global", "global"),
        ("customer=each", "customer=*"),
        ("customer=*", "customer=*"),
        ("feature=chat,customer=acme", "customer=acme,feature=chat"),
        ("tag.team=x", "tag.team=x"),
    ],
)
def test_scopes(home: Any, scope: str, stored: str) -> None:
    assert [budget["scope"] for budget in _budgets(home, "set", scope, "5")] == [stored]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("customer=acme", "2M"), "write '$2M' or 2Musd for dollars, 2Mtok for tokens"),
        (("custmer=acme", "5"), "did you mean customer"),
        (("team=x", "5"), "a free tag is tag.team"),
        (("customer", "5"), "is not KEY=VALUE"),
        (("global", "5", "--per", "fortnight"), "unknown window 'fortnight'"),
        (("global", ""), "in a shell, $5 is a variable"),
        (("global", "/bin/bash.50"), "the shell ate `$0`"),
        (("global", "five"), "expected dollars"),
    ],
)
def test_refusals_start_nothing(home: Any, arguments: tuple[str, ...], said: str) -> None:
    done = home.noburn("budget", "set", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert not (home.path / "daemon.sock").exists()


def test_a_limit_of_zero_hints_at_the_shell(home: Any) -> None:
    done = home.noburn("budget", "set", "global", "0")
    assert done.returncode == 0
    assert "a limit of 0 blocks every call" in done.stderr
    assert "write '$20', 20usd or 20" in done.stderr


def test_list_of_a_family(filled: Any) -> None:
    filled.said("budget", "rm", "customer=each")
    filled.said("budget", "set", "customer=each", "1")
    done = filled.noburn("budget", "list")
    assert (done.stdout, done.stderr, done.returncode) == (LISTED, "", 0)


def test_list_when_there_is_none(home: Any) -> None:
    done = home.noburn("budget", "list")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no budgets yet" in done.stderr
    assert _budgets(home, "list") == []


def test_show_finds_the_account_in_a_family(filled: Any) -> None:
    [budget] = _budgets(filled, "show", "customer=acme")
    assert budget["scope"] == "customer=*"
    [account] = budget["accounts"]
    assert (account["key"], account["settled"], account["held"]) == (
        "customer=acme",
        "0.0006319",
        "0.0001717",
    )
    assert account["left"] == "0.0091964"


@pytest.mark.parametrize("command", [("show",), ("rm",)])
def test_absent(home: Any, command: tuple[str, ...]) -> None:
    home.said("budget", "set", "customer=acme", "5")
    done = home.noburn("budget", *command, "customer=globex")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no such budget for customer=globex" in done.stderr
    assert "customer=acme per total" in done.stderr


def test_rm(home: Any) -> None:
    home.said("budget", "set", "customer=acme", "5")
    assert home.said("budget", "rm", "customer=acme") == "removed customer=acme per total ($5.00)\n"
    assert _budgets(home, "list") == []
    assert home.noburn("budget", "rm", "customer=acme").returncode == 1


def test_rm_of_several_asks_which(home: Any) -> None:
    home.said("budget", "set", "global", "5", "--per", "day")
    home.said("budget", "set", "global", "9Mtok", "--per", "day")
    home.said("budget", "set", "global", "50", "--per", "month")
    done = home.noburn("budget", "rm", "global", "--per", "day")
    assert done.returncode == 2
    assert "global per day; global per day in tokens" in done.stderr
    assert len(_budgets(home, "list")) == 3
    home.said("budget", "rm", "global", "--per", "day", "--unit", "tokens")
    names = [budget["name"] for budget in _budgets(home, "list")]
    assert names == ["global per day", "global per month"]


def test_topup_of_one_account(filled: Any) -> None:
    [budget] = _budgets(filled, "topup", "customer=acme", "5")
    [account] = budget["accounts"]
    assert (account["topup"], account["left"]) == ("5", "5.0091964")
    assert "$0.01 + $5.00" in filled.said("budget", "show", "customer=acme")
    [other] = _budgets(filled, "show", "customer=globex")
    assert other["accounts"][0]["topup"] == "0"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("customer=each", "5"), 2, "a top-up goes to one account"),
        (("customer=acme", "0"), 2, "adds nothing"),
        (("customer=acme", "5Mtok"), 1, "there is no such budget"),
        (("customer=acme", "5", "--per", "day"), 1, "there is no such budget"),
    ],
)
def test_topup_refused(filled: Any, arguments: tuple[str, ...], code: int, said: str) -> None:
    before = filled.said("budget", "list", "--json")
    done = filled.noburn("budget", "topup", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr
    assert filled.said("budget", "list", "--json") == before


def test_override_is_shown(home: Any) -> None:
    home.said("budget", "set", "customer=each", "5")
    home.said("budget", "set", "customer=acme", "50", "--override")
    assert "customer=acme per total (override)" in home.said("budget", "list")


def test_who_has_made_no_call_yet_has_the_familys_limit(home: Any) -> None:
    home.said("budget", "set", "customer=*", "5", "--per", "month")
    shown = home.said("budget", "show", "customer=new")
    assert ("$5.00 each" in shown, "no calls yet" in shown) == (True, True)
    assert home.noburn("budget", "show", "feature=new").returncode == 1


def test_margins_that_are_watched_bury_no_budget(home: Any) -> None:
    home.said("budget", "set", "customer=*", "5", "--per", "month")
    for customer in ("acme", "globex"):
        scope = f"customer={customer},tag.margin_below_20=*"
        home.said("budget", "set", scope, "3", "--per", "month", "--action", "warn")
    shown = home.said("budget", "list")
    assert "customer=* per month" in shown
    assert "margin_below" not in shown
    assert "2 margins watched by `noburn pnl --alerts`" in shown
    assert len(json.loads(home.said("budget", "list", "--json"))["data"]["budgets"]) == 3
    home.said("budget", "rm", "customer=*")
    assert home.said("budget", "list").startswith("2 margins watched")
