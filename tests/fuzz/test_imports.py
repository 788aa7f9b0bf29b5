"""Other programs' exports and garbage: a counted record or one named error, and nothing else."""

from __future__ import annotations

import contextlib
import json
import math
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from noburn_cli.core.imported import COST_RULES, ImportedCall, ListPrices
from noburn_cli.errors import InputRefused
from noburn_cli.importing.fields import Unread
from noburn_cli.importing.opening import parse_json, records
from noburn_cli.importing.reading import TOKENS_MAX, Asked, LeftOut, plausible
from noburn_cli.importing.sources import mapped
from noburn_cli.importing.sources.registry import BILLS, SOURCES
from noburn_cli.prices import load_book

CORPUS = Path(__file__).resolve().parents[1] / "corpus" / "imports"
#: Source to a sample of it.
SAMPLES = {
    "litellm": "litellm.json", "helicone": "helicone.jsonl", "langfuse": "langfuse_v4.jsonl",
    "langsmith": "langsmith.jsonl", "openrouter": "openrouter.csv", "portkey": "portkey.jsonl",
    "claude-code": "claude_code.jsonl", "codex": "codex.jsonl", "gemini-cli": "gemini_cli.jsonl",
}  # fmt: skip
COLUMNS = mapped.columns_from(
    {"time": "t", "model": "m", "input": "i", "output": "o", "cost": "c", "variant": "v"}, {}
)

_HOSTILE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=8), st.floats(),
    st.sampled_from([
        10**400, -1, 2**63, 0.5, math.inf, Decimal("1e999999"), Decimal("NaN"), "1e999999999",
        "9" * 5000, "", "NaN", [], {}, [[[[]]]], {"a": {"b": None}}, "{", "[" * 5000, "\ud800",
        "2026-11-20T10:00:00Z", "0001-01-01", "9999-12-31T23:59:59-23:59", "true", "\x1b[2J", -0.0,
    ]),
)  # fmt: skip


@pytest.fixture(scope="module")
def prices():
    return ListPrices(load_book({}))


def everything(source, values, prices):
    """Read a record, and price what comes out as a row would be: Unread alone may be raised."""
    asked = Asked("/tmp/chats/log")
    reader = mapped.reader(COLUMNS, asked) if source == "csv" else SOURCES[source].reader(asked)
    try:
        found = [
            one if isinstance(one, LeftOut | Unread) else plausible(one)
            for one in reader.read(values)
        ]
    except Unread:
        return
    json.dumps(reader.state())
    for one in found:
        if isinstance(one, LeftOut | Unread):
            continue
        assert isinstance(one, ImportedCall)
        assert 0 < one.at_ms < 2**53
        assert all(type(n) is int and 0 < n <= TOKENS_MAX for n in one.usage.values())
        assert one.said_nano is None or 0 <= one.said_nano < 2**63
        assert one.requests < 2**53
        for rule in COST_RULES:
            priced = prices.price(one, trust="estimated", rule=rule)
            assert priced.cost_nano is None or 0 <= priced.cost_nano < 2**63
        json.dumps([one.id, one.model, dict(one.attributes), one.failure]).encode()
        "".join([one.id, one.model, *one.attributes.values()]).encode("utf-8")


def places(value, path=()):
    """Every path into a document."""
    yield path
    listed = enumerate(value) if isinstance(value, list) else ()
    for key, one in value.items() if isinstance(value, dict) else listed:
        yield from places(one, (*path, key))


def changed(value, path, new):
    if not path:
        return new
    copied = value.copy()
    copied[path[0]] = changed(value[path[0]], path[1:], new)
    return copied


@pytest.mark.parametrize("source", [*SAMPLES, "csv"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_a_field_of_another_type(source, data, prices):
    if source == "csv":
        samples = [{"t": "2026-11-20", "m": "gpt-6-luna", "i": "1", "o": "2", "c": "1", "v": ""}]
    else:
        samples = [one.values for one in records(CORPUS / SAMPLES[source]) if one.values]
    sample = data.draw(st.sampled_from(samples))
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from([one for one in places(sample) if one]))
        sample = changed(sample, path, data.draw(_HOSTILE))
    everything(source, sample, prices)


@settings(max_examples=80, deadline=None)
@given(
    content=st.binary(max_size=300),
    start=st.sampled_from([b"", b"{", b"[", b'"', b"\x1f\x8b", b"PAR1", b"a,b\n"]),
)
def test_a_file_of_anything(tmp_path_factory, content, start):
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_bytes(start + content)
    with contextlib.suppress(InputRefused):
        for record in records(path):
            assert record.values is None or isinstance(record.values, dict)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 50_000, "9" * 10_000, "1e9999999999", "\ud800"]
)
def test_json_that_breaks_readers_is_no_json(text):
    with contextlib.suppress(ValueError):
        parse_json(text)


def test_the_samples_are_of_every_source():
    assert set(SAMPLES) == set(SOURCES) - set(BILLS)
