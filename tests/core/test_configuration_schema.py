"""The schema for editors says what the parser says."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
import tomllib

from noburn_cli import resources
from noburn_cli.core import endpoints, gate_tables, policy_tables
from noburn_cli.core.actions import ACTIONS
from noburn_cli.core.configuration import CEILINGS, FAMILIES, KEYS, parse_configuration
from noburn_cli.core.service_keys import CHANNEL_KEYS
from noburn_cli.errors import UsageError
from tests.core import gates, policies
from tests.core.configurations import REFUSED, WHOLE

SCHEMA = json.loads(resources.schema_path().read_text(encoding="utf-8"))
CHECKER = jsonschema.Draft202012Validator(
    SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
)
#: What no schema of this size can say: amounts as text, names that clash, hosts that send bills.
BEYOND = (
    *("2Mtok", "2M", "1e999", "inf", "nan", "\\n", "twice", "floor = 0", "reserved", "groq"),
    *("another endpoint", "bills", "price book", "embedding", "a = { input = 1, output = 1 }"),
    "on the way",
    *("366d", "Europe/Berlin", "in tokens", "circle", "end before"),
    *(
        "whole folders",
        "files out",
        "keys = [",
        "two percentages",
        "than the cap",
        "800-200",
        "120%",
    ),
)


def as_json(value: Any) -> Any:
    """A document as an editor's TOML plugin hands it to a schema."""
    if isinstance(value, dict):
        return {key: as_json(one) for key, one in value.items()}
    if isinstance(value, list):
        return [as_json(one) for one in value]
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else value


def accepts(text: str) -> bool:
    return CHECKER.is_valid(as_json(tomllib.loads(text)))


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_it_accepts_what_the_parser_accepts() -> None:
    assert parse_configuration("x", WHOLE)
    assert accepts(WHOLE)
    assert accepts(policies.WHOLE)
    assert parse_configuration("x", gates.WHOLE)
    assert accepts(gates.WHOLE)
    assert accepts("")


@pytest.mark.parametrize(("text", "key", "said"), [*REFUSED, *policies.REFUSED, *gates.REFUSED])
def test_it_refuses_what_the_parser_refuses(text: str, key: str, said: str) -> None:
    """But for what only the parser can know, which is listed."""
    with pytest.raises(UsageError):
        parse_configuration("x", text)
    try:
        tomllib.loads(text)
    except ValueError:
        return
    if not any(word in f"{text} {said}" for word in BEYOND):
        assert not accepts(text)


def test_it_lists_the_same_keys() -> None:
    tables = SCHEMA["properties"]
    listed = {
        f"{table}.{key}"
        for table in ("run", "attributes", "notional", "daemon", "pnl", "revenue")
        for key in tables[table]["properties"]
    }
    assert listed == {*KEYS, *(name for name in FAMILIES if name != "ceilings")}
    assert tables["ceilings"]["propertyNames"]["enum"] == list(CEILINGS)
    assert set(tables["notify"]["additionalProperties"]["properties"]) == set(CHANNEL_KEYS)
    budget = tables["budget"]["items"]
    assert set(budget["properties"]) == set(policy_tables.KEYS)
    assert budget["required"] == list(policy_tables.REQUIRED)
    assert budget["properties"]["action"]["enum"] == list(ACTIONS)
    gate = tables["gate"]["properties"]
    rules = set(gate_tables.RULE_KEYS)
    assert set(gate) == {*gate_tables.GATE_KEYS, *rules}
    prompt = gate["prompt"]["items"]
    assert set(prompt["properties"]) == {*gate_tables.PROMPT_KEYS, *rules}
    assert prompt["required"] == list(gate_tables.REQUIRED)
    assert prompt["properties"]["kind"]["enum"] == list(gate_tables.KINDS)
    assert gate["format"]["enum"] == list(gate_tables.TABLE_FORMATS)
    assert set(gate["recording"]["properties"]) == set(gate_tables.RECORDING_KEYS)
    endpoint = tables["endpoint"]["items"]["properties"]
    assert set(endpoint) == set(endpoints.KEYS)
    prices = endpoint["prices"]["anyOf"][1]["properties"]
    assert set(prices) == set(endpoints.PRICES_KEYS)
    assert set(prices["models"]["additionalProperties"]["properties"]) == set(endpoints.MODEL_KEYS)
    assert endpoint["api"]["enum"] == list(endpoints.APIS)
    assert endpoint["tokenizer"]["enum"] == list(endpoints.TOKENIZERS)


def test_the_page_names_every_key_and_its_example_is_read() -> None:
    import re
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", page, flags=re.DOTALL)
    assert len(examples) == 4
    read = [parse_configuration("docs", example) for example in examples]
    assert set(KEYS) <= set(read[0])
    for example in examples:
        assert accepts(example)
    gate_keys = (gate_tables.GATE_KEYS, gate_tables.PROMPT_KEYS, gate_tables.RULE_KEYS)
    for keys in (*gate_keys, gate_tables.RECORDING_KEYS):
        assert all(f"`{key}`" in page for key in keys if key not in ("prompt", "recording"))
    for key in (*KEYS, *endpoints.KEYS, *endpoints.MODEL_KEYS):
        assert key.rpartition(".")[2] in page
