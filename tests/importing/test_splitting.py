"""Records out of bytes: the same wherever the bytes are cut, and nothing that never ends."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noburn_cli.importing.splitting import CUT_OFF, NO_END, TOO_LONG, Lines, Rows, Values

_TEXT = st.text(alphabet='ab"\\{}[],;\n\té', max_size=12)
_OBJECTS = st.lists(
    st.dictionaries(_TEXT, st.one_of(_TEXT, st.lists(_TEXT, max_size=2)), max_size=3), max_size=5
)


def pieces(splitter, content, cuts):
    """What a splitter makes of bytes that come in these pieces."""
    found, start = [], 0
    for cut in sorted({min(cut, len(content)) for cut in cuts} | {len(content)}):
        found += splitter.receive(content[start:cut])
        start = cut
    return found + list(splitter.close())


@settings(max_examples=60, deadline=None)
@given(
    objects=_OBJECTS,
    cuts=st.lists(st.integers(0, 200), max_size=6),
    indent=st.sampled_from([None, 1]),
)
def test_json_values_come_out_as_they_went_in(objects, cuts, indent):
    for text in (json.dumps(objects, indent=indent), "\n".join(map(json.dumps, objects))):
        content = text.encode()
        found = pieces(Values(), content, cuts)
        assert [json.loads(one.content) for one in found] == objects
        for one in found:
            assert content[: one.end].endswith(one.content)
            assert one.line == content[: one.end - len(one.content)].count(b"\n") + 1


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.lists(_TEXT, min_size=2, max_size=2), max_size=6),
    cuts=st.lists(st.integers(0, 200), max_size=6),
)
def test_rows_come_out_as_csv_reads_them(rows, cuts):
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    found = pieces(Rows(), text.getvalue().encode(), cuts)
    read = [next(csv.reader(io.StringIO(one.content.decode(), newline=""))) for one in found]
    assert read == rows


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=120), cuts=st.lists(st.integers(0, 120), max_size=6))
def test_any_bytes_give_the_same_pieces_wherever_they_are_cut(content, cuts):
    for kind in (Lines, Values, Rows):
        found = pieces(kind(bytes_max=40), content, cuts)
        if kind is Lines:
            assert found == pieces(Lines(bytes_max=40), content, [])
        assert all(one.end <= len(content) for one in found)
        assert [one.line for one in found] == sorted(one.line for one in found)


def test_lines_go_on_from_a_place():
    first, second = Lines(at=10, line=4).receive(b"one\n\ntwo\n")
    assert (first.line, first.end, second.line, second.end) == (4, 14, 6, 19)


@pytest.mark.parametrize(
    ("splitter", "content", "fault"),
    [
        (Lines(bytes_max=10), b"x" * 50 + b"\n{}\n", TOO_LONG),
        (Values(bytes_max=10), b'[{"a": "' + b"x" * 50 + b'"}, {}]', TOO_LONG),
        (Rows(bytes_max=10), b'a,"b\n' + b"c,d\n" * 9, "its quotes are not closed"),
    ],
)
def test_what_is_too_long_is_given_up_and_reading_goes_on(splitter, content, fault):
    found = pieces(splitter, content, range(0, len(content), 7))
    assert found[0].fault == fault
    assert found[-1].fault == ""
    assert len(found) > 1


def test_an_object_without_an_end_is_told():
    assert pieces(Values(), b'[{"a": 1}, {"b": "', [3])[-1].fault == CUT_OFF


@pytest.mark.parametrize("cuts", [[], [9], range(20)])
def test_a_list_that_ends_between_two_objects_is_told(cuts):
    """Goal: an export that was cut off there does not pass for a whole one."""
    for rest in (b"", b",", b",\n  ", b"\n"):
        found = pieces(Values(), b'[{"a": 1}' + rest, cuts)
        assert [one.fault for one in found] == ["", NO_END]
        assert found[-1].line == 1 + rest.count(b"\n")
    for whole in (b'[{"a": 1}]\n', b'{"a": 1}\n{"a": 2}', b" [ ] "):
        assert not any(one.fault for one in pieces(Values(), whole, cuts))
