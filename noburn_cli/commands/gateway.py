"""`noburn gateway`: the loopback gateway as a service, in the foreground."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from pathlib import Path
from typing import Annotated

import typer

from noburn_cli.enforce.launch import NAMED_ATTRIBUTES, run_attributes
from noburn_cli.errors import NoburnError, UsageError

#: Beside the daemon, a fixed address that configurations can name.
PORT = 4011


def gateway_command(
    port: Annotated[
        int,
        typer.Option(
            help="Port on 127.0.0.1; 0 takes a free one.", min=0, max=65535, metavar="PORT"
        ),
    ] = PORT,
    project: Annotated[
        str | None, typer.Option(help="Project of calls that name none.", metavar="NAME")
    ] = None,
    customer: Annotated[
        str | None, typer.Option(help="Customer of calls that name none.", metavar="NAME")
    ] = None,
    feature: Annotated[
        str | None, typer.Option(help="Feature of calls that name none.", metavar="NAME")
    ] = None,
    user: Annotated[
        str | None, typer.Option(help="User of calls that name none.", metavar="NAME")
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            help="Seconds that calls in flight may take after a SIGTERM.",
            min=0,
            max=86_400,
            metavar="SECONDS",
        ),
    ] = 300.0,
) -> None:
    """Serve providers on this machine, with every call inside its budgets."""
    import uvloop

    from noburn_cli.client.starting import ensure_daemon
    from noburn_cli.commands.seconds import check_seconds
    from noburn_cli.core.configuration import attributes_of
    from noburn_cli.enforce.gateway.variables import restored
    from noburn_cli.enforce.policy import VARIABLE
    from noburn_cli.settings import load, policy_text

    check_seconds(drain, "--drain")
    if os.environ.get("NOBURN_GUARD") == "1":
        raise UsageError(
            "this is inside a `noburn run`, which has a gateway of its own",
            why="a second one would book its calls twice, and find virtual keys alone",
            next_step="start `noburn gateway` outside of it",
        )
    held = load(os.environ, Path.cwd(), {})
    for line in held.remarks():
        typer.echo(line, err=True)
    named = {"project": project, "customer": customer, "feature": feature, "user": user}
    attributes = run_attributes(
        os.environ, named=named, tags={}, configured=attributes_of(held.plain())
    )
    environment = restored(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    os.environ[VARIABLE] = policy_text(held)
    os.environ.pop("NOBURN_RUN", None)
    _name(attributes)
    try:
        listening = socket.create_server(("127.0.0.1", port), backlog=1024)
    except OSError as error:
        raise NoburnError(
            f"the gateway cannot listen on port {port}",
            why=error.strerror or str(error),
            next_step="choose another with --port, or 0 for a free one",
        ) from error
    ensure_daemon()
    uvloop.run(_serve(listening, drain_s=drain))


def _name(attributes: dict[str, str]) -> None:
    """Write the attributes where the guard reads them."""
    for name in NAMED_ATTRIBUTES:
        os.environ.pop(f"NOBURN_{name.upper()}", None)
    tags = {k.removeprefix("tag."): v for k, v in attributes.items() if k.startswith("tag.")}
    os.environ["NOBURN_TAGS"] = json.dumps(tags)
    for name, value in attributes.items():
        if not name.startswith("tag."):
            os.environ[f"NOBURN_{name.upper()}"] = value


async def _serve(listening: socket.socket, *, drain_s: float) -> None:
    from noburn_cli.enforce.gateway.__main__ import serve
    from noburn_cli.enforce.gateway.lasting import LastingKeys
    from noburn_cli.enforce.gateway.server import Gateway

    loop = asyncio.get_running_loop()
    ended, at_once = asyncio.Event(), asyncio.Event()

    def end() -> None:
        (at_once if ended.is_set() else ended).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    listening.setblocking(False)
    lasting = LastingKeys()
    serving = loop.create_task(
        serve(listening, Gateway(run="", lasting=lasting), ended, grace_s=drain_s, at_once=at_once)
    )
    await asyncio.sleep(0)
    port = listening.getsockname()[1]
    typer.echo(f"noburn: gateway ready on http://127.0.0.1:{port}", err=True)
    try:
        await serving
    finally:
        lasting.close()
