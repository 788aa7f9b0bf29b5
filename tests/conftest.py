"""The suite as a whole: what takes long begins first, so that no worker ends alone with it; signals
are what a program expects that a person starts; and no example fails for being slow."""

from __future__ import annotations

import signal

import pytest
from hypothesis import HealthCheck, settings

# Of its own, Hypothesis allows an example 200 ms, but where CI is set.
settings.register_profile(
    "noburn", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("noburn")

#: Folders and files whose tests wait for many processes, longest first.
LONG = (
    "tests/compat/", "tests/e2e/test_never_over.py", "tests/e2e/test_chain.py",
    "tests/test_packaging.py", "tests/test_compiled.py", "tests/crash/",
    "tests/e2e/", "tests/simulation/", "tests/enforce/", "tests/dashboard/test_page.py",
)  # fmt: skip


def _rank(item: pytest.Item) -> int:
    return next((i for i, start in enumerate(LONG) if item.nodeid.startswith(start)), len(LONG))


def pytest_configure() -> None:
    """A script's `make test &`, or nohup, has some signals ignored, and so would all that we start
    have, in tests of what these signals do."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_IGN:
            is_interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if is_interrupt else signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_rank)
