"""docs/failure-modes.md names a test for every line, and every test of a fault stands on it."""

from __future__ import annotations

import re

from tests.daemon.parts import ROOT

PAGE = (ROOT / "docs" / "failure-modes.md").read_text(encoding="utf-8")
TESTS = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def names_in(path: str) -> set[str]:
    text = (ROOT / path).read_text(encoding="utf-8")
    return set(re.findall(r"^def (test_\w+)", text, flags=re.MULTILINE))


def test_every_line_names_a_test_that_there_is() -> None:
    lines = [line for line in PAGE.splitlines() if line.startswith("| ")]
    lines = [line for line in lines if not line.startswith("| fault ")]
    assert len(lines) > 25
    for line in lines:
        named = TESTS.findall(line)
        assert named, f"no proof: {line}"
        for path, name in named:
            assert name in names_in(path), f"{path} has no {name}"


def test_every_fault_that_is_made_stands_on_the_page() -> None:
    told = {name for _, name in TESTS.findall(PAGE)}
    folder = ROOT / "tests" / "faults"
    made = {
        name
        for path in folder.glob("test_*.py")
        if path.name != "test_page.py"
        for name in names_in(str(path.relative_to(ROOT)))
    }
    assert made <= told
