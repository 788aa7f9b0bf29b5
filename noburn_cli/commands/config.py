"""`noburn config`: what holds here, and which flag, variable or file said it.

Layer: commands.  Below: settings, render.settings.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from noburn_cli.settings import Settings

JSON_VERSION = 1

app = typer.Typer(
    help="Show the settings that hold here, and where each is from.",
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback()
def config_command(
    context: typer.Context,
    origin: Annotated[
        bool, typer.Option("--origin", help="Say which variable or file each value is from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the settings that hold here, and where each is from."""
    if context.invoked_subcommand is not None:
        return
    from noburn_cli.settings import load

    held = load(os.environ, Path.cwd())
    if as_json:
        _print_json(held)
    else:
        _print_table(held, origin=origin)
    for line in (*held.remarks(), *_without_prices(held)):
        typer.echo(line, err=True)


@app.command("path")
def path_command(as_json: Json = False) -> None:
    """Say where the user's and the project's configuration lie, the policy, and their schema."""
    from noburn_cli import resources
    from noburn_cli.config_files import config_folder, project_path, user_path
    from noburn_cli.policy_files import POLICY_NAME
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.table import print_table

    found = {
        "user": user_path(os.environ),
        "policy": config_folder(os.environ) / POLICY_NAME,
        "project": project_path(Path.cwd(), os.environ),
        "schema": resources.schema_path(),
    }
    if as_json:
        data = {name: None if path is None else str(path) for name, path in found.items()}
        print_json("config.path", JSON_VERSION, data)
        return
    rows = [
        [name, "none from here upwards" if path is None else path, _state(path)]
        for name, path in found.items()
    ]
    print_table((), rows)


def _state(path: Path | None) -> str:
    return "" if path is None or path.exists() else "(not there)"


def _print_table(held: Settings, *, origin: bool) -> None:
    from noburn_cli.render.settings import setting_rows
    from noburn_cli.render.table import print_table

    values = {key: (one.value, one.origin) for key, one in held.values.items()}
    headers = ("key", "value", "from") if origin else ("key", "value")
    print_table(headers, setting_rows(values, origin=origin))


def _print_json(held: Settings) -> None:
    from noburn_cli.render.jsonout import print_json
    from noburn_cli.render.settings import value_data

    settings: dict[str, Any] = {
        key: {"value": value_data(key, one.value), "origin": one.origin}
        for key, one in held.values.items()
    }
    data = {
        "settings": settings,
        "user": str(held.user),
        "project": None if held.project is None else str(held.project),
        "trusted": held.trusted,
        "ignored": list(held.ignored),
    }
    print_json("config", JSON_VERSION, data)


def _without_prices(held: Settings) -> list[str]:
    """Remarks on endpoints whose provider the price book does not have."""
    named = [one for one in held.endpoints() if one.rows is None and not one.free]
    if not named:
        return []
    from noburn_cli.prices import load_book

    known = {model.provider for model in load_book(os.environ).models()}
    return [
        f"noburn: the price book has no models of `{one.provider}`, which the endpoint "
        f"`{one.name}` names: its calls will be refused"
        for one in named
        if one.provider not in known
    ]
