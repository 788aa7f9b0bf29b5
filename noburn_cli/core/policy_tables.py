"""`[[budget]]` tables of a policy file: what each key takes, read into budgets.

Layer: core (pure).  Below: core.budget_spec, core.budgets, core.config_values, core.money.
Above: core.configuration, which reads the file around them and words the errors.
Owns: KEYS.  noburn_cli/data/*.schema.json say the same for editors; a test compares them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from noburn_cli.core import budget_spec
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import parse_scope
from noburn_cli.core.config_values import Wrong, written
from noburn_cli.core.money import parse_limit
from noburn_cli.core.windows import TOTAL, UTC, check_window, check_zone
from noburn_cli.errors import NoburnError, UsageError

#: Key and meaning, in the order in which the page and the schema list them.
KEYS: Mapping[str, str] = {
    "scope": "which calls it is about: `global`, `customer=acme`, `customer=each`, `tag.team=x`",
    "limit": 'how much: "$5", "2Mtok", "100req"',
    "per": "how long it counts: `total`, `run`, `hour`, `day`, `week`, `month`, `24h`, `call`",
    "override": "stand in for the budget of `each`, instead of beside it",
    "action": "what happens to a call that does not fit",
    "zone": "the time zone whose days and months count, such as `Europe/Berlin`",
    "anchor": "the day that a month (1 to 31) or week (`mon` to `sun`) begins with",
    "carry": "the most that is carried over of what a window leaves",
    "downgrade": "models, and the cheaper ones that stand in for them",
    "thresholds": "per cent at which channels are notified",
    "notify": "the channels, by their names in [notify.NAME]",
    "from": "the day or moment from which it holds",
    "until": "the day or moment at which it ends",
}
REQUIRED = ("scope", "limit")

#: (key, reason, next step) to the error that names file, table and key.
Refuse = Callable[[str, str, str], UsageError]
AMOUNTS = (int, Decimal, str)


def read_budgets(tables: Sequence[Mapping[str, Any]], refuse: Refuse) -> tuple[BudgetSpec, ...]:
    """The budgets of a file in its order.  Raises what `refuse` makes of the first broken rule.

    refuse: is given `budget 2 (customer=acme): per` as the key.
    """
    found: list[BudgetSpec] = []
    for number, table in enumerate(tables, start=1):
        scope = table.get("scope")
        where = f"budget {number}" + (f" ({scope})" if isinstance(scope, str) and scope else "")

        def refuse_here(key: str, reason: str, step: str, where: str = where) -> UsageError:
            return refuse(f"{where}: {key}" if key else where, reason, step)

        one = read_budget(table, refuse_here)
        for other in found:
            if other.identity == one.identity and other.from_ms == one.from_ms:
                raise refuse_here(
                    "", f"{one.name} is in this file twice", "give one of them another `from`"
                )
        found.append(one)
    return tuple(found)


def read_budget(table: Mapping[str, Any], refuse: Refuse) -> BudgetSpec:
    """One table.  Raises what `refuse` makes of the first broken rule."""
    for key in table:
        if key not in KEYS:
            near = difflib.get_close_matches(key, KEYS, n=1, cutoff=0.4)
            said = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(KEYS)}"
            raise refuse(key, "there is no such key", said)
    for key in REQUIRED:
        if key not in table:
            raise refuse(key, "it is missing", f"add it: {KEYS[key]}")
    read = _Reader(table, refuse)
    scope = read.text("scope", parse_scope)
    per = read.text("per", check_window, TOTAL)
    limit = read.value("limit", AMOUNTS, lambda value: parse_limit(written(value)), None)
    zone = read.text("zone", check_zone, UTC)
    spec = BudgetSpec(scope, per, limit.unit, limit.amount, zone=zone)
    spec = replace(
        spec,
        override=read.value("override", (bool,), bool, False),
        action=read.text("action", budget_spec.read_action, spec.action),
        anchor=read.value(
            "anchor", (int, str), lambda value: budget_spec.read_anchor(value, per), 1
        ),
        carry=read.value(
            "carry", AMOUNTS, lambda value: budget_spec.read_carry(written(value), limit.unit), 0
        ),
        downgrade=read.value("downgrade", (dict,), _rules, ()),
        thresholds=read.value("thresholds", (list,), _thresholds, ()),
        notify=read.value("notify", (list,), _channels, ()),
        from_ms=read.moment("from", zone),
        until_ms=read.moment("until", zone),
    )
    try:
        return budget_spec.check_spec(spec)
    except UsageError as error:
        raise refuse("", _sentence(error), error.next_step) from error


class _Reader:
    """Values of one table by key; a value of the wrong kind is refused before it is read."""

    def __init__(self, table: Mapping[str, Any], refuse: Refuse) -> None:
        self._table = table
        self._refuse = refuse

    def text(self, key: str, read: Callable[[str], Any], default: Any = None) -> Any:
        return self.value(key, (str,), read, default)

    def value(
        self, key: str, kinds: tuple[type, ...], read: Callable[[Any], Any], default: Any
    ) -> Any:
        if key not in self._table:
            return default
        value = self._table[key]
        if type(value) not in kinds:
            raise self._refuse(key, f"{value!r} is not what it takes", f"it takes {KEYS[key]}")
        try:
            return read(value)
        except Wrong as wrong:
            raise self._refuse(key, wrong.why, wrong.next_step) from wrong
        except NoburnError as error:
            raise self._refuse(key, _sentence(error), error.next_step) from error

    def moment(self, key: str, zone: str) -> int | None:
        value = self._table.get(key)
        if value is None:
            return None
        if not isinstance(value, (str, date)):
            raise self._refuse(key, f"{value!r} is no day and no moment", "write 2027-01-01")
        try:
            return budget_spec.read_moment(value, zone)
        except NoburnError as error:
            raise self._refuse(key, _sentence(error), error.next_step) from error


def _rules(value: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    if not all(isinstance(cheap, str) for cheap in value.values()):
        raise UsageError(f"{value!r} has something that is no model's name")
    return budget_spec.read_rules(value)


def _thresholds(value: list[Any]) -> tuple[int, ...]:
    if not all(type(one) is int for one in value):
        raise UsageError(f"{value!r} is no list of per cents", next_step="write [50, 80, 100]")
    return budget_spec.read_thresholds(value)


def _channels(value: list[Any]) -> tuple[str, ...]:
    if not all(isinstance(one, str) for one in value):
        raise UsageError(f"{value!r} is no list of names", next_step='write ["ops"]')
    return budget_spec.read_channels(value)


def _sentence(error: NoburnError) -> str:
    return f"{error.message}: {error.why}" if error.why else error.message
