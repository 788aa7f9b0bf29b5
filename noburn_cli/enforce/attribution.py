"""Who a request says it is for: its `x-noburn-…` headers, and the provider's own fields.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: core.budgets, errors.
Above: guard, which puts them under what `attribute` says and above the environment; the hooks and
the gateway, which do not pass the headers on.

Code wins over a header, a header over a mapped field, a field over the environment: what surrounds
a request in the program knows more than a header, which may have come in from outside.
A header or field that cannot be used refuses the call: charged to nobody in silence, it would be
charged to the wrong budget.  Empty ones count as not sent.
"""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Mapping
from typing import Any

from noburn_cli.core.budgets import check_attributes
from noburn_cli.errors import UsageError
from noburn_cli.protocol import TAG_PREFIX

PREFIX = "x-noburn-"
#: Attributes with a header of their own.  Not `run`: who runs is the supervisor's to say.
NAMED = ("project", "customer", "feature", "user", "job", "step")
TAG = "tag-"
#: All of them at once, as JSON: from noburn's own preload to its gateway.
ALL = "x-noburn-attributes"
#: Other headers of noburn's own that say nothing of whom a call is for.
_OTHERS = ("x-noburn-upstream",)


def is_ours(name: str) -> bool:
    """Whether a header is between the program and noburn, and goes no further."""
    return name[: len(PREFIX)].lower() == PREFIX


def take(headers: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The attributes in a request's headers, and the names of the headers to take away.

    headers: as they came, of any case.
    Raises UsageError for one that cannot be used: misspelt, or with a value that nobody may have.
    """
    ours = {name.lower(): _text(value) for name, value in headers.items() if is_ours(name)}
    if not ours:
        return {}, ()
    found = _all(ours[ALL]) if ours.get(ALL) else {}
    for name, value in ours.items():
        if name != ALL and name not in _OTHERS and value.strip():
            found[_attribute(name)] = value
    return _checked(found, "in its headers"), tuple(name for name in headers if is_ours(name))


def from_fields(body: bytes, fields: Mapping[str, str]) -> dict[str, str]:
    """The attributes that a policy takes from a request's own fields.

    fields: by field (`user`, `metadata.user_id`), the attribute it fills.  Missing, null and empty
    ones count as not sent; a body that is no JSON has none.
    Raises UsageError for a value that cannot be used.
    """
    if not fields:
        return {}
    values: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        values = json.loads(body)
    found = {}
    for field, attribute in fields.items():
        value = _field(values, field)
        if isinstance(value, bool | dict | list | float):
            raise UsageError(
                f"the request's `{field}` cannot name its {attribute}",
                why=f"it is {json.dumps(value)[:60]}, not a text",
                next_step="send a text, or take the field out of [attributes.from] in noburn.toml",
            )
        if value is not None and str(value).strip():
            found[attribute] = str(value)
    return _checked(found, "in its fields")


def _field(values: Any, path: str) -> Any:
    """The value at `metadata.user_id`; a key after the first dot may have dots of its own."""
    first, dot, rest = path.partition(".")
    if not isinstance(values, dict):
        return None
    if not dot:
        return values.get(first)
    inside = values.get(first)
    if isinstance(inside, dict) and rest in inside:
        return inside[rest]
    return _field(inside, rest)


def _attribute(header: str) -> str:
    name = header[len(PREFIX) :]
    if name in NAMED:
        return name
    if name.startswith(TAG) and len(name) > len(TAG):
        return TAG_PREFIX + name[len(TAG) :]
    near = difflib.get_close_matches(name, NAMED, n=1, cutoff=0.5)
    raise UsageError(
        f"the request's header `{header}` means nothing",
        why=f"known are {', '.join(PREFIX + one for one in NAMED)} and {PREFIX}{TAG}NAME",
        next_step=f"write {PREFIX}{near[0]}, or leave it out"
        if near
        else f"a tag is {PREFIX}{TAG}NAME",
    )


def _all(text: str) -> dict[str, str]:
    try:
        values = json.loads(text)
        return {name: value for name, value in values.items() if name != "run" and value.strip()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"the request's header `{ALL}` cannot be read",
            why="it is to be a JSON object of texts",
            next_step='write it like {"customer": "acme", "tag.team": "search"}',
        ) from error


def _checked(found: Mapping[str, str], where: str) -> dict[str, str]:
    try:
        return check_attributes(found)
    except UsageError as error:
        raise UsageError(
            f"whom the request is for cannot be read: {where} {error.message}",
            why=error.why,
            next_step=error.next_step,
        ) from error


def _text(value: str) -> str:
    """A header's text: bytes beyond ASCII are UTF-8, which most stacks read as Latin-1."""
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value
