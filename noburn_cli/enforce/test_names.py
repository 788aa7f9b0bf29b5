"""How tests are called in the ledger, and the words in which pytest's plug-in tells of them.

Layer: enforce, injected (standard library, Python 3.10), pure.  Below: nothing.
Above: pytest_tests, which writes these lines; noburn_cli.recording, which reads them.
"""

from __future__ import annotations

import hashlib
import re

#: The variable that names the folder for what pytest tells, and says that the run is recorded.
FOLDER = "NOBURN_RECORDING"
#: A value of the ledger holds 256 characters; a longer name keeps its beginning and a digest.
CHARS_MAX = 256
_DIGEST_CHARS = 16
#: No character that a line of a table, or the ledger, could not hold.
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: `setup_module`, `setUpClass` and their like are fixtures for pytest: `_xunit_…_fixture_NAME`.
_OF_PYTEST = re.compile(r"_(?:xunit|unittest)_(\w+?)_fixture_(.+)")

#: Kinds of lines, and the key of the name in them.
STARTED, ENDED, COLLECTED, FIXTURE_ADDED = "started", "ended", "collected", "fixture"
NAME = "name"


def test_name(nodeid: str) -> str:
    """A test as pytest names it, within what the ledger holds."""
    plain = _UNFIT.sub("?", nodeid).strip()
    if len(plain) <= CHARS_MAX:
        return plain
    digest = hashlib.sha256(nodeid.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
    return f"{plain[: CHARS_MAX - _DIGEST_CHARS - 1]}~{digest}"


def fixture_name(where: str, name: str, scope: str) -> str:
    """A fixture that several tests share: `tests/test_a.py::index (session fixture)`.

    where: the folder or file that it is of, as pytest names it; "" for the root and for plug-ins.
    """
    plain = _OF_PYTEST.sub(r"\1 of \2", name)
    return test_name(f"{f'{where}::' if where else ''}{plain} ({scope} fixture)")


def is_one_test(name: str) -> bool:
    """Whether a name is a test's, and not a shared fixture's or "" (outside of tests)."""
    return bool(name) and not name.endswith(" fixture)")
