"""In which step of the program a call is made: a path of chain steps, graph nodes and tools.

Layer: enforce, injected (standard library, Python 3.10).  Below: core.budgets.  Above: context,
which asks for the step of each call; noburn_cli.langchain, which tells where its framework is.
A path comes from three places: the environment (a child's parent's step), blocks of
`attribute(step=…)`, and a framework's own callbacks; the outer ones stand first.
Owns: what a step may be called, and that a process has a bounded number of paths: each one is a
context of its own in the ledger, where it stays.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable

from noburn_cli.core.budgets import EACH, STEP_DEPTH_MAX, VALUE_CHARS_MAX

Path = tuple[str, ...]

#: Paths of frameworks that one process may have; more are counted to the nearest step above.
PATHS_MAX = 1000
NAME_CHARS_MAX = 64
_CUT = "…"
_OTHER: Path = ("(other)",)
#: What makes a name another one at each call: ids and numbers.
_IDS = re.compile(
    r"[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}|(?=[a-f]*\d)[0-9a-f]{8,}|\d{4,}", re.IGNORECASE
)
_UNFIT = re.compile(r"[/\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_sources: list[Callable[[], Path]] = []
_known: set[Path] = set()


def add_source(source: Callable[[], Path]) -> None:
    """Ask `source` for the path of steps that its framework is in, at every call; () for none."""
    if source not in _sources:
        _sources.append(source)


def here() -> Path:
    """The path that the frameworks say; attribution must not end a call, so a failure is none."""
    for source in _sources:
        with contextlib.suppress(Exception):  # Somebody else's internals, changed.
            if path := source():
                return _bounded(path)
    return ()


def clean_name(name: str) -> str:
    """A framework's name for a step, fit for a path: one line, no slash, no ids."""
    plain = _UNFIT.sub("_", _IDS.sub("#", name)).strip()
    short = plain if len(plain) <= NAME_CHARS_MAX else plain[: NAME_CHARS_MAX - 1] + _CUT
    return "_" if short in ("", EACH, "each") else short


def compose(outer: str, blocks: Iterable[tuple[Path, str]], now: Path) -> str:
    """The whole path of a call.

    outer: the environment's path.  blocks: of each `attribute(step=…)` around the call, outermost
    first, the framework's path where it began and its own.  now: the framework's path at the call.
    What a framework says twice, because a block began in the middle, counts once.
    """
    path = [part for part in outer.split("/") if part]
    said: Path = ()
    for framework, own in blocks:
        path += _beyond(said, framework)
        path += own.split("/")
        said = framework
    path += _beyond(said, now)
    return shorten(path)


def shorten(path: list[str]) -> str:
    """The path as one text within the ledger's limits: one that is too long loses its middle."""
    for length in range(STEP_DEPTH_MAX, 2, -1):
        kept = path
        if len(path) > length:
            head = length // 2
            kept = [*path[:head], _CUT, *path[len(path) - (length - head - 1) :]]
        text = "/".join(kept)
        if len(text) <= VALUE_CHARS_MAX:
            return text
    return path[-1][:VALUE_CHARS_MAX]


def _beyond(said: Path, now: Path) -> Path:
    return now[len(said) :] if now[: len(said)] == said else now


def _bounded(path: Path) -> Path:
    """The path, or the nearest above it that is known, once there are PATHS_MAX."""
    if path in _known:
        return path
    if len(_known) < PATHS_MAX:
        _known.add(path)
        return path
    above = path[:-1]
    while above and above not in _known:
        above = above[:-1]
    return above or _OTHER
