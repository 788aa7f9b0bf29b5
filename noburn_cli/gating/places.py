"""Where a gate is held: the configuration, the repository around it, and the commits compared.

Layer: I/O.  Below: gating.git, config_files.  Above: gating.sides, gating.comparing, commands.gate.
Not here: what is in the files (gating.sides).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.config_files import project_path
from noburn_cli.core.gate_model import Base
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.gating.git import Repository


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
                next_step="write one from what is found here: noburn gate --init",
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


def base_of(place: Place, rev: str, head: str | None) -> Base:
    """The commit to compare with: where the two histories part, as a pull request shows it.

    That is the revision itself where both have nothing in common.  Raises NoburnError where a
    shallow clone does not know: what others merged meanwhile would be told as this change's.
    """
    tip = commit_of(place, rev)
    repository = place.needed(rev)
    own = head or repository.commit("HEAD")
    if own is None or own == tip or tip in repository.parents(own):
        return Base(rev, tip)
    parting = repository.parting(tip, own)
    if parting is not None:
        return Base(rev, parting, merge_base=parting != tip)
    if repository.is_shallow():
        raise NoburnError(
            f"where the histories of `{rev}` and of what is checked part is not in this clone",
            why="the clone is shallow, and what others changed meanwhile would be told as yours",
            next_step=_deepen(rev),
        )
    return Base(rev, tip)


def commit_of(place: Place, rev: str) -> str:
    """The full id of what a revision means.  Raises NoburnError where it is not there."""
    repository = place.needed(rev)
    found = repository.commit(rev)
    if found is not None:
        return found
    if repository.is_shallow():
        raise NoburnError(
            f"`{rev}` is not in this clone",
            why="the clone is shallow: it has a part of the history only",
            next_step=_deepen(rev),
        )
    if rev == "HEAD":
        raise NoburnError(
            "this repository has no commit yet",
            why="`HEAD`, the last one, is what would be compared with",
            next_step="check what is there: `noburn gate --no-base`; for the first commit, leave "
            "pre-commit's hook out: `SKIP=noburn-gate git commit`",
        )
    raise NoburnError(
        f"git knows no commit called `{rev}`",
        why="it is no branch, tag or commit of this clone",
        next_step=f"{_fetch(rev)}, or correct it",
    )


def _deepen(rev: str) -> str:
    return f"{_fetch(rev, '--unshallow ')}; in GitHub Actions: `fetch-depth: 0` of actions/checkout"


def _fetch(rev: str, options: str = "") -> str:
    remote, slash, branch = rev.partition("/")
    if not slash:
        return f"fetch it: `git fetch {options}origin {rev}`"
    return (
        f"fetch it: `git fetch {options}{remote} "
        f"+refs/heads/{branch}:refs/remotes/{remote}/{branch}`"
    )
