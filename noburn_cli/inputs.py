"""What `estimate` is given: files, globs, folders and standard input, as texts and requests.

Layer: I/O.  Below: providers (which recognise requests), decoding, big_inputs, errors.
Above: commands.estimate, gating.
A bad input is a problem beside the good ones, never an end: everything else is still counted.
"""

from __future__ import annotations

import glob
import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from noburn_cli.big_inputs import BIG_BYTES, Big, Reading, file_blocks, read_head, stream_blocks
from noburn_cli.core.variants import STANDARD, UNTOLD_GEO, maybe_in
from noburn_cli.decoding import FILE_BYTES_MAX, check_head, is_binary
from noburn_cli.decoding import decoded as decoded
from noburn_cli.errors import InputRefused, NoburnError
from noburn_cli.providers import registry
from noburn_cli.providers.call import Call

STDIN = "-"
STDIN_NAME = "standard input"
#: What a chat puts around one plain text, at most: 7 tokens on OpenAI (3 a message, 1 a name, 3
#: for the reply), 6 to 11 on Claude (docs/bounds.md).
PLAIN_FRAME_TOKENS = 16
PLAIN = "text"


@dataclass(frozen=True)
class Item:
    """One request, or one text that would be one.

    line: its line in a file of requests, or None.
    body: the request's own bytes, or None for plain text.
    batch: whether it is written for a batch, which has its own price.
    big: what is read while it is counted, instead of being here: one text, or lines of requests
        (`line_items`).
    """

    source: str
    call: Call
    line: int | None = None
    body: bytes | None = None
    batch: bool = False
    big: Big | None = None

    @property
    def where(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass
class Inputs:
    """Everything that was found: what can be counted, what cannot, and what was left out."""

    items: list[Item] = field(default_factory=list)
    problems: list[NoburnError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_inputs(names: Sequence[str], stdin: BinaryIO) -> Inputs:
    """Read every input; never raises for a bad one."""
    found = Inputs()
    for name in dict.fromkeys(names):
        if name == STDIN:
            _read_stdin(found, stdin)
        else:
            _read_name(found, name)
    return found


def _read_stdin(found: Inputs, stdin: BinaryIO) -> None:
    head = read_head(stdin, BIG_BYTES)
    holds_requests = _held_by(head) if len(head) >= BIG_BYTES else None
    if holds_requests is None:
        _add(found, STDIN_NAME, head + stdin.read(FILE_BYTES_MAX + 1 - len(head)))
        return
    big = Big(STDIN_NAME, None, stream_blocks(head, stdin), holds_requests)
    _add_big(found, big, head)


def _read_name(found: Inputs, name: str) -> None:
    """A file or folder by its name; else a pattern."""
    path = Path(name)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        # Not Path.glob: it takes no absolute pattern.
        matches = sorted(glob.glob(name, recursive=True)) if glob.has_magic(name) else []  # noqa: PTH207
        if not matches:
            found.problems.append(_missing(name))
        for match in matches:
            _read_name(found, match)
        return
    except (OSError, ValueError) as error:
        found.problems.append(_unreadable(name, error))
        return
    if stat.S_ISDIR(mode):
        _read_folder(found, path)
    elif stat.S_ISREG(mode):
        _read_file(found, path)
    else:
        found.problems.append(
            InputRefused(
                f"{name} is not a file",
                why="devices, sockets and pipes are not read by name",
                next_step="send it to standard input: `… | noburn estimate -`",
            )
        )


def _read_folder(found: Inputs, folder: Path) -> None:
    """The text files below a folder, in order; hidden, linked and binary ones are named."""
    before = len(found.items)
    for where, folders, files in os.walk(folder, onerror=lambda e: _note_walk(found, e)):
        hidden = sorted(name for name in (*folders, *files) if name.startswith("."))
        found.notes += [f"{Path(where) / name}: hidden, left out" for name in hidden]
        linked = [n for n in folders if n not in hidden and (Path(where) / n).is_symlink()]
        found.notes += [f"{Path(where) / name}: a link to a folder, left out" for name in linked]
        folders[:] = sorted(set(folders) - set(hidden))
        for name in sorted(set(files) - set(hidden)):
            _read_file(found, Path(where) / name, in_folder=True)
    if len(found.items) == before and not found.problems:
        found.problems.append(InputRefused(f"{folder} holds no text file"))


def _note_walk(found: Inputs, error: OSError) -> None:
    found.problems.append(_unreadable(str(error.filename), error))


def _read_file(found: Inputs, path: Path, *, in_folder: bool = False) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            found.notes.append(f"{path}: not a file, left out")
            return
        with path.open("rb") as file:
            data = file.read(BIG_BYTES)
            holds_requests = _held_by(data) if status.st_size > BIG_BYTES else None
            if holds_requests is None:
                data += file.read(FILE_BYTES_MAX + 1 - len(data))
    except OSError as error:
        found.problems.append(_unreadable(str(path), error))
        return
    if in_folder and is_binary(data):
        found.notes.append(f"{path}: binary, left out")
    elif holds_requests is None:
        _add(found, str(path), data)
    else:
        _add_big(found, Big(str(path), status.st_size, file_blocks(path), holds_requests), data)


def _held_by(head: bytes) -> bool | None:
    """Whether a large input that starts so has a request on each line, or is one text (False).

    None for one JSON document, which is looked at as a whole to see whether it is a request.
    """
    text = head.decode("utf-8-sig", "replace").lstrip()
    if not text.startswith("{"):
        return False
    line, end, _ = text.partition("\n")
    return True if end and _is_request(_parsed(line)) else None


def _add_big(found: Inputs, big: Big, head: bytes) -> None:
    try:
        check_head(big.name, head)
    except InputRefused as error:
        found.problems.append(error)
        return
    found.items.append(replace(plain_item(big.name), big=big))


def line_items(big: Big, reading: Reading) -> Iterator[Item | InputRefused]:
    """The request on each line of a large input, or why there is none."""
    try:
        for number, line in big.lines(reading):
            try:
                yield _request(big.name, number, line)
            except InputRefused as error:
                yield _placed(error, f"{big.name}:{number}")
    except InputRefused as error:
        yield error


def _add(found: Inputs, name: str, data: bytes) -> None:
    """Turn one input's bytes into items, or into a problem."""
    try:
        text = decoded(name, data)
    except InputRefused as error:
        found.problems.append(error)
        return
    if not text:
        found.notes.append(f"{name} is empty")
    requests = _requests(text)
    if requests is None:
        if _lacks_model(text):
            found.notes.append(f"{name} looks like a request without a model: counted as text")
        found.items.append(plain_item(name, text))
        return
    for line, content in requests:
        _add_request(found, name, line, content)


def plain_item(name: str, *texts: str) -> Item:
    """Texts that would be one request, each a message of it.

    The texts alone are what is counted; what will stand around them decides who sends them.
    """
    call = Call(
        PLAIN,
        "",
        texts=texts,
        overhead_tokens=PLAIN_FRAME_TOKENS * max(1, len(texts)),
        frame_tokens=(0, 0),
        variants=(STANDARD, maybe_in(STANDARD, UNTOLD_GEO)),
    )
    return Item(name, call)


def request_items(name: str, text: str) -> list[Item] | None:
    """The requests that a text holds, one or JSONL of them; None when it is plain text.

    Raises InputRefused for the first that breaks a rule, with the file and the line.
    """
    requests = _requests(text)
    if requests is None:
        return None
    items = []
    for line, content in requests:
        try:
            items.append(_request(name, line, content))
        except InputRefused as error:
            raise _placed(error, _place(name, line)) from error
    return items


def _add_request(found: Inputs, name: str, line: int | None, content: str) -> None:
    try:
        found.items.append(_request(name, line, content))
    except InputRefused as error:
        found.problems.append(_placed(error, _place(name, line)))


def _place(name: str, line: int | None) -> str:
    return name if line is None else f"{name}:{line}"


def _placed(error: InputRefused, where: str) -> InputRefused:
    return InputRefused(f"{where}: {error.message}", why=error.why, next_step=error.next_step)


def _requests(text: str) -> list[tuple[int | None, str]] | None:
    """(line, JSON) of each request in a text, or None when it is plain text."""
    stripped = text.lstrip()
    if not stripped.startswith("{"):
        return None
    if _is_request(_parsed(text)):
        return [(None, text)]
    lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if not any(_is_request(_parsed(line)) for _, line in lines[:1]):
        return None
    return list(lines)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _is_request(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if _batched(value) is not None or registry.model_in_url(value):
        return True
    named = isinstance(value.get("model"), str) or isinstance(value.get("modelId"), str)
    return named and registry.guess_api(value) is not None


def _lacks_model(text: str) -> bool:
    """Whether a text would be a request if it named a model."""
    value = _parsed(text) if text.lstrip().startswith("{") else None
    return isinstance(value, dict) and _is_request({**value, "model": PLAIN})


def _batched(value: dict[str, Any]) -> dict[str, Any] | None:
    """The request in a line of a batch: OpenAI's `body`, Anthropic's `params`."""
    if "custom_id" not in value:
        return None
    for key in ("body", "params"):
        if isinstance(value.get(key), dict):
            return value[key]  # type: ignore[no-any-return]
    return None


def _request(name: str, line: int | None, content: str) -> Item:
    """Parse one request.  Raises InputRefused."""
    value = _parsed(content)
    if not isinstance(value, dict):
        raise InputRefused("this is not a request", why="it is not a JSON object")
    inner = _batched(value)
    if inner is None:
        body = content.encode("utf-8", "surrogatepass")
        return Item(name, registry.parse_body(None, body), line, body)
    body = json.dumps(inner).encode("ascii")
    api = _api_of_url(value.get("url")) if "body" in value else "anthropic_messages"
    return Item(name, registry.parse_body(api, body), line, body, batch=True)


def _api_of_url(url: Any) -> str | None:
    """The codec for a batch line's `url`, such as `/v1/chat/completions`."""
    if not isinstance(url, str) or not url.startswith("/"):
        return None
    route = registry.recognise("POST", f"https://api.openai.com{url}")
    return None if route.codec is None else route.codec.api


def _missing(name: str) -> InputRefused:
    return InputRefused(f"{name} does not exist", next_step="check the path; `-` reads stdin")


def _unreadable(name: str, error: Exception) -> InputRefused:
    reason = error.strerror if isinstance(error, OSError) else None
    return InputRefused(f"{name} cannot be read", why=reason or str(error))


def by_source(items: Sequence[Item]) -> dict[str, list[Item]]:
    """The items of each input, in order."""
    found: dict[str, list[Item]] = {}
    for item in items:
        found.setdefault(item.source, []).append(item)
    return found
