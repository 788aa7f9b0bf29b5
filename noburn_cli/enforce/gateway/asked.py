"""What a request to the gateway says besides its content: for whom it is, and in whose name.

Layer: enforce, our own side, pure.  Below: attribution.  Above: server.
Owns: which headers are not forwarded: ours, and those for one hop only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from noburn_cli.enforce import attribution

#: RFC 9110 §7.6.1: for one connection only.  `expect` was answered here, `host` is the target's.
_HOP_BY_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-connection", "proxy-authenticate", "te", "trailer"),
        *("proxy-authorization", "transfer-encoding", "upgrade", "expect", "host"),
    )
)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def is_local(host: str) -> bool:
    """Whether a Host header names this machine: a name that a page made point here does not."""
    try:
        return urlsplit(f"//{host}").hostname in _LOOPBACK
    except ValueError:
        return False


def run_of(headers: Mapping[str, str], *, run: str) -> dict[str, str]:
    """The run that a request names for itself, below the gateway's own; nothing for any other.

    headers: by lower-case name.  What else they say is the guard's to read (enforce.attribution).
    """
    try:
        named = json.loads(headers.get(attribution.ALL, "{}"))["run"]
    except (ValueError, RecursionError, KeyError, TypeError):
        return {}
    below = isinstance(named, str) and run and named.startswith(run + "/")
    return {"run": named} if below else {}


def forwarded(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers that go on: neither ours nor for this connection only."""
    listed = list(headers)
    named = {
        one.strip().lower()
        for name, value in listed
        if name.lower() == "connection"
        for one in value.split(",")
    }
    return [
        (name, value)
        for name, value in listed
        if (lower := name.lower()) not in _HOP_BY_HOP
        and lower not in named
        and not attribution.is_ours(lower)
    ]
