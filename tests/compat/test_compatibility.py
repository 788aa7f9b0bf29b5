"""docs/compatibility.md says what every SDK does, and every cell is proved here again."""

from __future__ import annotations

import difflib
import re

import pytest

from tests.compat.matrix import ALL, run_matrix
from tests.compat.page import PAGE, as_page
from tests.compat.results import Report

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    return run_matrix(ALL)


def without_versions(page: str) -> str:
    """The page without them: SDKs release every week, and what counts is what holds."""
    return re.sub(r"^(\| [^|]+ \|) \d[^|]*\|", r"\1", page, flags=re.MULTILINE)


def test_the_page_says_what_happened(reports: list[Report]) -> None:
    """Stale: `python -m tests.compat.matrix --write`, and read what changed before committing."""
    committed = without_versions(PAGE.read_text(encoding="utf-8")).splitlines()
    found = without_versions(as_page(reports)).splitlines()
    assert not list(difflib.unified_diff(committed, found, lineterm="", n=0))


def test_a_cell_that_does_not_hold_has_a_note(reports: list[Report]) -> None:
    text = PAGE.read_text(encoding="utf-8")
    marks = set(re.findall(r"✗ \[(\d+)\]", text))
    assert marks == set(re.findall(r"^(\d+)\. ", text, re.MULTILINE))
