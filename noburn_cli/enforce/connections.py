"""Connections to providers that passed no guard: noticed, told once, never hindered.

Layer: enforce, injected (standard library, Python 3.10).  Above: the injected bootstrap.
Below: layers; providers.hosts, drivers, loaded with the first connection that may matter.

`socket.getaddrinfo` says which addresses are a provider's, and `socket.connect` who goes there; an
audit hook would cost every event of the process, and cannot be taken away.  Hooked stacks mark what
they send, or are found among the callers.  What resolves and connects in C (libcurl, gRPC, uvloop)
is not seen here; without the guard none of them has a key that a provider takes.
"""

from __future__ import annotations

import functools
import os
import sys

TYPE_CHECKING = False  # `typing` would cost every start some milliseconds.
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_OURS = "_noburn_guard"
#: In the names of the hosts that may be a provider's; providers.hosts decides.
_PROVIDERS = (
    *("openai", "anthropic", "googleapis", "mistral", "groq", "cohere", "amazonaws", "azure"),
    *("openrouter", "deepseek", "together", "fireworks", "x.ai", "perplexity", "cerebras"),
)
#: Top-level modules that are guarded, or that guard: their connections are their own.
_HOOKED = frozenset(
    ("noburn_cli", "http", "urllib3", "botocore", "httpcore", "httpcore2", "httpx", "httpx2")
)
#: By address and port: the provider's host that it was resolved from.
_addresses: dict[tuple[str, int], str] = {}
_told: set[str] = set()


def hook_socket(module: ModuleType, **_: object) -> None:
    """Watch a loaded `socket`; again is harmless."""
    socket_class: Any = module.socket
    if hasattr(module.getaddrinfo, _OURS):
        return
    setattr(module, "getaddrinfo", _watched_lookup(module.getaddrinfo))  # noqa: B010
    for name in ("connect", "connect_ex"):
        setattr(socket_class, name, _watched_connect(getattr(socket_class, name)))


def _watched_lookup(original: Any) -> Any:
    @functools.wraps(original)
    def getaddrinfo(host: Any, *arguments: Any, **more: Any) -> Any:
        found = original(host, *arguments, **more)
        if isinstance(host, str) and _may_be_a_provider(host):
            _note_addresses(host, found)
        return found

    setattr(getaddrinfo, _OURS, True)
    return getaddrinfo


def _watched_connect(original: Any) -> Any:
    @functools.wraps(original)
    def connect(sock: Any, address: Any) -> Any:
        if _addresses and type(address) is tuple:
            host = _addresses.get(address[:2])
            if host is not None and host not in _told and not _is_hooked():
                _tell(host)
        return original(sock, address)

    return connect


def _may_be_a_provider(host: str) -> bool:
    if any(name in host for name in _PROVIDERS):
        return True
    # A configured endpoint, whatever it is called.
    return host in os.environ.get("NOBURN_POLICY", "")


def _note_addresses(host: str, found: Any) -> None:
    try:
        if not _is_provider(host):
            return
        for *_, address in found:
            _addresses[address[0], address[1]] = host
    except Exception:  # noqa: BLE001 - only a remark is at stake
        return


def _is_provider(host: str) -> bool:
    from urllib.parse import urlsplit

    from noburn_cli.enforce.policy import policy
    from noburn_cli.providers.hosts import known_upstreams, refused_host

    name = host.rstrip(".").lower()
    if known_upstreams(name) or refused_host(name):
        return True
    return any(urlsplit(one.base_url).hostname == name for one in policy().endpoints)


def _is_hooked() -> bool:
    """Whether a hooked stack is what connects right here."""
    seen: Any = sys.modules.get("noburn_cli.enforce.seen")
    if seen is not None and seen.is_seen():
        return True
    frame: Any = sys._getframe(2)
    while frame is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] in _HOOKED:
            return True
        frame = frame.f_back
    return False


def _tell(host: str) -> None:
    _told.add(host)
    from noburn_cli.enforce import background

    background.start(_note, host)


def _note(host: str) -> None:
    run = os.environ.get("NOBURN_RUN")
    if not run:
        return
    from noburn_cli import protocol
    from noburn_cli.enforce.drivers import sync_client

    try:
        detail = {"host": host, "pid": os.getpid()}
        sync_client().request(protocol.RUN_NOTE, run=run, kind="connection", detail=detail)
    except Exception:  # noqa: BLE001 - the connection is the program's, told or not
        return
