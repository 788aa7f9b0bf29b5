"""What a guarded request's headers become on the wire, the same for every stack.

Layer: enforce, injected (standard library, Python 3.10), pure.  Below: attribution,
providers.credentials.  Above: the hooks, each of which edits a copy: the program keeps the request
that it made.
"""

from __future__ import annotations

from collections.abc import Sequence

from noburn_cli.enforce import attribution
from noburn_cli.providers import credentials

Headers = list[tuple[str, str]]


def readable(headers: Sequence[tuple[str, str]]) -> Headers:
    """Ask for an answer that need not be unpacked."""
    kept = [(name, value) for name, value in headers if name.lower() != "accept-encoding"]
    return [*kept, ("Accept-Encoding", "identity")]


def exchanged(
    headers: Sequence[tuple[str, str]], url: str, exchange: tuple[str, str] | None
) -> tuple[Headers, str]:
    """Headers and URL (or target) with the real key in the place of the virtual one.

    The headers that say whom a call is for end here.
    """
    headers = [pair for pair in headers if not attribution.is_ours(pair[0])]
    if exchange is None:
        return headers, url
    changed: Headers = []
    for name, value in headers:
        one, url = credentials.swapped({name: value}, url, *exchange)
        changed.extend(one.items())
    return changed, url
