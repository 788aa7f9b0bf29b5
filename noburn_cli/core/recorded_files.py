"""Recordings and baselines as JSON text.

Layer: core (pure: text in, objects out).  Below: core.recorded_runs, core.money, errors.
Above: noburn_cli.recording, noburn_cli.gating, which know where the files lie.
Owns: the two formats and their versions (docs/recording.md has them for readers).

A baseline is made to be reviewed: sorted, one line for each test and model, and nothing in it that
changes with every run.  Neither holds a prompt or an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from noburn_cli.core.money import Nano, nano_from_decimal
from noburn_cli.core.recorded_runs import (
    LINES,
    OUTCOMES,
    TEST,
    UNKNOWN,
    ModelUse,
    RateKey,
    Rates,
    RecordedTest,
    Recording,
)
from noburn_cli.core.usage import checked
from noburn_cli.errors import UsageError

RECORDING_KIND = "noburn.recording"
BASELINE_KIND = "noburn.baseline"
VERSION = 1
_COUNTS = ("uncertain", "blocked", "refused", "failed")
_PICO_PER_MILLION = 1_000_000


def format_recording(recording: Recording) -> str:
    """A recording as JSON, for machines."""
    document = {
        "kind": RECORDING_KIND,
        "version": VERSION,
        "name": recording.name,
        "run": recording.run,
        "replayed": recording.replayed,
        "book": recording.book_version,
        "calls": recording.calls,
        "cost_usd": Nano(recording.cost_nano).exact(),
        "tests": [_line(test) for test in recording.tests.values()],
        "not_run": sorted(recording.not_run),
        "rates": [_rates(at, rates) for at, rates in sorted(recording.rates.items())],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def format_baseline(baseline: Recording) -> str:
    """A baseline as JSON, for a version control: each test and each model on lines of its own."""
    tests = [_block(test) for test in baseline.tests.values()]
    rates = [f"  {_plain(_rates(at, one))}" for at, one in sorted(baseline.rates.items())]
    parts = [
        f' "kind": "{BASELINE_KIND}"',
        f' "version": {VERSION}',
        ' "tests": {\n' + ",\n".join(tests) + "\n }" if tests else ' "tests": {}',
        ' "rates": [\n' + ",\n".join(rates) + "\n ]" if rates else ' "rates": []',
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def parse_recording(text: str, *, origin: str) -> Recording:
    """Read a recording.  Raises UsageError naming `origin`."""
    values = _document(text, RECORDING_KIND, origin)
    try:
        tests = [_test(one) for one in values["tests"]]
        return Recording(
            name=str(values["name"]),
            run=str(values["run"]),
            tests={test.name: test for test in sorted(tests, key=lambda one: one.name)},
            not_run=frozenset(map(str, values["not_run"])),
            rates=_all_rates(values["rates"]),
            replayed=values["replayed"] is True,
            book_version=str(values["book"]),
        )
    except _MALFORMED as error:
        raise _unreadable(origin, error) from error


def parse_baseline(text: str, *, origin: str) -> Recording:
    """Read a baseline.  Raises UsageError naming `origin`."""
    values = _document(text, BASELINE_KIND, origin)
    try:
        tests = {
            name: RecordedTest(
                name,
                kind=str(uses[0].get("line", TEST)) if uses else TEST,
                uses=tuple(sorted(map(_use, uses), key=lambda use: use.at)),
            )
            for name, uses in sorted(values["tests"].items())
        }
        return Recording(name=origin, tests=tests, rates=_all_rates(values["rates"]))
    except _MALFORMED as error:
        raise _unreadable(origin, error) from error


_MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, InvalidOperation)


def _document(text: str, kind: str, origin: str) -> Mapping[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _unreadable(origin, error) from error
    if not isinstance(values, dict) or values.get("kind") != kind:
        raise _unreadable(origin, f"it is no {kind.replace('.', ' ')}")
    if values.get("version") != VERSION:
        raise UsageError(
            f"{origin} has version {values.get('version')!r} of its format",
            why=f"this noburn reads version {VERSION}",
            next_step="upgrade noburn, or make the file again",
        )
    return values


def _unreadable(origin: str, why: object) -> UsageError:
    said = f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why)
    return UsageError(
        f"{origin} cannot be read",
        why=said,
        next_step="make it again: a recording with `noburn run --recording NAME`, a baseline with "
        "`noburn gate --update-baseline`",
    )


def _line(test: RecordedTest) -> dict[str, Any]:
    line: dict[str, Any] = {"name": test.name, "line": test.kind}
    if test.outcome != UNKNOWN:
        line["outcome"] = test.outcome
    line["calls"] = test.calls
    line["cost_usd"] = Nano(test.cost_nano).exact()
    line |= {name: count for name in _COUNTS if (count := getattr(test, name))}
    if test.uncertain_nano:
        line["uncertain_usd"] = Nano(test.uncertain_nano).exact()
    line["models"] = [_used(use) for use in test.uses]
    return line


def _test(line: Mapping[str, Any]) -> RecordedTest:
    kind, outcome = line["line"], line.get("outcome", UNKNOWN)
    if kind not in LINES or outcome not in OUTCOMES:
        raise ValueError(f"a line of kind {kind!r} with the outcome {outcome!r}")
    return RecordedTest(
        name=str(line["name"]),
        kind=kind,
        outcome=outcome,
        uses=tuple(sorted(map(_use, line["models"]), key=lambda use: use.at)),
        uncertain_nano=_nano(line.get("uncertain_usd", "0")),
        **{name: _count(line.get(name, 0)) for name in _COUNTS},
    )


def _used(use: ModelUse) -> dict[str, Any]:
    usage = {kind: count for kind, count in sorted(use.usage.items()) if count}
    return {
        **_key(use.at),
        "calls": use.calls,
        **usage,
        "cost_usd": Nano(use.cost_nano).exact(),
    }


def _use(values: Mapping[str, Any]) -> ModelUse:
    others = {"model", "variant", "above_input_tokens", "calls", "cost_usd", "line"}
    usage = {kind: count for kind, count in values.items() if kind not in others}
    return ModelUse(_at(values), _count(values["calls"]), checked(usage), _nano(values["cost_usd"]))


def _block(test: RecordedTest) -> str:
    kind = {} if test.kind == TEST else {"line": test.kind}
    if not test.uses:
        return f"  {_plain(test.name)}: []"
    uses = [f"   {_plain({**kind, **_used(use)})}" for use in test.uses]
    return f"  {_plain(test.name)}: [\n" + ",\n".join(uses) + "\n  ]"


def _key(at: RateKey) -> dict[str, Any]:
    """Which rates: what is ordinary is left out."""
    key: dict[str, Any] = {"model": at.model}
    if at.variant != "standard":
        key["variant"] = at.variant
    if at.above_input_tokens:
        key["above_input_tokens"] = at.above_input_tokens
    return key


def _at(values: Mapping[str, Any]) -> RateKey:
    return RateKey(
        str(values["model"]),
        str(values.get("variant", "standard")),
        _count(values.get("above_input_tokens", 0)),
    )


def _rates(at: RateKey, rates: Rates) -> dict[str, Any]:
    """Dollars per million tokens (or units of a fee), as exact decimals."""
    return {**_key(at), "usd_per_million": {k: _dollars(rates[k]) for k in sorted(rates)}}


def _all_rates(lines: list[Mapping[str, Any]]) -> dict[RateKey, Rates]:
    found = {
        _at(line): {
            str(kind): _pico(Decimal(dollars)) for kind, dollars in line["usd_per_million"].items()
        }
        for line in lines
    }
    return dict(sorted(found.items()))


def _dollars(pico: int) -> str:
    # A pico-dollar a token is a millionth of a dollar a million.
    text = f"{Decimal(pico) / _PICO_PER_MILLION:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _pico(dollars: Decimal) -> int:
    pico = dollars * _PICO_PER_MILLION
    if pico < 0 or pico != int(pico):
        raise ValueError(f"a rate of {dollars} dollars per million")
    return int(pico)


def _nano(dollars: object) -> int:
    return nano_from_decimal(Decimal(str(dollars)))


def _count(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value


def _plain(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
