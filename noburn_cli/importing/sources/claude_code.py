"""Claude Code's session logs: `projects/**/*.jsonl` in its configuration folder.

Layer: importing, pure.  Below: fields, tokens, reading, providers.anthropic_messages (usage).
Sources, looked up 2026-11-27: the adapter for Claude Code of ryoppippi/ccusage (2026-06-13), its
issue 913 (sidechains), and reports of others who read these logs (codeburn #201, tokscale #563,
anthropics/claude-code #28197): one answer is written on several lines while it streams, each with
the same `message.id`; the last has the real `output_tokens`.  A sidechain's file may repeat
messages of its parent, with the same `message.id` and another `requestId`; newer logs leave
`requestId` out.  Hence an answer is known by its `message.id`, which Anthropic gives out once.
Lines of the model `<synthetic>` are Claude Code's own words and no call.  `costUSD` stands in logs
from before version 1.0.9.  Who paid is not in the logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from noburn_cli.core.imported import ImportedCall
from noburn_cli.importing.fields import Unread, moment_ms, nano_of, object_of, text_of
from noburn_cli.importing.reading import BY_API, Asked, Found, LeftOut
from noburn_cli.providers.anthropic_messages import settlement_of

FIELDS = {"project": ("noburn_folder",), "run": ("sessionId", "session_id")}
_SYNTHETIC = "<synthetic>"
#: Ranks: a line of the conversation itself before a sidechain's copy of it, then more output.
_OWN = 1 << 40
_PARTS = "with usage of a kind that is not priced"


class ReadSession:
    """The lines of one file."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def wants(self, line: bytes) -> bool:
        return b'"usage"' in line and b'"assistant"' in line

    def state(self) -> dict[str, Any]:
        return {}

    def read(self, record: Mapping[str, Any]) -> Iterable[Found]:
        """The call that a line tells of, if it does.  Raises Unread."""
        message = object_of(record.get("message"))
        usage = message.get("usage")
        if record.get("type") != "assistant" or not isinstance(usage, dict):
            return ()
        model = text_of(message.get("model"))
        if model == _SYNTHETIC:
            return (LeftOut("lines of Claude Code's own, not of a model"),)
        if not model:
            raise Unread("it has no model")
        return (self._call(record, message, usage, model),)

    def _call(
        self, record: Mapping[str, Any], message: Mapping[str, Any], usage: dict[str, Any],
        model: str,
    ) -> Found:  # fmt: skip
        identity = next(
            (one for one in (message.get("id"), record.get("requestId"), record.get("uuid"))
             if text_of(one)), "",
        )  # fmt: skip
        settlement = settlement_of(dict(message), usage)
        note = ""
        if settlement is None:  # Rounds or tools that the totals leave out: at least these.
            settlement, note = settlement_of(dict(message), _plain(usage)), _PARTS
        if settlement is None:
            raise Unread("its usage has no counts of tokens", usage.get("output_tokens"))
        own = not record.get("isSidechain")
        named = {**record, "noburn_folder": folder_name(text_of(record.get("cwd"), 4096))}
        return ImportedCall(
            text_of(identity), moment_ms(record.get("timestamp"), what="timestamp"), model,
            settlement.usage, said_nano=nano_of(record.get("costUSD")), variant=settlement.variant,
            attributes=self._asked.mapped.attributes(named, FIELDS), maker="anthropic",
            provider_id=text_of(message.get("id")), notional=self._asked.billing != BY_API,
            note=note, rank=_OWN * own + min(settlement.usage.get("output", 0), _OWN - 1),
        )  # fmt: skip


def _plain(usage: Mapping[str, Any]) -> dict[str, Any]:
    """A usage block without what makes its totals incomplete."""
    left = ("iterations", "server_tool_use")
    plain = {name: value for name, value in usage.items() if name not in left}
    searches = object_of(usage.get("server_tool_use")).get("web_search_requests")
    return {**plain, "server_tool_use": {"web_search_requests": searches or 0}}


def folder_name(path: str) -> str:
    """The last part of a folder's path, which is what a project is called."""
    return path.replace("\\", "/").rstrip("/").rpartition("/")[2]
