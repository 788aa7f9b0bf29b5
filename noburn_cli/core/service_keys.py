"""What a configuration says of the daemon: its own settings, and the channels it tells things by.

Layer: core (pure).  Below: core.config_values.  Above: core.configuration (which files), settings,
noburn_daemon.settings.
Owns: the keys of `[daemon]`, their variables, and `[notify.NAME]`.  Both hold in the user's own
file only: they are about the user's machine, whatever folder a command is run in.
Not here: how something is delivered (noburn_daemon.webhook, noburn_daemon.command).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from noburn_cli.core.config_values import Key, Wrong, nearest, one_of

DAEMON, NOTIFY = "daemon", "notify"
DURABILITIES = ("process", "power")
LOG_LEVELS = ("debug", "info", "warning", "error")
#: `idle_exit` of a daemon that stays.
NEVER = "never"
#: `metrics` on a socket in the home folder, which nobody else can read.
ON_SOCKET = "unix"
IDLE_EXIT_S_MAX = 366 * 86_400
#: How long one delivery may take.  Standard Webhooks 1.0.0 recommends 15 to 30 s for requests.
TIMEOUT_S = 20.0
TIMEOUT_S_MAX = 300
CHANNELS_MAX = 32

_CHANNEL_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}", re.ASCII)
CHANNEL_KEYS = ("url", "secret_env", "secret_file", "command", "timeout")


@dataclass(frozen=True)
class Channel:
    """Where a notification goes: a webhook (`url` and a secret) or a command.

    secret_env, secret_file: where the secret that signs is found; it stands in no configuration.
    """

    name: str
    url: str = ""
    secret_env: str = ""
    secret_file: str = ""
    command: tuple[str, ...] = ()
    timeout_s: float = TIMEOUT_S

    @property
    def target(self) -> str:
        """Where it goes, for the eye: a URL's path and query may hold a secret."""
        if self.command:
            return f"command {self.command[0]}"
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


def _idle_exit(value: Any) -> float | str:
    if value == NEVER:
        return NEVER
    return _seconds(value, IDLE_EXIT_S_MAX, f'write 600, or "{NEVER}"')


def _seconds(value: Any, most: int, hint: str) -> float:
    is_number = type(value) is int or (isinstance(value, Decimal) and value.is_finite())
    if not is_number or not 0 < value <= most:
        raise Wrong(f"{value!r} is no number of seconds above 0, at most {most}", hint)
    return float(value)


def _metrics(value: Any) -> str:
    """`HOST:PORT` on the loopback, or `unix`."""
    hint = f'write "127.0.0.1:9464", or "{ON_SOCKET}" for a socket in the home folder'
    if not isinstance(value, str):
        raise Wrong(f"{value!r} is no address", hint)
    if value == ON_SOCKET:
        return value
    try:
        metrics_address(value)
    except ValueError as error:
        raise Wrong(f"{value!r} is no address on the loopback: {error}", hint) from error
    return value


def metrics_address(text: str) -> tuple[str, int]:
    """The address in `127.0.0.1:9464` or `[::1]:9464`.  Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or not 0 < int(port) < 65_536:
        raise ValueError("its port is none from 1 to 65535")
    host = host.removeprefix("[").removesuffix("]")
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError("who asks is not known, so nobody beyond this machine may")
    return host, int(port)


def _channels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(
        isinstance(one, str) and _CHANNEL_NAME.fullmatch(one) for one in value
    ):
        raise Wrong(f"{value!r} is not a list of channels", 'write ["ops"], and [notify.ops]')
    return tuple(dict.fromkeys(value))


DAEMON_KEYS: Mapping[str, Key] = {
    "daemon.durability": Key(
        one_of(DURABILITIES), "process", "survive kill -9 (`process`), or power loss too (`power`)"
    ),
    "daemon.idle_exit": Key(_idle_exit, 600.0, "seconds without work after which it leaves"),
    "daemon.log_level": Key(one_of(LOG_LEVELS), "info", "the least that is logged"),
    "daemon.metrics": Key(_metrics, None, "where /metrics and /healthz are served"),
    "daemon.notify": Key(_channels, (), "channels that hear of the daemon's own troubles"),
}
DAEMON_VARIABLES: Mapping[str, str] = {
    "daemon.durability": "NOBURN_DURABILITY",
    "daemon.idle_exit": "NOBURN_IDLE_EXIT",
    "daemon.log_level": "NOBURN_LOG_LEVEL",
    "daemon.metrics": "NOBURN_METRICS",
}


def is_of_the_daemon(key: str) -> bool:
    """Whether a dotted key holds in the user's own file only."""
    return key.startswith((f"{DAEMON}.", f"{NOTIFY}."))


def read_channel(name: str, table: Any) -> Channel:
    """One `[notify.NAME]`.  Raises Wrong, whose reason begins with the key."""
    if not _CHANNEL_NAME.fullmatch(name):
        raise Wrong("a channel's name has lower-case letters, digits, `-` and `_`")
    if not isinstance(table, dict):
        raise Wrong("it is not a table", f"write [notify.{name}]")
    for key in table:
        if key not in CHANNEL_KEYS:
            known = f"known here: {', '.join(CHANNEL_KEYS)}"
            raise Wrong(f"`{key}`: there is no such key", nearest(key, CHANNEL_KEYS) or known)
    if ("url" in table) == ("command" in table):
        raise Wrong("it has neither `url` nor `command`, or both", 'write url = "https://…"')
    timeout_s = TIMEOUT_S
    if "timeout" in table:
        timeout_s = _seconds(table["timeout"], TIMEOUT_S_MAX, "write 20")
    if "command" in table:
        return Channel(name, command=_command(table), timeout_s=timeout_s)
    _check_url(table["url"])
    secret_env, secret_file = _secret(table)
    return Channel(
        name,
        url=table["url"],
        secret_env=secret_env,
        secret_file=secret_file,
        timeout_s=timeout_s,
    )


def _command(table: Mapping[str, Any]) -> tuple[str, ...]:
    words = table["command"]
    good = isinstance(words, list) and words and all(isinstance(w, str) and w for w in words)
    if not good or any("\0" in word for word in words):
        raise Wrong(f"`command`: {words!r} is no list of words", 'write ["/usr/bin/tool", "arg"]')
    if not words[0].startswith(("/", "~/")):
        # The daemon's PATH and folder are not those of the shell in which this is read.
        raise Wrong(f"`command`: {words[0]!r} is no whole path", 'write ["/usr/bin/tool"]')
    if "secret_env" in table or "secret_file" in table:
        raise Wrong("a command is not signed: it needs no secret")
    return tuple(words)


def _check_url(url: Any) -> None:
    """https, or http on this machine; without a password, which logs and lists would show."""
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise Wrong(f"`url`: {url!r} is no address: {error}") from error
    if not host or not url.isprintable() or not url.isascii() or " " in url:
        raise Wrong(f"`url`: {url!r} is no address", 'write "https://host/path"')
    if parts.username is not None or parts.fragment:
        raise Wrong("`url`: it has a user or a fragment", "take it out: the body is signed")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_local(host)):
        return
    raise Wrong(
        f"`url`: {parts.scheme or 'no scheme'} to {host} can be read on the way",
        "write https; http goes to this machine only",
    )


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _secret(table: Mapping[str, Any]) -> tuple[str, str]:
    """Where the secret is found: the variable's name, or the file's path; the other is empty."""
    found = [key for key in ("secret_env", "secret_file") if key in table]
    if len(found) != 1:
        raise Wrong(
            "a webhook is signed: it has one of `secret_env` and `secret_file`",
            'write secret_file = "~/.config/noburn/ops.secret"',
        )
    value = table[found[0]]
    if found[0] == "secret_env":
        if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
            raise Wrong(f"`secret_env`: {value!r} is no variable's name")
        return value, ""
    if not isinstance(value, str) or not value.startswith(("/", "~/")) or "\0" in value:
        raise Wrong(f"`secret_file`: {value!r} is no whole path", 'write "~/…" or "/…"')
    return "", value
