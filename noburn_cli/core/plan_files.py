"""`plans.toml`: the plans that are sold, what customers use, and who pays for those that don't.

Layer: core (pure).  Below: core.plans, core.plan_tables, core.plan_use_words.  Above: plans_file,
which reads the text; margin, simulate and pnl.
Owns: the file's keys; docs/plans.md describes them, with an example that a test reads.

    [fees]            of a card processor, for every plan that does not say its own
    [tax]             [overhead]       likewise
    [plan.NAME]       one plan
    [use.NAME]        what a customer of any plan uses; [plan.NAME.use.NAME] one of that plan
    [free]            how many users of a free plan come with each customer who pays
    [simulation]      read by `noburn simulate` alone, and kept here as it is
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from typing import Any

import tomllib

from noburn_cli.core.config_values import Wrong
from noburn_cli.core.plan_amounts import parse_included, parse_overage
from noburn_cli.core.plan_tables import Table, broken, unknown
from noburn_cli.core.plan_usage import Use
from noburn_cli.core.plan_use_words import KEYS as USE_KEYS
from noburn_cli.core.plan_use_words import use_of
from noburn_cli.core.plans import ZERO, Credits, Included, Kind, Overage, Plan
from noburn_cli.errors import UsageError

NAME = "plans.toml"
#: Tables of the file.
TABLES = ("fees", "tax", "overhead", "plan", "use", "free", "simulation")


@dataclass(frozen=True)
class FreeTier:
    """Users of a free plan for each customer who pays; their cost is paid by that customer."""

    plan: str
    users_per_payer: Fraction


@dataclass(frozen=True)
class PlansFile:
    """A file that was read.

    plans: by name, in the file's order.  uses: of every plan; plan_uses: of one, by its name.
    simulation: that table as TOML gave it, floats as Decimal.
    """

    origin: str
    plans: Mapping[str, Plan]
    uses: Mapping[str, Use] = field(default_factory=dict)
    plan_uses: Mapping[str, Mapping[str, Use]] = field(default_factory=dict)
    free: FreeTier | None = None
    simulation: Mapping[str, Any] = field(default_factory=dict)

    def plan(self, name: str) -> Plan:
        """A plan by its name.  Raises UsageError naming the nearest."""
        if name not in self.plans:
            raise unknown(self.origin, f"plan.{name}", self.plans)
        return self.plans[name]

    def uses_of(self, name: str) -> tuple[Use, ...]:
        """What a customer of a plan uses: the plan's own uses stand in for others of their name."""
        return tuple({**self.uses, **self.plan_uses.get(name, {})}.values())


def users_per_payer(conversion: Fraction) -> Fraction:
    """Free users for each who pays, where such a share of all users pays.  Raises UsageError."""
    if not conversion:
        raise UsageError("a conversion of 0 leaves nobody who pays")
    return (1 - conversion) / conversion


def parse_plans(origin: str, text: str) -> PlansFile:
    """The plans of one file.

    origin: the file's path, for errors.
    Raises UsageError for the first rule that is broken, naming the file and the key.
    """
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise broken(origin, "", f"it is not TOML: {error}") from error
    for name in document:
        if name not in TABLES:
            raise unknown(origin, name, TABLES)
    plans: dict[str, Plan] = {}
    plan_uses = {}
    for name, table in _tables(origin, "plan", document).items():
        if not name.strip():
            raise broken(origin, "plan", "a plan has no name", "write [plan.NAME]")
        own = table.table("use")
        plan_uses[name] = {} if own is None else _uses(own)
        plans[name] = _plan(name, table, Table(origin, "", document))
    if not plans:
        raise broken(origin, "", "it has no plan", "write [plan.NAME] with a price")
    return PlansFile(
        origin=origin,
        plans=plans,
        uses=_uses(Table(origin, "use", document.get("use", {}))),
        plan_uses=plan_uses,
        free=_free(Table(origin, "free", document["free"]), plans) if "free" in document else None,
        simulation=document.get("simulation", {}),
    )


def _tables(origin: str, where: str, document: Mapping[str, Any]) -> dict[str, Table]:
    content = document.get(where, {})
    if not isinstance(content, dict):
        raise broken(origin, where, "it is not a table of tables", f"write [{where}.NAME]")
    return {name: Table(origin, f"{where}.{name}", one) for name, one in content.items()}


def _uses(table: Table) -> dict[str, Use]:
    found = {}
    for name in table:
        one = table.table(name)
        assert one is not None
        where = f"plans {table.origin}: `{one.where}`"
        found[name] = use_of(name, one.text_values(USE_KEYS), where=where)
    return found


def _plan(name: str, table: Table, document: Table) -> Plan:
    """One plan; what it does not say of fees, tax and overhead the file may say for all."""
    fees = table.table("fees") or document.table("fees")
    tax = table.table("tax") or document.table("tax")
    overhead = table.table("overhead") or document.table("overhead")
    price = table.dollars("price", 0)
    yearly_discount, yearly_share = _yearly(table.table("yearly"), price)
    overage = _overage(table)
    values = {
        "price_nano": price,
        "name": name,
        "seats": table.count("seats", 1),
        "per_customer": table.word("per", ("seat", "customer"), "seat") == "customer",
        "yearly_discount": yearly_discount,
        "yearly_share": yearly_share,
        "discount": table.share("discount", ZERO),
        "included": _included(table, overage),
        "overage": overage,
        "credits": _credits(table.table("credits")),
        "minimum_nano": table.dollars("minimum", 0),
        "maximum_nano": table.dollars("maximum"),
        "trial_days": table.count("trial_days", 0),
        **_fees(fees),
        **_tax(tax),
        **_overhead(overhead),
    }
    said = table.word("kind", tuple(kind.value for kind in Kind), "")
    table.close()
    try:
        plan = Plan(**values)
    except UsageError as error:
        raise _refused(table, error) from error
    if said and said != plan.kind.value:
        raise table.refuse("kind", f"as it is written this plan is `{plan.kind.value}`")
    return plan


def _yearly(table: Table | None, price_nano: int) -> tuple[Fraction, Fraction]:
    """(discount, share of customers who take it), the discount said as such or as a price."""
    if table is None:
        return ZERO, ZERO
    discount, price = table.share("discount"), table.dollars("price")
    share = table.share("share", ZERO)
    table.close()
    if (discount is None) == (price is None):
        raise table.refuse("", "say either `discount` or the `price` of a year")
    if discount is None:
        full = 12 * price_nano
        if not full or price > full:
            raise table.refuse("price", "a year costs more than twelve months")
        discount = 1 - Fraction(price, full)
    return discount, share


def _included(of: Table, overage: Overage | None) -> Included:
    """In the words of `--included`, or a table with what it is counted in."""
    if isinstance(of.raw("included"), str):
        said: Included = of.read("included", parse_included, Included())
        return said
    table = of.table("included")
    if table is None:
        return Included() if overage is None else overage.nothing
    found = Included(table.count("tokens"), table.dollars("usage"), table.count("requests"))
    table.close()
    if found.unlimited:
        raise table.refuse("", "it limits nothing", "say tokens, usage or requests")
    return found


def _overage(table: Table) -> Overage | None:
    """In the words of `--overage`, or a table with one price."""
    if isinstance(table.raw("overage"), str):
        said: Overage | None = table.read("overage", parse_overage, None)
        return said
    inner = table.table("overage")
    if inner is None:
        return None
    per_million, per_request = inner.dollars("per_million"), inner.dollars("per_request")
    markup = inner.markup("markup")
    inner.close()
    if sum(one is not None for one in (per_million, per_request, markup)) != 1:
        raise inner.refuse("", "say one of per_million, per_request and markup")
    return Overage(per_million, per_request, markup)


def _credits(table: Table | None) -> Credits | None:
    if table is None:
        return None
    months = table.raw("months")
    values = {
        "granted": table.count("granted", 0),
        "price_nano": table.dollars("price"),
        "tokens": table.count("tokens"),
        "requests": table.count("requests"),
        "cost_nano": table.dollars("usage"),
        "months": None if months == "forever" else table.count("months", 1),
    }
    table.close()
    try:
        return Credits(**values)
    except UsageError as error:
        raise _refused(table, error) from error


def _refused(table: Table, error: UsageError) -> UsageError:
    """What a plan or its credits say of themselves, with the place where it stands."""
    reason = f"{error.message}: {error.why}" if error.why else error.message
    return table.refuse("", reason, error.next_step)


def _fees(table: Table | None) -> dict[str, Any]:
    if table is None:
        return {}
    found = {
        "fee_share": table.percent("percent", ZERO),
        "fee_fixed_nano": table.dollars("fixed", 0),
    }
    table.close()
    return found


def _tax(table: Table | None) -> dict[str, Any]:
    if table is None:
        return {}
    found = {"tax": table.percent("percent", ZERO), "tax_included": table.truth("included", False)}
    table.close()
    return found


def _overhead(table: Table | None) -> dict[str, Any]:
    if table is None:
        return {}
    found = {
        "overhead_nano": table.dollars("customer", 0),
        "overhead_request_nano": table.dollars("request", 0),
    }
    table.close()
    return found


def _free(table: Table, plans: Mapping[str, Plan]) -> FreeTier:
    name = str(table.raw("plan") or "")
    users, conversion = table.read("users_per_payer", _ratio, None), table.share("conversion")
    table.close()
    if name not in plans:
        raise table.refuse("plan", "there is no such plan", f"known: {', '.join(plans)}")
    if (users is None) == (conversion is None):
        raise table.refuse("", "say either users_per_payer or conversion")
    try:
        return FreeTier(name, users_per_payer(conversion) if users is None else users)
    except UsageError as error:
        raise table.refuse("conversion", error.message) from error


def _ratio(value: Any) -> Fraction:
    if type(value) not in (int, Decimal) or not 0 <= value <= 10**6:
        raise Wrong(f"{value!r} is no number of users from 0 to a million")
    return Fraction(value)
