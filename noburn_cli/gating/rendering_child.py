"""The process that templates are rendered in: held to memory and time, it reads no file itself.

Layer: I/O (standard input and output).  Below: gating.rendering, gating.templates.
Above: gating.rendering, which starts it.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from typing import Any

from noburn_cli.errors import InputRefused
from noburn_cli.gating.rendering import BYTES_MAX, SECONDS_MAX, send
from noburn_cli.gating.templates import render


class _Asked:
    """The tree, by asking who started us."""

    def __init__(self) -> None:
        self._last: tuple[str, bytes | None] = ("", None)

    def has(self, name: str) -> bool:
        send(sys.stdout.buffer, {"load": name})
        answer = json.loads(sys.stdin.buffer.readline())
        if "refused" in answer:
            message, why, next_step = answer["refused"]
            raise InputRefused(message, why=why, next_step=next_step)
        found = answer["bytes"]
        self._last = (name, None if found is None else found.encode("latin-1"))
        return found is not None

    def read(self, name: str) -> bytes:
        assert self._last[0] == name
        assert self._last[1] is not None
        return self._last[1]


def main() -> None:
    """Render until nobody asks any more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (BYTES_MAX, BYTES_MAX))
    for line in sys.stdin.buffer:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        seconds = int(used.ru_utime + used.ru_stime) + SECONDS_MAX
        with contextlib.suppress(ValueError, OSError):  # A smaller limit is set from outside.
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
        send(sys.stdout.buffer, _rendered(json.loads(line)))


def _rendered(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        text = render(
            _Asked(), asked["name"], asked["source"], asked["variables"], root=asked["root"]
        )
    except InputRefused as error:
        return {"refused": [error.message, error.why, error.next_step]}
    return {"text": text}


if __name__ == "__main__":
    main()
