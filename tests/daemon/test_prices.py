"""The price file of a running daemon: read again when it changes, refused when it is broken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from noburn_cli import resources
from noburn_daemon.pricefile import PriceFile
from tests.daemon.parts import MODEL, Caller, daemon, eventually

#: A reserve of parts.reserve_frame holds 100 × $0.1/M + 1000 × $0.5/M.
HOLD = 510_000
#: The same with output at $1/M.
DEARER_HOLD = 1_010_000
#: 10 tokens in and 10 out, as Caller.settle says, at the first prices.
COST = 6_000


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    """Where this test's own price file is looked for; not there yet."""
    path = tmp_path / "config" / "prices.toml"
    path.parent.mkdir()
    return path


def looking_at(prices: Path) -> dict[str, str]:
    return {"NOBURN_HOME": str(prices.parent.parent)}


def dearer() -> str:
    """A price file with one model of the shipped one, whose output costs twice as much."""
    _, text = resources.shipped_prices()
    block = re.search(
        rf'\[\[model\]\]\nname = "{MODEL}"\n.*?(?=\n\[\[model\]\]|\Z)', text, re.DOTALL
    )
    assert block is not None
    assert "\noutput = 0.5\n" in block[0]
    return "format = 1\n\n" + block[0].replace("\noutput = 0.5\n", "\noutput = 1\n")


def test_a_changed_price_file_prices_new_holds_only(prices: Path) -> None:
    with daemon(variables=looking_at(prices)) as running:
        caller = Caller(running.home)
        before = caller.ask(n=1, op="status")
        assert caller.reserve("a1")["hold_nano"] == HOLD
        prices.write_text(dearer(), encoding="utf-8")
        eventually(lambda: caller.ask(n=1, op="status")["book"] != before["book"], "another book")
        assert caller.reserve("a2")["hold_nano"] == DEARER_HOLD
        assert caller.settle("a1")["cost_nano"] == COST, "the book it was stamped with"
        assert caller.settle("a2")["cost_nano"] == COST + 5_000
        assert caller.reserve("a3")["hold_nano"] == DEARER_HOLD
        running.kill()
        running.start()
        caller = Caller(running.home)
        prices.unlink()
        eventually(lambda: caller.ask(n=1, op="status")["book"] == before["book"], "the first book")
        assert caller.settle("a3")["cost_nano"] == COST + 5_000, "its book is in the ledger"


def test_a_broken_price_file_changes_nothing_and_is_told(prices: Path) -> None:
    with daemon(variables=looking_at(prices)) as running:
        caller = Caller(running.home)
        before = caller.ask(n=1, op="status")
        prices.write_text("format = 1\n[[model]]\nname = 3\n", encoding="utf-8")
        told = eventually(lambda: caller.ask(n=1, op="status")["warnings"], "a warning")
        assert "prices are as before" in told[0]
        assert str(prices) in told[0]
        assert caller.ask(n=1, op="status")["book"] == before["book"]
        assert caller.reserve("a1")["hold_nano"] == HOLD
        prices.write_text(dearer(), encoding="utf-8")
        eventually(lambda: not caller.ask(n=1, op="status")["warnings"], "no warning")
        assert caller.reserve("a2")["hold_nano"] == DEARER_HOLD


def test_a_file_is_read_once_per_change(prices: Path) -> None:
    watched = PriceFile(looking_at(prices))
    first = watched.read()
    assert not watched.changed()
    prices.write_text(dearer(), encoding="utf-8")
    assert watched.changed()
    assert watched.read().version != first.version
    assert not watched.changed()
    prices.unlink()
    assert watched.changed()
    assert watched.read().version == first.version


FREE_ENDPOINT = """
[[endpoint]]
name = "local"
base_url = "http://127.0.0.1:11434/v1"
api = "openai"
prices = "free"
context_window = 4000
"""


def test_a_free_endpoint_costs_nothing_and_is_counted(tmp_path: Path) -> None:
    """Goal: an endpoint added while the daemon runs prices the next run's first call."""
    with daemon(variables={"NOBURN_HOME": str(tmp_path)}) as running:
        caller = Caller(running.home)
        assert caller.reserve("a0", model="local/qwen3:8b")["error"] == "model_unknown"
        config = tmp_path / "config" / "noburn.toml"
        config.parent.mkdir()
        config.write_text(FREE_ENDPOINT, encoding="utf-8")
        started = caller.ask(n=1, op="run.start", run="r1", attrs={"run": "r1"}, command=["x"])
        assert started["ok"], started
        caller.budget("global", 0)
        caller.budget("customer=*", 5000, unit="tokens")
        granted = caller.reserve("a1", model="local/qwen3:8b")
        assert (granted["ok"], granted["hold_nano"]) == (True, 0)
        assert granted["bound"] == "window"
        blocked = caller.reserve("a2", model="local/other", attrs={"customer": "acme"})
        assert blocked["error"] == "blocked"
        assert "tokens" in blocked["message"]
        assert caller.settle("a1")["cost_nano"] == 0
        config.write_text("[run", encoding="utf-8")
        assert caller.ask(n=1, op="run.start", run="r2", attrs={"run": "r2"}, command=["x"])["ok"]
        assert "not TOML" in caller.ask(n=1, op="status")["warnings"][0]
        assert caller.reserve("a3", model="local/qwen3:8b", attrs={"customer": "b"})["ok"]
