"""`noburn statusline`: one short line whatever happens, and never a failed prompt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from noburn_cli.commands.statusline import DEFAULT_FORMAT, fill
from tests.warm import run_noburn

ACCOUNT = {
    "name": "run=r1 per run", "unit": "dollars", "limit": 5_000_000_000, "topup": 0,
    "settled": 1_250_000_000, "held": 0,
}  # fmt: skip
RUN = {
    "run": "r0/r1", "state": "open", "cost_nano": 1_250_000_000, "rate_nano": 10_000_000,
    "rate_ms": 30_000,
}  # fmt: skip


def line(home: Any, *arguments: str, given: str = "", **more: str) -> str:
    """What it prints for this standard input; it must succeed without a word on stderr."""
    done = run_noburn(["statusline", *arguments], env={**home.environment, **more}, input=given)
    assert (done.returncode, done.stderr) == (0, "")
    [shown] = done.stdout.splitlines()
    return shown


def test_without_a_daemon_it_says_so_and_starts_none(home: Any) -> None:
    assert line(home) == "noburn: off"
    assert not (home.path / "daemon.sock").exists()
    (home.path / "daemon.sock").touch()  # no socket
    assert line(home) == "noburn: off"


def test_what_is_left_for_whom_this_shell_works(home: Any) -> None:
    home.said("budget", "set", "customer=acme", "5")
    home.said("budget", "set", "customer=beta", "7", "--per", "day")
    assert line(home) == "no budget"
    assert line(home, NOBURN_CUSTOMER="acme") == "$5.00 left of $5.00"
    claude = json.dumps({"model": {"display_name": "Opus"}, "workspace": {}})
    told = line(
        home, "--format", "{model}: {left} ({budget})", given=claude, NOBURN_CUSTOMER="beta"
    )
    assert told == "Opus: $7.00 (customer=beta per day)"
    assert line(home, given="{", NOBURN_TAGS="[", NOBURN_RUN="gone") == "no budget"


def test_inside_a_run_its_state_and_spend(home: Any) -> None:
    home.said("budget", "list")  # starts the daemon
    with home.client() as client:
        client.run_start(
            run="r1", attrs={}, command=["x"], limit={"unit": "dollars", "amount": 10**9}
        )
        client.request("run.pause", run="r1", by="ann")
        assert line(home, NOBURN_RUN="r1") == "$1.00 left of $1.00 paused"


@pytest.mark.parametrize(
    ("line_format", "shown"),
    [
        (DEFAULT_FORMAT, "$3.75 left of $5.00"),
        ("{spent} at {rate} in {run}", "$1.25 at $0.02/min in r1"),
        ("{nothing} {left", "{nothing} {left"),
    ],
)
def test_formats(line_format: str, shown: str) -> None:
    assert fill(line_format, {"accounts": [ACCOUNT]}, RUN, {}) == shown


def test_tokens_and_no_budget() -> None:
    tokens = {**ACCOUNT, "unit": "tokens", "limit": 1_000_000, "settled": 1, "held": 9}
    assert fill(DEFAULT_FORMAT, {"accounts": [tokens]}, {}, {}) == (
        "999,990 tokens left of 1,000,000 tokens, 9 tokens held"
    )
    assert fill(DEFAULT_FORMAT, {"accounts": []}, RUN, {}) == "$1.25 spent, no budget"
