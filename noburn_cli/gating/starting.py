"""`noburn gate --init`: looks for a project's prompts, and writes its first `[gate]`.

Layer: I/O.  Below: core.gate_first, gating.trees, gating.prompts, config_files, prices.
Above: commands.gate.
A configuration that is there is added to, byte for byte what it was in front; a [gate] that is
there is left alone.  Each prompt is read before it is named, so that the gate can read it, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.config_files import NAME, project_path, read_text
from noburn_cli.core.configuration import parse_configuration
from noburn_cli.core.gate_first import (
    CONSTANTS,
    Beginning,
    FirstTable,
    first_gate,
    is_nameable,
    is_ours,
    is_prompt,
    tables_of,
)
from noburn_cli.core.gate_tables import GATE, GateSpec, PromptSpec
from noburn_cli.core.python_constants import find_constants
from noburn_cli.errors import InputRefused, NoburnError, UsageError
from noburn_cli.gating.git import Repository
from noburn_cli.gating.prompts import read_side
from noburn_cli.gating.trees import FolderTree
from noburn_cli.inputs import decoded
from noburn_cli.prices import load_book

_BASES = ("origin/main", "origin/master", "main", "master", "HEAD")
_SOURCES = (".py", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".go", ".rb", ".yaml", ".yml", ".toml")
#: Larger ones are generated, or data.
_SOURCE_BYTES_MAX = 256 * 1024
_QUOTED = re.compile(r"""(["'`])([A-Za-z0-9][\w./:@-]{1,80})\1""", re.ASCII)
#: What each name of CONSTANTS has in it.
_NAMED = re.compile("|".join(one.strip("*") for one in CONSTANTS))
#: Models that prompts are written for.
_FAMILIES = ("text", "reasoning")


@dataclass(frozen=True)
class Started:
    """What was written, where, and whether the file is new.  model: whether one was found."""

    path: Path
    text: str
    is_new: bool
    has_model: bool


def start_gate(environment: Mapping[str, str], folder: Path) -> Started:
    """Write the first [gate] of the project that `folder` is in.

    Raises UsageError where there is one already, or the file is not the repository's; NoburnError
    where nothing looks like a prompt, a library is missing or the file cannot be written; then
    nothing is changed.
    """
    repository = _around(folder)
    path = project_path(folder, environment) or folder.absolute() / NAME
    if repository is not None and not path.resolve().is_relative_to(repository.top.resolve()):
        raise UsageError(
            f"the nearest {NAME} is {path}, outside of this repository",
            why="what it says holds here; a [gate] belongs to the repository",
            next_step=f"copy it to {repository.top / NAME}, which holds instead, and try again",
        )
    old = read_text(path)
    if old is not None and GATE in parse_configuration(str(path), old):
        raise UsageError(
            f"{path} has a [gate] already",
            why="what somebody decided there is not replaced by what is found",
            next_step="hold it: noburn gate",
        )
    found = _look(environment, path.parent, repository)
    text = first_gate(found)
    whole = text if old is None else f"{old}\n{text}"
    parse_configuration(str(path), whole)  # An error here is ours, and nothing is written.
    _write(path, text, old)
    return Started(path, text, old is None, found.model is not None)


def _around(folder: Path) -> Repository | None:
    try:
        return Repository.around(folder)
    except NoburnError:  # Without git there is no base; the gate says so where one is asked for.
        return None


def _look(environment: Mapping[str, str], folder: Path, repository: Repository | None) -> Beginning:
    tree = FolderTree(folder, repository)
    models, constants = _in_sources(environment, tree)
    candidates = [name for name in tree.names if is_prompt(name) and tree.has(name)]
    prompts, left_out = _readable(tree, candidates, model=next(iter(models), None))
    tables = (*tables_of(prompts, tree.names), *constants)
    if not tables:
        raise NoburnError(
            f"nothing below {folder} looks like a prompt"
            + (f": {left_out[0]}" if left_out else ""),
            why="looked for are texts, templates, YAML and JSON below a folder `prompts` or with"
            f" `prompt` in their name, and Python constants such as {', '.join(CONSTANTS)}",
            next_step='name them: [[gate.prompt]] with files = "texts/*.md" below [gate] in '
            f"{NAME}",
        )
    base = next((rev for rev in _BASES if repository and repository.commit(rev)), None)
    return Beginning(base, models, tables, tuple(left_out))


def _sources(tree: FolderTree) -> Iterator[tuple[str, str]]:
    """The product's own program files, by name."""
    for name in tree.names:
        if not (name.endswith(_SOURCES) and is_ours(name) and is_nameable(name)):
            continue
        try:
            content = tree.read(name)
            if len(content) <= _SOURCE_BYTES_MAX:
                yield name, decoded(name, content)
        except InputRefused:  # Deleted, a link, or no text: no source of anything.
            continue


def _in_sources(
    environment: Mapping[str, str], tree: FolderTree
) -> tuple[dict[str, str], list[FirstTable]]:
    """(names of models that stand in quotes, each with the first file; constants with prompts)."""
    known = {
        name
        for model in load_book(environment).models()
        if model.family in _FAMILIES
        for name in (model.name, *model.aliases)
    }
    models: dict[str, str] = {}
    constants: list[FirstTable] = []
    for path, text in _sources(tree):
        for match in _QUOTED.finditer(text):
            if match[2] in known:
                models.setdefault(match[2], path)
        constants += _constants(path, text)
    return models, constants


def _readable(
    tree: FolderTree, candidates: Sequence[str], *, model: str | None
) -> tuple[list[str], list[str]]:
    """(files that the gate can read as prompts, why it cannot read the others)."""
    nameable = [name for name in candidates if is_nameable(name)]
    left_out = [
        f"{name!a} has a name that `files` cannot say"
        for name in candidates
        if name not in nameable
    ]
    tables = tuple(PromptSpec(number, (name,)) for number, name in enumerate(nameable, start=1))
    # A chat that names no model is asked for it when the gate is held.
    side = read_side(GateSpec(model=model or "unknown", prompts=tables), tree)
    refused = {fault.path: fault.error for fault in side.faults}
    left_out += [_clause(refused[one.files[0]], one) for one in tables if one.files[0] in refused]
    return [name for name in nameable if name not in refused], left_out


def _clause(error: InputRefused, table: PromptSpec) -> str:
    """An error in a comment, where no table has a number yet."""
    said = "; ".join(one for one in (error.message, error.next_step) if one)
    return " ".join(said.replace(table.where, "its table").split())


def _constants(name: str, source: str) -> Iterator[FirstTable]:
    """The constants of a Python file that hold a sentence: a name or a path is no prompt."""
    if not name.endswith(".py") or _NAMED.search(source) is None:
        return  # Reading the syntax of every file of a large project takes minutes.
    try:
        found = find_constants(name, source, CONSTANTS, {})
    except InputRefused:
        return
    texts = tuple(one.name for one in found if one.text is not None and " " in one.text.strip())
    if texts:
        yield FirstTable((name,), texts)


def _write(path: Path, text: str, old: str | None) -> None:
    """Add the text behind what is there; a file that came meanwhile is not touched.

    Raises UsageError, NoburnError.
    """
    between = "" if not old else "\n" if old.endswith("\n") else "\n\n"
    newline = "\r\n" if old is not None and "\r\n" in old else "\n"
    try:
        # Appended, so that the file keeps its content, its mode, and its place behind a link.
        with path.open("x" if old is None else "a", encoding="utf-8", newline=newline) as file:
            file.write(between + text)
    except FileExistsError as error:
        raise UsageError(f"{path} was written meanwhile", next_step="look at it") from error
    except OSError as error:
        raise NoburnError(
            f"{path} could not be written",
            why=error.strerror or str(error),
            next_step="look whether its folder may be written to",
        ) from error
