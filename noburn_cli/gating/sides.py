"""The two sides of a comparison, found and read: configuration, files, price book.

Layer: I/O.  Below: gating.git, gating.trees, gating.books, gating.prompts, config_files.
Above: gating.comparing.
Not here: what anything costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from noburn_cli.config_files import project_path, read_text
from noburn_cli.core.configuration import parse_configuration
from noburn_cli.core.gate_model import Base
from noburn_cli.core.gate_rules import has_growth_rule
from noburn_cli.core.gate_tables import GATE, GateSpec
from noburn_cli.core.gate_volumes import SavedVolumes, parse_volumes
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.errors import InputRefused, NoburnError, PriceBookInvalid, UsageError
from noburn_cli.gating.books import Books
from noburn_cli.gating.git import Blobs, Repository
from noburn_cli.gating.prompts import Side, read_side
from noburn_cli.gating.trees import CommitTree, FolderTree, Tree
from noburn_cli.inputs import decoded


@dataclass(frozen=True)
class Question:
    """What is compared with what.

    base: a revision, or None for that of [gate].  no_base: compare with nothing.
    head: a revision instead of the files as they are now.
    may_be_empty: whether a gate without prompts is one: recorded runs are checked beside them.
    """

    environment: Mapping[str, str]
    folder: Path
    base: str | None = None
    no_base: bool = False
    head: str | None = None
    may_be_empty: bool = False


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
    """

    now: Read
    before: Read | None
    base: Base | None
    renames: Mapping[str, str]
    notes: tuple[str, ...]
    saved: SavedVolumes | None = None


class Place:
    """Where the configuration lies, and the repository around it, if there is one.

    prefix: the configuration's folder from the repository's top on, "" or with `/` at its end.
    Raises UsageError where there is no configuration.
    """

    def __init__(self, question: Question) -> None:
        path = project_path(question.folder, question.environment)
        if path is None:
            raise UsageError(
                "there is no noburn.toml here, nor in a folder above",
                why="its [gate] says which prompts are checked, and by which rules",
                next_step="write one; docs/gate.md begins with the shortest",
            )
        self.path = path
        self.folder = path.parent
        self.repository: Repository | None = None
        self._failed: NoburnError | None = None
        try:
            self.repository = Repository.around(self.folder)
        except NoburnError as error:  # Told where a revision is asked for.
            self._failed = error
        self.prefix = self._prefix()

    def needed(self, rev: str) -> Repository:
        """The repository that a revision is asked of.  Raises NoburnError."""
        if self.repository is not None:
            return self.repository
        if self._failed is not None:
            raise self._failed
        raise NoburnError(
            f"`{rev}` cannot be compared with: {self.folder} is in no git repository",
            next_step="leave the base out: `noburn gate --no-base`",
        )

    def _prefix(self) -> str:
        if self.repository is None:
            return ""
        folder, top = self.folder.resolve(), self.repository.top.resolve()
        if not folder.is_relative_to(top):  # GIT_WORK_TREE can say anything.
            self._failed = NoburnError(
                f"{folder} is not in the working tree that git names, {top}",
                next_step="run it in the repository, without GIT_WORK_TREE",
            )
            self.repository = None
            return ""
        inside = folder.relative_to(top).as_posix()
        return "" if inside == "." else f"{inside}/"


def read_both(question: Question, place: Place, blobs: Blobs | None) -> Both:
    """Read both sides.

    blobs: of the repository, where there is one.
    Raises UsageError for a configuration that breaks a rule, NoburnError for a base that is not
    there and a book that cannot be made.
    """
    head = None if question.head is None else _commit(place, question.head)
    tree: Tree = (
        FolderTree(place.folder, place.repository) if head is None else _tree(place, blobs, head)
    )
    values = _values_now(place, tree, question.head)
    gate = gate_of(place, values)
    if not gate.prompts and not question.may_be_empty:
        raise UsageError(
            f"[gate] of {place.path} names no prompt", next_step="add [[gate.prompt]] with `files`"
        )
    books = Books(question.environment, place.folder)
    now = Read(
        gate, read_side(gate, tree), books.of(values, gate, tree, is_commit=head is not None)
    )
    saved = _saved(gate, tree)
    rev = None if question.no_base else question.base or gate.base
    if rev is None:
        return replace(_alone(now, place, no_base=question.no_base), saved=saved)
    base = _base(place, rev, head)
    notes: list[str] = []
    before = _read_base(place, _tree(place, blobs, base.commit), rev, now, books, notes)
    return Both(now, before, base, _renames(place, base.commit, head), tuple(notes), saved)


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
        next_step="add it; docs/gate.md begins with the shortest",
    )


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


def _base(place: Place, rev: str, head: str | None) -> Base:
    """The commit to compare with: where the two histories part, as a pull request shows it.

    That is the revision itself where it is older than what is checked, where both have nothing in
    common, and where a shallow clone does not know.
    """
    tip = _commit(place, rev)
    repository = place.needed(rev)
    own = head or repository.commit("HEAD")
    parting = None if own is None else repository.parting(tip, own)
    if parting is None or (head is not None and parting == own):
        return Base(rev, tip)
    return Base(rev, parting, merge_base=parting != tip)


def _commit(place: Place, rev: str) -> str:
    repository = place.needed(rev)
    found = repository.commit(rev)
    if found is not None:
        return found
    if repository.is_shallow():
        raise NoburnError(
            f"`{rev}` is not in this clone",
            why="the clone is shallow: it has a part of the history only",
            next_step=f"{_fetch(rev)}; in GitHub Actions: `fetch-depth: 0` of actions/checkout",
        )
    raise NoburnError(
        f"git knows no commit called `{rev}`",
        why="it is no branch, tag or commit of this clone",
        next_step=f"{_fetch(rev)}, or correct it",
    )


def _fetch(rev: str) -> str:
    remote, slash, branch = rev.partition("/")
    if not slash:
        return f"fetch it: `git fetch origin {rev}`"
    return (
        f"fetch it: `git fetch --depth=1 {remote} "
        f"+refs/heads/{branch}:refs/remotes/{remote}/{branch}`"
    )


def _renames(place: Place, base: str, head: str | None) -> dict[str, str]:
    """New name to old one, of files below the configuration's folder."""
    assert place.repository is not None
    start = len(place.prefix)
    return {
        new[start:]: old[start:]
        for new, old in place.repository.renames(base, head).items()
        if new.startswith(place.prefix) and old.startswith(place.prefix)
    }
