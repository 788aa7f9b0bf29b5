"""Which prompts a gate's tables mean in a tree, and what each of them sends.

Layer: I/O.  Below: gating.trees, gating.rendering, gating.documents, core.gate_tables,
core.python_constants, inputs.  Above: gating.comparing.
Not here: counting and pricing (gating.costing).
A bad file is a fault beside the good ones, never an end: everything else is still counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from noburn_cli.core.gate_globs import chosen, is_pattern
from noburn_cli.core.gate_model import FOUND, READABLE
from noburn_cli.core.gate_tables import JINJA, JSON, JSONL, PYTHON, TEXT, YAML, GateSpec, PromptSpec
from noburn_cli.core.gate_values import FileText
from noburn_cli.core.python_constants import find_constants
from noburn_cli.errors import InputRefused, UsageError
from noburn_cli.gating.documents import each_item, keyed_item, parse_json, parse_yaml, request_of
from noburn_cli.gating.rendering import Renderer
from noburn_cli.gating.trees import Tree, shown_name
from noburn_cli.inputs import Item, decoded, plain_item, request_items

_KINDS = {
    **dict.fromkeys((".j2", ".jinja", ".jinja2"), JINJA),
    **dict.fromkeys((".yaml", ".yml"), YAML),
    ".json": JSON,
    ".jsonl": JSONL,
    ".py": PYTHON,
}


@dataclass(frozen=True)
class Prompt:
    """One prompt of one side: its terms, and the requests that one call of it sends.

    part: the constant or key in the file, or "".
    """

    name: str
    path: str
    part: str
    spec: PromptSpec
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Fault:
    """What could not be read.  rule: READABLE or FOUND.  subject: a prompt's name or a pattern."""

    rule: str
    subject: str
    path: str
    error: InputRefused


@dataclass
class Side:
    """All prompts of a tree by name, and what could not be read."""

    prompts: dict[str, Prompt] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_side(gate: GateSpec, tree: Tree) -> Side:
    """Read every prompt.

    Raises UsageError when two tables mean the same prompt; NoburnError when a library is missing.
    """
    side = Side()
    with Renderer(tree) as renderer:
        for spec in gate.prompts:
            for path in _paths(spec, tree, side):
                _read_file(spec, gate, renderer, path, side)
    return side


def _paths(spec: PromptSpec, tree: Tree, side: Side) -> list[str]:
    """The files of a table, in the order of its patterns and then of their names."""
    patterns = [one for one in spec.files if one.startswith("!") or is_pattern(one)]
    matched = chosen(patterns, tree.names) if patterns else {}
    found: dict[str, None] = {}
    for pattern in spec.files:
        if pattern.startswith("!"):
            continue
        meant = matched.get(pattern, ()) if is_pattern(pattern) else (pattern,)
        paths = [path for path in meant if tree.has(path)]
        lacking = [(path, error) for path in meant if (error := tree.lacks(path)) is not None]
        side.faults += [
            Fault(READABLE, shown_name(path), shown_name(path), one) for path, one in lacking
        ]
        if not paths and not lacking:
            error = InputRefused(
                f"`{pattern}` matches no file"
                if is_pattern(pattern)
                else f"{pattern} is missing, or ignored by git",
                why=f"{spec.where} names it, and a prompt that is not found is not checked",
                next_step="correct `files`, or take it out",
            )
            side.faults.append(Fault(FOUND, pattern, "", error))
        found.update(dict.fromkeys(paths))
    return list(found)


def _read_file(spec: PromptSpec, gate: GateSpec, renderer: Renderer, path: str, side: Side) -> None:
    """Add a file's prompts to the side, or what is wrong with it."""
    shown = shown_name(path)
    if shown != path:
        error = InputRefused(
            f"{shown} has a name that is not UTF-8",
            why="no report could name it as it is",
            next_step="rename it, or leave it out with `!`",
        )
        side.faults.append(Fault(READABLE, shown, shown, error))
        return
    try:
        found = list(_prompts(spec, gate, renderer, path))
    except InputRefused as error:
        side.faults.append(Fault(READABLE, _name(spec, path, ""), path, error))
        return
    for part, outcome in found:
        name = _name(spec, path, part)
        if isinstance(outcome, InputRefused):
            side.faults.append(Fault(READABLE, name, path, outcome))
            continue
        before = side.prompts.get(name)
        if before is not None:
            raise UsageError(
                f"{name} stands in two tables: {before.spec.where} and {spec.where}",
                why="one of them would be checked, and nobody would know which",
                next_step="take it out of one with `!`, or give one of them a `label`",
            )
        side.prompts[name] = Prompt(name, path, part, spec, outcome)


def _name(spec: PromptSpec, path: str, part: str) -> str:
    label = f" ({spec.label})" if spec.label else ""
    return f"{path}:{part}{label}" if part else f"{path}{label}"


_Outcome = tuple[str, tuple[Item, ...] | InputRefused]


def _prompts(spec: PromptSpec, gate: GateSpec, renderer: Renderer, path: str) -> Iterator[_Outcome]:
    """(part, requests or a refusal) of every prompt in a file.  Raises InputRefused."""
    tree = renderer.tree
    text = decoded(path, tree.read(path))
    kind = spec.kind or _kind(path)
    if kind == PYTHON:
        yield from _constants(spec, tree, path, text)
    elif kind in (YAML, JSON):
        value = (parse_yaml if kind == YAML else parse_json)(path, text)
        yield from _documents(spec, gate, path, value)
    else:
        yield "", _whole(kind, spec, renderer, path, text)


def _kind(path: str) -> str:
    """How a file is read, by the end of its name: `system.txt.j2` is a template."""
    return next((kind for end, kind in _KINDS.items() if path.lower().endswith(end)), TEXT)


def _whole(
    kind: str, spec: PromptSpec, renderer: Renderer, path: str, text: str
) -> tuple[Item, ...]:
    """The requests of a file that is one prompt.  Raises InputRefused."""
    if kind == JINJA:
        given = variables_of(spec, renderer.tree)
        return (plain_item(path, renderer.render(path, text, given, root=spec.root)),)
    requests = request_items(path, text)
    if requests is not None:
        return tuple(requests)
    if kind == JSONL:
        raise InputRefused(
            f"{path} holds no requests", why="its first line is no body of a request with a model"
        )
    return (plain_item(path, text),)


def variables_of(spec: PromptSpec, tree: Tree) -> dict[str, Any]:
    """The variables with the texts of files in them.  Raises InputRefused."""

    def given(value: Any) -> Any:
        if isinstance(value, FileText):
            return decoded(value.path, tree.read(value.path))
        if isinstance(value, list):
            return [given(one) for one in value]
        return {k: given(v) for k, v in value.items()} if isinstance(value, Mapping) else value

    return {name: given(value) for name, value in spec.variables.items()}


def _constants(spec: PromptSpec, tree: Tree, path: str, text: str) -> Iterator[_Outcome]:
    if not spec.constants:
        raise InputRefused(
            f"{path} is Python, and {spec.where} names no constants",
            next_step='name them: constants = ["SYSTEM", "*_PROMPT"]',
        )
    for one in find_constants(path, text, spec.constants, variables_of(spec, tree)):
        if one.text is None:
            assert one.refused is not None
            yield one.name, one.refused
        else:
            yield one.name, (plain_item(f"{path}:{one.name}", one.text),)


def _documents(spec: PromptSpec, gate: GateSpec, path: str, value: Any) -> Iterator[_Outcome]:
    if spec.keys:
        yield "", (keyed_item(path, value, spec.keys),)
    if spec.each:
        yield from _single(each_item(path, value, spec.each))
    if spec.keys or spec.each:
        return
    model = spec.model or gate.model
    request = request_of(path, value, model=model, cap=spec.cap)
    if request is not None:
        yield "", (request,)
    elif isinstance(value, str):
        yield "", (plain_item(path, value),)
    else:
        raise InputRefused(
            f"{path} is no chat, and {spec.where} does not say which keys are the prompt",
            next_step='say it: keys = ["system"], or each = ["prompts.*"]',
        )


def _single(items: Sequence[tuple[str, Item]]) -> Iterator[_Outcome]:
    for part, item in items:
        yield part, (item,)
