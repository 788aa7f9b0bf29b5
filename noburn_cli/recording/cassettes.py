"""Recorded answers as vcrpy's cassettes, and as the files that a run's processes play.

Layer: I/O, our side.  Below: enforce.answers and answer_keys (the other side of these files),
places.  Above: session.
Owns: how answers lie in a project: a cassette for each file of tests.

The cassettes are vcrpy's own, written and read by it, so that its tools and people know them; what
is kept and played is decided where the guard stands (enforce.answers), which no library's patches
reach.  vcrpy (MIT, https://pypi.org/project/vcrpy/) 9.4.2, checked 2026-11-27.
"""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from noburn_cli.core.recorded_runs import file_of
from noburn_cli.enforce.answer_keys import request_key, without
from noburn_cli.enforce.answers import SUFFIX, place_of
from noburn_cli.enforce.test_names import is_one_test
from noburn_cli.errors import NoburnError

EXTRA = "replay"
#: In a cassette's request: the test that made it.
TEST_HEADER = "X-Noburn-Test"
_CASSETTE = ".yaml"
#: The cassette of what is no test.
_SHARED = "shared"
_INDEX = "answers.json"
_INDEX_KIND = "noburn.answers"
_VERSION = 1


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


def save(
    folder: Path, news: Sequence[Kept], *, ran: Collection[str], gone: Callable[[str], bool],
    keys: Iterable[str],
) -> int:  # fmt: skip
    """Write what was kept; the number of answers in the folder.

    ran: tests whose earlier answers are replaced.
    gone: says of a test whether it is not there any more.
    keys: variables that held a provider's key, for programs that look for one.
    Raises NoburnError.
    """
    persister, serializer, request_class = vcr_parts()
    lines = {*ran, *(one.test for one in news)}
    kept = [one for one in load(folder) if one.test not in lines and not gone(one.test)]
    by_file: dict[str, list[Kept]] = {}
    for one in sorted([*kept, *news], key=lambda one: one.test):
        by_file.setdefault(_cassette_of(one.test), []).append(one)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob(f"*{_CASSETTE}"):
            if path.name not in by_file:
                path.unlink()
        for name, found in by_file.items():
            content = {
                "requests": [_request(one, request_class) for one in found],
                "responses": [_response(one) for one in found],
            }
            persister.save_cassette(folder / name, content, serializer)
        _write_index(folder, keys)
    except OSError as error:
        raise NoburnError(
            f"the recorded answers could not be written to {folder}",
            why=error.strerror or str(error),
            next_step="look whether the folder may be written to, and record again",
        ) from error
    return len(kept) + len(news)


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
        index = json.loads((folder / _INDEX).read_text("utf-8"))
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
            f"{folder / _INDEX} cannot be read",
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


def _write_index(folder: Path, keys: Iterable[str]) -> None:
    index = {"kind": _INDEX_KIND, "version": _VERSION, "keys": sorted(keys)}
    (folder / _INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")


def _cassette_of(test: str) -> str:
    name = file_of(test).replace("/", ".") if is_one_test(test) else _SHARED
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
