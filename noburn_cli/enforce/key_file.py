"""Lasting virtual keys: their file, and where the real key behind each comes from.

Layer: enforce, our own side.  Below: paths, core.budgets, whole_files.  Above: commands.keys, the
gateway.
Owns: `keys.json` in the home folder: digests of virtual keys and the *sources* of real ones.
Neither a virtual nor a real key is ever written down.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from noburn_cli import paths
from noburn_cli.core.budgets import check_attributes
from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.whole_files import replace_text

#: The tag that every call with a lasting key carries, so that it can have a budget of its own.
TAG = "tag.key"
#: How long a source may take to answer, in seconds.
SOURCE_S = 20.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_SOURCES = ("env:", "command:", "keyring:")


@dataclass(frozen=True)
class LastingKey:
    """One virtual key that outlives every run.

    digest: SHA-256 of the virtual key.  provider: the gateway's place that it is for (`openai`).
    source: `env:VARIABLE`, `command:SHELL COMMAND` or `keyring:SERVICE/USER`.
    attributes: of every call with it, `tag.key` among them.
    """

    name: str
    digest: str
    provider: str
    source: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    created_at_s: int = 0


def digest_of(virtual: str) -> str:
    """What is stored of a virtual key.  It is 128 random bits, so that a plain hash does."""
    return hashlib.sha256(virtual.encode()).hexdigest()


def key_file(home: Path | None = None) -> Path:
    return (home or paths.home()) / "keys.json"


def read_keys(path: Path) -> list[LastingKey]:
    """Every lasting key.  Raises NoburnError for a file that is broken."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return [LastingKey(**one) for one in values["keys"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise NoburnError(
            f"the keys in {path} cannot be read",
            why=str(error),
            next_step="move the file away and create the keys anew",
        ) from error


def add_key(path: Path, key: LastingKey) -> None:
    """Raises UsageError for a name that is taken."""
    with _changing(path) as keys:
        if any(one.name == key.name for one in keys):
            raise UsageError(
                f"there is a key called {key.name} already",
                next_step=f"choose another name, or run `noburn keys rm {key.name}`",
            )
        keys.append(key)


def remove_key(path: Path, name: str) -> LastingKey:
    """Raises UsageError when there is none of that name."""
    with _changing(path) as keys:
        for key in keys:
            if key.name == name:
                keys.remove(key)
                return key
        raise UsageError(f"no key is called {name}", next_step="see `noburn keys list`")


def check_key_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"a key cannot be called {name!r}",
            next_step="use letters, digits, dots, dashes and underscores, at most 64",
        )
    return name


def check_source(source: str) -> str:
    """Raises UsageError for a source that is none, and for what looks like the key itself."""
    if not source.startswith(_SOURCES) or not source.partition(":")[2].strip():
        raise UsageError(
            "the source of the real key cannot be read",
            why="it says where the key is, never the key itself",
            next_step="write env:VARIABLE, command:'pass show openai' or keyring:SERVICE/USER",
        )
    return source


def attributes_for(name: str, given: Mapping[str, str | None]) -> dict[str, str]:
    """The attributes of a key's calls.  Raises UsageError."""
    named = {key: value for key, value in given.items() if value}
    return check_attributes({**named, TAG: name})


def real_key(source: str, environment: Mapping[str, str]) -> str:
    """Ask a source for the real key.  Raises NoburnError, which never shows it."""
    kind, _, rest = source.partition(":")
    if kind == "env":
        found = environment.get(rest, "")
    elif kind == "command":
        found = _output(["/bin/sh", "-c", rest], source)
    else:
        service, _, user = rest.partition("/")
        found = _output(_keyring_command(service, user), source)
    found = found.strip().partition("\n")[0].strip()
    if not found:
        raise NoburnError(
            f"the source {source!r} of the real key gave nothing",
            next_step="set the variable where the gateway is started" if kind == "env" else "",
        )
    return found


def _keyring_command(service: str, user: str) -> list[str]:
    if sys.platform == "darwin":
        return ["security", "find-generic-password", "-w", "-s", service, "-a", user]
    if shutil.which("secret-tool"):
        return ["secret-tool", "lookup", "service", service, "username", user]
    return ["keyring", "get", service, user]


def _output(command: list[str], source: str) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=SOURCE_S, check=True,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError) as error:
        code = getattr(error, "returncode", None)
        why = f"it ended with code {code}" if code is not None else type(error).__name__
        raise NoburnError(f"the source {source!r} of the real key failed", why=why) from None
    return done.stdout.decode("utf-8", "replace")


@contextmanager
def _changing(path: Path) -> Iterator[list[LastingKey]]:
    """The keys, written back as a whole; one change at a time."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = read_keys(path)
        yield keys
        text = json.dumps({"version": 1, "keys": [asdict(one) for one in keys]}, indent=1) + "\n"
        replace_text(path, text)
    finally:
        os.close(lock)
