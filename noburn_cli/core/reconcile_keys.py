"""What a configuration says of bills: `[reconcile.NAME]`, a provider's export of one's own.

Layer: core (pure).  Below: core.budgets, core.config_values.  Above: core.configuration,
commands.ledger.reconcile.
Owns: the keys of the table.  Not here: what a column may be called (noburn_cli.reconcile).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.config_values import Wrong, nearest

RECONCILE = "reconcile"
EXPORT_KEYS = ("columns", "keys")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)


@dataclass(frozen=True)
class Export:
    """One export.

    columns: of a CSV, by our words.  keys: the scope whose calls an API key, project or workspace
    of the provider makes, by its id.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)


def read_export(name: str, table: Any) -> Export:
    """The export of one [reconcile.NAME] table.  Raises Wrong, or UsageError for a scope."""
    if not _NAME.fullmatch(name):
        raise Wrong("the name is not lower-case letters, digits, `-` and `_`")
    if not isinstance(table, dict):
        raise Wrong("it is not a table", f"write [{RECONCILE}.{name}]")
    for key, value in table.items():
        if key not in EXPORT_KEYS:
            raise Wrong(f"there is no key {key!r}", nearest(key, EXPORT_KEYS))
        texts = isinstance(value, dict) and all(isinstance(v, str) and v for v in value.values())
        if not texts:
            raise Wrong(f"{key} is not a table of texts", f'write {key} = {{ day = "date" }}')
    keys = dict(table.get("keys", {}))
    for scope in keys.values():
        if parse_scope(scope).is_family:
            raise Wrong(f"{scope} is a family of scopes, not one", "name one value of it")
    return Export(dict(table.get("columns", {})), keys)
