"""Gemini CLI's chat logs: `tmp/*/chats/*.json` and `*.jsonl` in its configuration folder.

Layer: importing, pure.  Below: fields, tokens, reading.
Sources, looked up 2026-11-27: `packages/core/src/services/chatRecordingService.ts` of
google-gemini/gemini-cli (JSON lines: a heading with sessionId and projectHash, messages, `$set`,
`$rewindTo`; the older form is one JSON object with `messages`) and the adapter of ryoppippi/ccusage
(2026-06-13).  A message of the type `gemini` has `model` and `tokens`: `input` (cached ones
included), `output`, `cached`, `thoughts`, `tool`, `total`.  A message is written again as it grows,
under its id.  A rewind takes messages out of the conversation; they were paid for all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import Unread, count_of, list_of, moment_ms, object_of, text_of
from noburn_cli.importing.reading import BY_API, Asked, Found, each
from noburn_cli.importing.tokens import disjoint

FIELDS = {"project": ("noburn_folder",), "run": ("noburn_session",)}


class ReadSession:
    """The lines of one file, or its one object."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._session = text_of((asked.state or {}).get("session"))

    def wants(self, line: bytes) -> bool:
        return b'"tokens"' in line or b'"sessionId"' in line

    def state(self) -> dict[str, Any]:
        return {"session": self._session}

    def read(self, record: Mapping[str, Any]) -> Iterable[Found]:
        """The calls that a line tells of, if it does.  Raises Unread."""
        self._session = text_of(record.get("sessionId")) or self._session
        changed = object_of(record.get("$set"))
        messages = list_of(record.get("messages")) or list_of(changed.get("messages"))
        told = [
            one for one in (messages or [record])
            if isinstance(one, Mapping) and one.get("type") == "gemini" and one.get("tokens")
        ]  # fmt: skip
        return each(self._call, told)

    def _call(self, message: Mapping[str, Any]) -> ImportedCall:
        model, tokens = text_of(message.get("model")), object_of(message.get("tokens"))
        if not model:
            raise Unread("it has no model")
        identity = text_of(message.get("id"))
        counts = {name: count_of(tokens.get(name), name) for name in
                  ("input", "output", "cached", "thoughts", "tool")}  # fmt: skip
        named = {"noburn_folder": _folder(self._asked.path), "noburn_session": self._session}
        return ImportedCall(
            f"{self._session}:{identity}" if identity else "",
            moment_ms(message.get("timestamp"), what="timestamp"), model,
            disjoint(
                input_tokens=counts["input"] + counts["tool"], cache_read=counts["cached"],
                output_tokens=counts["output"] + counts["thoughts"],
                reasoning=counts["thoughts"],
            ),
            attributes=self._asked.mapped.attributes(named, FIELDS), maker="google",
            notional=self._asked.billing != BY_API, rank=sum(counts.values()),
        )  # fmt: skip


def _folder(path: str) -> str:
    """What stands between `tmp` and `chats`: the project's name, in older versions a hash."""
    parts = path.replace("\\", "/").split("/")
    place = len(parts) - 1 - parts[::-1].index("chats") if "chats" in parts else 0
    return parts[place - 1] if place else ""
