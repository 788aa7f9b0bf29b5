"""What nearly every test of the daemon begins with, and leaves behind."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.daemon.parts import OPEN, Running, daemon


@pytest.fixture(autouse=True)
def closed_callers() -> Iterator[None]:
    """Connections are closed when their test is over."""
    yield
    while OPEN:
        OPEN.pop().close()


@pytest.fixture
def running() -> Iterator[Running]:
    """A daemon in a home of its own."""
    with daemon() as started:
        yield started
