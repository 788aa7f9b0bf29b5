"""JSON: versioned, and money exact."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from decimal import Decimal

import pytest

from noburn_cli.core.money import Nano
from noburn_cli.render.jsonout import format_json, print_json


@dataclass(frozen=True)
class Row:
    name: str
    cost: Nano


def test_a_document_names_its_kind_and_version():
    document = json.loads(format_json("report", 3, {"calls": 2}))
    assert document == {"kind": "noburn.report", "version": 3, "data": {"calls": 2}}


def test_money_is_an_exact_decimal_string():
    data = [Row("a", Nano(37_500)), Row("b", Nano(-(10**18) - 1)), Decimal("1E-7")]
    assert json.loads(format_json("x", 1, data))["data"] == [
        {"name": "a", "cost": "0.0000375"},
        {"name": "b", "cost": "-1000000000.000000001"},
        "0.0000001",
    ]


@pytest.mark.parametrize("value", [{1, 2}, object(), b"bytes"])
def test_what_has_no_form_is_refused(value):
    with pytest.raises(TypeError):
        format_json("x", 1, value)


def test_a_number_that_is_none_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        format_json("x", 1, float("nan"))


def test_it_ends_in_a_line():
    target = io.StringIO()
    print_json("x", 1, {"name": "ü"}, file=target)
    assert target.getvalue().endswith('"ü"\n  }\n}\n')
