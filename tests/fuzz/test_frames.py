"""The daemon's frame parser: garbage raises one named error and nothing else."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli import protocol
from noburn_cli.core import chain
from noburn_daemon import frames
from noburn_daemon.ledger import Event

SAMPLES = [
    {"n": 2, "op": "reserve", "call": "c", "api": "a", "model": "m", "attrs": {"customer": "x"},
     "input": {"bytes": 1, "expanded": 1}, "output": {"wanted": None}, "texts": {"texts": ["x"]}},
    {"n": 3, "op": "settle", "call": "c", "usage": {"input": 1, "output": 2}},
    {"n": 4, "op": "budget.set", "scope": "global", "per": "day",
     "limit": {"unit": "dollars", "amount": 1}},
    {"n": 5, "op": "run.start", "run": "r", "command": ["x"], "limit": None},
]  # fmt: skip

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def is_read_or_refused(line: bytes) -> None:
    try:
        frames.decode(line)
    except frames.BadFrame as error:
        if error.fatal:
            return
        assert isinstance(json.loads(line), dict)  # only what is not an object ends the connection


@given(st.binary())
def test_bytes(line: bytes) -> None:
    is_read_or_refused(line)


@settings(deadline=None)
@given(st.sampled_from(SAMPLES), st.data())
def test_frames_with_one_thing_wrong(sample: dict[str, object], data: st.DataObject) -> None:
    frame = dict(sample)
    frame[data.draw(st.sampled_from([*sample, "more"]))] = data.draw(anything)
    is_read_or_refused(json.dumps(frame).encode())


@given(st.sampled_from(SAMPLES), st.integers(0, 400), st.integers(0, 255))
def test_frames_with_one_byte_changed(sample: dict[str, object], at: int, value: int) -> None:
    line = bytearray(json.dumps(sample).encode())
    line[at % len(line)] = value
    is_read_or_refused(bytes(line))


def why_refused(frame: dict[str, object]) -> str:
    try:
        frames.decode(json.dumps(frame).encode())
    except frames.BadFrame as error:
        return error.why
    return ""


def test_every_operation_has_a_struct() -> None:
    for operation in protocol.OPERATIONS:
        assert "Invalid value" not in why_refused({"n": 1, "op": operation}), operation


@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1) | st.text(), max_size=20))
def test_the_daemon_writes_what_chain_verifies(values: list[object]) -> None:
    """msgspec's bytes are the standard library's, for every character."""
    assert frames.encode(values) == chain.canonical(values)  # type: ignore[arg-type]


def test_events_have_the_chains_columns() -> None:
    assert Event.__struct_fields__ == chain.COLUMNS
