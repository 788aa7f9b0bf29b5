"""Budgets: which calls a limit is about.

Layer: core (pure, standard library, Python 3.10).  Below: windows, errors; protocol's words are
repeated here.
Above: the daemon's book, `budget`, `report`.
Owns: scopes as people write them, which account of a budget a call is charged to.
Not here: for how long a limit counts (windows), balances (noburn_daemon.book).

A budget is a scope, a window and a limit.  A scope with `*` is a family: each value has its own
account with the same limit.  A call without the attribute counts as `(none)`, which is a value like
any other: leaving a name out is no way around.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from noburn_cli.core.windows import RUN
from noburn_cli.errors import UsageError

ATTRIBUTES = ("project", "customer", "feature", "user", "job", "run", "step")
TAG_PREFIX = "tag."
GLOBAL = "global"
EACH = "*"
NONE = "(none)"
#: Of the scope of a budget that only watches a margin: `customer=acme,tag.margin_below_20=*` is a
#: budget of acme's cost, beside any other of theirs.  No call has the tag.
MARGIN_PREFIX = f"{TAG_PREFIX}margin_below_"
VALUE_CHARS_MAX = 256
RUN_DEPTH_MAX = 16
STEP_DEPTH_MAX = 16

_TAG_NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: A stretch between commas, in which a backslash takes the next character along.
_PART = re.compile(r"((?:\\.|[^,\\]|\\$)*)(?:,|$)")


@dataclass(frozen=True)
class Scope:
    """Which calls a budget is about: pairs of key and value, in the order of `key_order`.

    A value is EACH (`*`) for a family.  No pair at all is the global scope.
    """

    pairs: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return show_scope(self.pairs)

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(key for key, _ in self.pairs)

    @property
    def is_family(self) -> bool:
        return any(value == EACH for _, value in self.pairs)


def show_scope(pairs: tuple[tuple[str, str], ...]) -> str:
    """Pairs as people write them: `customer=acme,feature=chat`; `global` when there are none."""
    return ",".join(f"{key}={_escape(value)}" for key, value in pairs) or GLOBAL


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace(",", "\\,")


def key_order(key: str) -> tuple[int, str]:
    """Sorts keys: the known ones as listed, then tags by name."""
    return (ATTRIBUTES.index(key), "") if key in ATTRIBUTES else (len(ATTRIBUTES), key)


def check_key(key: str) -> str:
    """Return `key` when it is an attribute or `tag.NAME`.

    Raises UsageError naming the nearest keys: a misspelt key is never a silent tag.
    """
    if key in ATTRIBUTES:
        return key
    if key.startswith(TAG_PREFIX) and _TAG_NAME.fullmatch(key[len(TAG_PREFIX) :]):
        return key
    near = difflib.get_close_matches(key, ATTRIBUTES, n=2, cutoff=0.5)
    guess = f"did you mean {' or '.join(near)}? " if near else ""
    raise UsageError(
        f"unknown attribute {key!r}",
        why=f"known are {', '.join(ATTRIBUTES)} and tag.NAME",
        next_step=f"{guess}a free tag is tag.{key or 'NAME'}",
    )


def check_value(key: str, value: str) -> str:
    """Return an attribute's value when it can be shown on one line and stored.

    Raises UsageError.
    """
    if len(value) > VALUE_CHARS_MAX:
        raise UsageError(f"the value of {key} is longer than {VALUE_CHARS_MAX} characters")
    if _CONTROL.search(value):
        raise UsageError(f"the value of {key} has control characters: {value!r}")
    return value


def check_name(key: str, value: str) -> str:
    """The value as attributes have it, when it names one of whatever `key` is about.

    Raises UsageError for an unknown key, and for a value that names nobody or everybody.
    """
    name = check_value(check_key(key), value).strip()
    if name in ("", EACH, "each", NONE):
        raise UsageError(
            f"{key}={name} is not the name of one {key}",
            why=f"{EACH} and `each` mean each value of its own, {NONE} those without a name",
            next_step=f"write {key}=NAME",
        )
    return name


def check_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    """A call's attributes in canonical order, empty ones left out (they count as `(none)`).

    Raises UsageError for an unknown key, a value that cannot be stored, or a path of runs or steps
    that is broken or too deep.
    """
    kept = {}
    for key in sorted(attributes, key=lambda key: key_order(check_key(key))):
        value = check_value(key, attributes[key]).strip()
        if value in (EACH, "each"):
            raise UsageError(
                f"{key} cannot be called {value!r}", why="it means each value of its own"
            )
        if value:
            kept[key] = value
    if "run" in kept:
        check_run_path(kept["run"])
    if "step" in kept:
        check_step_path(kept["step"])
    return kept


def check_run_path(path: str) -> list[str]:
    """The runs in a path `r1/r2`, outermost first.

    Raises UsageError for an empty or repeated run, and above RUN_DEPTH_MAX.
    """
    runs = path.split("/")
    if not all(runs) or len(set(runs)) != len(runs) or {EACH, "each"} & set(runs):
        raise UsageError(f"not a path of runs: {path!r}", next_step="write it like r1 or r1/r2")
    if len(runs) > RUN_DEPTH_MAX:
        raise UsageError(f"runs are nested deeper than {RUN_DEPTH_MAX}: {path!r}")
    return runs


def check_step_path(path: str) -> list[str]:
    """The steps in a path `graph/research/tool:search`, outermost first; one may come again.

    Raises UsageError for an empty step, and above STEP_DEPTH_MAX.
    """
    steps = path.split("/")
    if any(not step.strip() for step in steps) or {EACH, "each"} & set(steps):
        raise UsageError(
            f"not a path of steps: {path!r}", next_step="write it like research or graph/research"
        )
    if len(steps) > STEP_DEPTH_MAX:
        raise UsageError(f"steps are nested deeper than {STEP_DEPTH_MAX}: {path!r}")
    return steps


def _split(text: str) -> list[str]:
    """The parts between commas that no backslash escapes; "a," has an empty last one."""
    parts, at = [], 0
    while True:
        match = _PART.match(text, at)
        assert match is not None  # it matches the empty string
        parts.append(match[1])
        if match.end() == len(text) and not match[0].endswith(",", len(match[1])):
            return parts
        at = match.end()


def parse_scope(text: str) -> Scope:
    """Read `global`, `project=x`, `customer=*` (or `=each`), `tag.team=x`, joined by commas.

    A comma or backslash inside a value is written with a backslash before it.
    Raises UsageError for anything else.
    """
    plain = text.strip()
    if plain == GLOBAL:
        return Scope()
    pairs: dict[str, str] = {}
    for part in _split(plain):
        key, equals, raw = part.strip().partition("=")
        if not equals:
            raise UsageError(
                f"a scope cannot be read from {text!r}",
                why=f"{part!r} is not KEY=VALUE",
                next_step="write global, project=x, customer=acme, customer=each or tag.team=x",
            )
        check_key(key)
        value = check_value(key, re.sub(r"\\(.)", r"\1", raw.strip()))
        if not value:
            raise UsageError(f"{key} has no value", next_step=f"write {key}=NAME or {key}=each")
        if key in pairs:
            raise UsageError(f"{key} appears twice in {text!r}")
        if key == "run" and "/" in value:
            raise UsageError("a run is named alone, without its parents", next_step="write run=ID")
        if key == "step" and value not in (EACH, "each"):
            check_step_path(value)
        pairs[key] = EACH if value in (EACH, "each") else value
    return Scope(tuple(sorted(pairs.items(), key=lambda pair: key_order(pair[0]))))


Key = tuple[tuple[str, str], ...]


def each_value(key: str, attributes: Mapping[str, str]) -> list[str]:
    """The values of `key` that have an account of their own in a family, for one call.

    Every run in its path, every step in its path once, or the one value.
    """
    value = attributes.get(key) or NONE
    if key == "run":
        return value.split("/")
    return list(dict.fromkeys(value.split("/"))) if key == "step" else [value]


def named_values(key: str, attributes: Mapping[str, str]) -> list[str]:
    """The values by which a scope may name this call: of a path of steps any stretch of it.

    `graph/research/tool:search` is found by `step=research`, `step=graph/research` and so on.
    """
    if key != "step" or not attributes.get(key):
        return each_value(key, attributes)
    steps = attributes[key].split("/")
    ends = range(1, len(steps) + 1)
    return list(dict.fromkeys("/".join(steps[i:j]) for j in ends for i in range(j)))


def account_keys(scope: Scope, per: str, attributes: Mapping[str, str]) -> list[Key]:
    """The accounts of a budget that a call with these attributes is charged to; none if no match.

    A call in runs `r1/r2` matches `run=r1` and `run=r2`; a family over runs, and a window of a run,
    has one account for each run in the path.  Steps: `named_values`, and in a family `each_value`.
    """
    runs = each_value("run", attributes)
    choices: list[list[tuple[str, str]]] = []
    for key, wanted in scope.pairs:
        if wanted == EACH:
            values = each_value(key, attributes)
        else:
            values = [wanted] if wanted in named_values(key, attributes) else []
        if not values:
            return []
        choices.append([(key, value) for value in values])
    if per == RUN and "run" not in scope.keys:
        choices.append([("run", value) for value in runs])
        choices.sort(key=lambda pairs: key_order(pairs[0][0]))
    return list(itertools.product(*choices))


def margin_floor(keys: tuple[str, ...]) -> int | None:
    """The margin in per cent that a budget with these keys watches; None where it watches none."""
    for key in keys:
        floor = key[len(MARGIN_PREFIX) :] if key.startswith(MARGIN_PREFIX) else ""
        if floor.isascii() and floor.isdecimal() and len(floor) <= 2:
            return int(floor)
    return None


def margin_scope(customer: str, floor: int) -> Scope:
    """The scope that watches whether a customer's margin falls below so many per cent."""
    return Scope((("customer", customer), (f"{MARGIN_PREFIX}{floor}", EACH)))


def replaces(override: Scope, other: Scope) -> bool:
    """Whether a budget that says `override` stands in for `other`, where both match.

    It does when both have the same keys and each of its values is the other's or fills a `*`.
    """
    if override.keys != other.keys or override == other:
        return False
    return all(
        theirs in (EACH, ours)
        for (_, ours), (_, theirs) in zip(override.pairs, other.pairs, strict=True)
    )


def budget_name(scope: Scope, per: str, unit: str) -> str:
    """What a budget is called in messages: unique over scope, window and unit."""
    return f"{scope} per {per}" + ("" if unit == "dollars" else f" in {unit}")
