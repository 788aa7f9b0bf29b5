"""What a run's processes kept of their answers, read when the run has ended.

Layer: I/O, our side.  Below: cassettes (an answer as it is kept), enforce.answers, which writes
these files.  Above: session.
Owns: that no key which the supervisor knows gets from here into a cassette.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from noburn_cli.enforce.answer_keys import without
from noburn_cli.enforce.answers import SUFFIX
from noburn_cli.recording.cassettes import Kept


def read_spool(folder: Path, secrets: Sequence[bytes] = ()) -> list[Kept]:
    """What a run's processes kept, in the order in which the answers ended.

    secrets: keys that may stand nowhere in it, whatever the processes knew of them.
    """
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            found.append(_without(secrets, _of_spool(json.loads(path.read_text("utf-8")))))
    return sorted(found, key=lambda one: (one.test, one.at_ns))


def _of_spool(values: Mapping[str, Any]) -> Kept:
    return Kept(
        test=str(values["test"]),
        method=str(values["method"]),
        url=str(values["url"]),
        headers=dict(values["headers"]),
        body=base64.b64decode(values["body"]),
        status=int(values["status"]),
        answer_headers=dict(values["answer_headers"]),
        answer=base64.b64decode(values["answer"]),
        at_ns=int(values["at_ns"]),
    )


def _without(secrets: Sequence[bytes], kept: Kept) -> Kept:
    def cleaned(text: str) -> str:
        return without(secrets, text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")

    return replace(
        kept,
        url=cleaned(kept.url),
        headers={name: cleaned(value) for name, value in kept.headers.items()},
        body=without(secrets, kept.body),
        answer_headers={name: cleaned(value) for name, value in kept.answer_headers.items()},
        answer=without(secrets, kept.answer),
    )
