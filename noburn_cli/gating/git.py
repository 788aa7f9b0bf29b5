"""A git repository, read by git itself: no checkout, no library, nothing written.

Layer: I/O.  Below: gating.child, errors.  Above: gating.trees, gating.comparing.
Not here: what is done with the files (gating.trees), which of them are prompts.
Every command is given a list of arguments, and no revision that begins with `-`.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from noburn_cli.errors import InputRefused, NoburnError
from noburn_cli.gating.child import Child

#: What a repository's own configuration could make git run, or write, when it is only read.
_QUIET = ("-c", "core.fsmonitor=false", "-c", "core.quotePath=false")
LINK, MODULE = "120000", "160000"
_NOT_ONE = "not a git repository"


@dataclass(frozen=True)
class Entry:
    """A file of a commit.  mode: LINK for a symbolic link, MODULE for another repository."""

    path: str
    mode: str
    blob: str


class Repository:
    """One working tree and what git knows of it.  top: its uppermost folder."""

    def __init__(self, top: Path) -> None:
        self.top = top

    @classmethod
    def around(cls, folder: Path) -> Repository | None:
        """The repository that a folder is in, or None.

        Raises NoburnError when git is not installed, or refuses to read it.
        """
        done = _run(folder, ("rev-parse", "--show-toplevel"))
        if done.returncode == 0:
            return cls(Path(os.fsdecode(done.stdout.rstrip(b"\n"))))
        said = _said(done)
        if _NOT_ONE in said:
            return None
        raise NoburnError(f"git cannot read the repository around {folder}", why=said)

    def commit(self, rev: str) -> str | None:
        """The full id of the commit that a revision means, or None."""
        # `--end-of-options` is newer than some gits in use; a name goes into logs and comments.
        if rev.startswith("-") or not rev.isprintable():
            return None
        done = _run(self.top, ("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}"))
        return done.stdout.decode("ascii").strip() if done.returncode == 0 else None

    def parting(self, one: str, other: str) -> str | None:
        """The commit at which two histories part, or None where none is known here."""
        done = _run(self.top, ("merge-base", one, other))
        return done.stdout.decode("ascii").strip() if done.returncode == 0 else None

    def parents(self, commit: str) -> list[str]:
        """The parents that a commit names itself, also those that a shallow clone cuts off."""
        raw = _checked(self.top, ("cat-file", "-p", commit))
        head, _, _ = raw.decode("utf-8", "replace").partition("\n\n")
        return [
            line.removeprefix("parent ") for line in head.splitlines() if line.startswith("parent ")
        ]

    def is_shallow(self) -> bool:
        done = _run(self.top, ("rev-parse", "--is-shallow-repository"))
        return done.stdout.strip() == b"true"

    def listed(self, folder: Path) -> list[str]:
        """Files at or below a folder that git tracks, or would: relative to the folder, sorted."""
        wanted = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
        return sorted(set(_names(_checked(folder, wanted))))

    def not_checked_out(self, folder: Path) -> list[str]:
        """Files at or below a folder that a sparse checkout leaves out: relative to the folder."""
        tagged = _names(_checked(folder, ("ls-files", "-z", "-t", "--cached")))
        return [one[2:] for one in tagged if one.startswith("S ")]

    def entries(self, commit: str) -> dict[str, Entry]:
        """Every file of a commit by its path from the top."""
        raw = _checked(self.top, ("ls-tree", "-r", "-z", "--full-tree", commit))
        found = {}
        for line in _names(raw):
            facts, _, path = line.partition("\t")
            mode, _, blob = facts.split(" ")
            found[path] = Entry(path, mode, blob)
        return found

    def renames(self, base: str, head: str | None) -> dict[str, str]:
        """New path to old one, from the top, for files that git takes to be renamed.

        head: a commit, or None for the working tree, whose new files count once they are added.
        """
        revisions = (base,) if head is None else (base, head)
        shown = ("diff", "--raw", "-z", "-M", "-l2000", "--no-ext-diff", "--diff-filter=R")
        parts = list(_names(_checked(self.top, (*shown, *revisions, "--"))))
        # Three parts each: modes, ids and similarity; the old name; the new one.
        return dict(zip(parts[2::3], parts[1::3], strict=True))

    def blobs(self) -> Blobs:
        return Blobs(self.top)


class Blobs(Child):
    """Contents of blobs, from one `git cat-file --batch`, which is started at the first one."""

    def __init__(self, top: Path) -> None:
        command = _command(("cat-file", "--batch"))
        super().__init__(command, is_killed=False, cwd=top, env=_environment())

    def read(self, blob: str, *, bytes_max: int, name: str) -> bytes:
        """One blob.  Raises InputRefused where it is larger, or not in this clone."""
        out, size = self._asked(blob, name)
        if size > bytes_max:
            self.close()  # What is left of it in the pipe is not worth reading.
            raise InputRefused(f"{name} is larger than {bytes_max:,} bytes")
        content = out.read(size)
        if len(content) != size or out.read(1) != b"\n":
            raise InputRefused(f"{name} cannot be read from git", why="git ended in the middle")
        return content

    def _asked(self, blob: str, name: str) -> tuple[IO[bytes], int]:
        questions, answers = self.pipes()
        try:
            questions.write(blob.encode("ascii") + b"\n")
            questions.flush()
        except BrokenPipeError as error:
            raise InputRefused(f"{name} cannot be read from git", why="git has ended") from error
        facts = answers.readline().split()
        if len(facts) != 3 or facts[1] != b"blob":
            raise InputRefused(
                f"{name} is not in this clone",
                why="git knows the file's name and not its content",
                next_step="fetch it: `git fetch` without `--filter`",
            )
        return answers, int(facts[2])


def _command(arguments: Sequence[str]) -> list[str]:
    return ["git", *_QUIET, *arguments]


def _environment() -> dict[str, str]:
    """Ours, with git's words in English (they are compared) and no locks taken for reading."""
    return {**os.environ, "LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}


def _run(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            _command(arguments),
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise NoburnError(
            "git is not installed, or not on the PATH",
            why="the base of a comparison is read with git",
            next_step="install git, or compare with nothing: `noburn gate --no-base`",
        ) from error


def _checked(folder: Path, arguments: Sequence[str]) -> bytes:
    done = _run(folder, arguments)
    if done.returncode:
        raise NoburnError(f"`git {arguments[0]}` failed in {folder}", why=_said(done))
    return done.stdout


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return done.stderr.decode("utf-8", "replace").strip() or f"exit code {done.returncode}"


def _names(raw: bytes) -> Iterator[str]:
    """Texts that end in NUL; bytes that are no UTF-8 travel as surrogates, as in file names."""
    return (os.fsdecode(one) for one in raw.split(b"\0") if one)
