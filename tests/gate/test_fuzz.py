"""No bytes of a file, pattern or value end in anything but our own words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from noburn_cli.core import gate_globs, key_paths
from noburn_cli.core.config_values import Wrong
from noburn_cli.core.gate_tables import (
    GATE_KEYS,
    KINDS,
    PROMPT_KEYS,
    RECORDING_KEYS,
    RULE_KEYS,
    GateSpec,
    PromptSpec,
    read_gate,
)
from noburn_cli.errors import InputRefused, UsageError
from noburn_cli.gating.prompts import read_side


@dataclass(frozen=True)
class Files:
    """A tree in memory."""

    files: Mapping[str, bytes]

    @property
    def names(self) -> Sequence[str]:
        return sorted(self.files)

    def has(self, name: str) -> bool:
        return name in self.files

    def lacks(self, name: str) -> InputRefused | None:
        return None

    def read(self, name: str) -> bytes:
        if name not in self.files:
            raise InputRefused(f"{name} does not exist")
        return self.files[name]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["model", "messages", "role", "content", "system", "input", "tools", "a"]
            )
            | st.text(max_size=3),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
_BITS = st.lists(
    st.sampled_from(
        ["{{", "}}", "{%", "%}", " for x in ", "include 'a'", "if ", "|", "a", ".", "(", ")", "[",
         "]", "=", "'", '"""', "f'", "{a}", "+", "class A:", "\n", "    ", ": ", "- ", "&x ", "*x",
         "!!", "%", "\\", "\x00", "\u2028", "é", "1", "import ", "**", "lambda", "~", "#"]
    ),
    max_size=24,
).map("".join)  # fmt: skip
_CONTENT = st.one_of(
    st.binary(max_size=60),
    _BITS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    _JSON.map(lambda value: json.dumps(value).encode()),
    st.text(max_size=40).map(lambda text: text.encode("utf-8", "surrogatepass")),
)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    content=_CONTENT,
    keys=st.lists(st.sampled_from(["a", "*", "messages[*].content", "a[0].b"]), max_size=2),
    each=st.booleans(),
)
@example(kind="python", content=b"a = " + b"(" * 300, keys=[], each=False)
@example(kind="python", content=b"a = " + b"-" * 5000 + b"1", keys=[], each=False)
@example(kind="yaml", content=b"? [a]\n: b", keys=["*"], each=True)
@example(kind="yaml", content=b"a: 2026-13-45", keys=["a"], each=False)
@example(kind="yaml", content=b"messages:\n- &a {role: user, content: [*a]}", keys=[], each=False)
@example(kind="json", content=b'{"model":"gpt-6-luna","messages":[NaN]}', keys=[], each=False)
def test_no_file_ends_in_anything_else(
    kind: str, content: bytes, keys: list[str], *, each: bool
) -> None:
    """Every file is prompts with texts, or a fault with a reason."""
    spec = PromptSpec(
        number=1,
        files=("a", "b*"),
        kind=kind,
        keys=() if each else tuple(keys),
        each=tuple(keys) if each else (),
        constants=("a", "*_X"),
        variables={"a": "x"},
        model="gpt-6-luna",
        cap=10,
    )
    side = read_side(GateSpec(prompts=(spec,)), Files({"a": content, "b": content}))
    assert side.prompts or side.faults
    for fault in side.faults:
        assert fault.error.message
    for prompt in side.prompts.values():
        assert prompt.items
        assert all(isinstance(text, str) for item in prompt.items for text in item.call.texts)


@settings(max_examples=60, deadline=None)
@given(pattern=st.text(alphabet="ab*?[]!/.-{}\\", max_size=10), path=st.text("ab/.", max_size=8))
def test_no_pattern_ends_in_anything_else(pattern: str, path: str) -> None:
    if not gate_globs.fault_of(pattern):
        found = gate_globs.chosen((pattern, "!none"), [path])
        assert set(found) <= {pattern}
    if path and not gate_globs.is_pattern(path) and not gate_globs.fault_of(path):
        assert gate_globs.matching(path.removeprefix("./"), [path.removeprefix("./")])


@settings(max_examples=200, deadline=None)
@given(
    parts=st.lists(st.text("a*?", min_size=1, max_size=3) | st.just("**"), min_size=1, max_size=4),
    path=st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4),
)
def test_patterns_mean_what_their_expressions_mean(parts: list[str], path: list[str]) -> None:
    """Against the expression that backtracks, on patterns that are short enough for it."""
    pattern = "/".join(parts)
    if gate_globs.fault_of(pattern):
        return
    wanted = [
        (".*" if number == len(parts) - 1 else "(?:[^/]+/)*")
        if part == "**"
        else part.replace("*", "[^/]*").replace("?", "[^/]") + ("/" * (number < len(parts) - 1))
        for number, part in enumerate(parts)
    ]
    name = "/".join(path)
    assert bool(gate_globs.matching(pattern, [name])) == bool(re.fullmatch("".join(wanted), name))


def test_no_pattern_takes_longer_than_its_length() -> None:
    """Goal: both would take a regular expression until the job ends."""
    assert gate_globs.matching("**/" + "*a" * 30 + "b", ["a" * 200]) == []
    assert gate_globs.matching("**/a/" * 20 + "b", ["/".join(["a"] * 60)]) == []


@settings(max_examples=60, deadline=None)
@given(path=st.text(alphabet='ab.[]*"0 ', max_size=10), value=_JSON)
def test_no_path_of_keys_ends_in_anything_else(path: str, value: Any) -> None:
    try:
        steps = key_paths.parse(path)
    except Wrong:
        return
    found = list(key_paths.find(value, path))
    assert steps or found == [("", value)]


_VALUES = st.recursive(
    st.booleans()
    | st.integers()
    | st.decimals()
    | st.dates()
    | st.text(max_size=8)
    | st.sampled_from(
        ["10%", "$5", "2M", "5tok", "ledger", "200-800", "-1", "1e999", "a/../b", "*"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["file", "a"]), inner, max_size=2)
    ),
    max_leaves=5,
)


def _table(keys: Sequence[str]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(list(keys)), _VALUES, max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    gate=_table([*GATE_KEYS, *RULE_KEYS]),
    prompt=_table([*PROMPT_KEYS, *RULE_KEYS]),
    recording=_table(list(RECORDING_KEYS)),
)
@example(gate={"growth_max": [Decimal("NaN")]}, prompt={"variables": {"a": date.max}}, recording={})
def test_no_value_of_a_gate_ends_in_anything_else(
    gate: dict[str, Any], prompt: dict[str, Any], recording: dict[str, Any]
) -> None:
    def refuse(key: str, reason: str, step: str) -> UsageError:
        assert key.startswith("gate")
        assert reason
        return UsageError(f"{key}: {reason}", next_step=step)

    document = {**gate, "prompt": [{"files": ["a"], **prompt}], "recording": recording}
    try:
        found = read_gate(document, refuse)
    except UsageError:
        return
    assert str(found) == "1 table of prompts"
