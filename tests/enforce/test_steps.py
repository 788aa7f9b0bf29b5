"""Paths of steps: how they are put together, named, and kept few."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import noburn_cli
from noburn_cli.core.budgets import check_attributes
from noburn_cli.enforce import context, steps
from noburn_cli.errors import UsageError


@pytest.fixture
def frames(monkeypatch):
    """What a framework says: a list whose content is its path."""
    said = []
    monkeypatch.setattr(steps, "_sources", [lambda: tuple(said)])
    monkeypatch.setattr(steps, "_known", set())
    monkeypatch.delenv("NOBURN_STEP", raising=False)
    return said


def now():
    return context.attributes().get("step")


def test_blocks_nest_and_end(frames):
    assert now() is None
    with noburn_cli.attribute(step="nightly"):
        with noburn_cli.attribute(step="research/summary", customer="acme"):
            assert context.attributes() == {
                "step": "nightly/research/summary", "customer": "acme",
            }  # fmt: skip
        assert now() == "nightly"
    assert now() is None


def test_a_block_stands_where_the_framework_was_when_it_began(frames, monkeypatch):
    monkeypatch.setenv("NOBURN_STEP", "parent")
    with noburn_cli.attribute(step="nightly"):
        frames[:] = ["graph", "research"]
        with noburn_cli.attribute(step="parse"):
            assert now() == "parent/nightly/graph/research/parse"
            frames.append("tool:search")
            assert now() == "parent/nightly/graph/research/parse/tool:search"
            frames[:] = ["other"]  # A root of its own.
            assert now() == "parent/nightly/graph/research/parse/other"


def test_a_source_that_fails_says_nothing(monkeypatch):
    monkeypatch.setattr(steps, "_sources", [lambda: 1 // 0])
    assert steps.here() == ()


@pytest.mark.parametrize("step", ["", " ", "a//b", "*", "a/each", "x" * 300, "a\nb"])
def test_a_step_that_cannot_be_is_refused_where_it_is_written(step):
    with pytest.raises(UsageError):
        noburn_cli.attribute(step=step)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("search", "search"),
        ("a/b\nc", "a_b_c"),
        ("run-018f3c1e-7b1a-7f6e-9d8c-1234567890ab", "run-#"),
        ("job 20261127 of deadbeef01", "job # of #"),
        ("v2 facade", "v2 facade"),
        ("*", "_"),
        ("", "_"),
        ("x" * 70, "x" * 63 + "…"),
    ],
)
def test_names_without_ids(name, clean):
    assert steps.clean_name(name) == clean


@given(st.lists(st.text(max_size=90), max_size=40))
def test_whatever_a_framework_says_the_ledger_takes(names):
    """Goal: a step never makes a call fail."""
    path = steps.compose("", (), tuple(map(steps.clean_name, names)))
    attributes = {"step": path} if path else {}
    assert check_attributes(attributes) == attributes


def test_a_process_has_a_bounded_number_of_paths(frames):
    for number in range(steps.PATHS_MAX):
        frames[:] = ["graph", f"node{number}"]
        assert now() == f"graph/node{number}"
    frames[:] = ["graph", "node1", "late"]
    assert now() == "graph/node1"
    frames[:] = ["another", "root"]
    assert now() == "(other)"
    frames[:] = ["graph", "node7"]
    assert now() == "graph/node7"
