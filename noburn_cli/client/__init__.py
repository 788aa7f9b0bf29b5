"""The daemon's client: what a guarded program and the commands say to it.

Layer: client; a guest: standard library only, Python 3.10, and cheap to import.
Below: protocol, paths, errors.  Above: enforce, commands.

    sync         Client: blocking, for threads     async_client  AsyncClient: one channel a loop
    pool         connections, taken and put back   channel       a loop's pipelined connection
    connection   one blocking connection           opening       connect, start, hello, replay
    retry        what is asked again, how long     starting      ensure_daemon
    requests     frames, refusals as errors        journal       endings not delivered yet
    forking      sockets a child must not keep     ids           new_call_id
    foreign      under another async library
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from noburn_cli.client.async_client import AsyncClient
    from noburn_cli.client.ids import new_call_id
    from noburn_cli.client.starting import ensure_daemon
    from noburn_cli.client.sync import Client

__all__ = ["AsyncClient", "Client", "ensure_daemon", "new_call_id"]

#: Loaded when asked for: a command that needs one connection imports neither client.
_MODULES = {
    "AsyncClient": "async_client",
    "Client": "sync",
    "ensure_daemon": "starting",
    "new_call_id": "ids",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found
