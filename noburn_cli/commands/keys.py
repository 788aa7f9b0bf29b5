"""`noburn keys`: virtual keys that last, for services that cannot be wrapped by `noburn run`."""

from __future__ import annotations

import sys
import time
from typing import Annotated

import typer

from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.render.table import remark_lines

JSON_VERSION = 1

app = typer.Typer(
    help="Make, list and remove lasting virtual keys.", add_completion=False, rich_markup_mode=None
)


@app.command("create")
def create_command(
    name: Annotated[str, typer.Argument(help="What the key is called here.", metavar="NAME")],
    provider: Annotated[
        str,
        typer.Option(
            help="The gateway's name of the provider: openai, anthropic, gemini, …",
            metavar="PROVIDER",
        ),
    ],
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Where the gateway finds the real key: env:VARIABLE, command:'pass show openai' "
            "or keyring:SERVICE/USER. The provider's own variable if nobody says else.",
            metavar="SOURCE",
        ),
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Customer of every call with it.", metavar="NAME")
    ] = None,
    feature: Annotated[
        str | None, typer.Option(help="Feature of every call with it.", metavar="NAME")
    ] = None,
    project: Annotated[
        str | None, typer.Option(help="Project of every call with it.", metavar="NAME")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="User of every call with it.", metavar="NAME")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="A limit of its own: 5, 2Mtok or 100req.", metavar="LIMIT")
    ] = None,
    per: Annotated[
        str,
        typer.Option(
            help="The window of that limit: total, hour, day, week or month.", metavar="WINDOW"
        ),
    ] = "month",
) -> None:
    """Make a virtual key and show it, once."""
    from noburn_cli.core.money import parse_limit
    from noburn_cli.core.windows import check_window
    from noburn_cli.enforce.gateway.routes import KEY_OF, PLACES
    from noburn_cli.enforce.key_file import (
        LastingKey,
        add_key,
        attributes_for,
        check_key_name,
        check_source,
        digest_of,
        key_file,
    )
    from noburn_cli.enforce.keys import new_virtual_key

    places = [place.name for place in PLACES]
    if provider not in places:
        raise UsageError(
            f"the gateway knows no provider {provider!r}", next_step=f"one of {', '.join(places)}"
        )
    check_key_name(name)
    limit = None if budget is None else parse_limit(budget)
    check_window(per)
    given = {"customer": customer, "feature": feature, "project": project, "user": user}
    attributes = attributes_for(name, given)
    found = check_source(source or f"env:{KEY_OF[provider]}")
    virtual = new_virtual_key("sk-ant-" if provider == "anthropic" else "sk-")
    key = LastingKey(name, digest_of(virtual), provider, found, attributes, int(time.time()))
    add_key(key_file(), key)
    if limit is not None:
        _set_budget(name, per, {"unit": limit.unit, "amount": limit.amount})
    typer.echo(virtual)
    real = found if found.startswith("env:") else found.partition(":")[0]
    said = (
        f"noburn: shown once; send it to `noburn gateway` at /{provider}, which takes the real key "
        f"from {real}"
    )
    typer.echo("\n".join(remark_lines([said], sys.stderr)), err=True)


def _set_budget(name: str, per: str, limit: dict[str, object]) -> None:
    """The key's own limit; without it there is no key."""
    from noburn_cli.client import Client
    from noburn_cli.enforce.key_file import TAG, key_file, remove_key

    try:
        with Client() as client:
            client.budget_set(scope=f"{TAG}={name}", per=per, limit=limit)
    except NoburnError:
        remove_key(key_file(), name)
        raise


@app.command("list")
def list_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the lasting keys: names, providers, sources; never a key."""
    from noburn_cli.enforce.key_file import key_file, read_keys
    from noburn_cli.render.jsonout import print_json

    keys = read_keys(key_file())
    if as_json:
        shown = [
            {"name": one.name, "provider": one.provider, "source": one.source,
             "attributes": dict(one.attributes), "created_at_s": one.created_at_s}
            for one in keys
        ]  # fmt: skip
        print_json("keys", JSON_VERSION, {"keys": shown})
    elif not keys:
        typer.echo("no keys; `noburn keys create NAME --provider openai` makes one", err=True)
    else:
        for one in keys:
            attributes = ", ".join(f"{k}={v}" for k, v in one.attributes.items())
            typer.echo(f"{one.name}  {one.provider}  {one.source}  {attributes}")


@app.command("rm")
def rm_command(
    name: Annotated[str, typer.Argument(help="The key to remove.", metavar="NAME")],
) -> None:
    """Remove a lasting key; a running gateway refuses it from its next request on."""
    from noburn_cli.enforce.key_file import key_file, remove_key

    remove_key(key_file(), name)
    typer.echo(f"noburn: key {name} removed; its budget, if any, stays", err=True)
