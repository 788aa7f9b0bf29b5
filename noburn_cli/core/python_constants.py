"""Texts that a Python module gives to names, read from its syntax: nothing is imported or run.

Layer: core (pure).  Below: the standard library's `ast`, errors.  Above: gating.prompts.
Owns: which expressions are constant: texts side by side, `+`, `*`, f-strings of what is known,
`"sep".join([…])`, `.strip()` and its like, `textwrap.dedent`, `inspect.cleandoc`, and names that
the same module gives such a text to.  Everything else is an error that says what and where.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from noburn_cli.core.gate_globs import is_pattern
from noburn_cli.errors import InputRefused

#: Far above any prompt: `"x" * 10**12` is no text that somebody sends.
CHARS_MAX = 16 * 1024 * 1024
_STRIPS = ("strip", "lstrip", "rstrip", "removeprefix", "removesuffix")
_DEDENTS = ("textwrap.dedent", "dedent", "inspect.cleandoc", "cleandoc")


@dataclass(frozen=True)
class Found:
    """A constant: its text, or why it has none."""

    name: str
    text: str | None
    refused: InputRefused | None = None


class _NotConstant(Exception):
    def __init__(self, node: ast.AST, why: str) -> None:
        super().__init__(why)
        self.line = getattr(node, "lineno", 0)
        self.why = why


@dataclass
class _Module:
    """Assignments by qualified name, in their order; several where a name is assigned again."""

    values: dict[str, list[ast.expr]] = field(default_factory=dict)
    imported: set[str] = field(default_factory=set)


def find_constants(
    where: str, source: str, patterns: Sequence[str], variables: Mapping[str, object]
) -> list[Found]:
    """The constants that the patterns mean, in the order of the module.

    where: the file, for messages.  variables: what f-strings may take besides the module's names.
    A pattern that means nothing gives an entry that says so.  Raises InputRefused for a file that
    is not Python.
    """
    module = _read(where, source)
    found: list[Found] = []
    missed = list(patterns)
    for name in module.values:
        meant = [pattern for pattern in patterns if fnmatchcase(name, pattern)]
        missed = [pattern for pattern in missed if pattern not in meant]
        if meant:
            found.append(_constant(where, module, name, variables))
    return [*found, *(_missing(where, pattern, list(module.values)) for pattern in missed)]


def _read(where: str, source: str) -> _Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `"\d"` is theirs to mend, and no news of a gate.
            tree = ast.parse(source)
    except SyntaxError as error:
        raise InputRefused(
            f"{where}:{error.lineno or 1} is not Python", why=str(error.msg)
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise InputRefused(f"{where} is not Python", why=str(error)) from error
    module = _Module()
    _collect(tree.body, "", module)
    return module


def _collect(body: Sequence[ast.stmt], prefix: str, module: _Module) -> None:
    """Assignments at the top of a module or class, also those under an `if` or `try` there."""
    for node in body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    module.values.setdefault(prefix + target.id, []).append(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            if node.value is not None:
                module.values.setdefault(prefix + node.target.id, []).append(node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            # What it adds is not all that the name has then: as if it were assigned again.
            module.values.setdefault(prefix + node.target.id, []).append(node.value)
        elif isinstance(node, ast.ClassDef):
            _collect(node.body, f"{prefix}{node.name}.", module)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            module.imported.update(one.asname or one.name for one in node.names)
        else:
            for inner in _inner_bodies(node):
                _collect(inner, prefix, module)


def _inner_bodies(node: ast.stmt) -> Iterator[list[ast.stmt]]:
    if isinstance(node, (ast.If, ast.Try, ast.With)):
        yield node.body
    if isinstance(node, (ast.If, ast.Try)):
        yield node.orelse
    if isinstance(node, ast.Try):
        yield from (handler.body for handler in node.handlers)
        yield node.finalbody


def _constant(where: str, module: _Module, name: str, variables: Mapping[str, object]) -> Found:
    try:
        return Found(name, _Reader(module, variables).named(name, module.values[name][0]))
    except _NotConstant as error:
        refused = InputRefused(
            f"{where}:{error.line} `{name}` is not a constant text",
            why=error.why,
            next_step="make it one, or give its f-string's names in `variables`",
        )
    except RecursionError:
        refused = InputRefused(f"{where} `{name}` is nested too deeply to be read")
    return Found(name, None, refused)


def _missing(where: str, pattern: str, known: Sequence[str]) -> Found:
    near = difflib.get_close_matches(pattern, known, n=1, cutoff=0.5)
    what = "no constant matches" if is_pattern(pattern) else "there is no constant"
    refused = InputRefused(
        f"{where}: {what} `{pattern}`",
        why="looked at is what is assigned at the top of the module and of its classes",
        next_step=f"did you mean `{near[0]}`?" if near else "",
    )
    return Found(pattern, None, refused)


class _Reader:
    """Turns one expression into its text.  Raises _NotConstant."""

    def __init__(self, module: _Module, variables: Mapping[str, object]) -> None:
        self._module = module
        self._variables = variables
        self._reading: list[str] = []

    def named(self, name: str, node: ast.expr) -> str:
        values = self._module.values[name]
        if len(values) > 1:
            lines = ", ".join(str(value.lineno) for value in values)
            raise _NotConstant(values[1], f"`{name}` is assigned more than once (lines {lines})")
        if name in self._reading:
            raise _NotConstant(node, f"`{name}` is made of itself")
        self._reading.append(name)
        try:
            return self.text(values[0])
        finally:
            self._reading.pop()

    def text(self, node: ast.expr) -> str:
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str):
                return node.value
            raise _NotConstant(node, f"it is {type(node.value).__name__}, not a text")
        if isinstance(node, ast.JoinedStr):
            return _short(node, "".join(self._piece(part) for part in node.values))
        if isinstance(node, ast.BinOp):
            return self._operated(node)
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.Call):
            return self._called(node)
        raise _NotConstant(node, f"`{_shown(node)}` is known only when it runs")

    def _piece(self, node: ast.expr) -> str:
        """A part of an f-string."""
        if not isinstance(node, ast.FormattedValue):
            return self.text(node)
        if node.format_spec is not None or node.conversion != -1:
            raise _NotConstant(node, f"`{_shown(node)}` is formatted when it runs")
        if isinstance(node.value, ast.Constant):
            return str(node.value.value)
        shown = _shown(node.value)
        if shown in self._variables:
            return str(self._variables[shown])
        return self.text(node.value)

    def _operated(self, node: ast.BinOp) -> str:
        if isinstance(node.op, ast.Add):
            return _short(node, self.text(node.left) + self.text(node.right))
        times = node.right
        if isinstance(node.op, ast.Mult) and isinstance(times, ast.Constant):
            text, count = self.text(node.left), times.value
            if type(count) is int and len(text) * count <= CHARS_MAX:
                return text * count
        raise _NotConstant(node, f"`{_shown(node)}` is known only when it runs")

    def _name(self, node: ast.Name) -> str:
        if node.id in self._module.values:
            return self.named(node.id, node)
        if node.id in self._variables:
            return str(self._variables[node.id])
        if node.id in self._module.imported:
            raise _NotConstant(node, f"`{node.id}` is imported from another module")
        raise _NotConstant(node, f"`{node.id}` is given no text in this module")

    def _called(self, node: ast.Call) -> str:
        shown = _shown(node.func)
        if shown in _DEDENTS and len(node.args) == 1 and not node.keywords:
            text = self.text(node.args[0])
            return textwrap.dedent(text) if shown.endswith("dedent") else inspect.cleandoc(text)
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        if isinstance(node.func, ast.Attribute) and not node.keywords:
            if method in _STRIPS and len(node.args) <= 1:
                parts = [self.text(argument) for argument in node.args]
                if parts or not method.startswith("remove"):
                    return str(getattr(self.text(node.func.value), method)(*parts))
            if method == "join" and len(node.args) == 1:
                listed = node.args[0]
                if isinstance(listed, (ast.List, ast.Tuple)):
                    between = self.text(node.func.value)
                    return _short(node, between.join(self.text(one) for one in listed.elts))
        raise _NotConstant(node, f"`{_shown(node)}` is known only when it runs")


def _short(node: ast.AST, text: str) -> str:
    if len(text) > CHARS_MAX:
        raise _NotConstant(node, f"it is longer than {CHARS_MAX:,} characters")
    return text


def _shown(node: ast.AST) -> str:
    """An expression as it is written, cut to what a message holds."""
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:57]}…"
