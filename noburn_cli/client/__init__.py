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

from noburn_cli.client.async_client import AsyncClient
from noburn_cli.client.ids import new_call_id
from noburn_cli.client.starting import ensure_daemon
from noburn_cli.client.sync import Client

__all__ = ["AsyncClient", "Client", "ensure_daemon", "new_call_id"]
