"""The two sides of a comparison, found and read: configuration, files, price book.

Layer: I/O.  Below: gating.places, gating.trees, gating.books, gating.prompts, config_files.
Above: gating.comparing.
Not here: what anything costs.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from noburn_cli.config_files import read_text
from noburn_cli.core.configuration import parse_configuration
from noburn_cli.core.gate_model import Base
from noburn_cli.core.gate_rules import has_growth_rule
from noburn_cli.core.gate_tables import GATE, GateSpec
from noburn_cli.core.gate_volumes import SavedVolumes, parse_volumes
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import InputRefused, PriceBookInvalid, UsageError
from noburn_cli.gating.books import Books
from noburn_cli.gating.git import Blobs
from noburn_cli.gating.places import Place, Question, base_of, commit_of
from noburn_cli.gating.prompts import Side, read_side
from noburn_cli.gating.trees import CommitTree, FolderTree, Tree
from noburn_cli.inputs import decoded


@dataclass(frozen=True)
class Read:
    """One side: its gate, its prompts, its book."""

    gate: GateSpec
    side: Side
    book: PriceBook


@dataclass(frozen=True)
class Both:
    """Both sides.  before, base: None where nothing is compared with.

    renames: a file's path of now to the one in the base, below the configuration's folder.
    saved: what stands for the ledger, on both sides: the file of now.
    gate_lost: why the base's prompts may not be those that were read, a clause, or "".
    """

    now: Read
    before: Read | None
    base: Base | None
    renames: Mapping[str, str]
    notes: tuple[str, ...]
    saved: SavedVolumes | None = None
    gate_lost: str = ""


def read_both(question: Question, place: Place, blobs: Blobs | None) -> Both:
    """Read both sides.

    blobs: of the repository, where there is one.
    Raises UsageError for a configuration that breaks a rule, NoburnError for a base that is not
    there and a book that cannot be made.
    """
    head = None if question.head is None else commit_of(place, question.head)
    tree: Tree = (
        FolderTree(place.folder, place.repository) if head is None else _tree(place, blobs, head)
    )
    values = _values_now(place, tree, question.head)
    gate = gate_of(place, values)
    if not gate.prompts and not question.may_be_empty:
        raise UsageError(
            f"[gate] of {place.path} names no prompt",
            next_step='add a table [[gate.prompt]] with files = "prompts/*.md"',
        )
    books, book = _books(question, place, values, gate, tree, is_commit=head is not None)
    now = Read(gate, read_side(gate, tree), book)
    saved = _saved(gate, tree)
    rev = None if question.no_base else question.base or gate.base
    if rev is None:
        return replace(_alone(now, place, no_base=question.no_base), saved=saved)
    base = base_of(place, rev, head)
    notes: list[str] = []
    assert place.repository is not None
    renames = place.repository.renames(base.commit, head)
    old = _tree(place, blobs, base.commit)
    gate_lost = ""
    left = _configurations_left(place, old, head, renames)
    if len(left) == 1:  # The project's folder has another name now.
        old = old.below(left[0].removesuffix(place.path.name))
        notes.append(f"`{rev}` has the configuration as {left[0]}")
    elif left:
        gate_lost = f"`{rev}` has no {place.path.name} here, and {', '.join(left)} are gone"
    before = _read_base(place, old, rev, now, books, notes)
    return Both(
        now, before, base, _renames(renames, place.prefix, old), tuple(notes), saved, gate_lost
    )


def configured(place: Place) -> GateSpec:
    """The [gate] of the configuration as it is now.  Raises UsageError."""
    text = read_text(place.path)
    return gate_of(place, {} if text is None else parse_configuration(str(place.path), text))


def gate_of(place: Place, values: Mapping[str, Any]) -> GateSpec:
    """The [gate] of a configuration.  Raises UsageError."""
    gate = values.get(GATE)
    if isinstance(gate, GateSpec):
        return gate
    raise UsageError(
        f"{place.path} has no [gate]",
        why="it says which prompts are checked, and by which rules",
        next_step="add one from what is found here: noburn gate --init",
    )


def _books(
    question: Question,
    place: Place,
    values: Mapping[str, Any],
    gate: GateSpec,
    tree: Tree,
    *,
    is_commit: bool,
) -> tuple[Books, PriceBook]:
    """What makes books, and that of now.

    Raises UsageError for a price file that breaks a rule: no rule of [gate] was held, so that the
    exit code of a broken one would say what nobody knows.
    """
    try:
        books = Books(question.environment, place.folder)
        return books, books.of(values, gate, tree, is_commit=is_commit)
    except PriceBookInvalid as error:
        raise UsageError(error.message, why=error.why, next_step=error.next_step) from error


def _saved(gate: GateSpec, tree: Tree) -> SavedVolumes | None:
    """What stands for the ledger.  Raises UsageError for a file that cannot be read."""
    if gate.volumes is None:
        return None
    try:
        text = decoded(gate.volumes, tree.read(gate.volumes))
    except InputRefused as error:
        raise UsageError(
            f"the volumes of [gate] cannot be read: {error.message}",
            why=error.why,
            next_step="make them where there is a ledger: noburn gate --update-volumes",
        ) from error
    return parse_volumes(text, origin=gate.volumes)


def _alone(now: Read, place: Place, *, no_base: bool) -> Both:
    if not has_growth_rule(now.gate):
        return Both(now, None, None, {}, ())
    if not no_base:
        raise UsageError(
            f"`growth_max` in {place.path} needs a base to compare with",
            why="a rule that is not checked would pass whatever the change costs",
            next_step="give `--base origin/main`, set `base` in [gate], or say `--no-base`",
        )
    return Both(now, None, None, {}, ("`growth_max` is not checked: there is no base",))


def _values_now(place: Place, tree: Tree, head: str | None) -> Mapping[str, Any]:
    """The configuration of the side of now.  Raises UsageError."""
    if head is None:
        text = read_text(place.path)
        return {} if text is None else parse_configuration(str(place.path), text)
    try:
        text = decoded(place.path.name, tree.read(place.path.name))
    except InputRefused as error:
        raise UsageError(f"`{head}` has no configuration: {error.message}") from error
    return parse_configuration(f"{head}:{place.path.name}", text)


def _read_base(
    place: Place, tree: Tree, rev: str, now: Read, books: Books, notes: list[str]
) -> Read:
    """The base's side, read by its own [gate], or by that of now where it has none."""
    values: Mapping[str, Any] = {}
    name = place.path.name
    gate: GateSpec | None = None
    if tree.has(name):
        try:
            values = parse_configuration(f"{rev}:{name}", decoded(name, tree.read(name)))
            gate = values.get(GATE)
        except (UsageError, InputRefused) as error:
            notes.append(f"the base's configuration is not used: {error.message}")
    if gate is None:
        gate = now.gate
        notes.append(f"`{rev}` has no [gate]: its prompts are read with the one of now")
    try:
        side = read_side(gate, tree)
    except UsageError as error:
        notes.append(f"the base's [gate] is not used: {error.message}")
        gate, side = now.gate, read_side(now.gate, tree)
    try:
        book = books.of(values, gate, tree, is_commit=True)
    except PriceBookInvalid as error:
        notes.append(f"the base is priced with the prices of now: {error.message}")
        book = now.book
    return Read(gate, side, book)


def _tree(place: Place, blobs: Blobs | None, commit: str) -> CommitTree:
    assert place.repository is not None
    assert blobs is not None
    return CommitTree(place.repository, blobs, commit, place.prefix)


def _configurations_left(
    place: Place, old: CommitTree, head: str | None, renames: Mapping[str, str]
) -> list[str]:
    """Configurations of the base, from the top, that are not there now: what ours may have been.

    None where the base has ours; one alone where git takes ours to be that one, renamed.
    """
    assert place.repository is not None
    name = place.path.name
    if old.has(name):
        return []
    moved = renames.get(place.prefix + name)
    if moved is not None and posixpath.basename(moved) == name:
        return [moved]
    if head is None:
        there = {path for path in old.all_of(name) if (place.repository.top / path).is_file()}
    else:
        there = set(place.repository.entries(head))
    return sorted(set(old.all_of(name)) - there)


def _renames(renames: Mapping[str, str], now: str, old: CommitTree) -> dict[str, str]:
    """New name to old one, of files below the configuration's folder of each side.

    now: that folder's prefix.  Where it is another one, a file that stayed has two names as well.
    """
    then = old.prefix
    stayed = {} if then == now else {then + name: then + name for name in old.names}
    return {
        new[len(now) :]: was[len(then) :]
        for new, was in {**stayed, **renames}.items()
        if new.startswith(now) and was.startswith(then)
    }
