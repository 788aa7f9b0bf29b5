"""`[gate]` and `[[gate.prompt]]`: what each key takes, read into a specification.

Layer: core (pure).  Below: core.gate_globs, core.gate_rule_names, core.gate_values, core.spans.
Above: core.configuration, which reads the file around them; noburn_cli.gating, which obeys them.
Owns: GATE_KEYS, PROMPT_KEYS, RULE_KEYS, RECORDING_KEYS.  noburn_cli/data/noburn.schema.json says
the same for editors; a test compares them.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from noburn_cli.core import gate_values as values
from noburn_cli.core.config_values import Wrong, one_of, read_name
from noburn_cli.core.gate_rule_names import RULES
from noburn_cli.core.models import VARIANTS
from noburn_cli.core.plurals import counted
from noburn_cli.core.spans import Span
from noburn_cli.errors import NoburnError, UsageError

GATE = "gate"
PROMPT = "prompt"
RECORDING = "recording"
LEDGER = "ledger"
TABLE_FORMATS = ("table", "json", "markdown", "junit", "github")
TEXT, JINJA, YAML, JSON, JSONL, PYTHON = "text", "jinja", "yaml", "json", "jsonl", "python"
#: How a file is read; by its name's end where nobody says.
KINDS = (TEXT, JINJA, YAML, JSON, JSONL, PYTHON)

#: Rules: most of them may stand in [gate] and in a [[gate.prompt]].
RULE_KEYS: Mapping[str, str] = {
    "per_call_max": "the most that a call is expected to cost: `$0.02`",
    "worst_call_max": "the most that a call can cost at all: `$0.10`",
    "per_month_max": "the most a month: of all prompts in [gate], of each in a prompt's table",
    "per_customer_month_max": "the most that a customer costs a month",
    "growth_max": "the most growth against the base: `10%`, `$50`, or a list of both",
    "margin_min": "the least that is left of the plan's price: `70%`",
    "window_share_max": "the most of the context window that the input takes: `50%`",
    "models": 'the models that are allowed, with `*`: `["gpt-6-*"]`',
    "warn": "rules of this table that warn and do not fail the gate",
}
#: Keys of [gate] besides its rules.
GATE_KEYS: Mapping[str, str] = {
    "base": "the revision that is compared with: `origin/main`",
    "format": "how the answer looks: `table`, `json`, `markdown`, `junit`, `github`",
    "prices": "a price file of the repository, laid over the price book",
    "volumes": "a file of the repository with what the ledger said: `noburn-volumes.json`",
    "model": "the model of prompts that name none",
    "customers": "how many customers there are",
    "plan_price": "what a customer pays a month for everything: `$29`",
    PROMPT: "prompts, as [[gate.prompt]]",
    RECORDING: "recorded runs, as [gate.recording]",
}
PROMPT_KEYS: Mapping[str, str] = {
    "files": "files and patterns below this file's folder; `!` leaves out",
    "kind": f"how they are read: {', '.join(KINDS)}; by the name's end otherwise",
    "keys": "of YAML and JSON: the keys that make one call together: `system`, `messages[*].text`",
    "each": "of YAML and JSON: keys of which each is a prompt of its own: `prompts.*`",
    "constants": "of Python: names of constants: `SYSTEM`, `Agent.PROMPT`, `*_PROMPT`",
    "variables": "of templates and f-strings: texts by name, or `{ file = PATH }`",
    "root": "of templates: the folder that includes are looked up in",
    "label": "a word beside the name, where a file stands in two tables",
    "model": "the model that is called; otherwise a request's own, then that of [gate]",
    "variant": f"how calls are processed: {', '.join(VARIANTS)}",
    "output": "tokens of output expected of a call: `500`, `200-800`",
    "cap": "the most output tokens that a call asks for",
    "cached_share": "of the input, what is read from the provider's cache: `80%`",
    "calls_per_month": "calls a month, or `ledger`: those of the last 30 days",
    "feature": "the feature in the ledger whose calls these are",
    "customers": "how many customers use it",
    "calls_per_customer": "calls a month of one customer; 0 where none causes them",
    "plan_price": "what a customer pays a month for this: `$5`",
}
RECORDING_KEYS: Mapping[str, str] = {
    "baseline": "the committed file with what tests cost: `noburn-baseline.json`",
    "tolerance": "how much more a test may take than its baseline: `10%`",
    "calls_floor": "calls more that are never told: `1`",
    "tokens_floor": "tokens more that are never told: `200`",
    "cost_floor": "dollars more that are never told: `$0.001`",
    "new_test_max": "the most that a test without a baseline may cost: `$0.10`",
}
REQUIRED = ("files",)

#: (key, reason, next step) to the error that names the file and the key.
Refuse = Callable[[str, str, str], UsageError]


@dataclass(frozen=True)
class Rules:
    """Limits of one table; None where it has none.  Dollars in nano-dollars.

    warn: the keys of rules that warn.
    """

    per_call_max: int | None = None
    worst_call_max: int | None = None
    per_month_max: int | None = None
    per_customer_month_max: int | None = None
    growth_max: values.Growth | None = None
    margin_min: Fraction | None = None
    window_share_max: Fraction | None = None
    models: tuple[str, ...] | None = None
    warn: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PromptSpec:
    """One [[gate.prompt]]: which files, how they are read, and on which terms they are called.

    number: of the table, from 1.  kind: one of KINDS, or None to go by the name.
    calls_per_month: a number, LEDGER, or None.  plan_price: nano-dollars.
    variables: a text, or a values.FileText, by name.
    """

    number: int
    files: tuple[str, ...]
    kind: str | None = None
    keys: tuple[str, ...] = ()
    each: tuple[str, ...] = ()
    constants: tuple[str, ...] = ()
    variables: Mapping[str, Any] = field(default_factory=dict)
    root: str | None = None
    label: str | None = None
    model: str | None = None
    variant: str | None = None
    output: Span | None = None
    cap: int | None = None
    cached_share: Fraction | None = None
    calls_per_month: int | str | None = None
    feature: str | None = None
    customers: int | None = None
    calls_per_customer: Fraction | None = None
    plan_price: int | None = None
    rules: Rules = field(default_factory=Rules)

    @property
    def where(self) -> str:
        """How messages call this table."""
        return f"{GATE}.{PROMPT} {self.number} ({self.files[0]})"


@dataclass(frozen=True)
class RecordingSpec:
    """[gate.recording].

    tolerance and floors: a number has grown when it passes both.  cost_floor, new_test_max:
    nano-dollars; None sets no limit to new tests.
    """

    baseline: str = "noburn-baseline.json"
    tolerance: Fraction = Fraction(1, 10)
    calls_floor: int = 1
    tokens_floor: int = 200
    cost_floor: int = 1_000_000
    new_test_max: int | None = None


@dataclass(frozen=True)
class GateSpec:
    """[gate] with everything below it."""

    base: str | None = None
    format: str | None = None
    prices: str | None = None
    volumes: str | None = None
    model: str | None = None
    customers: int | None = None
    plan_price: int | None = None
    rules: Rules = field(default_factory=Rules)
    prompts: tuple[PromptSpec, ...] = ()
    recording: RecordingSpec = field(default_factory=RecordingSpec)

    def __str__(self) -> str:
        return counted(len(self.prompts), "table") + " of prompts"


_RULE_READERS: Mapping[str, Callable[[Any], Any]] = {
    "per_call_max": values.read_dollars,
    "worst_call_max": values.read_dollars,
    "per_month_max": values.read_dollars,
    "per_customer_month_max": values.read_dollars,
    "growth_max": values.read_growth,
    "margin_min": values.read_share,
    "window_share_max": values.read_share,
    "models": values.read_texts,
    "warn": values.read_rules(RULES),
}
_GATE_READERS: Mapping[str, Callable[[Any], Any]] = {
    "base": values.read_revision,
    "format": one_of(TABLE_FORMATS),
    "prices": values.read_path,
    "volumes": values.read_path,
    "model": values.read_text,
    "customers": values.read_count,
    "plan_price": values.read_price,
}
_PROMPT_READERS: Mapping[str, Callable[[Any], Any]] = {
    "files": values.read_patterns,
    "kind": one_of(KINDS),
    "keys": values.read_key_paths,
    "each": values.read_key_paths,
    "constants": values.read_texts,
    "variables": values.read_variables,
    "root": values.read_path,
    "label": read_name,
    "model": values.read_text,
    "variant": one_of(VARIANTS),
    "output": values.read_span,
    "cap": values.read_count,
    "cached_share": values.read_share,
    "calls_per_month": values.read_calls(LEDGER),
    "feature": read_name,
    "customers": values.read_count,
    "calls_per_customer": values.read_amount,
    "plan_price": values.read_price,
}
_RECORDING_READERS: Mapping[str, Callable[[Any], Any]] = {
    "baseline": values.read_path,
    "tolerance": values.read_percent,
    "calls_floor": values.read_floor,
    "tokens_floor": values.read_floor,
    "cost_floor": values.read_dollars,
    "new_test_max": values.read_dollars,
}


def read_gate(content: Any, refuse: Refuse) -> GateSpec:
    """[gate] as TOML gave it.  Raises what `refuse` makes of the first broken rule."""
    if not isinstance(content, dict):
        raise refuse(GATE, "it is not a table", f"write [{GATE}]")
    own = {key: one for key, one in content.items() if key not in (PROMPT, RECORDING)}
    read = _read(GATE, own, {**_GATE_READERS, **_RULE_READERS}, refuse)
    tables = content.get(PROMPT, [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        raise refuse(f"{GATE}.{PROMPT}", "it is not a list of tables", f"write [[{GATE}.{PROMPT}]]")
    recording = content.get(RECORDING, {})
    where = f"{GATE}.{RECORDING}"
    if not isinstance(recording, dict):
        raise refuse(where, "it is not a table", f"write [{where}]")
    return GateSpec(
        **{key: read[key] for key in _GATE_READERS if key in read},
        rules=_rules(read),
        prompts=tuple(_prompt(number, one, refuse) for number, one in enumerate(tables, start=1)),
        recording=RecordingSpec(**_read(where, recording, _RECORDING_READERS, refuse)),
    )


def _prompt(number: int, table: Mapping[str, Any], refuse: Refuse) -> PromptSpec:
    files = table.get("files")
    first = files[0] if isinstance(files, list) and files else files
    where = f"{GATE}.{PROMPT} {number}" + (f" ({first})" if isinstance(first, str) else "")
    for key in REQUIRED:
        if key not in table:
            raise refuse(f"{where}: {key}", "it is missing", f"add it: {PROMPT_KEYS[key]}")
    read = _read(where, table, {**_PROMPT_READERS, **_RULE_READERS}, refuse, between=": ")
    spec = PromptSpec(
        number, **{key: read[key] for key in _PROMPT_READERS if key in read}, rules=_rules(read)
    )
    fault = _contradiction(spec)
    if fault:
        raise refuse(f"{where}: {fault[0]}", fault[1], fault[2])
    return spec


def _contradiction(spec: PromptSpec) -> tuple[str, str, str] | None:
    """(key, reason, next step) of keys that do not go together."""
    if spec.calls_per_month == LEDGER and spec.calls_per_customer is not None:
        return ("calls_per_customer", "the ledger says how many calls there are", "leave it out")
    if all(
        one is not None for one in (spec.calls_per_month, spec.customers, spec.calls_per_customer)
    ):
        return (
            "calls_per_customer",
            "calls_per_month and customers say it already",
            "leave one of the three out",
        )
    if spec.output is not None and spec.cap is not None and spec.output.low > spec.cap:
        return ("output", f"more is expected than the cap of {spec.cap} allows", "lower it")
    return None


def _rules(read: Mapping[str, Any]) -> Rules:
    return Rules(**{key: read[key] for key in _RULE_READERS if key in read})


def _read(
    where: str,
    table: Mapping[str, Any],
    readers: Mapping[str, Callable[[Any], Any]],
    refuse: Refuse,
    *,
    between: str = ".",
) -> dict[str, Any]:
    """The values of one table.  Raises what `refuse` makes of an unknown key or a wrong value."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        place = f"{where}{between}{key}"
        if key not in readers:
            raise refuse(place, "there is no such key", _near(key, readers))
        try:
            found[key] = readers[key](value)
        except Wrong as wrong:
            raise refuse(place, wrong.why, wrong.next_step) from wrong
        except NoburnError as error:
            reason = f"{error.message}: {error.why}" if error.why else error.message
            raise refuse(place, reason, error.next_step) from error
    return found


def _near(key: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(key, list(known), n=1, cutoff=0.4)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"
