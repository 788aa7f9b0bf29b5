"""The first `[gate]` of a project, as it is written from what was found in its files.

Layer: core (pure: names and findings in, TOML out).  Below: core.gate_globs.
Above: gating.starting, which looks and writes.
Owns: which files are taken for prompts, and how their tables are put together.
What is not known becomes a comment and no value: nothing is invented.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from noburn_cli.core.gate_globs import chosen, fault_of, is_pattern

#: Names of Python constants that hold prompts.
CONSTANTS = ("*PROMPT*", "*INSTRUCTIONS", "SYSTEM_MESSAGE")
#: A rule for the start: it can be held without a number that only the project knows.
GROWTH = "10%"
_FOLDERS = frozenset(
    {"prompt", "prompts", "prompt_templates", "prompt-templates", "system_prompts"}
)
_ENDS = (".md", ".txt", ".prompt", ".j2", ".jinja", ".jinja2", ".yaml", ".yml", ".json")
#: Folders whose files cause no customer's call.
_NOT_OURS = frozenset({"test", "tests", "docs", "doc", "fixtures", "node_modules", "vendor"})
#: What other prompts are put together from.
_PARTS = frozenset({"parts", "partials", "samples"})
_NO_PROMPTS = frozenset({"readme", "changelog", "license", "contributing"})
_LEFT_OUT_MAX = 20
#: So many models are named where nobody can tell which one is meant.
_SHOWN = 4


@dataclass(frozen=True)
class FirstTable:
    """One [[gate.prompt]].  constants: of a Python file."""

    files: tuple[str, ...]
    constants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Beginning:
    """What was found.

    base: a revision that is there, or None.  models: each to the first file that names it.
    left_out: why something that looks like a prompt is in no table, one clause each.
    """

    base: str | None
    models: Mapping[str, str]
    tables: tuple[FirstTable, ...]
    left_out: tuple[str, ...] = ()

    @property
    def model(self) -> str | None:
        """The one model that the sources name; with several, nobody can tell."""
        return next(iter(self.models)) if len(self.models) == 1 else None


def is_ours(path: str) -> bool:
    """Whether a file is the product's own, and neither a test's nor hidden."""
    *folders, name = path.lower().split("/")
    hidden = any(part.startswith(".") for part in (*folders, name))
    return not (hidden or _NOT_OURS & set(folders) or name.startswith(("test_", "conftest.")))


def is_prompt(path: str) -> bool:
    """Whether a file's name says that it is a prompt, or its folder's name does."""
    *folders, name = path.lower().split("/")
    stem, end = posixpath.splitext(name)
    if end not in _ENDS or stem in _NO_PROMPTS or _PARTS & set(folders) or not is_ours(path):
        return False
    return bool(_FOLDERS & set(folders)) or "prompt" in name


def is_nameable(path: str) -> bool:
    """Whether `files` can mean this one file by its name."""
    return path.isprintable() and not (fault_of(path) or is_pattern(path) or path.startswith("!"))


def tables_of(paths: Iterable[str], names: Sequence[str]) -> tuple[FirstTable, ...]:
    """Prompts by their folder and kind; a pattern stands where it means these and no other.

    names: all files of the project.
    """
    groups: dict[str, list[str]] = {}
    for path in paths:
        groups.setdefault(_pattern(path) or path, []).append(path)
    tables = []
    for pattern, group in groups.items():
        meant = chosen([pattern], names)[pattern] if is_pattern(pattern) else group
        tables.append(FirstTable((pattern,) if sorted(meant) == sorted(group) else tuple(group)))
    return tuple(tables)


def _pattern(path: str) -> str | None:
    """All files of its kind below its folder of prompts."""
    folders = path.split("/")[:-1]
    for depth, folder in enumerate(folders, start=1):
        if folder.lower() in _FOLDERS:
            return "/".join([*folders[:depth], "**", f"*{posixpath.splitext(path)[1]}"])
    return None


def first_gate(found: Beginning) -> str:
    """The tables as text, with `\\n` at the end of each line."""
    lines = ["# What `noburn gate` checks; written by `noburn gate --init`.", "[gate]"]
    if found.base is None:
        lines.append(
            '# base = "origin/main"          # what to compare with; no such commit is here'
        )
    else:
        lines += [
            _said(f"base = {_quoted(found.base)}", "what to compare with"),
            _said(f'growth_max = "{GROWTH}"', "the most a change may add, all prompts together"),
        ]
    lines.append(_model(found))
    for number, table in enumerate(found.tables):
        lines += ["", "[[gate.prompt]]", f"files = {_value(table.files)}"]
        if table.constants:
            lines.append(f"constants = {_value(table.constants, always_list=True)}")
        if not number:
            lines += [
                _said("# output = 400", "tokens expected of an answer; without it, input alone"),
                _said('# calls_per_month = "20k"', "without it, costs are told by call"),
            ]
    shown = found.left_out[:_LEFT_OUT_MAX]
    if shown:
        lines += ["", "# Not taken:", *(f"# - {one}" for one in shown)]
    if len(found.left_out) > len(shown):
        lines.append(f"# - and {len(found.left_out) - len(shown)} more")
    return "\n".join(lines) + "\n"


def _model(found: Beginning) -> str:
    if found.model is not None:
        where = found.models[found.model]
        return _said(f"model = {_quoted(found.model)}", f"where no other is said; {where} names it")
    if not found.models:
        return _said('# model = "…"', "to be said: what these prompts are sent to")
    named = ", ".join(f"{model} ({path})" for model, path in list(found.models.items())[:_SHOWN])
    if len(found.models) > _SHOWN:
        named += f" and {len(found.models) - _SHOWN} more"
    return _said('# model = "…"', f"to be said, here or in a prompt's table; named are {named}")


def _said(line: str, why: str) -> str:
    return f"{line:<31} # {why}"


def _value(texts: Sequence[str], *, always_list: bool = False) -> str:
    if len(texts) == 1 and not always_list:
        return _quoted(texts[0])
    return f"[{', '.join(map(_quoted, texts))}]"


def _quoted(text: str) -> str:
    """A basic string of TOML.  text: printable."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
