"""What holds here: flags over the environment over the project's file over the user's.

Layer: I/O, our side.  Below: config_files, trust, core.configuration, core.tightening.
Above: commands (run, config, trust); enforce.policy asks for `own_policy` in a program that
`noburn run` did not start.
Owns: the order of the layers, the environment's variables for keys, what an untrusted file may say,
and the text of NOBURN_POLICY.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from noburn_cli import paths, trust
from noburn_cli.config_files import ConfigFile, project_path, read_file, user_path
from noburn_cli.core.configuration import BUDGET, ENDPOINT, GATE, KEYS, NAMED_ATTRIBUTES, read_value
from noburn_cli.core.endpoints import Endpoint
from noburn_cli.core.service_keys import DAEMON_VARIABLES, is_of_the_daemon
from noburn_cli.core.tightening import LOOSER, NOT_COMPARABLE, compare
from noburn_cli.errors import UsageError

DEFAULT = "default"
#: The variable of each key that has one; attributes have theirs as well.
VARIABLES = {
    "run.budget": "NOBURN_BUDGET",
    "run.wait": "NOBURN_WAIT_S",
    "run.clamp": "NOBURN_CLAMP",
    "run.lower_caps": "NOBURN_LOWER_CAPS",
    "run.floor": "NOBURN_OUTPUT_FLOOR",
    "run.on_exceed": "NOBURN_ON_EXCEED",
    "run.on_abort": "NOBURN_ON_ABORT",
    **{f"attributes.{name}": f"NOBURN_{name.upper()}" for name in NAMED_ATTRIBUTES},
    **DAEMON_VARIABLES,
}
#: Only `budget apply` puts budgets in force, and only `noburn gate` reads its own table.
NO_SETTINGS = (BUDGET, GATE)
_TRUTHS = {"0": False, "1": True, "false": False, "true": True}
#: One variable of the environment can have 128 kB on Linux, and the policy travels in one.
_POLICY_CHARS_MAX = 100_000


@dataclass(frozen=True)
class Setting:
    """A value, and who said it: DEFAULT, a flag, a variable's name or a file's path."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Settings:
    """What holds, by dotted key.

    values: every key with a default, and whatever was set.
    user, project: the files that were looked at; the user's need not exist.
    trusted: whether the project's file is, as it stands now; changed: it was, before it changed.
    ignored: keys of an untrusted project file that would loosen what holds.
    """

    values: Mapping[str, Setting]
    user: Path
    project: Path | None
    trusted: bool
    changed: bool
    ignored: tuple[str, ...]

    def value(self, key: str) -> Any:
        return self.values[key].value

    def chosen(self, key: str) -> Any:
        """The value where a flag or a file gave it, else None: the environment speaks for itself,
        and a default is the same everywhere.
        """
        found = self.values[key]
        own = (DEFAULT, VARIABLES.get(key))
        return None if found.origin in own else found.value

    def plain(self) -> dict[str, Any]:
        return {key: setting.value for key, setting in self.values.items()}

    def below(self, table: str) -> dict[str, Any]:
        """The values of a table of names, by name: `ceilings`, `attributes.from`."""
        prefix = f"{table}."
        return {
            key[len(prefix) :]: setting.value
            for key, setting in self.values.items()
            if key.startswith(prefix)
        }

    def endpoints(self) -> list[Endpoint]:
        return list(self.below(ENDPOINT).values())

    def remarks(self) -> list[str]:
        """What a person should hear before anything is sent: what was ignored, and why."""
        if not self.ignored:
            return []
        state = "has changed since it was trusted" if self.changed else "is not trusted"
        return [
            f"noburn: {self.project} {state}, so it may only tighten: "
            f"without effect {'is' if len(self.ignored) == 1 else 'are'} "
            + ", ".join(f"`{key}`" for key in self.ignored),
            "        read it, then `noburn trust` accepts it as it stands",
        ]


def load(
    environment: Mapping[str, str], folder: Path, flags: Mapping[str, Any] | None = None
) -> Settings:
    """What holds for a command in a folder.

    flags: values by dotted key, as `KEYS` reads them; None was not given.
    Raises UsageError for a file or variable that cannot be read, and for an untrusted project file
    whose limit can be neither applied nor ignored.
    """
    values = {key: Setting(known.default, DEFAULT) for key, known in KEYS.items()}
    own = user_path(environment)
    _overlay(values, read_file(own))
    found = project_path(folder, environment)
    project = None if found is None else read_file(found)
    record = None
    if project is not None:
        record = trust.record_for(project.path, trust.read_trusted(paths.home_of(environment)))
    trusted = (
        project is not None
        and record is not None
        and record.digest == trust.digest_of(project.text)
    )
    spoken = _from_environment(environment)
    said = set(spoken) | {key for key, flag in (flags or {}).items() if flag is not None}
    ignored = _overlay_project(values, project, trusted=trusted, said=said)
    values.update(spoken)
    for key, flag in (flags or {}).items():
        if flag is not None:
            values[key] = Setting(flag, f"--{key.rpartition('.')[2].replace('_', '-')}")
    path = None if project is None else project.path
    return Settings(values, own, path, trusted, record is not None and not trusted, tuple(ignored))


def _overlay(values: dict[str, Setting], file: ConfigFile | None) -> None:
    if file is not None:
        values.update(
            {
                key: Setting(one, str(file.path))
                for key, one in file.values.items()
                if key not in NO_SETTINGS
            }
        )


def _overlay_project(
    values: dict[str, Setting], file: ConfigFile | None, *, trusted: bool, said: set[str]
) -> list[str]:
    """Lay the project's file over the user's; the keys that may not hold, in order."""
    ignored: list[str] = []
    for key, value in file.values.items() if file is not None else ():
        assert file is not None
        if is_of_the_daemon(key):
            raise _only_yours(file.path, key)
        if key in NO_SETTINGS:
            continue
        before = values.get(key, Setting(None, DEFAULT)).value
        verdict = "" if trusted else compare(key, value, before)
        if verdict == LOOSER:
            ignored.append(key)
        elif verdict == NOT_COMPARABLE:
            if key not in said:
                raise _not_comparable(file.path, key, value, values[key])
        else:
            values[key] = Setting(value, str(file.path))
    return ignored


def _not_comparable(path: Path, key: str, value: Any, before: Setting) -> UsageError:
    return UsageError(
        f"configuration {path}: `{key}` is {value}, and {before.origin} says {before.value}",
        why="limits of different units cannot be compared, the file is not trusted, "
        "and without either limit more could be spent than somebody meant",
        next_step="`noburn trust` lets the project's limit hold; or give --budget",
    )


def _only_yours(path: Path, key: str) -> UsageError:
    table = key.partition(".")[0]
    return UsageError(
        f"configuration {path}: `{key}` is about your machine, not about a project",
        why="one daemon serves all projects of a home, and a clone must not command it",
        next_step=f"move [{table}] to your own file; `noburn config path` says where it lies",
    )


def _from_environment(environment: Mapping[str, str]) -> dict[str, Setting]:
    """The keys that variables give; an empty variable gives nothing.  Raises UsageError."""
    found = {}
    for key, name in VARIABLES.items():
        text = environment.get(name)
        if text:
            raw: Any = text
            if type(KEYS[key].default) is bool:
                raw = _TRUTHS.get(text.lower(), text)
            elif key in ("run.wait", "daemon.idle_exit"):
                raw = _decimal(text)
            found[key] = Setting(read_value(name, key, raw), name)
    return found


def _decimal(text: str) -> Any:
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def policy_text(settings: Settings) -> str:
    """NOBURN_POLICY for the children of a run.  Raises UsageError when it is too long for one."""
    document = {
        "endpoints": [
            {
                "name": one.name,
                "base_url": one.base_url,
                "api": one.api,
                "provider": one.provider,
                "models": dict(one.models),
            }
            for one in settings.endpoints()
        ],
        "ceilings": settings.below("ceilings"),
        "on_abort": settings.value("run.on_abort"),
        "fields": settings.below("attributes.from"),
        "notional": list(settings.value("notional.subscriptions")),
    }
    text = json.dumps(document, separators=(",", ":"))
    if len(text) > _POLICY_CHARS_MAX:
        raise UsageError(
            f"the configuration's endpoints and ceilings take {len(text):,} characters",
            why=f"they travel in one environment variable, which holds {_POLICY_CHARS_MAX:,}",
            next_step="take endpoints out that are not used here",
        )
    return text


def own_policy() -> str:
    """NOBURN_POLICY for a program that was not started by `noburn run`.  Raises UsageError."""
    return policy_text(load(os.environ, Path.cwd()))
