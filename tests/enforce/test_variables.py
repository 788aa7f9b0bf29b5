"""What variables say is made anew when one of them changes, and only then."""

from __future__ import annotations

import os

import pytest

from noburn_cli.enforce import context
from noburn_cli.enforce.variables import OfVariables


@pytest.mark.parametrize("replaced", [False, True])
def test_a_change_is_seen_and_nothing_else_costs(
    monkeypatch: pytest.MonkeyPatch, replaced: bool
) -> None:
    if replaced:  # by a mapping that keeps texts
        monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.delitem(os.environ, "NOBURN_TRIED", raising=False)
    made = []

    def make() -> str | None:
        made.append(os.environ.get("NOBURN_TRIED"))
        return made[-1]

    said = OfVariables(("NOBURN_TRIED", "NOBURN_OTHER"), make)
    assert [said(), said()] == [None, None]
    os.environ["NOBURN_TRIED"] = "é"
    assert [said(), said()] == ["é", "é"]
    os.environ["PATH"] = os.environ["PATH"]
    del os.environ["NOBURN_TRIED"]
    assert said() is None
    assert made == [None, "é", None]


def test_what_a_program_sets_late_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Base URLs, attributes and settings alike."""
    before = context.upstreams()
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:7/v1")
    monkeypatch.setenv("NOBURN_CUSTOMER", "late")
    monkeypatch.setenv("NOBURN_WAIT_S", "1.5")
    assert len(context.upstreams()) == len(before) + 1
    assert context.attributes()["customer"] == "late"
    context.attributes()["customer"] = "mine"  # a copy
    assert context.attributes()["customer"] == "late"
    assert context.settings().wait_ms == 1500
