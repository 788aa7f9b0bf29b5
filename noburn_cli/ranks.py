"""Encodings by name, built from ranks that are on this machine; each is loaded once and kept.

Layer: I/O, shared by the CLI and the daemon.  Below: core.tokens, core.token_recipes, core.seams,
resources.
Loading is the dearest thing that a cold start can do (benchmarks/results/tokens.md), so nothing
here happens before an encoding is asked for, and the daemon keeps what it has loaded.
Ranks ship with noburn, or lie in a package of the extra `tokenizers`; nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from noburn_cli import resources
from noburn_cli.core import tokens
from noburn_cli.core.bounds import utf8_bytes
from noburn_cli.core.claude_bound import tokens_max
from noburn_cli.core.seams import seam_tokens
from noburn_cli.core.token_recipes import RECIPES, SAME_RANKS, Recipe

if TYPE_CHECKING:
    from tiktoken import Encoding

#: The encodings whose ranks ship with noburn.
NAMES = tuple(name for name, recipe in RECIPES.items() if not recipe.package)
#: The extra that brings the other ones.
EXTRA = "noburn-cli[tokenizers]"

_loaded: dict[str, Encoding] = {}
_loading = Lock()


@cache
def can_count(name: str) -> bool:
    """Whether texts can be counted exactly in the encoding `name` on this machine.

    A package whose file is not the one that noburn knows counts nothing: a vocabulary that changed
    would give wrong numbers with the word "exact" beside them.
    """
    recipe = RECIPES.get(SAME_RANKS.get(name, name))
    if recipe is None or not recipe.package:
        return recipe is not None
    try:
        raw = _path_in_package(recipe).read_bytes()
    except OSError:
        return False
    return tokens.is_known(name, raw)


def is_missing(name: str) -> bool:
    """Whether the extra would make `name` countable."""
    return name in RECIPES and not can_count(name)


def encoding(name: str) -> Encoding:
    """The encoding, loaded at its first use; safe from any thread, which then waits for the load.

    Raises KeyError for a name without a recipe, RanksDamaged or OSError for a broken installation.
    """
    name = SAME_RANKS.get(name, name)
    found = _loaded.get(name)
    if found is not None:
        return found
    recipe = RECIPES[name]
    with _loading:
        if name not in _loaded:
            raw = (
                _path_in_package(recipe).read_bytes()
                if recipe.package
                else resources.read_bytes(recipe.file)
            )
            _loaded[name] = tokens.encoding_from_file(name, raw)
        return _loaded[name]


def count(name: str, text: str) -> int:
    """Tokens of one text in the encoding `name`: see core.tokens.count."""
    recipe = RECIPES[SAME_RANKS.get(name, name)]
    return tokens.count(encoding(name), text, composes=recipe.composes)


def seams(name: str, texts: Sequence[str]) -> int:
    """The most tokens that joining neighbours among `texts` adds to their own counts."""
    composes = RECIPES[SAME_RANKS.get(name, name)].composes
    return seam_tokens(
        texts,
        count=lambda text: count(name, text),
        most=tokens_max if composes else utf8_bytes,  # see core.bounds, `expanded`
    )


def _path_in_package(recipe: Recipe) -> Path:
    """Where a package keeps the recipe's file; the package is found, never imported.

    Raises FileNotFoundError when it is not installed.
    """
    from importlib.util import find_spec

    spec = find_spec(recipe.package)
    folders = [] if spec is None else spec.submodule_search_locations or []
    for folder in folders:
        return Path(folder, recipe.file)
    raise FileNotFoundError(recipe.package)
