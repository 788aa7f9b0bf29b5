"""The service units of a home: which files, where they lie, what they say.

Layer: I/O, our side.  Below: resources (the templates, which lie in daemon/systemd and
daemon/launchd), paths, client.starting (the command).  Above: commands.daemon.installing.
Owns: names, places and quoting.  systemd.syntax(7), systemd.service(5): `%` and `$` are doubled,
words are quoted; launchd.plist(5) is XML.
Not here: whether a manager listens to them (commands.daemon.installing).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from noburn_cli import paths, resources
from noburn_cli.errors import NoburnError, UsageError

SYSTEMD, LAUNCHD = "systemd", "launchd"
#: Every file of ours says so; another one is not overwritten, nor removed.
MARK = "Written by `noburn daemon install`"


@dataclass(frozen=True)
class Unit:
    """A file, and what it is to say."""

    path: Path
    text: str


@dataclass(frozen=True)
class Units:
    """What one manager needs for one home.

    name: of the socket and the service, or of the job.
    """

    manager: str
    name: str
    units: tuple[Unit, ...]


def units_for(
    platform: str, home: Path, command: list[str], environment: Mapping[str, str]
) -> Units:
    """The units of a home.  platform: as sys.platform has it.  Raises UsageError."""
    told = [*command, "--home", str(home)]
    if any(not text.isprintable() for text in told):
        raise UsageError("a path with control characters cannot stand in a unit", why=str(home))
    suffix = ""
    if home != paths.default_home():
        suffix = hashlib.sha256(os.fsencode(home)).hexdigest()[:8]
    if platform == "darwin":
        return _launchd(home, told, f"noburn.daemon{suffix and '.' + suffix}")
    return _systemd(home, told, f"noburn{suffix and '-' + suffix}", environment)


def _systemd(home: Path, command: list[str], name: str, environment: Mapping[str, str]) -> Units:
    base = environment.get("XDG_CONFIG_HOME")
    folder = (Path(base) if base else Path.home() / ".config") / "systemd" / "user"
    values = {
        "@NAME@": name,
        "@SOCKET@": str(paths.socket_path(home)).replace("%", "%%"),
        "@ENVIRONMENT@": f"{_word(f'NOBURN_HOME={home}')} NOBURN_GUARD=0",
        "@COMMAND@": " ".join(_word(word).replace("$", "$$") for word in command),
    }
    units = tuple(
        Unit(folder / f"{name}.{kind}", _filled(f"noburn.{kind}", values))
        for kind in ("socket", "service")
    )
    return Units(SYSTEMD, name, units)


def _word(text: str) -> str:
    """A word of a unit's line, as systemd.syntax(7) quotes it."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return quoted if quoted == text and " " not in text and "'" not in text else f'"{quoted}"'


def _launchd(home: Path, command: list[str], name: str) -> Units:
    values = {
        "@NAME@": escape(name),
        "@HOME@": escape(str(home)),
        "@SOCKET@": escape(str(paths.socket_path(home))),
        "@ARGUMENTS@": "\n".join(f"    <string>{escape(word)}</string>" for word in command),
    }
    path = Path.home() / "Library" / "LaunchAgents" / f"{name}.plist"
    return Units(LAUNCHD, name, (Unit(path, _filled("noburn.daemon.plist", values)),))


def _filled(template: str, values: Mapping[str, str]) -> str:
    text = resources.read_bytes(template).decode("utf-8")
    for place, value in values.items():
        text = text.replace(place, value)
    return text


def check(unit: Unit) -> None:
    """Raises NoburnError when there is a file of somebody else."""
    found = read(unit.path)
    if found is not None and MARK not in found:
        raise _not_ours(unit.path)


def write(unit: Unit) -> str:
    """Bring a file to what it is to say, whole or not at all: `wrote`, `updated` or `kept`.

    Raises NoburnError when it is somebody else's, or cannot be written.
    """
    check(unit)
    found = read(unit.path)
    if found == unit.text:
        return "kept"
    beside = unit.path.with_name(f".{unit.path.name}.{os.getpid()}")
    try:
        unit.path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(unit.text, encoding="utf-8")
        beside.chmod(0o644)
        beside.replace(unit.path)
    except OSError as error:
        raise NoburnError(
            f"{unit.path} cannot be written: {error.strerror or error}",
            next_step="`noburn daemon install --print` shows what it would say",
        ) from error
    return "wrote" if found is None else "updated"


def remove(unit: Unit) -> bool:
    """Remove a file of ours, with the link that enables it; whether it was there.

    Raises NoburnError when it is somebody else's, or cannot be removed.
    """
    check(unit)
    found = read(unit.path)
    enabling = unit.path.parent / "sockets.target.wants" / unit.path.name
    try:
        if enabling.is_symlink():
            enabling.unlink()
        unit.path.unlink(missing_ok=True)
    except OSError as error:
        raise NoburnError(f"{unit.path} cannot be removed: {error.strerror or error}") from error
    return found is not None


def read(path: Path) -> str | None:
    """What a unit says, or None where there is none.  Raises NoburnError."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoburnError(f"{path} cannot be read: {error.strerror or error}") from error


def _not_ours(path: Path) -> NoburnError:
    return NoburnError(
        f"{path} was not written by noburn",
        why="it may be somebody's work, and would be lost",
        next_step="move it away, then try again",
    )
