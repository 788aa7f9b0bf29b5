"""`noburn trust`: accept a project's configuration as it stands.

Layer: commands.  Below: trust (the record), settings, prices, render.settings.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.errors import UsageError

if TYPE_CHECKING:
    from noburn_cli.config_files import ConfigFile
    from noburn_cli.trust import Trusted

JSON_VERSION = 1


def trust_command(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="The project's noburn.toml; by default, the nearest from here up.",
            metavar="[FILE]",
        ),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Trust it no longer; it may be gone already.")
    ] = False,
    show_list: Annotated[bool, typer.Option("--list", help="List what is trusted.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with --list.")] = False,
) -> None:
    """Accept a project's configuration as it stands: its endpoints, prices and looser settings."""
    if show_list and (remove or file is not None):
        raise UsageError("--list goes with nothing else", next_step="run `noburn trust --list`")
    if as_json and not show_list:
        raise UsageError("--json goes with --list", next_step="run `noburn trust --list --json`")
    if show_list:
        _list(as_json=as_json)
    elif remove:
        _remove(_chosen(file))
    else:
        _accept(_chosen(file))


def _chosen(file: Path | None) -> Path:
    """The file that is meant, absolute.  Raises UsageError where there is none."""
    from noburn_cli.config_files import NAME, project_path

    if file is not None:
        return (file / NAME if file.is_dir() else file).absolute()
    found = project_path(Path.cwd(), os.environ)
    if found is None:
        raise UsageError(
            f"there is no {NAME} here, nor in any folder above",
            next_step="go into the project, or name the file; `noburn trust --list` lists others",
        )
    return found


def _accept(path: Path) -> None:
    from noburn_cli import paths, trust
    from noburn_cli.config_files import read_file
    from noburn_cli.prices import book_with
    from noburn_cli.render.settings import setting_rows
    from noburn_cli.render.table import print_table

    file = read_file(path)
    if file is None:
        raise UsageError(f"{path} does not exist", next_step="name the project's noburn.toml")
    home = paths.home()
    records = trust.read_trusted(home)
    before = trust.record_for(path, records)
    record = _record(file)
    if before is not None and before.digest == record.digest:
        typer.echo(f"{path} is trusted already, since {before.trusted_on}")
        return
    kept = [*(one for one in records if one.path != record.path), record]
    book_with(os.environ, kept)  # A file that no call could be priced by is not accepted.
    trust.write_trusted(home, kept)
    typer.echo(f"trusted: {path}")
    values = {key: (value, "") for key, value in file.values.items()}
    print_table((), setting_rows(values, origin=False))


def _record(file: ConfigFile) -> Trusted:
    from noburn_cli.trust import Trusted, digest_of

    today = datetime.now(tz=timezone.utc).date().isoformat()
    return Trusted(str(file.path.absolute()), digest_of(file.text), today, file.text)


def _remove(path: Path) -> None:
    from noburn_cli import paths, trust

    home = paths.home()
    records = trust.read_trusted(home)
    kept = [one for one in records if one.path != str(path)]
    if len(kept) == len(records):
        raise UsageError(f"{path} is not trusted", next_step="`noburn trust --list` lists what is")
    trust.write_trusted(home, kept)
    typer.echo(f"no longer trusted: {path}")


def _list(*, as_json: bool) -> None:
    from noburn_cli import paths, trust
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.table import print_table

    records = trust.read_trusted(paths.home())
    states = [_state(record) for record in records]
    if as_json:
        files = [
            {"path": one.path, "sha256": one.digest, "trusted_on": one.trusted_on, "state": state}
            for one, state in zip(records, states, strict=True)
        ]
        print_json("trust", JSON_VERSION, {"files": files})
    elif records:
        rows = [
            [one.path, one.trusted_on, state] for one, state in zip(records, states, strict=True)
        ]
        print_table(("file", "trusted on", "state"), rows)
    else:
        typer.echo("no project's configuration is trusted")


def _state(record: Trusted) -> str:
    """Whether the file is still what was accepted: `as accepted`, `changed` or `gone`."""
    from noburn_cli.config_files import read_text
    from noburn_cli.trust import digest_of

    text = read_text(Path(record.path))
    if text is None:
        return "gone"
    return "as accepted" if digest_of(text) == record.digest else "changed: trust it again"
