"""Which project configurations this user has accepted, and what they said then.

Layer: I/O, shared by the CLI and the daemon.  Below: core.configuration, paths, whole_files.
Above: settings (does a file hold?), prices (the daemon prices the endpoints of what is trusted).

A record is a path, the digest of the file and its text.  The file may change or go; what was
accepted stays until it is accepted anew or removed, so that the daemon's prices, which all projects
of a home share, never follow a file that nobody has looked at.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from noburn_cli import paths
from noburn_cli.core.configuration import parse_configuration
from noburn_cli.errors import UsageError
from noburn_cli.whole_files import replace_text

_FORMAT = 1


@dataclass(frozen=True)
class Trusted:
    """One accepted file.

    path: absolute.  digest: SHA-256 of `text`, in hex.  trusted_on: the day, as 2026-11-27.
    """

    path: str
    digest: str
    trusted_on: str
    text: str

    def values(self) -> dict[str, Any]:
        """What the file said when it was accepted.  Raises UsageError."""
        return parse_configuration(self.path, self.text)


def digest_of(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def read_trusted(home: Path) -> list[Trusted]:
    """The records of a home, in the order in which they were made.  Raises UsageError."""
    path = paths.trust_path(home)
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        records = [Trusted(**record) for record in document["files"]]
        good = document["format"] == _FORMAT and all(
            type(field) is str for record in records for field in asdict(record).values()
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _broken(path, error.strerror or str(error)) from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _broken(path, str(error)) from error
    if not good or any(digest_of(record.text) != record.digest for record in records):
        raise _broken(path, "its records do not agree with themselves")
    return records


def write_trusted(home: Path, records: Iterable[Trusted]) -> None:
    """Replace the records as a whole, so that a reader sees the old ones or the new ones."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    document = {"format": _FORMAT, "files": [asdict(record) for record in records]}
    replace_text(paths.trust_path(home), json.dumps(document, indent=1))


def record_for(path: Path, records: Iterable[Trusted]) -> Trusted | None:
    """The record of a file, whatever the file says now."""
    wanted = str(path.absolute())
    return next((record for record in records if record.path == wanted), None)


def _broken(path: Path, reason: str) -> UsageError:
    return UsageError(
        f"the record of trusted configurations {path} cannot be read: {reason}",
        why="nothing is trusted by a record that is damaged",
        next_step=f"remove {path}, and run `noburn trust` in the projects again",
    )
