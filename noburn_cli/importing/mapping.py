"""Whom a call was for: a source's fields as noburn's attributes.

Layer: importing, pure.  Below: fields, core.budgets.  Above: sources, job, commands.
Owns: which attribute is taken from which field: the person's own choice (`--customer-from`), else
the source's first field that has something, else a value that is set for all (`--set`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from noburn_cli.core.budgets import ATTRIBUTES, NONE, TAG_PREFIX, check_key, check_value
from noburn_cli.errors import UsageError
from noburn_cli.importing.fields import field_of, text_of

#: What a source knows: attribute to the fields that may have it, the best first.
Fields = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Mapped:
    """A person's choices.

    chosen: field by attribute; an empty field leaves the attribute out.
    fixed: a value for every call that has none of its own.
    """

    chosen: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)

    def attributes(self, record: Mapping[str, Any], fields: Fields) -> dict[str, str]:
        """The attributes of a record."""
        found = dict(self.fixed)
        for name, paths in {**fields, **{n: (p,) for n, p in self.chosen.items()}}.items():
            values = (text_of(field_of(record, path)) for path in paths if path)
            value = next((one for one in values if one), "")
            if value and value != NONE:
                found[name] = value
        return found


def parse_chosen(pairs: Mapping[str, str | None], more: list[str]) -> dict[str, str]:
    """Fields by attribute, of named options and of `NAME=FIELD`.  Raises UsageError."""
    found = {name: path.strip() for name, path in pairs.items() if path is not None}
    for pair in more:
        name, equals, path = pair.partition("=")
        if not equals:
            raise UsageError(
                f"--attribute cannot be read from {pair!r}",
                next_step="write it like tag.team=metadata.team",
            )
        found[check_key(name.strip())] = path.strip()
    return found


def parse_fixed(pairs: list[str]) -> dict[str, str]:
    """Values by attribute, of `NAME=VALUE`.  Raises UsageError."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not value.strip():
            raise UsageError(
                f"--set cannot be read from {pair!r}", next_step="write it like customer=acme"
            )
        key = check_key(name.strip())
        found[key] = check_value(key, value.strip())
    return found


def columns_of(attributes: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(the attributes by name, the tags by their own names)."""
    own = {name: value for name, value in attributes.items() if name in ATTRIBUTES}
    tags = {
        name.removeprefix(TAG_PREFIX): value
        for name, value in attributes.items()
        if name.startswith(TAG_PREFIX)
    }
    return own, tags
