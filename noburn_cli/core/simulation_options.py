"""Which options hold: `simulate.toml`, the plans file's table and flags, one over the other.

Layer: core (pure).  Below: core.simulation_keys, errors.  Above: core.simulation_assembly,
commands.simulate, simulation_inputs.
Owns: `simulate.toml`'s tables, and which of file, plans' table and flag wins.
Not here: how a key is read (core.simulation_keys); what the options come to together
(core.simulation_assembly).

Layers, each over the one before: `[simulation]` of the plans file, `simulate.toml`, flags.  Of the
ways to say how usage is spread a layer that says one silences those below.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import tomllib

from noburn_cli.core.simulation_keys import OPTIONS, SPREADS
from noburn_cli.errors import NoburnError, UsageError

NAME = "simulate.toml"
#: Who said what stands on the command line.
FLAGS = "said"
#: Tables of the file beside its keys.
MIX, WORK, CHANGE = "mix", "work", "change"
CHANGE_KEYS = ("month", "plan", "price", "rate", "leave")
LEVERS = ("prompt cache", "routing", "semantic cache", "price", "overage", "hard limit")


@dataclass(frozen=True)
class Said:
    """A value, as it was written, and who wrote it; origin "" for our default."""

    value: Any
    text: str
    origin: str


@dataclass(frozen=True)
class Layer:
    """What one place says: texts by key, and its tables.

    origin: a file's path, or FLAGS.
    """

    origin: str
    values: Mapping[str, str]
    mix: Mapping[str, str]
    work: Mapping[str, str]
    changes: tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Options:
    """What holds, by key; a key that nobody said and that has no default is missing.

    mix, work, changes: from the highest layer that has any, as text; changes_origin: which that is.
    """

    values: Mapping[str, Said]
    mix: Mapping[str, str]
    work: Mapping[str, str]
    changes: tuple[Mapping[str, str], ...]
    changes_origin: str = FLAGS

    def value(self, key: str) -> Any:
        """The value of a key; None where nobody said one and none is assumed."""
        return self.values[key].value if key in self.values else None

    def said(self, key: str) -> bool:
        """Whether a person said it."""
        return key in self.values and self.values[key].origin != ""


def settle(layers: list[Layer]) -> Options:
    """What holds.  layers: the lowest first.  Raises UsageError naming the layer and the key."""
    texts = {key: ("", one.default) for key, one in OPTIONS.items() if one.default is not None}
    mix: Mapping[str, str] = {}
    work: Mapping[str, str] = {}
    changes: tuple[Mapping[str, str], ...] = ()
    changes_origin = FLAGS
    for layer in layers:
        spreads = [key for key in SPREADS if key in layer.values]
        if len(spreads) > 1:
            raise UsageError(
                f"{layer.origin}: {' and '.join(spreads)} each say how usage is spread",
                next_step="say one of them",
            )
        for key in SPREADS if spreads else ():
            texts.pop(key, None)
        texts.update({key: (layer.origin, text) for key, text in layer.values.items()})
        mix, work = layer.mix or mix, layer.work or work
        if layer.changes:
            changes, changes_origin = layer.changes, layer.origin
    values = {key: Said(_read(key, *pair), pair[1], pair[0]) for key, pair in texts.items()}
    return Options(values, mix, work, changes, changes_origin)


def _read(key: str, origin: str, text: str) -> Any:
    try:
        return OPTIONS[key].read(text)
    except NoburnError as error:
        said = f"{origin}: `{key}`: " if origin and origin != FLAGS else ""
        raise UsageError(
            f"{said}{error.message}", why=error.why, next_step=error.next_step
        ) from error


def flags_layer(
    values: Mapping[str, str | None],
    *,
    mix: str | None,
    work: list[str],
    changes: list[str],
) -> Layer:
    """What the command line says.  Raises UsageError."""
    return Layer(
        FLAGS,
        {key: text for key, text in values.items() if text is not None},
        {} if mix is None else _pairs(mix, what="--mix", example="free=60%,pro=40%"),
        _work(
            _merged([_pairs(one, what="--work", example="routing=3000") for one in work]), "--work"
        ),
        tuple(
            _change(_pairs(one, what="--change", example="month=12,price=39"), "--change")
            for one in changes
        ),
    )


def _merged(parts: list[dict[str, str]]) -> dict[str, str]:
    return {key: text for part in parts for key, text in part.items()}


def _pairs(text: str, *, what: str, example: str) -> dict[str, str]:
    """`a=1,b=2`, each name once."""
    found: dict[str, str] = {}
    for part in text.split(","):
        name, equals, value = (one.strip() for one in part.partition("="))
        if not equals or not name or not value or name in found:
            raise UsageError(
                f"{what} cannot be read from {text!r}", next_step=f"write it like {example}"
            )
        found[name] = value
    return found


def parse_layer(origin: str, text: str) -> Layer:
    """A scenario file.  Raises UsageError for the first rule that it breaks."""
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise UsageError(f"{origin}: it is not TOML: {error}") from error
    return layer_of(origin, document)


def layer_of(origin: str, document: Mapping[str, Any]) -> Layer:
    """A document that was read already, floats as Decimal.  Raises UsageError."""
    values = {}
    for key, value in document.items():
        if key in (MIX, WORK, CHANGE):
            continue
        if key not in OPTIONS:
            raise _unknown(origin, key, [*OPTIONS, MIX, WORK, CHANGE])
        values[key] = _text(origin, key, value)
    changes = document.get(CHANGE, [])
    if not isinstance(changes, list):
        raise UsageError(f"{origin}: `{CHANGE}` is a list", next_step=f"write [[{CHANGE}]]")
    return Layer(
        origin,
        values,
        _table(origin, MIX, document),
        _work(_table(origin, WORK, document), origin),
        tuple(_change(_texts(origin, CHANGE, one), origin) for one in changes),
    )


def _table(origin: str, name: str, document: Mapping[str, Any]) -> dict[str, str]:
    return _texts(origin, name, document.get(name, {}))


def _texts(origin: str, name: str, value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageError(f"{origin}: `{name}` is not a table", next_step=f"write [{name}]")
    return {key: _text(origin, f"{name}.{key}", one) for key, one in value.items()}


def _text(origin: str, key: str, value: Any) -> str:
    """A value as a person would type it."""
    if type(value) not in (int, Decimal, str):
        raise UsageError(f"{origin}: `{key}` is neither a number nor a text")
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _change(texts: Mapping[str, str], origin: str) -> Mapping[str, str]:
    for key in texts:
        if key not in CHANGE_KEYS:
            raise _unknown(origin, f"{CHANGE}.{key}", CHANGE_KEYS)
    if "month" not in texts or not {"price", "rate", "leave"} & set(texts):
        raise UsageError(
            f"{origin}: a change says a month and what changes",
            next_step="write it like month=12,price=39,leave=5% or month=6,rate=-30%",
        )
    return texts


def _work(texts: Mapping[str, str], origin: str) -> Mapping[str, str]:
    for key in texts:
        if key.replace("_", " ") not in LEVERS:
            raise _unknown(origin, f"{WORK}.{key}", [one.replace(" ", "_") for one in LEVERS])
    return texts


def _unknown(origin: str, key: str, known: Iterable[str]) -> UsageError:
    names = list(known)
    near = difflib.get_close_matches(key.rpartition(".")[2], names, n=1, cutoff=0.4)
    said = f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(names)}"
    return UsageError(f"{origin}: there is no key `{key}`", next_step=said)
