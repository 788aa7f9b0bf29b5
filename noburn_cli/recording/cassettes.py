"""Recorded answers as vcrpy's cassettes, and as the files that a run's processes play.

Layer: I/O, our side.  Below: enforce.answers and answer_keys (the other side of these files),
places.  Above: session.
Owns: how answers lie in a project: a cassette for each file of tests.

The cassettes are vcrpy's own, written and read by it, so that its tools and people know them; what
is kept and played is decided where the guard stands (enforce.answers), which no library's patches
reach.  vcrpy (MIT, https://github.com/kevin1024/vcrpy) 9.4.2, checked 2026-11-27.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from noburn_cli.core.recorded_runs import file_of
from noburn_cli.enforce.answer_keys import request_key
from noburn_cli.enforce.answers import SUFFIX, place_of
from noburn_cli.enforce.test_names import is_one_test
from noburn_cli.errors import NoburnError

EXTRA = "replay"
#: In a cassette's request: the test that made it.
TEST_HEADER = "X-Noburn-Test"
_CASSETTE = ".yaml"
#: The cassette of what is no test.
_SHARED = "shared"
INDEX = "answers.json"
_INDEX_KIND = "noburn.answers"
_VERSION = 1
#: Of a cassette's name without its ending and digest; most file systems take 255.
_NAME_BYTES_MAX = 200
#: What a provider answers to any request: a wrong key, no access, too many, too slow.
_FAILURES = (401, 403, 407, 408, 429)


@dataclass(frozen=True)
class Kept:
    """One request with its answer.  Header names are lower-case."""

    test: str
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    answer_headers: Mapping[str, str]
    answer: bytes
    at_ns: int = 0

    @property
    def key(self) -> str:
        content_type = self.headers.get("content-type", "")
        return request_key(self.method, self.url, self.body, content_type)


def vcr_parts() -> tuple[Any, ModuleType, Any]:
    """(persister, serializer, request class) of vcrpy.  Raises NoburnError where it is missing."""
    try:
        from vcr.persisters.filesystem import FilesystemPersister
        from vcr.request import Request
        from vcr.serializers import yamlserializer
    except ImportError as error:
        raise NoburnError(
            "recorded answers need vcrpy, which is not installed",
            why=str(error),
            next_step=f"install it: pip install 'noburn-cli[{EXTRA}]'",
        ) from error
    return FilesystemPersister, yamlserializer, Request


@dataclass(frozen=True)
class Saved:
    """answers: how many lie in the folder now.  dropped: earlier ones that were replaced or gone.
    spared: tests whose earlier answers stayed, because the provider answered with failures only.
    """

    answers: int
    dropped: int
    spared: tuple[str, ...]


def save(
    folder: Path, news: Sequence[Kept], *, quiet: Collection[str], gone: Callable[[str], bool],
    keys: Iterable[str],
) -> Saved:  # fmt: skip
    """Add what was kept to the folder, each file whole, one writer at a time.

    A test's earlier answers are replaced by its new ones, but not by failures alone where it had
    better: what was paid for stays while a provider is down.
    quiet: tests that ran to their end and called nothing, whose earlier answers go.
    gone: says of a test whether it is not there any more.
    keys: variables that held a provider's key, for programs that look for one; earlier ones stay.
    Raises NoburnError; the folder is then as it was, or has some files of before and some new.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            earlier = load(folder)
            spared = _spared(earlier, news)
            new = [one for one in news if one.test not in spared]
            replaced = {*quiet, *(one.test for one in new)}
            kept = [one for one in earlier if one.test not in replaced and not gone(one.test)]
            known = keys_of(folder) if (folder / INDEX).exists() else ()
            _write(folder, [*kept, *new], {*known, *keys})
    except OSError as error:
        raise NoburnError(
            f"the recorded answers could not be written to {folder}",
            why=error.strerror or str(error),
            next_step="look whether the folder may be written to, and record again",
        ) from error
    return Saved(len(kept) + len(new), len(earlier) - len(kept), tuple(sorted(spared)))


def _spared(earlier: Iterable[Kept], news: Iterable[Kept]) -> set[str]:
    """Tests that were answered before, and now only with failures that say nothing of them."""
    answered = {one.test for one in news if not _is_failure(one.status)}
    better = {one.test for one in earlier if not _is_failure(one.status)}
    return {one.test for one in news if one.test not in answered and one.test in better}


def _is_failure(status: int) -> bool:
    return status in _FAILURES or status >= 500


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Others that keep answers here wait.  Raises OSError."""
    number = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


def _write(folder: Path, answers: Iterable[Kept], keys: Iterable[str]) -> None:
    """Write all files beside the old ones, then put them in their places.  Raises OSError."""
    persister, serializer, request_class = vcr_parts()
    by_file: dict[str, list[Kept]] = {}
    for one in sorted(answers, key=lambda one: one.test):
        by_file.setdefault(_cassette_of(one.test), []).append(one)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder) as place:
        for name, found in by_file.items():
            content = {
                "requests": [_request(one, request_class) for one in found],
                "responses": [_response(one) for one in found],
            }
            persister.save_cassette(Path(place, name), content, serializer)
        index = {"kind": _INDEX_KIND, "version": _VERSION, "keys": sorted(keys)}
        Path(place, INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
        for path in Path(place).iterdir():
            path.replace(folder / path.name)
    for path in folder.glob(f"*{_CASSETTE}"):
        if path.name not in by_file:
            path.unlink()


def load(folder: Path) -> list[Kept]:
    """Every answer in a folder's cassettes, in their order.  Raises NoburnError."""
    persister, serializer, _ = vcr_parts()
    found: list[Kept] = []
    for path in sorted(folder.glob(f"*{_CASSETTE}")):
        try:
            requests, responses, *_ = persister.load_cassette(path, serializer)
            pairs = zip(requests, responses, strict=True)
            found += [_of_cassette(*pair) for pair in pairs]
        except Exception as error:  # whatever vcrpy and YAML make of a file that was edited
            raise NoburnError(
                f"the recorded answers in {path} cannot be read",
                why=f"{type(error).__name__}: {error}",
                next_step="record them again, or take the file away",
            ) from error
    return found


def keys_of(folder: Path) -> tuple[str, ...]:
    """The variables that held a key when these answers were recorded.

    Raises NoburnError where there are no recorded answers.
    """
    try:
        index = json.loads((folder / INDEX).read_text("utf-8"))
        if index["kind"] != _INDEX_KIND or index["version"] != _VERSION:
            raise ValueError(f"it is {index['kind']} of version {index['version']}")
        return tuple(map(str, index["keys"]))
    except FileNotFoundError as error:
        raise NoburnError(
            f"there are no recorded answers in {folder}",
            why="nothing would be left to play, and nothing may be sent",
            next_step="record them first: noburn run --recording NAME --answers keep -- …",
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise NoburnError(
            f"{folder / INDEX} cannot be read",
            why=f"{type(error).__name__}: {error}",
            next_step="record the answers again",
        ) from error


def lay_out(folder: Path, kept: Iterable[Kept]) -> int:
    """Put answers where a run's processes find them; how many.  Raises OSError."""
    numbers: dict[Path, int] = {}
    for one in kept:
        place = folder / place_of(one.test) / one.key
        number = numbers.get(place, 0)
        numbers[place] = number + 1
        place.mkdir(parents=True, exist_ok=True)
        text = {
            "status": one.status,
            "headers": list(one.answer_headers.items()),
            "body": base64.b64encode(one.answer).decode("ascii"),
        }
        (place / f"{number}{SUFFIX}").write_text(json.dumps(text), encoding="utf-8")
    return sum(numbers.values())


def _cassette_of(test: str) -> str:
    """The name of a file, which no other file of tests has."""
    if not is_one_test(test):
        return f"{_SHARED}{_CASSETTE}"
    file = file_of(test)
    name = file.replace("/", ".")
    if "." in file.removesuffix(".py") or len(name.encode("utf-8", "replace")) > _NAME_BYTES_MAX:
        digest = hashlib.sha256(file.encode("utf-8", "surrogatepass")).hexdigest()[:12]
        short = name.encode("utf-8", "replace")[:_NAME_BYTES_MAX].decode("utf-8", "ignore")
        name = f"{short}~{digest}"
    return f"{name}{_CASSETTE}"


def _request(one: Kept, request_class: Any) -> Any:
    headers = {**one.headers, TEST_HEADER: one.test}
    return request_class(one.method, one.url, one.body, headers)


def _response(one: Kept) -> dict[str, Any]:
    return {
        "status": {"code": one.status, "message": ""},
        "headers": {name: [value] for name, value in one.answer_headers.items()},
        "body": {"string": one.answer},
    }


def _of_cassette(request: Any, response: Mapping[str, Any]) -> Kept:
    headers = {name.lower(): _one(value) for name, value in request.headers.items()}
    body = request.body
    return Kept(
        test=headers.pop(TEST_HEADER.lower(), ""),
        method=request.method,
        url=request.uri,
        headers=headers,
        body=body if isinstance(body, bytes) else b"",
        status=int(response["status"]["code"]),
        answer_headers={name.lower(): _one(value) for name, value in response["headers"].items()},
        answer=response["body"]["string"] or b"",
    )


def _one(value: Any) -> str:
    """vcrpy keeps a header as a list, in which ours has one."""
    return str(value[0] if isinstance(value, list) and value else value)
