"""Which recorded answer belongs to which request, and what of a request may be kept at all.

Layer: enforce, injected (standard library, Python 3.10), pure.  Below: providers.credentials.
Above: answers, guard; noburn_cli.recording, which finds the same key in a cassette's request.
Owns: what two requests have to share to be the same, and the lists of headers that are kept.

A request is the same by its method, its server, its path and query, and its body, as the program
wrote it: before a cap was lowered, a model changed, or a key put in.  Credentials are no part of
it, and no part of what is kept: headers are kept by a list of those that may be, not the others.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from noburn_cli.providers import credentials

#: Headers of a request that say what is asked, by lower-case name.
REQUEST_HEADERS = frozenset(
    {"accept", "anthropic-beta", "anthropic-version", "content-type", "openai-beta"}
)
#: Headers of an answer that a program or its SDK reads.
RESPONSE_HEADERS = frozenset(
    {"content-encoding", "content-type", "request-id", "retry-after", "retry-after-ms"}
    | {"x-request-id", "x-should-retry"}
)
#: Names in a query whose values are keys; `key` is Google's, the others are gateways'.
_SECRET_QUERY = frozenset(
    {"key", "api-key", "api_key", "access_token", "token", "sig", "signature"}
)
REDACTED = "REDACTED"
#: A shorter word is no key, and might stand anywhere.
_KEY_CHARS_MIN = 8
_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)


def request_key(method: str, url: str, body: bytes, content_type: str) -> str:
    """What two requests share that are answered alike."""
    parts = urlsplit(plain_url(url))
    query = urlencode(sorted(parse_qsl(parts.query, keep_blank_values=True)))
    place = urlunsplit((parts.scheme, parts.netloc.lower(), parts.path, query, ""))
    digest = hashlib.sha256(f"{method.upper()} {place}\n".encode("utf-8", "surrogateescape"))
    digest.update(_plain_body(body, content_type))
    return digest.hexdigest()[:32]


def plain_url(url: str) -> str:
    """A URL without credentials: neither a user in it, nor keys in its query."""
    parts = urlsplit(url)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name.lower() not in _SECRET_QUERY]
    query = parts.query if len(kept) == len(pairs) else urlencode(kept)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, query, ""))


def _plain_body(body: bytes, content_type: str) -> bytes:
    """A body in the form in which it is compared: JSON in one order, parts with one boundary."""
    boundary = _BOUNDARY.search(content_type)
    if boundary is not None:
        return body.replace(boundary[1].encode("latin-1", "replace"), b"boundary")
    try:
        return json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return body


def secrets_of(headers: Mapping[str, str], url: str, exchange: Iterable[str]) -> tuple[bytes, ...]:
    """Every key that a request carries or is sent with.

    headers: found by lower-case names.  exchange: the virtual key and the real one, if there are.
    """
    found = [headers.get(name, "").rpartition(" ")[2] for name in credentials.HEADERS]
    query = parse_qsl(urlsplit(url).query)
    found += [value for name, value in query if name.lower() in _SECRET_QUERY]
    return long_ones((*found, *exchange))


def long_ones(words: Iterable[str]) -> tuple[bytes, ...]:
    """Those that can be keys, the longest first: one may be the beginning of another."""
    long = {one.encode("utf-8", "replace") for one in words if len(one) >= _KEY_CHARS_MIN}
    return tuple(sorted(long, key=len, reverse=True))


def without(secrets: Iterable[bytes], data: bytes) -> bytes:
    """Bytes in which no key stands: providers repeat a wrong one in their errors."""
    for secret in secrets:
        data = data.replace(secret, REDACTED.encode())
    return data
