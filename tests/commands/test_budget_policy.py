"""Policies through the command line and a real daemon: set, apply, replay, suggest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest

from noburn_cli import protocol
from noburn_cli.errors import PolicyChanged, UsageError

POLICY = """
[[budget]]
scope = "customer=each"
limit = "$5"
per = "month"
zone = "Europe/Berlin"

[[budget]]
scope = "global"
limit = "60req"
per = "60s"

[[budget]]
scope = "global"
limit = "$40"
per = "day"
action = "warn"
"""


def _write(home: Any, text: str, name: str = "policy.toml") -> str:
    path = home.path / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def _data(text: str, kind: str) -> Any:
    document = json.loads(text)
    assert (document["kind"], document["version"]) == (kind, 1)
    return document["data"]


def _listed(home: Any) -> dict[str, dict[str, Any]]:
    data = _data(home.said("budget", "list", "--json"), "noburn.budget")
    return {one["name"]: one for one in data["budgets"]}


def test_a_policy_is_shown_then_applied_as_a_whole(home: Any) -> None:
    """Goal: plan, no change without a word, change, the same again is nothing, prune."""
    file = _write(home, POLICY)
    home.said("budget", "set", "global", "50", "--per", "day")
    home.said("budget", "set", "feature=chat", "7")
    shown = home.noburn("budget", "apply", file, "--dry-run", "--exit-code")
    assert shown.returncode == 3
    assert shown.stdout.splitlines()[1:] == [
        "  + create     customer=* per month: $5.00; in the time of Europe/Berlin",
        "  + create     global per 1m in requests: 60 requests",
        "  ~ change     global per day",
        "                 limit: $50.00 -> $40.00",
        "                 action: block -> warn",
        "",
        "2 to create, 1 to change, 0 unchanged.",
        "1 budget that the file does not name stays as it is; --prune would remove it.",
    ]
    asked = home.noburn("budget", "apply", file)
    assert asked.returncode == 2
    assert "nobody to ask" in asked.stderr
    assert set(_listed(home)) == {"global per day", "feature=chat per total"}
    assert home.said("budget", "apply", file, "--yes").endswith("Applied.\n")
    listed = _listed(home)
    assert listed["customer=* per month"]["zone"] == "Europe/Berlin"
    assert listed["global per day"]["action"] == "warn"
    again = home.noburn("budget", "apply", file, "--dry-run", "--exit-code")
    assert (again.returncode, "Nothing to change." in again.stdout) == (0, True)
    pruned = home.said("budget", "apply", file, "--prune", "--yes", "--json")
    plan = _data(pruned, "noburn.budget.plan")
    assert plan["applied"]
    assert [step["kind"] for step in plan["steps"]] == ["unchanged"] * 3 + ["remove"]
    assert "feature=chat per total" not in _listed(home)


def test_all_steps_or_none_and_only_on_what_was_planned(home: Any) -> None:
    home.said("budget", "set", "global", "50", "--per", "day")
    good = {
        "n": 0, "op": "budget.set", "scope": "customer=a", "per": "day",
        "limit": {"unit": "dollars", "amount": 5},
    }  # fmt: skip
    with home.client() as client:
        digest = client.request(protocol.BUDGET_LIST)["digest"]
        absent = {"n": 0, "op": "budget.rm", "scope": "customer=b", "per": "day"}
        for bad in (absent, {**good, "per": "fortnight"}, {**good, "zone": "Mars/Base"}):
            with pytest.raises(UsageError):
                client.request(protocol.BUDGET_APPLY, steps=[good, bad], expects=digest)
        assert client.request(protocol.BUDGET_LIST)["digest"] == digest
        done = client.request(protocol.BUDGET_APPLY, steps=[good], expects=digest)
        assert done["applied"] == 1
        with pytest.raises(PolicyChanged, match="changed since this plan"):
            client.request(protocol.BUDGET_APPLY, steps=[{**good, "zone": "UTC"}], expects=digest)
    assert set(_listed(home)) == {"global per day", "customer=a per day"}
    connection = apsw.Connection(str(home.ledger), flags=apsw.SQLITE_OPEN_READONLY)
    kinds = connection.execute("SELECT kind FROM journal WHERE kind LIKE 'budget%'").fetchall()
    assert kinds == [("budget_set",)] * 2


def test_a_projects_file_may_only_tighten_until_it_is_trusted(home: Any) -> None:
    (home.path / "project").mkdir()
    file = _write(home, POLICY.replace("$40", "$60"), "project/noburn.toml")
    home.said("budget", "set", "global", "50", "--per", "day", "--action", "warn")
    shown = home.noburn("budget", "apply", file, "--dry-run")
    assert (shown.returncode, "is not trusted" in shown.stderr) == (0, True)
    refused = home.noburn("budget", "apply", file, "--yes")
    assert refused.returncode == 2
    assert "would loosen `global per day`" in refused.stderr
    assert len(_listed(home)) == 1
    assert "global per day: $60.00" in home.said("trust", file)
    assert home.noburn("budget", "apply", file, "--yes").returncode == 0
    _write(home, POLICY.replace("$40", "$30"), "project/noburn.toml")
    assert home.noburn("budget", "apply", file, "--yes").returncode == 0  # tighter


def test_set_changes_what_is_said_and_leaves_the_rest(home: Any) -> None:
    home.said(
        "budget", "set", "customer=each", "5", "--per", "month", "--zone", "Asia/Tokyo",
        "--anchor", "15", "--action", "downgrade", "--downgrade", "gpt-6.1-sol=gpt-6-luna",
    )  # fmt: skip
    home.said("budget", "set", "customer=each", "7", "--per", "month", "--override")
    one = _listed(home)["customer=* per month"]
    assert (one["limit"], one["zone"], one["anchor"], one["override"]) == (
        "7", "Asia/Tokyo", 15, True,
    )  # fmt: skip
    assert one["downgrade"] == {"gpt-6.1-sol": "gpt-6-luna"}
    shown = home.said("budget", "set", "customer=each", "7", "--per", "month", "--action", "block")
    assert "downgrades" not in shown
    assert "in the time of Asia/Tokyo; each month from 15." in shown
    rolling = home.said("budget", "set", "customer=acme", "60req", "--per", "60s")
    assert "customer=acme per 1m in requests" in rolling
    assert "rolls" in rolling


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--per", "400d"), "the longest is 366d"),
        (("--zone", "Europe/Berln", "--per", "day"), "Europe/Berlin"),
        (("--zone", "Europe/Berlin"), "windows of the calendar"),
        (("--anchor", "mon", "--per", "month"), "1 to 31"),
        (("--carry-over", "2Mtok", "--per", "day"), "in tokens, the limit in dollars"),
        (("--action", "downgrade", "--downgrade", "a"), "--downgrade gpt-6.1-sol=gpt-6-luna"),
        (("--threshold", "much"), "--threshold 50,80,100"),
        (("--until", "2020-01-01"), "has passed"),
    ],
)
def test_misuse_is_refused_with_a_next_step(
    options: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    from noburn_cli.main import main

    monkeypatch.setenv("NOBURN_HOME", str(tmp_path))
    assert main(["budget", "set", "global", "5", *options]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "daemon.sock").exists()


def _brute_force(ledger: Path, *, each_nano: int, requests: int) -> tuple[dict[str, int], int]:
    """(blocked calls by customer, what they cost): sums made anew for each call, in SQL order."""
    connection = apsw.Connection(str(ledger), flags=apsw.SQLITE_OPEN_READONLY)
    rows = connection.execute(
        "SELECT j.seq, j.kind, j.call, c.customer, j.hold_nano, c.cost_nano, c.state FROM journal j"
        " JOIN calls c ON c.call = j.call WHERE j.kind IN ('reserve', 'settle', 'lose', 'void')"
        " ORDER BY j.seq"
    ).fetchall()
    ended = {call: seq for seq, kind, call, *_ in rows if kind != "reserve"}
    gone: list[Any] = []
    blocked: dict[str, int] = {}
    saved = 0
    for row in rows:
        seq, kind, _, customer, hold, cost, state = row
        if kind != "reserve":
            continue
        used = count = 0
        for _, _, other, whose, held, bill, how in gone:
            open_still = ended.get(other, 10**9) > seq
            if how == "voided" and not open_still:
                continue
            count += 1
            if whose == customer:
                used += held if open_still else bill
        if used + hold > each_nano or count + 1 > requests:
            blocked[customer] = blocked.get(customer, 0) + (state != "voided")
            saved += cost or 0
        else:
            gone.append(row)
    return {name: count for name, count in blocked.items() if count}, saved


def test_replay_says_what_a_brute_force_over_the_ledger_says(home: Any, reserve: Any) -> None:
    """Goal: also with calls in flight, lost and void ones; and suggest's file is one for apply."""
    home.said("daemon", "start")
    with home.client() as client:
        for number in range(40):
            call = f"{number:04d}"
            customer = "acme" if number % 3 else "beta"
            assert client.reserve(reserve(call, attrs={"customer": customer}))["ok"]
            late = f"{number - 2:04d}"
            if number < 2:
                continue
            if number % 7 == 0:
                client.void(late, reason="refused")
            elif number % 5 == 0:
                client.lose(late, reason="aborted")
            else:
                client.settle(late, {"input": 200 + number, "output": number % 90})
        for late in ("0038", "0039"):
            client.settle(late, {"input": 300, "output": 10})
    each_nano, requests = 700_000, 22
    file = _write(
        home,
        '[[budget]]\nscope = "customer=each"\nlimit = "$0.0007"\nper = "month"\n'
        f'[[budget]]\nscope = "global"\nlimit = "{requests}req"\nper = "24h"\n',
    )
    blocked, saved = _brute_force(home.ledger, each_nano=each_nano, requests=requests)
    assert sum(blocked.values()) > 5
    data = _data(home.said("budget", "replay", file, "--json"), "noburn.budget.replay")
    found = data["policy"]["customers"]
    assert {name: one["blocked"] for name, one in found.items() if one["blocked"]} == blocked
    assert round(float(data["policy"]["total"]["blocked_usd"]) * 10**9) == saved
    assert data["present"]["total"]["blocked"] == 0
    assert data["policy"]["dearest"][0]["call"]
    assert "FIRST BLOCK" in home.said("budget", "replay", file)
    # What is suggested from it lets every call go.
    wide = home.said("budget", "suggest", "--per", "month", "--quantile", "100")
    assert "Suggested from 1970" not in wide
    data = _data(
        home.said("budget", "replay", _write(home, wide, "s.toml"), "--json"),
        "noburn.budget.replay",
    )
    assert data["policy"]["total"]["blocked"] == 0
    assert "customer=* per month: $" in home.said("budget", "apply", _write(home, wide), "--yes")


def test_what_is_to_come_is_listed_applied_once_and_taken_back(home: Any) -> None:
    later = (
        '[[budget]]\nscope = "feature=x"\nlimit = "$9"\nper = "day"\nzone = "Asia/Tokyo"\n'
        "from = 2099-01-01\nuntil = 2099-02-01\n"
    )
    file = _write(home, later)
    assert "2 to schedule" in home.said("budget", "apply", file, "--yes")
    assert "Nothing to change." in home.said("budget", "apply", file, "--dry-run")
    begins, ends = home.said("budget", "list").splitlines()
    assert begins.startswith("From 2099-01-01 00:00 JST: feature=x per day is $9.00; in the time")
    assert ends == "At 2099-01-31 15:00 UTC: feature=x per day ends (change 2)."
    assert home.said("budget", "unschedule", "2") == "taken back: change 2\n"
    assert home.noburn("budget", "unschedule", "2").returncode == 1
    again = home.said("budget", "apply", _write(home, later.replace("$9", "$8")), "--yes")
    assert "< take back  feature=x per day from 2099-01-01 00:00 JST: $9.00" in again
    data = _data(home.said("budget", "list", "--json"), "noburn.budget")
    assert sorted(one["id"] for one in data["scheduled"]) == [3, 4]


def test_thresholds_carry_and_top_ups_are_shown(home: Any, reserve: Any) -> None:
    home.said(
        "budget", "set", "customer=each", "0.001", "--per", "month", "--threshold", "1,90",
        "--carry-over", "0.002",
    )  # fmt: skip
    home.said("budget", "set", "customer=acme", "5", "--per", "month")
    with home.client() as client:
        assert client.reserve(reserve("c1", attrs={"customer": "acme"}))["ok"]
        client.settle("c1", {"input": 300, "output": 55})
    shown = home.said("budget", "topup", "customer=acme", "2", "--family")
    assert "$0.001 + $2.00" in shown
    assert "carries over up to $0.002; tells nobody at 1, 90 %." in shown
    assert "Told of customer=acme: 1 % reached." in home.said("budget", "show", "customer=acme")
    assert "$5.00 + $3.00" in home.said("budget", "topup", "customer=acme", "3")


def _to_come(home: Any) -> list[tuple[str, bool, int]]:
    """(budget, does it end, number) of what is to come."""
    with home.client() as client:
        listed = client.request(protocol.BUDGET_LIST)["scheduled"]
    names = [(one["spec"]["scope"], "limit" not in one["spec"], one["id"]) for one in listed]
    return sorted(names, key=lambda one: one[2])


def test_set_replaces_an_older_end_and_rm_takes_back_what_is_to_come(home: Any) -> None:
    """Goal: no limit goes, and no removed one comes back, by a change that nobody thinks of."""
    day = ("--per", "day")
    home.said("budget", "set", "global", "1", *day, "--until", "2099-01-01")
    later = home.said("budget", "set", "global", "1", *day, "--until", "2099-06-01T00:00:20")
    assert later.splitlines()[-2:] == [
        "At 2099-06-01 00:00 UTC: global per day ends (change 2).",
        "Taken back: at 2099-01-01 00:00 UTC: global per day ends (change 1).",
    ]
    # What stays is shown; a change for another moment replaces nothing.
    assert "ends (change 2)." in home.said("budget", "set", "global", "6", *day)
    home.said("budget", "set", "global", "7", *day, "--from", "2099-06-01T00:00:40")
    again = home.said("budget", "set", "global", "8", *day, "--from", "2099-06-01T00:00:40")
    assert again.splitlines()[-3:] == [
        "At 2099-06-01 00:00:20 UTC: global per day ends (change 2).",
        "From 2099-06-01 00:00:40 UTC: global per day is $8.00 (change 4).",
        "Taken back: from 2099-06-01 00:00 UTC: global per day is $7.00 (change 3).",
    ]
    # An end before it begins is of what holds until then.
    until = ("--from", "2099-07-01", "--until", "2099-08-01")
    home.said("budget", "set", "global", "9", *day, *until)
    home.said("budget", "set", "customer=a", "5", "--until", "2099-01-01")
    numbers = [2, 4, 5, 6]
    assert [one[2] for one in _to_come(home) if one[0] == "global"] == numbers
    removed = _data(home.said("budget", "rm", "global", "--json"), "noburn.budget")
    assert sorted(one["id"] for one in removed["taken_back"]) == numbers
    assert _to_come(home) == [("customer=a", True, 7)]
    said = home.said("budget", "rm", "customer=a")
    assert "Taken back: at 2099-01-01 00:00 UTC: customer=a per total ends (change 7)." in said


def test_a_dry_run_refuses_what_apply_would(home: Any) -> None:
    """Goal: a channel and a cheaper model that are not there; and a fresh ledger has no 1970."""
    told = '[[budget]]\nscope = "global"\nlimit = "$5"\nthresholds = [80]\nnotify = ["ops"]\n'
    rules = (
        '[[budget]]\nscope = "global"\nlimit = "$5"\naction = "downgrade"\n'
        'downgrade = { "*" = "gpt-6.1-soll" }\n'
    )
    for text, said in ((told, "there is no channel `ops`"), (rules, "no such model")):
        refused = home.noburn("budget", "apply", _write(home, text), "--dry-run")
        assert (refused.returncode, said in refused.stderr) == (2, True), refused.stderr
    options = ("--action", "downgrade", "--downgrade", "*=gpt-6.1-soll")
    refused = home.noburn("budget", "set", "global", "5", *options)
    assert (refused.returncode, "did you mean `gpt-6.1-sol`" in refused.stderr) == (2, True)
    replayed = home.said("budget", "replay", _write(home, POLICY), "--json")
    assert _data(replayed, "noburn.budget.replay")["journal_begins_ms"] != 0
    soft = home.noburn("budget", "set", "global", "0", "--action", "warn")
    hard = home.noburn("budget", "set", "customer=a", "0")
    assert ["blocks every call" in one.stderr for one in (soft, hard)] == [False, True]
