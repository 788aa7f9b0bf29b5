"""A hosted repository and a pull request as real git repositories: the sample in examples/gate."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "examples" / "gate"
_PERSON = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.com")


def git(folder: Path, *arguments: str) -> str:
    """Run git without anybody's own settings; its output, stripped."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    done = subprocess.run(
        ["git", *_PERSON, *arguments],
        cwd=folder,
        env={**kept, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(folder: Path, text: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", text)
    return git(folder, "rev-parse", "HEAD")


class Origin:
    """Where the project is hosted: `main`, and pull request 7 from `feature`.

    Main went on after the branch was made, so that its tip is not where the branch left it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(SAMPLE / "repository", folder)
        git(folder, "init", "--quiet", "--initial-branch", "main")
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")  # GitHub allows it.
        self.forked_at = commit(folder, "the sample")
        git(folder, "switch", "--quiet", "--create", "feature")
        git(folder, "apply", str(SAMPLE / "pull-request.patch"))
        self.head = commit(folder, "a pull request's worth of changes")
        git(folder, "switch", "--quiet", "main")
        (folder / "unrelated.txt").write_text("main went on\n")
        self.base = commit(folder, "unrelated")
        self.merge()

    def merge(self) -> None:
        """The merge commit that GitHub keeps for the pull request."""
        git(self.folder, "switch", "--quiet", "--detach", "main")
        git(self.folder, "merge", "--quiet", "--no-ff", "--message", "merge", "feature")
        self.merged = git(self.folder, "rev-parse", "HEAD")
        git(self.folder, "update-ref", "refs/pull/7/merge", "HEAD")
        git(self.folder, "switch", "--quiet", "main")

    def change(self, path: str, text: str) -> None:
        """One more commit on the pull request's branch."""
        git(self.folder, "switch", "--quiet", "feature")
        (self.folder / path).write_text(text, encoding="utf-8")
        self.head = commit(self.folder, f"change {path}")
        git(self.folder, "switch", "--quiet", "main")
        self.merge()

    def checkout(self, folder: Path, commit_id: str, *, depth: int = 1) -> Path:
        """What actions/checkout leaves: one commit, detached, and nothing else by default.

        depth: 0 for the whole history.
        """
        folder.mkdir()
        git(folder, "init", "--quiet")
        git(folder, "remote", "add", "origin", self.folder.as_uri())
        deep = [f"--depth={depth}"] if depth else []
        git(folder, "fetch", "--quiet", "--no-tags", *deep, "origin", commit_id)
        if not depth:
            git(folder, "fetch", "--quiet", "origin")
        git(folder, "checkout", "--quiet", "--detach", commit_id)
        return folder
