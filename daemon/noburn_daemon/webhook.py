"""One message by one webhook: signed as Standard Webhooks 1.0.0 says, posted once.

Layer: daemon, I/O, in a thread of its own.  Below: notices, core.service_keys.  Above: delivering.
Owns: the signature, and what an answer means.  Redirects are not followed, certificates are
checked, nothing is read beyond a limit, and all of it takes no longer than the channel's timeout.
Not here: when to try again (notices, delivering).

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, read
2026-11-27: webhook-id, webhook-timestamp (of the attempt) and webhook-signature, which is
`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`; several, separated by spaces, while a
secret is replaced; the secret is `whsec_` and base64 of 24 to 64 bytes.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import http.client
import os
import socket
import ssl
import stat
import threading
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from noburn_cli.core.service_keys import Channel
from noburn_cli.version import __version__
from noburn_daemon.notices import RETRY_AFTER_MS_MAX, Outcome, shown_failure

_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
_SECRETS_MAX = 2
_FILE_BYTES_MAX = 4096
_ANSWER_BYTES_MAX = 64 * 1024
_GONE = 410


class SecretUnusable(Exception):
    """Why a channel's secret cannot sign anything; says nothing of what is in it."""


def secrets_of(channel: Channel, environment: Mapping[str, str]) -> list[bytes]:
    """The secrets that sign a channel's messages: one, or two while the first replaces the second.

    Raises SecretUnusable.
    """
    if channel.secret_env:
        text = environment.get(channel.secret_env, "")
        if not text:
            raise SecretUnusable(
                f"{channel.secret_env} is not set where the daemon was started; use secret_file"
            )
    else:
        text = _read(Path(channel.secret_file).expanduser())
    words = text.split()
    if not 1 <= len(words) <= _SECRETS_MAX:
        raise SecretUnusable(f"there are {len(words)} secrets; one is needed, two while it changes")
    return [_secret(word) for word in words]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise SecretUnusable(f"others may read {path}: chmod 600 {path}")
            return file.read(_FILE_BYTES_MAX).decode("ascii", "replace")
    except OSError as error:
        raise SecretUnusable(f"{path}: {error.strerror or error}") from error


def _secret(word: str) -> bytes:
    with contextlib.suppress(binascii.Error, ValueError):
        if word.startswith(_PREFIX):
            text = word.removeprefix(_PREFIX)
            found = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
            if len(found) in _SECRET_BYTES:
                return found
    raise SecretUnusable("the secret is not `whsec_` and the base64 of 24 to 64 bytes")


def signature(secrets: list[bytes], key: str, timestamp: int, body: bytes) -> str:
    """The header `webhook-signature` of a message, sent at that time (seconds since the epoch)."""
    signed = f"{key}.{timestamp}.".encode() + body
    return " ".join(
        f"v1,{base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()}"
        for secret in secrets
    )


def post(channel: Channel, key: str, body: bytes, environment: Mapping[str, str]) -> Outcome:
    """Send one message once, and say what came of it; raises nothing."""
    try:
        secrets = secrets_of(channel, environment)
        timestamp = int(time.time())  # the receiver's clock is to agree, not the ledger's
        headers = {
            "content-type": "application/json",
            "user-agent": f"noburn/{__version__}",
            "webhook-id": key,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secrets, key, timestamp, body),
        }
        return _exchange(channel, body, headers)
    except SecretUnusable as error:
        return Outcome(f"cannot be signed: {error}")
    except (OSError, http.client.HTTPException, ValueError) as error:
        said = shown_failure(str(error)) or type(error).__name__
        return Outcome(f"no answer: {said}")


def _exchange(channel: Channel, body: bytes, headers: dict[str, str]) -> Outcome:
    """Post and read the answer.  Raises OSError, HTTPException, ValueError."""
    parts = urlsplit(channel.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts.scheme, str(parts.hostname), parts.port, channel.timeout_s)
    late = threading.Event()
    # A socket's timeout is one of each read; this is one of the whole.
    timer = threading.Timer(channel.timeout_s, _break_off, (connection, late))
    timer.daemon = True
    timer.start()
    try:
        connection.request("POST", target, body, headers)
        answer = connection.getresponse()
        answer.read(_ANSWER_BYTES_MAX)
        return outcome_of(answer.status, answer.headers.get("retry-after"), now_s=time.time())
    except (OSError, http.client.HTTPException, ValueError) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            raise TimeoutError(f"not within {channel.timeout_s:g} s") from error
        raise
    finally:
        timer.cancel()
        connection.close()


def _connection(
    scheme: str, host: str, port: int | None, timeout_s: float
) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=_tls())
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


@cache
def _tls() -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE; some 20 ms to read."""
    return ssl.create_default_context()


def _break_off(connection: http.client.HTTPConnection, late: threading.Event) -> None:
    late.set()
    with contextlib.suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def outcome_of(status: int, retry_after: str | None, *, now_s: float) -> Outcome:
    """What a receiver's answer means: any 2xx is a delivery, and nothing else is."""
    if 200 <= status < 300:
        return Outcome()
    if status == _GONE:
        return Outcome("it answered 410: the receiver wants no more of this", gone=True)
    said = f"it answered {status}"
    if 300 <= status < 400:
        said += "; redirects are not followed: set the url that it leads to"
    return Outcome(said, retry_after_ms=_retry_after_ms(retry_after, now_s))


def _retry_after_ms(text: str | None, now_s: float) -> int:
    """RFC 9110 section 10.2.3: seconds, or a date; 0 for anything else."""
    if text is None:
        return 0
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        if text.strip().isdigit():
            wanted_s = float(text)
        else:
            wanted_s = parsedate_to_datetime(text).timestamp() - now_s
        return max(0, min(int(wanted_s * 1000), RETRY_AFTER_MS_MAX))
    return 0
