"""Answers of providers that are kept while a run is recorded, and played when it is repeated.

Layer: enforce, injected (standard library, Python 3.10).  Below: answer_keys, bodies, test_names.
Above: guard, which decides; outcome, whose tracker sees every byte; drivers, which carry out.
Owns: NOBURN_ANSWERS, and the form of the files between the processes of a run and its supervisor.
Not here: cassettes (noburn_cli.recording.cassettes turns these files into them and back).

Kept and played where the guard stands, so that every HTTP stack and the gateway are the same, a
signed request too; and the guard sees, prices and books a played answer as it would a new one.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import itertools
import json
import os
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from noburn_cli.enforce import answer_keys
from noburn_cli.enforce.bodies import PLAIN, READABLE, Unpacker
from noburn_cli.enforce.test_names import is_one_test
from noburn_cli.enforce.variables import OfVariables

VARIABLE = "NOBURN_ANSWERS"
KEEP, PLAY = "keep", "play"
SUFFIX = ".json"
_CLAIMED = ".played"

#: Of answers that this process has kept; with its pid a name that nobody else has.
_numbers = itertools.count()
#: What is played to lines that are no test: from the start in each process.
_positions: dict[str, int] = {}


@dataclass(frozen=True)
class Answer:
    """One answer of the provider's, unpacked."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Tape:
    """Runs along with one answer, and knows the request that it is to."""

    def __init__(
        self, *, test: str, method: str, url: str, headers: Mapping[str, str], body: bytes,
        exchange: Sequence[str],
    ) -> None:  # fmt: skip
        self._secrets = answer_keys.secrets_of(headers, url, exchange)
        self._request = {
            "test": test,
            "method": method,
            "url": answer_keys.plain_url(url),
            "headers": _kept(headers, answer_keys.REQUEST_HEADERS),
            "body": body,
        }
        self._status: int | None = None
        self._headers: dict[str, str] = {}
        self._chunks: list[bytes] = []

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """headers: by lower-case name."""
        self._status = status
        self._headers = _kept(headers, answer_keys.RESPONSE_HEADERS)

    def receive(self, chunk: bytes) -> None:
        self._chunks.append(chunk)

    def text(self) -> str | None:
        """What is kept, as JSON.

        None for a request that was never answered, and for an answer that cannot be unpacked: what
        it repeats of a key could not be found in it.
        """
        answer = self._plain_answer()
        if self._status is None or answer is None:
            return None
        request = self._request["body"]
        assert isinstance(request, bytes), "made above"
        return json.dumps(
            {
                **self._request,
                "body": _text_of(answer_keys.without(self._secrets, request)),
                "at_ns": time.time_ns(),
                "status": self._status,
                "answer_headers": self._headers,
                "answer": _text_of(answer_keys.without(self._secrets, answer)),
            }
        )

    def _plain_answer(self) -> bytes | None:
        """The answer unpacked, its header taken away; as far as it came.  None: no way to do so."""
        packed = b"".join(self._chunks)
        encoding = self._headers.pop("content-encoding", "").strip().lower()
        if encoding in PLAIN:
            return packed
        if encoding not in READABLE:
            return None
        try:
            return Unpacker(encoding).receive(packed)
        except zlib.error:
            return None


def _read() -> tuple[str, str] | None:
    mode, mark, folder = (os.environ.get(VARIABLE) or "").partition(":")
    return (mode, folder) if mark and mode in (KEEP, PLAY) else None


_mode = OfVariables((VARIABLE,), _read)


def keeps() -> bool:
    """Whether answers are to be kept."""
    mode = _mode()
    return mode is not None and mode[0] == KEEP


def plays() -> bool:
    """Whether nothing may be sent, and kept answers are given."""
    mode = _mode()
    return mode is not None and mode[0] == PLAY


def keep(tape: Tape) -> None:
    """Leave an answer for the supervisor; one that cannot be written is missing when played."""
    mode, text = _mode(), tape.text()
    if mode is None or text is None:
        return
    path = Path(mode[1], f"{os.getpid()}-{next(_numbers)}{SUFFIX}")
    with contextlib.suppress(OSError):
        part = path.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(path)


def find(test: str, key: str) -> Answer | None:
    """The next kept answer to a request, which nobody is given again.

    What is no test (a fixture that each worker sets up) is played from its start in each process.
    """
    mode = _mode()
    if mode is None:
        return None
    folder = Path(mode[1], place_of(test), key)
    if not is_one_test(test):
        return _next_here(folder)
    for number in itertools.count():
        path = folder / f"{number}{SUFFIX}"
        try:
            os.close(os.open(path.with_suffix(_CLAIMED), os.O_CREAT | os.O_EXCL, 0o600))
            return parse_answer(path.read_text("utf-8"))
        except FileExistsError:
            continue
        except OSError:
            return None  # There is no such answer, or none any more.
    return None


def _next_here(folder: Path) -> Answer | None:
    place = str(folder)
    number = _positions.get(place, 0)
    for candidate in (number, number - 1):
        with contextlib.suppress(OSError):
            found = parse_answer((folder / f"{candidate}{SUFFIX}").read_text("utf-8"))
            _positions[place] = candidate + 1
            return found
    return None


def place_of(test: str) -> str:
    """The folder of a test's answers; a name can have any character."""
    return hashlib.sha256(test.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def parse_answer(text: str) -> Answer:
    """The answer in a file of the supervisor's; see recording.cassettes."""
    values = json.loads(text)
    headers = tuple((str(name), str(value)) for name, value in values["headers"])
    return Answer(int(values["status"]), headers, base64.b64decode(values["body"]))


def _kept(headers: Mapping[str, str], names: frozenset[str]) -> dict[str, str]:
    return {name: value for name in sorted(names) if (value := headers.get(name))}


def _text_of(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
