"""How tests and shared fixtures are called in the ledger."""

from __future__ import annotations

import pytest

from noburn_cli.core.budgets import check_attributes
from noburn_cli.enforce.test_names import fixture_name, is_one_test, test_name

name_of_test = test_name
del test_name  # pytest would take it for one.


@pytest.mark.parametrize(
    "nodeid",
    [
        "a.py::t",
        "a.py::T::t[a b]",
        "a.py::t[" + "ü" * 300 + "]",
        "a.py::t[\x00\n\ud800]",
        "a.py::t[*]",
    ],
)
def test_whatever_a_test_is_called_the_ledger_holds_it(nodeid):
    name = name_of_test(nodeid)
    assert check_attributes({"tag.test": name}) == {"tag.test": name}
    assert is_one_test(name)


def test_long_names_stay_apart():
    one, other = (name_of_test("a.py::t[" + "x" * 300 + last) for last in "ab")
    assert one != other


def test_fixtures_are_no_tests():
    assert fixture_name("tests", "index", "session") == "tests::index (session fixture)"
    assert fixture_name("", "index", "session") == "index (session fixture)"
    of_module = fixture_name("a.py", "_xunit_setup_module_fixture_a", "module")
    assert of_module == "a.py::setup_module of a (module fixture)"
    assert not is_one_test(of_module)
    assert not is_one_test("")
