"""The answer's bytes on their way to the program, read for their usage: aiohttp.

Layer: enforce, injected (standard library, Python 3.10, besides the module that is hooked).
Below: follower, drivers.  Above: aiohttp_hook.
aiohttp's parser feeds an answer into a `StreamReader` that the program reads in a dozen ways; so
it is followed where it is fed.  The parser makes the readers itself, from a class with slots:
those that are followed are kept in a table by their identity.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import weakref
import zlib
from types import ModuleType
from typing import Any

from noburn_cli.enforce import outliving
from noburn_cli.enforce.drivers import deliver_aside, deliver_async
from noburn_cli.enforce.follower import Follower, ReadingOn
from noburn_cli.enforce.outcome import Outcome, Tracker
from noburn_cli.providers.codec import Block

_OURS = "_noburn_guard"
#: The readers of guarded answers that have not ended.
_followed: dict[int, _Answer] = {}


class _Answer:
    """One followed answer.  edits: what is handed on is not what came."""

    def __init__(self, reader: Any, tracker: Tracker, holder: object) -> None:
        self._key = id(reader)
        self.follower = Follower(tracker, holder)
        self.edits = tracker.edits()
        self.handed_on = 0
        self.is_cut = False
        _followed[self._key] = self
        # The reader's identity may be another's once it is forgotten.
        self._unlist = weakref.finalize(holder, _followed.pop, self._key, None)

    def receive(self, data: bytes) -> bytes:
        return self.follower.receive(data)

    def completed(self) -> None:
        self._end(self.follower.completed())

    def broke(self, error: BaseException) -> None:
        self._end(self.follower.broke(error))

    def abandoned(self) -> None:
        self._end(self.follower.abandoned())

    def unlist(self) -> None:
        _followed.pop(self._key, None)
        self._unlist.detach()

    def _end(self, outcome: Outcome | None) -> None:
        self.unlist()
        if outcome is not None:
            _tell(outcome)


def _tell(outcome: Outcome) -> None:
    """From a callback of the loop: what comes next in it is asked after this."""
    try:
        outliving.start(deliver_async(outcome))
    except RuntimeError:  # No loop runs any more.
        deliver_aside(outcome)


def hook_answers(module: ModuleType) -> None:
    """Have the classes of readers and answers tell what happens to followed ones."""
    reader_class: Any = module.StreamReader
    if not hasattr(reader_class.feed_data, _OURS):
        reader_class.feed_data = _ours(_feed_data(reader_class.feed_data))
        reader_class.feed_eof = _ours(_feed_eof(reader_class.feed_eof))
        reader_class.set_exception = _ours(_set_exception(reader_class.set_exception))
        ended = reader_class.end_http_chunk_receiving
        reader_class.end_http_chunk_receiving = _ours(_end_chunk(ended))
    answer_class: Any = module.ClientResponse
    if not hasattr(answer_class.close, _OURS):
        answer_class.close = _ours(_letting_go(module, answer_class.close))
        answer_class.release = _ours(_letting_go(module, answer_class.release))


def _ours(function: Any) -> Any:
    setattr(function, _OURS, True)
    return function


def _feed_data(original: Any) -> Any:
    def feed_data(reader: Any, data: bytes, *more: Any) -> Any:
        answer = _followed.get(id(reader))
        if answer is None:
            return original(reader, data, *more)
        if answer.is_cut:
            return False
        try:
            kept = answer.receive(bytes(data))
        except zlib.error as error:
            answer.broke(error)
            reader.set_exception(error)
            return False
        if answer.follower.tracker.cut is not None:
            _cut_off(reader, answer, kept, original)
            return False
        return original(reader, kept) if kept else False

    return feed_data


def _cut_off(reader: Any, answer: _Answer, last: bytes, feed_data: Any) -> None:
    """The run was stopped: the answer ends here, and so does its connection."""
    answer.is_cut = True
    outcome = answer.follower.abandoned()
    if outcome is not None:
        _tell(outcome)
    protocol = reader._protocol
    protocol.force_close()  # Not to be used again: the rest is still on its way.
    if last:
        feed_data(reader, last)
    reader.feed_eof()
    if protocol.transport is not None:
        protocol.transport.close()


def _feed_eof(original: Any) -> Any:
    def feed_eof(reader: Any) -> None:
        answer = _followed.get(id(reader))
        if answer is not None and answer.is_cut:
            if not reader.is_eof():
                original(reader)
            return
        if answer is not None:
            rest = answer.follower.rest()
            answer.completed()  # Before whoever waits for the end goes on.
            if rest and answer.edits:
                reader.feed_data(rest)
        original(reader)

    return feed_eof


def _end_chunk(original: Any) -> Any:
    def end_http_chunk_receiving(reader: Any) -> None:
        answer = _followed.get(id(reader))
        if answer is not None and answer.edits:
            if reader.total_bytes == answer.handed_on:
                return  # All of this chunk was left out.
            answer.handed_on = reader.total_bytes
        original(reader)

    return end_http_chunk_receiving


def _set_exception(original: Any) -> Any:
    def set_exception(reader: Any, error: Any, *more: Any) -> None:
        answer = _followed.get(id(reader))
        if answer is not None and answer.is_cut:
            return  # It is at its end, and what comes behind is nobody's.
        if answer is not None:
            answer.broke(error if isinstance(error, BaseException) else error())
        original(reader, error, *more)

    return set_exception


def _letting_go(module: ModuleType, original: Any) -> Any:
    """`close` and `release`: the program needs nothing more of this answer."""

    def let_go(response: Any) -> Any:
        reader = response.content
        answer = None if reader is None else _followed.get(id(reader))
        if answer is not None:
            patience = answer.follower.reading_on()
            if patience is None or not _read_on_aside(module, response, answer, patience):
                answer.abandoned()
        return original(response)

    return let_go


def _read_on_aside(module: ModuleType, response: Any, answer: _Answer, patience: ReadingOn) -> bool:
    """Take the connection from the answer, and read it to its end in a task."""
    connection, reader = response._connection, response.content
    if connection is None:
        return False
    work = _read_on(reader, connection, answer, patience)
    try:
        outliving.start(work)
    except RuntimeError:
        return False
    response._connection = None
    response.content = module.StreamReader(reader._protocol, 2**16, loop=response._loop)
    return True


async def _read_on(reader: Any, connection: Any, answer: _Answer, patience: ReadingOn) -> None:
    try:
        with contextlib.suppress(Exception):
            while not answer.follower.knows_enough() and not reader.at_eof():
                chunk = await asyncio.wait_for(reader.readany(), patience.seconds_left())
                if patience.is_spent(chunk):
                    break
    finally:
        answer.abandoned()
        if reader.is_eof():
            connection.release()
        else:
            connection.close()


def follow(response: Any, tracker: Tracker, *, is_unpacked: bool) -> None:
    """Read along with an answer whose head has come.  is_unpacked: by aiohttp, as it is fed."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    if is_unpacked:
        headers.pop("content-encoding", None)
    unpacked = tracker.answered(response.status, headers)
    reader = response.content
    answer = _Answer(reader, tracker, response)
    _read_begun(reader, answer)
    if unpacked:
        _forget_packing(response)
    if reader.is_eof():
        rest = answer.follower.rest()
        answer.completed()
        if rest and answer.edits:
            reader._buffer.append(rest)
            reader._size += len(rest)
    elif reader.exception() is not None:
        answer.broke(reader.exception())


def _read_begun(reader: Any, answer: _Answer) -> None:
    """What came in one piece with the head is in the reader already."""
    begun = b"".join(reader._buffer)
    if not begun:
        return
    kept = answer.receive(begun)
    if not answer.edits:
        return
    reader._buffer.clear()
    if kept:
        reader._buffer.append(kept)
    reader._size = reader.total_bytes = answer.handed_on = len(kept)
    splits = reader._http_chunk_splits
    if splits is not None:
        ends = {min(end, len(kept)) for end in splits}
        splits.clear()
        splits.extend(sorted(ends - {0}))


def _forget_packing(response: Any) -> None:
    headers = response._headers.copy()
    for name in ("content-encoding", "content-length"):
        headers.popall(name, None)
    response._headers = type(response._headers)(headers)


def blocked(module: ModuleType, session: Any, request: Any, block: Block) -> Any:
    """An answer that nobody sent, whole from the beginning."""
    loop = asyncio.get_running_loop()
    given = {
        "writer": None,
        "continue100": None,
        "timer": None,
        "request_info": request.request_info,
        "traces": [],
        "loop": loop,
        "session": session,
        "stream_writer": _NothingWritten(),
    }
    known = inspect.signature(request.response_class.__init__).parameters
    response = request.response_class(
        request.method,
        request.original_url,
        **{name: value for name, value in given.items() if name in known},
    )
    response.version = module.HttpVersion11
    response.status = block.status
    response.reason = "Payment Required" if block.status == 402 else "Refused"
    headers = type(request.headers)(block.headers)
    response._headers = type(request.request_info.headers)(headers)
    response._raw_headers = tuple(
        (name.encode(), value.encode("utf-8")) for name, value in block.headers
    )
    protocol_class: Any = module.base_protocol.BaseProtocol
    response.content = module.StreamReader(protocol_class(loop), 2**16, loop=loop)
    response.content.feed_data(block.body)
    response.content.feed_eof()
    return response


class _NothingWritten:
    output_size = 0
