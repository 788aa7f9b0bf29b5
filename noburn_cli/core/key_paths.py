"""Paths to values inside YAML and JSON: `system`, `prompts.*`, `messages[*].content`, `"a.b"[0]`.

Layer: core (pure).  Below: core.config_values (Wrong).  Above: core.gate_values,
noburn_cli.gating.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from noburn_cli.core.config_values import Wrong

#: A step: a key, a quoted key, `*` for every key, `[3]` or `[*]` for items of a list.
_STEP = re.compile(
    r'(?:\.|^)(?:(?P<key>[^.\[\]"*\s][^.\[\]"*]*)|"(?P<quoted>[^"]+)"|(?P<every>\*))'
    r"|\[(?P<item>\d{1,9}|\*)\]"
)
EVERY = "*"


def parse(path: str) -> tuple[str | int, ...]:
    """The steps of a path: keys, positions, EVERY.  Raises Wrong."""
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at)
        if match is None or (at == 0 and match.group(0).startswith(".")):
            raise Wrong(
                f"{path!r} is no path of keys at {path[at:]!r}",
                "write it like `system`, `prompts.*` or `messages[*].content`",
            )
        key = match["key"] or match["quoted"]
        if key is not None:
            steps.append(key)
        elif match["every"] or match["item"] == "*":
            steps.append(EVERY)
        else:
            steps.append(int(match["item"]))
        at = match.end()
    return tuple(steps)


def find(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of everything that a path means, in order; nothing where it leads nowhere."""
    yield from _find(value, parse(path), "")


def _find(value: Any, steps: tuple[str | int, ...], so_far: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield so_far, value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(value, dict):
        for key in value if step == EVERY else [step] if step in value else []:
            yield from _find(value[key], rest, f"{so_far}.{key}" if so_far else str(key))
    elif isinstance(value, list) and not (isinstance(step, str) and step != EVERY):
        places = range(len(value)) if step == EVERY else [step]
        for place in places:
            if isinstance(place, int) and place < len(value):
                yield from _find(value[place], rest, f"{so_far}[{place}]")
