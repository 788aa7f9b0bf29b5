"""Encodings by name, built from the packed ranks that ship; each is loaded once and kept.

Layer: I/O, shared by the CLI and the daemon.  Below: core.tokens, resources.
Loading is the dearest thing that a cold start can do (benchmarks/results/tokens.md), so nothing
here happens before an encoding is asked for, and the daemon keeps what it has loaded.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

from noburn_cli import resources
from noburn_cli.core import tokens

if TYPE_CHECKING:
    from tiktoken import Encoding

#: The encodings that can be counted exactly.
NAMES = tuple(tokens.RECIPES)

_loaded: dict[str, Encoding] = {}
_loading = Lock()


def encoding(name: str) -> Encoding:
    """The encoding, loaded at its first use; safe from any thread, which then waits for the load.

    Raises KeyError for another name than NAMES, RanksDamaged or OSError for a broken installation.
    """
    found = _loaded.get(name)
    if found is not None:
        return found
    with _loading:
        if name not in _loaded:
            packed = resources.read_bytes(f"{name}.ranks.zlib")
            _loaded[name] = tokens.encoding_from_packed(name, packed)
        return _loaded[name]


def count(name: str, text: str) -> int:
    """Tokens of one text in the encoding `name`: see core.tokens.count."""
    return tokens.count(encoding(name), text)
