"""What an untrusted project file may say: nothing that lets more out than leaves without it."""

from __future__ import annotations

from typing import Any

import pytest

from noburn_cli.core.money import parse_limit
from noburn_cli.core.tightening import LOOSER, NOT_COMPARABLE, TIGHTER, compare


@pytest.mark.parametrize(
    ("key", "value", "without", "verdict"),
    [
        ("run.budget", parse_limit("5"), None, TIGHTER),
        ("run.budget", parse_limit("5"), parse_limit("5"), TIGHTER),
        ("run.budget", parse_limit("4"), parse_limit("5"), TIGHTER),
        ("run.budget", parse_limit("6"), parse_limit("5"), LOOSER),
        ("run.budget", parse_limit("1tok"), parse_limit("5"), NOT_COMPARABLE),
        ("run.wait", 5.0, 30.0, TIGHTER),
        ("run.wait", 60.0, 30.0, LOOSER),
        ("run.clamp", True, False, TIGHTER),
        ("run.clamp", False, True, LOOSER),
        ("run.lower_caps", True, False, TIGHTER),
        ("run.lower_caps", False, True, LOOSER),
        ("run.floor", 512, 256, TIGHTER),
        ("run.floor", 16, 256, LOOSER),
        ("run.on_exceed", "kill", "block", TIGHTER),
        ("run.on_exceed", "block", "kill", LOOSER),
        ("run.on_abort", "hold", "drain", TIGHTER),
        ("run.on_abort", "received", "hold", LOOSER),
        ("attributes.customer", "acme", None, TIGHTER),
        ("attributes.customer", "acme", "globex", LOOSER),
        ("attributes.from.user", "user", None, TIGHTER),
        ("attributes.from.user", "customer", "user", LOOSER),
        ("ceilings.web_search", 1, None, LOOSER),
        ("ceilings.web_search", 1, 2, LOOSER),
        ("ceilings.web_search", 1, 1, TIGHTER),
        ("notional.subscriptions", ("anthropic",), (), LOOSER),
        ("endpoint.x", object(), None, LOOSER),
    ],
)
def test_verdicts(key: str, value: Any, without: Any, verdict: str) -> None:
    assert compare(key, value, without) == verdict
