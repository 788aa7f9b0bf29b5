"""`noburn daemon notify`: messages that go out, and the channels by which they do.

Layer: commands.  Below: client, commands.daemon.running.
"""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from noburn_cli import protocol
from noburn_cli.commands.daemon.running import Json, client_of_running
from noburn_cli.core.plurals import counted
from noburn_cli.core.service_keys import TIMEOUT_S_MAX
from noburn_cli.errors import NoburnError
from noburn_cli.render.moments import second_of

JSON_VERSION = 1
_LOOK_S = 0.1

app = typer.Typer(
    help="List the messages that go out, test a channel, try failed ones anew.",
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
)


@app.command("list")
def list_command(
    limit: Annotated[
        int,
        typer.Option(
            "--limit", "-n", min=1, max=1000, help="How many of the newest to show.", metavar="N"
        ),
    ] = 20,
    as_json: Json = False,
) -> None:
    """Show the channels, and the newest messages with what became of them."""
    with client_of_running() as client:
        found = client.request(protocol.NOTIFY_LIST, limit=limit)
    if as_json:
        _print_json({name: found[name] for name in ("channels", "counts", "messages")})
        return
    from noburn_cli.render.table import Column, fit_table, print_table, terminal_width

    if found["channels"]:
        print_table(("CHANNEL", "GOES TO"), [(c["name"], c["target"]) for c in found["channels"]])
        typer.echo("")
    if not found["messages"]:
        typer.echo("no messages")
        return
    cells = zip(*(_row(message) for message in found["messages"]), strict=True)
    columns = [
        Column(header, shown, align, give_up)
        for (header, align, give_up), shown in zip(_HEADERS, cells, strict=True)
    ]
    typer.echo("\n".join(fit_table(columns, width=terminal_width())))


@app.command("test")
def try_command(
    channel: Annotated[
        str, typer.Argument(help="The channel, as in [notify.CHANNEL].", metavar="CHANNEL")
    ],
    as_json: Json = False,
) -> None:
    """Send a message by a channel, and say whether it was taken; exit 1 when it was not."""
    with client_of_running() as client:
        key = client.request(protocol.NOTIFY_TEST, channel=channel)["key"]
        deadline = time.monotonic() + TIMEOUT_S_MAX + 10
        message = None
        while time.monotonic() < deadline:
            message = _found(client.request(protocol.NOTIFY_LIST, limit=1000)["messages"], key)
            if message is not None and message["attempts"]:
                break
            time.sleep(_LOOK_S)
    if message is None or not message["delivered_at_ms"]:
        raise NoburnError(
            f"the channel `{channel}` did not take the message {key}",
            why=(message or {}).get("failure") or "it was not delivered in time",
            next_step="mend the channel in your noburn.toml, `noburn daemon reload`, test again",
        )
    if as_json:
        _print_json({"channel": channel, "key": key, "delivered": True})
    else:
        typer.echo(f"delivered by `{channel}`: {key}")


@app.command("retry")
def retry_command(
    channels: Annotated[
        list[str] | None,
        typer.Argument(help="Only these channels; all when left out.", metavar="[CHANNEL…]"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Try what waits or was given up again, now."""
    with client_of_running() as client:
        count = client.request(protocol.NOTIFY_RETRY, channels=channels or [])["retried"]
    if as_json:
        _print_json({"retried": count})
    else:
        typer.echo(f"{counted(count, 'message')} tried again")


#: Headers, and in which order columns go where a terminal is too narrow.
_HEADERS = (
    ("MESSAGE", "l", 1), ("OF", "l", 2), ("TYPE", "l", None), ("CHANNEL", "l", None),
    ("ATTEMPTS", "r", 0), ("STATE", "l", None),
)  # fmt: skip


def _found(messages: list[dict[str, Any]], key: str) -> dict[str, Any] | None:
    return next((message for message in messages if message["key"] == key), None)


def _row(message: dict[str, Any]) -> tuple[str, ...]:
    return (
        message["key"],
        second_of(message["at_ms"]),
        message["kind"],
        message["channel"],
        str(message["attempts"]),
        _state(message),
    )


def _state(message: dict[str, Any]) -> str:
    if message["delivered_at_ms"]:
        return f"delivered {second_of(message['delivered_at_ms'])}"
    if message["given_up_at_ms"]:
        return f"given up: {message['failure']}"
    if message["failure"]:
        return f"again {second_of(message['next_at_ms'])}: {message['failure']}"
    return "waits"


def _print_json(data: object) -> None:
    from noburn_cli.render.jsonout import print_json

    print_json("daemon.notify", JSON_VERSION, data)
