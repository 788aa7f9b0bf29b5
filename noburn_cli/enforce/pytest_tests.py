"""Which test a call is made in: pytest's plug-in for `noburn run --recording`.

Layer: enforce, injected (standard library, Python 3.10, and what pytest hands over).  Below:
test_names.  Above: the injected bootstrap, which calls `hook_pytest` as pytest is loaded.
Owns: the tag `noburn_test` while a test or a shared fixture runs, and the facts that a recording
needs besides its calls: which tests ran, how they ended, which were left out.
Not here: calls.  They are the ledger's, whatever made them.

The tag stands in the process's environment (NOBURN_TAGS), because a process runs one test at a
time: so every thread, task and child of a test has it, whoever started them, and whatever context
variables its event loop was made with.  With pytest-xdist each worker is such a process.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from noburn_cli.core.recorded_tags import TEST as TAG
from noburn_cli.enforce.test_names import (
    COLLECTED,
    ENDED,
    FIXTURE_ADDED,
    FOLDER,
    NAME,
    STARTED,
    fixture_name,
    test_name,
)

TYPE_CHECKING = False  # `typing` would cost every start some milliseconds.
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from typing import Any

#: As `-p no:noburn` calls it.
PLUGIN = "noburn"
_TAGS = "NOBURN_TAGS"
#: On an item: its name as it was collected, before another plug-in changes it (xdist's groups).
_AS_COLLECTED = "_noburn_name"


def hook_pytest(module: Any, **_: object) -> None:
    """Have every pytest that this process starts tell its tests, when the run is recorded.

    module: `_pytest.config`, as it is loaded.
    """
    folder = os.environ.get(FOLDER)
    if not folder or TAG in _tags():
        return  # A pytest inside of a test is that test's.
    original = module.get_config

    def get_config(*arguments: Any, **more: Any) -> Any:
        config = original(*arguments, **more)
        plugins = config.pluginmanager
        if TAG not in _tags() and not plugins.is_blocked(PLUGIN):
            plugins.register(_plugin(module, Facts(folder)), PLUGIN)
        return config

    module.get_config = get_config


class Facts:
    """Lines of JSON in a file of this process's own, each written as it happens.

    Without an error in the program: what cannot be written is missing from the recording.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def add(self, what: str, name: str, **more: str) -> None:
        line = json.dumps({"what": what, NAME: name, **more}) + "\n"
        # By the process: a forked worker (pytest-forked) has its own.
        path = Path(self._folder, f"tests-{os.getpid()}.jsonl")
        with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
            file.write(line)


class Place:
    """What this process is in now: the innermost of the tests and fixtures that began."""

    def __init__(self) -> None:
        self._names: list[str] = []

    def enter(self, name: str) -> None:
        self._names.append(name)
        self._tell()

    def leave(self, name: str) -> None:
        """End this very one, whatever began after it and was not ended."""
        if name in self._names:
            while self._names.pop() != name:
                pass
        self._tell()

    def _tell(self) -> None:
        tags = _tags()
        if self._names:
            tags[TAG] = self._names[-1]
        else:
            tags.pop(TAG, None)
        if tags:
            os.environ[_TAGS] = json.dumps(tags, sort_keys=True)
        else:
            os.environ.pop(_TAGS, None)


def _tags() -> dict[str, Any]:
    try:
        tags = json.loads(os.environ.get(_TAGS) or "{}")
    except ValueError:
        return {}
    return tags if isinstance(tags, dict) else {}


def _plugin(module: Any, facts: Facts) -> Any:
    """The plug-in, made with the markers of the pytest that is here."""
    place = Place()
    ended: dict[str, str] = {}

    class Tests:
        def pytest_itemcollected(self, item: Any) -> None:
            setattr(item, _AS_COLLECTED, item.nodeid)

        def pytest_collection_finish(self, session: Any) -> None:
            # Of these, those that do not start, because the session ends early, did not run.
            for item in session.items:
                facts.add(COLLECTED, _name(item))

        def pytest_deselected(self, items: Any) -> None:
            for item in items:
                facts.add(COLLECTED, _name(item))

        def pytest_runtest_protocol(self, item: Any) -> Iterator[None]:
            name = _name(item)
            ended[name] = "passed"
            facts.add(STARTED, name)
            place.enter(name)
            yield
            place.leave(name)
            facts.add(ENDED, name, outcome=ended.pop(name))

        def pytest_runtest_makereport(self, item: Any) -> Generator[None, Any, None]:
            made = yield
            name, report = _name(item), made.get_result()
            if name in ended:
                ended[name] = _outcome(ended[name], report)

        def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
            if fixturedef.scope == "function":
                yield
                return
            name = fixture_name(fixturedef.baseid, fixturedef.argname, fixturedef.scope)
            facts.add(FIXTURE_ADDED, name)
            # Finalizers run last in, first out: these two are around the fixture's own.
            fixturedef.addfinalizer(lambda: place.leave(name))
            place.enter(name)
            yield
            place.leave(name)
            fixturedef.addfinalizer(lambda: place.enter(name))

    around = module.hookimpl(hookwrapper=True, tryfirst=True)
    for hook in ("pytest_runtest_protocol", "pytest_runtest_makereport", "pytest_fixture_setup"):
        setattr(Tests, hook, around(getattr(Tests, hook)))
    return Tests()


def _name(item: Any) -> str:
    return test_name(getattr(item, _AS_COLLECTED, item.nodeid))


def _outcome(before: str, report: Any) -> str:
    """How a test ended, after one more of its reports: of setup, call or teardown."""
    if report.when == "setup" and before != "skipped":
        before = "passed"  # A plug-in that runs it again counts its last time.
    expected = hasattr(report, "wasxfail") and report.when == "call"
    if report.outcome == "failed" and not expected:
        return "failed"
    if report.outcome == "skipped" and not expected and before != "failed":
        return "skipped"
    return before
