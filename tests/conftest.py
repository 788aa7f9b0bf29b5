"""The order of the suite: what takes long begins first, so that no worker ends alone with it."""

from __future__ import annotations

import pytest

#: Folders and files whose tests wait for many processes, longest first.
LONG = (
    "tests/compat/", "tests/e2e/test_never_over.py", "tests/e2e/test_chain.py",
    "tests/test_packaging.py", "tests/test_compiled.py", "tests/crash/",
    "tests/e2e/", "tests/simulation/", "tests/enforce/", "tests/dashboard/test_page.py",
)  # fmt: skip


def _rank(item: pytest.Item) -> int:
    return next((i for i, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)
