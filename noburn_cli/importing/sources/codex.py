"""codex's session logs: `sessions/**/*.jsonl` and `archived_sessions/**/*.jsonl` in CODEX_HOME.

Layer: importing, pure.  Below: fields, tokens, reading.
Sources, looked up 2026-11-27: the adapter for codex of ryoppippi/ccusage (2026-06-13) and its
issues 1288 (events written again), 1370 and 897 (forks), openai/codex `protocol.rs` (TokenUsage,
with `cache_write_input_tokens` in newer versions), codeburn #458 (how copies are told).
Lines: `session_meta` (id, cwd, `forked_from_id`), `turn_context` (model), `event_msg` of the type
`token_count` with `info.total_token_usage`, which is cumulative, and `info.last_token_usage`, the
last answer's.  Newer versions (seen in logs that codex-cli 0.171.0 wrote here) tell of each answer
in a line `token_usage_record` before it: `usage`, `thread_token_usage`, which is cumulative, and
`response_id`, the provider's.  Input contains what was read from and written to a cache; output
contains reasoning.

An event is known by its session and its cumulative counts: codex writes events again when nothing
was used, and a fork begins with a copy of its parent's events under new times.  So a fork's events
count as its parent's: a copy is one event with the original, whichever file is read first.  So does
the provider's id, where a thread keeps its parent's history and does not say so.
Who paid is not said of each answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import Unread, count_of, moment_ms, object_of, text_of
from noburn_cli.importing.reading import BY_API, Asked, Found, LeftOut
from noburn_cli.importing.sources.claude_code import folder_name
from noburn_cli.importing.tokens import disjoint

FIELDS = {"project": ("noburn_folder",), "run": ("noburn_session",)}
_COUNTS = (
    "input_tokens", "cached_input_tokens", "cache_write_input_tokens", "output_tokens",
    "reasoning_output_tokens",
)  # fmt: skip
_NOTHING = (0,) * len(_COUNTS)
_WORDS = (b"token_count", b"token_usage_record", b"turn_context", b"session_meta")
#: In the order of _COUNTS.
Counts = tuple[int, ...]


class ReadSession:
    """The lines of one file, which say in turn whose they are, on which model, and how much."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        known = asked.state or {}
        self._session = text_of(known.get("session"))
        self._root = text_of(known.get("root"))
        self._folder = text_of(known.get("folder"))
        self._model = text_of(known.get("model"))
        self._before: Counts = tuple(known.get("before") or ())

    def wants(self, line: bytes) -> bool:
        return any(word in line for word in _WORDS)

    def state(self) -> dict[str, Any]:
        return {
            "session": self._session, "root": self._root, "folder": self._folder,
            "model": self._model, "before": list(self._before),
        }  # fmt: skip

    def read(self, record: Mapping[str, Any]) -> Iterable[Found]:
        """The calls that a line tells of, if it does.  Raises Unread."""
        payload = object_of(record.get("payload"))
        kind = record.get("type")
        if kind == "session_meta":
            self._meet(payload)
        elif kind == "turn_context":
            self._model = text_of(payload.get("model")) or self._model
            self._folder = folder_name(text_of(payload.get("cwd"), 4096)) or self._folder
        elif kind == "event_msg" and payload.get("type") == "token_count":
            info = object_of(payload.get("info"))
            last, total = info.get("last_token_usage"), info.get("total_token_usage")
            return self._event(record, _counts(last), _counts(total))
        elif kind == "token_usage_record":
            last, total = payload.get("usage"), payload.get("thread_token_usage")
            answer = text_of(payload.get("response_id"))
            return self._event(record, _counts(last), _counts(total), answer)
        return ()

    def _meet(self, payload: Mapping[str, Any]) -> None:
        """The file's own session comes first; further ones are those that it was copied from."""
        identity = text_of(payload.get("id"))
        if not self._session:
            self._session = identity
            self._folder = folder_name(text_of(payload.get("cwd"), 4096))
        parent = text_of(payload.get("forked_from_id"))
        if identity and parent and parent != identity:
            self._asked.lineage[identity] = parent
        self._root = self._first_of(self._session)

    def _first_of(self, session: str) -> str:
        """The session at the beginning of a line of forks."""
        seen = {session}
        while (parent := self._asked.lineage.get(session, "")) and parent not in seen:
            seen.add(parent)
            session = parent
        return session

    def _event(
        self, record: Mapping[str, Any], last: Counts | None, total: Counts | None, answer: str = ""
    ) -> Iterable[Found]:
        """What was used since the event before.  answer: the provider's id of the last answer."""
        if last is None and total is None:
            return ()  # How much of the plan is left, and no usage.
        if total is None:
            total = _sum(self._before or _NOTHING, last or _NOTHING)
        if total == self._before:
            return (LeftOut("counts written again with nothing used since"),)
        new = _since(total, self._before, last)
        self._before = total
        if new == _NOTHING:
            return ()
        if not self._model:
            raise Unread("no model was named before it")
        at_ms = moment_ms(record.get("timestamp"), what="timestamp")
        return [
            self._call(at_ms, total, part, number, answer if part == last else "")
            for number, part in enumerate(_parts(new, last))
        ]

    def _call(
        self, at_ms: int, total: Counts, used: Counts, number: int, answer: str
    ) -> ImportedCall:
        read, written = min(used[1], used[0]), used[2]
        usage = disjoint(
            input_tokens=used[0], output_tokens=used[3], cache_read=read, write_5m=written,
            reasoning=min(used[4], used[3]),
            inclusive=read + written <= used[0],
        )  # fmt: skip
        named = {"noburn_folder": self._folder, "noburn_session": self._session}
        namespace = self._root or text_of(self._asked.path, 4096)
        place = "-".join(map(str, total)) + (f"+{number}" if number else "")
        return ImportedCall(
            f"{namespace}:{place}", at_ms, self._model, usage,
            attributes=self._asked.mapped.attributes(named, FIELDS), maker="openai",
            notional=self._asked.billing != BY_API, provider_id=answer,
            # The original's time and place count: it was there before its copies.
            rank=-(at_ms // 1000),
        )  # fmt: skip


def _counts(usage: object) -> Counts | None:
    """The counts of a usage block; None where there is none.  Raises Unread."""
    told = object_of(usage)
    return tuple(count_of(told.get(name), name) for name in _COUNTS) if told else None


def _sum(one: Counts, other: Counts) -> Counts:
    return tuple(a + b for a, b in zip(one, other, strict=True))


def _since(total: Counts, before: Counts, last: Counts | None) -> Counts:
    """What was used since the event before.

    The first event of a file may go on from an earlier file, and a total that fell began anew: then
    the last answer's own counts are what is known.
    """
    if before and all(now >= then for now, then in zip(total, before, strict=True)):
        return tuple(now - then for now, then in zip(total, before, strict=True))
    return total if last is None else last


def _parts(new: Counts, last: Counts | None) -> list[Counts]:
    """The last answer, and what came between the two events besides: a tier is decided by call."""
    if last is None or new == last or any(a < b for a, b in zip(new, last, strict=True)):
        return [new]
    rest = tuple(a - b for a, b in zip(new, last, strict=True))
    return [last, rest] if last != _NOTHING else [new]
