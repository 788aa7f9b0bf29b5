"""Scopes as people write them, windows, and which account a call is charged to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noburn_cli.core.budgets import (
    Scope,
    account_keys,
    check_attributes,
    named_values,
    parse_scope,
    replaces,
)
from noburn_cli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("global", ()),
        ("customer=acme", (("customer", "acme"),)),
        ("customer=each", (("customer", "*"),)),
        ("feature=chat, project=p", (("project", "p"), ("feature", "chat"))),
        ("tag.team=x,customer=*", (("customer", "*"), ("tag.team", "x"))),
        (r"customer=a\,b", (("customer", "a,b"),)),
    ],
)
def test_scopes_are_read(text: str, pairs: tuple[tuple[str, str], ...]) -> None:
    assert parse_scope(text).pairs == pairs
    assert parse_scope(str(parse_scope(text))).pairs == pairs


@pytest.mark.parametrize(
    "text",
    ["", "acme", "custmer=x", "customer=", "customer=a,customer=b", "tag.=x", "run=a/b",
     "customer=a,", "customer=a\x07", "=x", "step=a//b", "step=/a"],
)  # fmt: skip
def test_scopes_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_scope(text)


def test_a_misspelt_key_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        parse_scope("custmer=x")
    assert "customer" in caught.value.next_step


@given(st.text(min_size=1, max_size=20).filter(lambda t: t.strip() == t))
def test_any_value_survives_being_shown(value: str) -> None:
    try:
        kept = check_attributes({"customer": value})
    except UsageError:
        return
    scope = Scope((("customer", kept["customer"]),))
    assert parse_scope(str(scope)) == scope


def test_a_call_in_nested_runs_is_charged_to_both() -> None:
    attributes = {"run": "r1/r2", "customer": "a"}
    assert account_keys(parse_scope("run=r1"), "total", attributes) == [(("run", "r1"),)]
    assert len(account_keys(parse_scope("run=*"), "total", attributes)) == 2
    assert account_keys(parse_scope("customer=a"), "run", attributes) == [
        (("customer", "a"), ("run", "r1")),
        (("customer", "a"), ("run", "r2")),
    ]
    assert account_keys(parse_scope("customer=b"), "run", attributes) == []


@pytest.mark.parametrize(
    "named",
    ["graph", "research", "tool:search", "graph/research", "research/tool:search",
     "graph/research/tool:search"],
)  # fmt: skip
def test_a_budget_names_a_step_by_any_stretch_of_its_path(named: str) -> None:
    attributes = {"step": "graph/research/tool:search"}
    assert account_keys(parse_scope(f"step={named}"), "day", attributes) == [(("step", named),)]
    assert named in named_values("step", attributes)


@pytest.mark.parametrize(
    "named", ["res", "search", "graph/tool:search", "research/graph", "(none)"]
)
def test_a_part_of_a_steps_name_names_nothing(named: str) -> None:
    attributes = {"step": "graph/research/tool:search"}
    assert account_keys(parse_scope(f"step={named}"), "day", attributes) == []
    assert named not in named_values("step", attributes)


def test_each_step_in_the_path_has_one_account_even_if_it_comes_again() -> None:
    keys = account_keys(parse_scope("step=*"), "total", {"step": "agent/tool:ask/agent"})
    assert keys == [(("step", "agent"),), (("step", "tool:ask"),)]
    assert account_keys(parse_scope("step=*"), "total", {}) == [(("step", "(none)"),)]


def test_a_missing_attribute_is_a_value_like_any_other() -> None:
    assert account_keys(parse_scope("customer=*"), "day", {}) == [(("customer", "(none)"),)]
    assert account_keys(parse_scope("customer=(none)"), "day", {}) == [(("customer", "(none)"),)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("customer=acme", "customer=*", True),
        ("customer=*", "customer=acme", False),
        ("customer=acme", "customer=acme", False),
        ("customer=acme", "feature=*", False),
        ("customer=a,feature=*", "customer=*,feature=*", True),
        ("customer=a,feature=*", "customer=*,feature=x", False),
    ],
)
def test_what_an_override_replaces(one: str, other: str, expected: bool) -> None:
    assert replaces(parse_scope(one), parse_scope(other)) is expected


@pytest.mark.parametrize(
    "attributes",
    [{"custmer": "a"}, {"customer": "*"}, {"customer": "each"}, {"run": "a//b"}, {"run": "a/a"},
     {"customer": "x" * 257}, {"customer": "a\nb"}, {"step": "a//b"}, {"step": "a/*"},
     {"step": "/".join("abcdefghijklmnopq")}],
)  # fmt: skip
def test_attributes_that_cannot_be_are_refused(attributes: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        check_attributes(attributes)
