"""What budgets that let calls go have to say, told to whoever runs the program.

Layer: enforce, injected (standard library, Python 3.10).  Above: drivers.
Below `noburn run` its supervisor says it (enforce.watch), once for all processes; a program without
one says it here, once for each process and sentence, in the log `noburn`, which is stderr where
nobody set up another.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

_SAID_MAX = 1024
_said: set[str] = set()


def tell(warnings: Iterable[str]) -> None:
    """Say each sentence, unless it was said, or somebody else says it."""
    for sentence in warnings:
        if sentence in _said or os.environ.get("NOBURN_RUN"):
            continue
        if len(_said) >= _SAID_MAX:
            _said.clear()
        _said.add(sentence)
        import logging  # A program that hears no warning need not load it.

        logging.getLogger("noburn").warning("noburn: %s", sentence)
