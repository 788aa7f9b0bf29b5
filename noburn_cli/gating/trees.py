"""The files that prompts are in: those of a folder as it is, and those of a commit.

Layer: I/O.  Below: gating.git, errors.  Above: gating.prompts, gating.templates, gating.books.
Both give the same: names relative to the configuration's folder, and bytes.  Nothing outside of the
repository is read, nor what git ignores or keeps for itself (`.git`), also not through a symbolic
link: a pull request names the files, and the runner's folder holds more than the repository.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from noburn_cli.errors import InputRefused
from noburn_cli.gating.git import LINK, MODULE, Blobs, Entry, Repository

#: Above any context window by far (1 M tokens are some 5 MB).
FILE_BYTES_MAX = 64 * 1024 * 1024
#: How often a symbolic link may lead to another one.
_LINKS_MAX = 8
_LFS = b"version https://git-lfs.github.com/spec/"
_POINTER_BYTES_MAX = 1024


class Files(Protocol):
    """Files below one folder, by their names."""

    def has(self, name: str) -> bool:
        """Whether a file of that name is there and belongs to the tree."""

    def read(self, name: str) -> bytes:
        """The content of one file.  Raises InputRefused."""


class Tree(Files, Protocol):
    """Files below one folder, and which they are."""

    @property
    def names(self) -> Sequence[str]:
        """Every file's path, sorted; `/` between folders.

        Git also lists what was deleted and not yet staged: `has` says what is there.
        """

    def lacks(self, name: str) -> InputRefused | None:
        """Why a listed file is not there, although nobody took it out; None for all others.

        A symbolic link that leads to no file and no folder of the tree: a program that reads such a
        prompt fails.  A file that a sparse checkout leaves out.
        """


class FolderTree:
    """The files of a folder as they are now.

    repository: whose ignored files do not belong to it; without one, hidden files do not.
    """

    def __init__(self, folder: Path, repository: Repository | None) -> None:
        self._folder = folder
        self._inside = (folder if repository is None else repository.top).resolve()
        self._names: list[str] | None = None
        self._known: dict[Path, frozenset[str]] = {}
        self._repository = repository
        self._sparse: frozenset[str] | None = None

    @property
    def names(self) -> Sequence[str]:
        if self._names is None:
            self._names = (
                _walked(self._folder)
                if self._repository is None
                else self._repository.listed(self._folder)
            )
        return self._names

    def has(self, name: str) -> bool:
        try:
            path = self._folder / name
            if not path.is_file():
                return False
            return name in self._listed(self._folder) or self._belongs(path.resolve())
        except (OSError, RuntimeError, ValueError):  # Too long for a file; a circle of links.
            return False

    def lacks(self, name: str) -> InputRefused | None:
        path = self._folder / name
        try:
            if path.is_symlink():
                folder = path.is_dir() and path.resolve().is_relative_to(self._inside)
                return None if folder or self.has(name) else _to_nowhere(name)
            if path.exists() or name not in self._not_checked_out():
                return None
        except (OSError, RuntimeError, ValueError):  # A circle of links.
            return _to_nowhere(name)
        return InputRefused(
            f"{shown_name(name)} is not checked out",
            why="the working folder is a sparse checkout: what is not here was not taken out",
            next_step="`git sparse-checkout add` its folder, or check a commit: --head HEAD",
        )

    def _not_checked_out(self) -> frozenset[str]:
        """Asked once, and only where a file is missing."""
        if self._sparse is None:
            repository = self._repository
            self._sparse = frozenset(
                () if repository is None else repository.not_checked_out(self._folder)
            )
        return self._sparse

    def _belongs(self, real: Path) -> bool:
        """Whether git tracks the file that a name leads to, or would when it is added."""
        for folder in (self._folder.resolve(), self._inside):
            if real.is_relative_to(folder):
                return real.relative_to(folder).as_posix() in self._listed(folder)
        return False

    def _listed(self, folder: Path) -> frozenset[str]:
        """Names below the configuration's folder, or from the repository's top on."""
        if folder not in self._known:
            if self._repository is None or folder.resolve() == self._folder.resolve():
                self._known[folder] = frozenset(self.names)
            else:
                self._known[folder] = frozenset(self._repository.listed(folder))
        return self._known[folder]

    def read(self, name: str) -> bytes:
        path = self._folder / name
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self._inside):
                raise InputRefused(
                    f"{name} is a link that leads out of the repository",
                    why="what is outside is not the same for everybody who checks this out",
                )
            if not stat.S_ISREG(real.stat().st_mode):
                raise InputRefused(f"{name} is not a file")
            if not self._belongs(real):
                raise InputRefused(
                    f"{name} does not belong to the repository",
                    why="git ignores it, or keeps it for itself: it may be secret, and is not the"
                    " same for everybody who checks this out",
                    next_step="take it out of .gitignore, or name another file",
                )
            with real.open("rb") as file:
                content = file.read(FILE_BYTES_MAX + 1)
        except FileNotFoundError as error:
            raise InputRefused(f"{name} does not exist") from error
        except (OSError, RuntimeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise InputRefused(f"{name} cannot be read", why=reason or str(error)) from error
        if len(content) > FILE_BYTES_MAX:
            raise InputRefused(f"{name} is larger than {FILE_BYTES_MAX:,} bytes")
        return _no_pointer(name, content)


def _walked(folder: Path) -> list[str]:
    """Files below a folder that git does not know; what begins with a dot is left out."""
    found = []
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        inside = Path(where).relative_to(folder)
        found += [(inside / name).as_posix() for name in files if not name.startswith(".")]
    return sorted(found)


class CommitTree:
    """The files of a commit, below a folder of the repository.

    prefix: the folder from the repository's top on, "" or with a `/` at its end.
    """

    def __init__(self, repository: Repository, blobs: Blobs, commit: str, prefix: str) -> None:
        self._repository = repository
        self._entries = repository.entries(commit)
        self._blobs = blobs
        self.prefix = prefix
        self._commit = commit

    def below(self, prefix: str) -> CommitTree:
        """The same commit, below another folder."""
        return CommitTree(self._repository, self._blobs, self._commit, prefix)

    def all_of(self, basename: str) -> list[str]:
        """Paths from the top of all files that are called so."""
        return [path for path in self._entries if posixpath.basename(path) == basename]

    @property
    def names(self) -> Sequence[str]:
        start = len(self.prefix)
        return [
            path[start:]
            for path, entry in sorted(self._entries.items())
            if path.startswith(self.prefix) and entry.mode != MODULE
        ]

    def has(self, name: str) -> bool:
        try:
            return self._found(name) is not None
        except InputRefused:
            return False

    def lacks(self, name: str) -> InputRefused | None:
        entry = self._entries.get(posixpath.normpath(self.prefix + name))
        if entry is None or entry.mode != LINK:
            return None
        try:
            path = self._followed(name)
        except InputRefused as error:
            return error
        there = path in self._entries or any(one.startswith(f"{path}/") for one in self._entries)
        return None if there else _to_nowhere(name)

    def read(self, name: str) -> bytes:
        entry = self._found(name)
        if entry is None:
            raise InputRefused(f"{name} does not exist in {self._commit[:12]}")
        content = self._blobs.read(entry.blob, bytes_max=FILE_BYTES_MAX, name=name)
        return _no_pointer(name, content)

    def _found(self, name: str) -> Entry | None:
        """The file that a name leads to, through links to files and to folders; None without one.

        Raises InputRefused for too many links.
        """
        entry = self._entries.get(self._followed(name))
        return None if entry is None or entry.mode == MODULE else entry

    def _followed(self, name: str) -> str:
        """The path from the top that a name leads to.  Raises InputRefused for too many links."""
        path = posixpath.normpath(self.prefix + name)
        for _ in range(_LINKS_MAX + 1):
            link = self._first_link(path)
            if link is None:
                return path
            target = os.fsdecode(
                self._blobs.read(self._entries[link].blob, bytes_max=FILE_BYTES_MAX, name=name)
            )
            rest = path[len(link) + 1 :]
            path = posixpath.normpath(posixpath.join(posixpath.dirname(link), target, rest))
        raise InputRefused(f"{name} is a link that leads to more than {_LINKS_MAX} others")

    def _first_link(self, path: str) -> str | None:
        """The uppermost part of a path that is a symbolic link."""
        parts = path.split("/")
        for end in range(1, len(parts) + 1):
            part = "/".join(parts[:end])
            entry = self._entries.get(part)
            if entry is not None and entry.mode == LINK:
                return part
        return None


def shown_name(name: str) -> str:
    """A name whose bytes may be no UTF-8, for a message."""
    return name.encode("utf-8", "backslashreplace").decode()


def _to_nowhere(name: str) -> InputRefused:
    return InputRefused(
        f"{shown_name(name)} is a link that leads to no file of the repository",
        why="a program that reads it fails, or reads what is not the same for everybody",
        next_step="correct the link, or leave it out with `!`",
    )


def _no_pointer(name: str, content: bytes) -> bytes:
    if content.startswith(_LFS) and len(content) < _POINTER_BYTES_MAX:
        raise InputRefused(
            f"{name} is a pointer of Git LFS, not the file itself",
            why="its content lies on another server",
            next_step="`git lfs pull` brings what is checked out; prompts belong into git itself",
        )
    return content
