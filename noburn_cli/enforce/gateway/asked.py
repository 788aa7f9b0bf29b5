"""What a request to the gateway says besides its content: for whom it is, and in whose name.

Layer: enforce, our own side, pure.  Below: providers.credentials, core.budgets.  Above: server.
Owns: which headers are ours (and never forwarded), and which are for one hop only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from noburn_cli.core.budgets import check_attributes
from noburn_cli.errors import UsageError

#: Ours: read here, never forwarded.
OURS = "x-noburn-"
ATTRIBUTES_HEADER = "x-noburn-attributes"
_NAMED = ("project", "customer", "feature", "user", "job")
_TAG = "x-noburn-tag-"
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


def attributes_of(headers: Mapping[str, str], *, run: str) -> dict[str, str]:
    """The attributes that a request names for itself.

    headers: by lower-case name.  run: the gateway's own; a request may name one below it.
    Raises UsageError for what cannot be an attribute.
    """
    found: dict[str, str] = {}
    text = headers.get(ATTRIBUTES_HEADER)
    if text:
        found.update(_object(text))
    for name in _NAMED:
        value = headers.get(OURS + name)
        if value:
            found[name] = value
    for name, value in headers.items():
        if name.startswith(_TAG) and value:
            found[f"tag.{name.removeprefix(_TAG)}"] = value
    named_run = found.pop("run", "")
    checked = check_attributes(found) if found else {}
    if run and named_run.startswith(run + "/"):
        checked["run"] = named_run
    return checked


def _object(text: str) -> dict[str, str]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict) or not all(isinstance(one, str) for one in values.values()):
        raise UsageError(
            f"{ATTRIBUTES_HEADER} cannot be read",
            why="it is to be a JSON object of names and texts",
            next_step="""write it like {"customer": "acme"}""",
        )
    return values


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
        and not lower.startswith(OURS)
    ]
