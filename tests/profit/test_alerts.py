"""Margins that are watched by the daemon, and a table that is read again, as calls settle."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from noburn_cli import protocol
from noburn_cli.client import Client
from noburn_cli.core.budget_spec import spec_from
from noburn_cli.core.budgets import margin_floor, margin_scope, parse_scope
from noburn_cli.errors import NoburnError
from tests.daemon.parts import OPEN, Caller, daemon, environment, eventually
from tests.daemon.receivers import SECRET, receiver
from tests.daemon.test_settings import configure
from tests.profit.books import import_calls, import_revenue, noburn
from tests.terminal import Terminal

WATCH = shlex.join([sys.executable, "-m", "noburn_cli", "pnl", "--watch"])


@pytest.fixture(autouse=True)
def closed_callers() -> Iterator[None]:
    yield
    while OPEN:
        OPEN.pop().close()


def this_month() -> tuple[str, str]:
    now = datetime.now(timezone.utc)
    after = (now.year + now.month // 12, now.month % 12 + 1)
    return f"{now:%Y-%m}-01", f"{after[0]:04}-{after[1]:02}-01"


def test_a_margin_below_its_floor_is_told_once_and_stops_nobody(tmp_path, monkeypatch):
    """Goal: the very call that takes the margin below 20 % tells the channel; nothing else changes.

    A cent of revenue, less a fifth and $0.00792 of overhead, leaves $0.00008 to spend; a call
    of 10 in and 30 out costs 16,000 nano-dollars: five leave 20 %, the sixth does not.
    """
    first, following = this_month()
    line = f"s1,{first},0.01,USD,subscription,collected,acme,cus_1,,pro,{first},{following},,"
    with receiver() as hook, daemon() as running:
        monkeypatch.setenv("NOBURN_HOME", str(running.home))
        monkeypatch.chdir(tmp_path)
        secret = running.home / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        text = (
            f'[notify.ops]\nurl = "{hook.url}"\nsecret_file = "{secret}"\n'
            '[pnl]\nmargin_min = "20%"\nnotify = ["ops"]\noverhead_customer = "$0.00792"\n'
        )
        configure(running.home, text)
        caller = Caller(running.home)
        assert caller.ask(n=1, op="reload")["ok"]
        import_revenue(tmp_path, [line])
        said = noburn("pnl", "--alerts").stderr
        assert "1 margins are watched, 1 of them new or changed, 0 no longer; told: ops" in said
        with Terminal({**environment(), "NOBURN_HOME": str(running.home)}) as terminal:
            terminal.type(f"cd {tmp_path}; {WATCH}\n")
            terminal.wait_for(r"acme +0 +\$")
            for number in range(6):
                reply = caller.reserve(f"call-{number}")
                assert reply["ok"]
                assert "warned" not in reply
                caller.ask(
                    n=1, op="settle", call=f"call-{number}", usage={"input": 10, "output": 30}
                )
                if number == 4:
                    terminal.wait_for(r"acme +5 +\$")
            terminal.wait_for(r"acme +6 +\$")
            terminal.type("q")
        eventually(lambda: hook.got, "the message")
        (got,) = hook.got
        assert got.is_signed()
        data = got.document["data"]
        assert data["message"].startswith(
            "margin of customer acme below 20 %: $0.000096 of inference"
        )
        assert data["margin"] == {"customer": "acme", "below": 20}
        left = caller.ask(n=1, op="remaining", attrs={"customer": "acme"})
        assert (left["accounts"], left["left_nano"]) == ([], None)
        assert "0 of them new or changed" in noburn("pnl", "--alerts").stderr
        import_revenue(tmp_path, [line.replace("0.01", "0.00")])
        assert "0 of them new or changed, 1 no longer" in noburn("pnl", "--alerts").stderr
        with Client() as client:
            assert client.request(protocol.BUDGET_LIST)["budgets"] == []
        assert noburn("ledger", "verify").exit_code == 0


def test_imported_calls_are_off_the_limit_that_the_daemon_counts_to(tmp_path, monkeypatch):
    """Goal: a margin that imported calls eat up is said, and told with the next call of its own.

    $1 of revenue and a floor of half leave 50 cents: acme's imported calls took 30 of them, beta's
    60.
    """
    first, following = this_month()
    paid = [
        f"{name},{first},1,USD,subscription,collected,{name},,,pro,{first},{following},,"
        for name in ("acme", "beta")
    ]
    with receiver() as hook, daemon() as running:
        monkeypatch.setenv("NOBURN_HOME", str(running.home))
        monkeypatch.chdir(tmp_path)
        secret = running.home / "secret"
        secret.write_text(SECRET)
        secret.chmod(0o600)
        configure(
            running.home,
            f'[notify.ops]\nurl = "{hook.url}"\nsecret_file = "{secret}"\n'
            '[pnl]\nmargin_min = "50%"\nnotify = ["ops"]\n',
        )
        caller = Caller(running.home)
        assert caller.ask(n=1, op="reload")["ok"]
        import_revenue(tmp_path, paid)
        import_calls(tmp_path, [f"{first}T00:00:01Z,acme,chat,0.3", f"{first},beta,chat,0.6"])
        said = noburn("pnl", "--alerts").stderr
        assert "; 1 already below: beta 40 %" in said
        with Client() as client:
            budgets = client.request(protocol.BUDGET_LIST)["budgets"]
        limits = {spec.scope.pairs[0][1]: spec.limit for spec in map(spec_from, budgets)}
        assert limits == {"acme": 200_000_001, "beta": 1}
        for name in ("acme", "beta"):
            assert caller.reserve(f"call-{name}", attrs={"customer": name})["ok"]
            caller.ask(n=1, op="settle", call=f"call-{name}", usage={"input": 10, "output": 30})
        eventually(lambda: hook.got, "the message")
        assert [got.document["data"]["margin"]["customer"] for got in hook.got] == ["beta"]


def test_a_channel_that_there_is_not_is_refused_and_changes_nothing(tmp_path, monkeypatch):
    first, following = this_month()
    with daemon() as running:
        monkeypatch.setenv("NOBURN_HOME", str(running.home))
        monkeypatch.chdir(tmp_path)
        configure(running.home, '[pnl]\nmargin_min = "20%"\nnotify = ["nowhere"]\n')
        import_revenue(
            tmp_path, [f"s1,{first},9,USD,subscription,,acme,,,pro,{first},{following},,"]
        )
        with pytest.raises(NoburnError, match="nowhere"):
            noburn("pnl", "--alerts")
        with Client() as client:
            assert client.request(protocol.BUDGET_LIST)["budgets"] == []


@pytest.mark.parametrize("customer", ["acme", "a,b", "back\\slash", "ä ö"])
def test_the_scope_that_watches_a_margin_says_whose_and_which(customer):
    scope = margin_scope(customer, 20)
    assert parse_scope(str(scope)) == scope
    assert margin_floor(scope.keys) == 20
    assert margin_floor(("customer", "tag.margin_below_x")) is None
    assert margin_floor(("customer", "tag.team")) is None
