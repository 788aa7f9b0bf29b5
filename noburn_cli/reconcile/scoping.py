"""Whose calls an API key, project or workspace of a provider makes.

Layer: reconcile, pure.  Below: bill.  Above: comparing, commands.ledger.reconcile.
Owns: the scope of a row of a bill, and of a call's attributes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from noburn_cli.reconcile.bill import BillRow


@dataclass(frozen=True)
class Scoping:
    """Whose calls an API key, project or workspace of the provider makes.

    by_id: attributes by the provider's id.
    """

    by_id: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def of_row(self, row: BillRow) -> str:
        for place in (row.key, row.project):
            if place in self.by_id:
                return scope_name(self.by_id[place])
        return ""

    def of_attributes(self, attributes: Mapping[str, str]) -> str:
        for scope in self.by_id.values():
            if all(attributes.get(name) == value for name, value in scope.items()):
                return scope_name(scope)
        return ""


def scope_name(attributes: Mapping[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in attributes.items())
