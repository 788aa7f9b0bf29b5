"""What a configuration file may say, and what one says: text in, checked values out.

Layer: core (pure).  Below: core.endpoints, core.policy_tables, core.gate_tables,
core.config_values, core.profit_rules, core.revenue_keys, core.service_keys, errors.
Above: noburn_cli.settings, which finds the files and decides which value wins.
Owns: KEYS.  noburn_cli/data/noburn.schema.json says the same for editors; a test compares the two.
Not for guests: it reads TOML, which Python 3.10 cannot.

A file is read into values by dotted key: `run.wait`, `attributes.tags.team`, `ceilings.web_search`,
`revenue.rates.EUR`, `endpoint.NAME`, `notify.NAME`, `reconcile.NAME`; `budget` has all budgets
(core.policy_tables), which nothing but `budget apply` puts in force, and `gate` the gate
(core.gate_tables).  Every broken rule raises UsageError with the file, the key and the reason.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import tomllib

from noburn_cli.core import endpoints
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.budgets import TAG_PREFIX
from noburn_cli.core.config_values import (
    Key,
    Wrong,
    one_of,
    read_attribute,
    read_ceiling,
    read_limit,
    read_name,
    read_seconds,
    read_subscriptions,
    read_tokens,
    read_truth,
)
from noburn_cli.core.policy_tables import read_budgets
from noburn_cli.core.profit_rules import PNL, PNL_KEYS
from noburn_cli.core.reconcile_keys import RECONCILE, read_export
from noburn_cli.core.revenue_keys import REVENUE, REVENUE_FAMILIES, REVENUE_KEYS
from noburn_cli.core.service_keys import CHANNELS_MAX, DAEMON, DAEMON_KEYS, NOTIFY, read_channel
from noburn_cli.errors import NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.core.gate_tables import GateSpec

ON_EXCEED = ("block", "kill")
#: enforce.policy reads the same words, for guests.
ON_ABORT = ("hold", "drain", "received")
NAMED_ATTRIBUTES = ("project", "customer", "feature", "user")

#: providers.ceilings says what each pays for; a test holds the two together.
CEILINGS = (
    *("background", "batch", "cache_lifetime", "code_execution", "compaction"),
    *("file_search", "fine_tuning", "hosted_tool", "image_generation", "images"),
    *("mcp", "moderation", "reasoning_mode", "regional", "service_tier"),
    *("speech", "stored_prompt", "tool_search", "transcription", "unknown"),
    *("video", "web_fetch", "web_search"),
)

#: A field of a provider's request that says who a call is for.
_FIELD = re.compile(r"user|safety_identifier|metadata\.[A-Za-z0-9_.-]{1,64}", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)


#: Every key that has one value.  Defaults are what holds when nobody says anything.
KEYS: Mapping[str, Key] = {
    "run.budget": Key(read_limit, None, "the limit of a run that is given none: `$5`, `2Mtok`"),
    "run.wait": Key(read_seconds, 30.0, "seconds that a call may wait for money in flight"),
    "run.clamp": Key(read_truth, True, "lower the cap of an uncapped output to what is affordable"),
    "run.lower_caps": Key(read_truth, False, "lower explicit output caps as well"),
    "run.floor": Key(read_tokens, 256, "least output cap, in tokens, that a call is clamped to"),
    "run.on_exceed": Key(one_of(ON_EXCEED), "block", "at a call that is stopped"),
    "run.on_abort": Key(one_of(ON_ABORT), "hold", "what a broken-off answer costs"),
    **{
        f"attributes.{name}": Key(read_name, None, f"the {name} of a run that is given none")
        for name in NAMED_ATTRIBUTES
    },
    "notional.subscriptions": Key(
        read_subscriptions, (), "subscription logins that count against no dollar budget"
    ),
    **PNL_KEYS,
    **DAEMON_KEYS,
    **REVENUE_KEYS,
}
#: Tables whose keys are names that the person chooses: (pattern, what they are, how they are read).
FAMILIES: Mapping[str, tuple[re.Pattern[str], str, Callable[[Any], Any]]] = {
    "attributes.tags": (_TAG, "a tag's name", read_name),
    "attributes.from": (
        _FIELD, "`user`, `safety_identifier` or `metadata.KEY`, in quotes", read_attribute,
    ),
    "ceilings": (re.compile("|".join(CEILINGS)), "the name of a ceiling", read_ceiling),
    **REVENUE_FAMILIES,
}  # fmt: skip
ENDPOINT = "endpoint"
BUDGET = "budget"
GATE = "gate"
_TABLES = (
    *("run", "attributes", "ceilings", "notional"),
    *(ENDPOINT, BUDGET, DAEMON, NOTIFY, RECONCILE, REVENUE, GATE, PNL),
)


def parse_configuration(origin: str, text: str) -> dict[str, Any]:
    """The values of one file by dotted key, in the order of the file.

    origin: the file's path, for errors and as the source of an endpoint's prices.
    Raises UsageError for the first rule that is broken.
    """
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise _broken(origin, "", f"it is not TOML: {error}") from error
    values: dict[str, Any] = {}
    for table, content in document.items():
        if table not in _TABLES:
            raise _unknown(origin, table, _TABLES)
        if table == ENDPOINT:
            values.update(_endpoints(origin, content))
        elif table == NOTIFY:
            values.update(_channels(origin, content))
        elif table == RECONCILE:
            values.update(_exports(origin, content))
        elif table == BUDGET:
            values[BUDGET] = _budgets(origin, content)
        elif table == GATE:
            values[GATE] = _gate(origin, content)
        else:
            _read_table(origin, table, content, values)
    return values


def parse_policy(origin: str, text: str) -> tuple[BudgetSpec, ...]:
    """The budgets of a policy file, which may say anything else that a configuration says.

    Raises UsageError for the first rule that is broken.
    """
    found: tuple[BudgetSpec, ...] = parse_configuration(origin, text).get(BUDGET, ())
    return found


def read_value(origin: str, key: str, value: Any) -> Any:
    """One value as its key reads it.  Raises UsageError naming `origin` and the key."""
    family, _, _ = key.rpartition(".") if key not in KEYS else ("", "", "")
    read = KEYS[key].read if key in KEYS else FAMILIES[_family(family)][2]
    try:
        return read(value)
    except Wrong as wrong:
        raise _broken(origin, key, wrong.why, wrong.next_step) from wrong
    except NoburnError as error:
        raise _broken(origin, key, f"{error.message}: {error.why}", error.next_step) from error


def _family(prefix: str) -> str:
    return next(name for name in FAMILIES if prefix == name or prefix.startswith(f"{name}."))


def _read_table(origin: str, prefix: str, content: Any, values: dict[str, Any]) -> None:
    """Read one table and the tables in it into `values`."""
    if not isinstance(content, dict):
        raise _broken(origin, prefix, "it is not a table", f"write [{prefix}]")
    if prefix in FAMILIES:
        pattern, what, _ = FAMILIES[prefix]
        for name, value in content.items():
            if prefix == "ceilings" and name not in CEILINGS:
                raise _unknown(origin, f"{prefix}.{name}", CEILINGS, plain=name)
            if not pattern.fullmatch(name):
                raise _broken(origin, f"{prefix}.{name}", f"the name is not {what}")
            values[f"{prefix}.{name}"] = read_value(origin, f"{prefix}.{name}", value)
        return
    known = [key for key in (*KEYS, *FAMILIES) if key.startswith(f"{prefix}.")]
    for name, value in content.items():
        key = f"{prefix}.{name}"
        if key in FAMILIES:
            _read_table(origin, key, value, values)
        elif key in KEYS:
            values[key] = read_value(origin, key, value)
        else:
            raise _unknown(origin, key, known)


def _channels(origin: str, content: Any) -> dict[str, Any]:
    """The channels of `[notify.NAME]`, by dotted key."""
    if not isinstance(content, dict) or len(content) > CHANNELS_MAX:
        raise _broken(origin, NOTIFY, f"it is no table of at most {CHANNELS_MAX} channels")
    found = {}
    for name, table in content.items():
        key = f"{NOTIFY}.{name}"
        try:
            found[key] = read_channel(name, table)
        except Wrong as wrong:
            raise _broken(origin, key, wrong.why, wrong.next_step) from wrong
    return found


def _exports(origin: str, content: Any) -> dict[str, Any]:
    """The exports of `[reconcile.NAME]`, by dotted key."""
    if not isinstance(content, dict):
        raise _broken(origin, RECONCILE, "it is no table of exports", f"write [{RECONCILE}.NAME]")
    found = {}
    for name, table in content.items():
        key = f"{RECONCILE}.{name}"
        try:
            found[key] = read_export(name, table)
        except Wrong as wrong:
            raise _broken(origin, key, wrong.why, wrong.next_step) from wrong
        except NoburnError as error:
            raise _broken(origin, key, f"{error.message}: {error.why}", error.next_step) from error
    return found


def _tables(origin: str, name: str, content: Any) -> list[dict[str, Any]]:
    if not isinstance(content, list) or not all(isinstance(one, dict) for one in content):
        raise _broken(origin, name, "it is not a list of tables", f"write [[{name}]]")
    return content


def _budgets(origin: str, content: Any) -> tuple[BudgetSpec, ...]:
    def refuse(key: str, reason: str, step: str) -> UsageError:
        return _broken(origin, key, reason, step or "mend it; docs/budgets.md describes every key")

    return read_budgets(_tables(origin, BUDGET, content), refuse)


def _gate(origin: str, content: Any) -> GateSpec:
    # Only for who has a gate: a run and a daemon read configurations as well.
    from noburn_cli.core.gate_tables import read_gate

    def refuse(key: str, reason: str, step: str) -> UsageError:
        return _broken(origin, key, reason, step)

    return read_gate(content, refuse)


def _endpoints(origin: str, content: Any) -> dict[str, endpoints.Endpoint]:
    found: dict[str, endpoints.Endpoint] = {}
    urls: set[tuple[str, str]] = set()
    for number, table in enumerate(_tables(origin, ENDPOINT, content), start=1):
        where = f"{ENDPOINT} {table.get('name') or number}"

        def refuse(key: str, reason: str, where: str = where) -> NoburnError:
            return _broken(origin, f"{where}: {key}", reason)

        _check_keys(origin, where, table)
        one = endpoints.read_endpoint(table, origin, refuse)
        if f"{ENDPOINT}.{one.name}" in found:
            raise refuse("name", "is in this file twice")
        if (one.base_url, one.api) in urls:
            raise refuse("base_url", "is that of another endpoint with the same api")
        urls.add((one.base_url, one.api))
        found[f"{ENDPOINT}.{one.name}"] = one
    return found


def _check_keys(origin: str, where: str, table: Mapping[str, Any]) -> None:
    """No key but the known ones in an endpoint, its prices and the models in these."""
    _only(origin, where, table, endpoints.KEYS)
    prices = table.get("prices")
    if not isinstance(prices, dict):
        return
    _only(origin, f"{where}: prices", prices, endpoints.PRICES_KEYS)
    models = prices.get("models")
    for name, rates in models.items() if isinstance(models, dict) else ():
        if isinstance(rates, dict):
            _only(origin, f"{where}: prices.models.{name}", rates, endpoints.MODEL_KEYS)


def _only(origin: str, where: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
    for key in table:
        if key not in known:
            raise _unknown(origin, f"{where}: {key}", list(known), plain=key)


def _unknown(origin: str, key: str, known: Iterable[str], *, plain: str = "") -> UsageError:
    names = list(known)
    near = difflib.get_close_matches(plain or key, names, n=1, cutoff=0.4)
    said = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(names)}"
    return _broken(origin, key, "there is no such key", said)


def _broken(origin: str, key: str, reason: str, next_step: str = "") -> UsageError:
    place = f"{origin}: `{key}`" if key else origin
    return UsageError(
        f"configuration {place}: {reason}",
        why="a setting that is skipped would not hold, and nobody would know",
        next_step=next_step or "mend it; docs/configuration.md describes every key",
    )


def attributes_of(values: Mapping[str, Any]) -> dict[str, str]:
    """The attributes that the values give to a run, tags included, by name."""
    named = {
        name: values[key]
        for name in NAMED_ATTRIBUTES
        if values.get(key := f"attributes.{name}") is not None
    }
    prefix = "attributes.tags."
    tags = {
        TAG_PREFIX + key[len(prefix) :]: value
        for key, value in values.items()
        if key.startswith(prefix)
    }
    return {**named, **tags}
