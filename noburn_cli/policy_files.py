"""Policy files: found, read, and whether they may loosen what holds.

Layer: I/O, our side.  Below: config_files, trust, core.configuration, core.policy_plan, errors.
Above: commands.budget (apply, replay).
Owns: which files count as a project's.  A file that you name is yours to apply; a project's
noburn.toml comes with a clone, so that it may only tighten until `noburn trust` has accepted it.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from noburn_cli import paths, trust
from noburn_cli.config_files import NAME, config_folder, read_text, user_path
from noburn_cli.core.budget_spec import BudgetSpec
from noburn_cli.core.configuration import parse_policy
from noburn_cli.core.policy_plan import Plan
from noburn_cli.errors import UsageError

POLICY_NAME = "policy.toml"
STDIN = "-"
_TEXT_CHARS_MAX = 1024 * 1024


@dataclass(frozen=True)
class PolicyFile:
    """A policy that was read: where from, what it said, and its budgets."""

    name: str
    path: Path | None
    text: str
    budgets: tuple[BudgetSpec, ...]

    @property
    def is_stdin(self) -> bool:
        return self.path is None


def read_policy(file: str | None) -> PolicyFile:
    """A policy file, standard input (`-`), or (None) the user's own.

    Raises UsageError for a file that is not there, breaks a rule, or has no budget in it.
    """
    if file == STDIN:
        name, path = "standard input", None
        text = sys.stdin.read(_TEXT_CHARS_MAX + 1)
        if len(text) > _TEXT_CHARS_MAX:  # Half a policy is another policy.
            raise UsageError(f"{name} is longer than {_TEXT_CHARS_MAX:,} characters")
    else:
        path = _own_path() if file is None else Path(file)
        path = path / NAME if path.is_dir() else path
        name, found = str(path), read_text(path)
        if found is None:
            raise UsageError(
                f"there is no policy file {path}",
                next_step="name the file; `noburn budget suggest` writes one to begin with",
            )
        text = found
    budgets = parse_policy(name, text)
    if not budgets:
        raise UsageError(
            f"{name} has no budgets",
            why="a policy is made of [[budget]] tables",
            next_step="`noburn budget suggest` writes one to begin with",
        )
    return PolicyFile(name, path, text, budgets)


def _own_path() -> Path:
    """The user's policy.toml, or their noburn.toml where only that one is there."""
    policy = config_folder(os.environ) / POLICY_NAME
    own = user_path(os.environ)
    return own if not policy.exists() and own.exists() else policy


def trust_needed(policy: PolicyFile, plan: Plan) -> UsageError | None:
    """Why a project's file may not be applied: it would loosen, and is not trusted as it stands."""
    if not plan.looser or not _is_projects(policy.path):
        return None
    assert policy.path is not None  # standard input is no project's file
    record = trust.record_for(policy.path, trust.read_trusted(paths.home()))
    if record is not None and record.digest == trust.digest_of(policy.text):
        return None
    state = "is not trusted" if record is None else "has changed since it was trusted"
    named = ", ".join(f"`{step.spec.name}`" for step in plan.looser[:5])
    return UsageError(
        f"{policy.name} {state}, and would loosen {named}",
        why="a project's file comes with a clone: until it is trusted it may only tighten",
        next_step=f"read it, then `noburn trust {policy.name}` accepts it as it stands",
    )


def _is_projects(path: Path | None) -> bool:
    if path is None or path.name != NAME:
        return False
    return path.absolute() != user_path(os.environ).absolute()
