"""Every source by its name, as `noburn import NAME` says it.

Layer: importing.  Below: the readers.  Above: job, detecting, commands.
"""

from __future__ import annotations

from collections.abc import Mapping

from noburn_cli.core.imported import BILLED, ESTIMATED, UNTOLD
from noburn_cli.importing.reading import Asked, Reader, Source, plain
from noburn_cli.importing.sources import (
    claude_code,
    codex,
    gemini_cli,
    helicone,
    langfuse,
    langsmith,
    litellm,
    openrouter,
    portkey,
)

OPENAI, ANTHROPIC, CSV = "openai", "anthropic", "csv"
#: Sources of days, which a package of its own reads (sources.bills).
BILLS = (OPENAI, ANTHROPIC)


def _no_reader(asked: Asked) -> Reader:
    raise AssertionError(f"{asked.path} is read as a whole")


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source(
            "litellm", "LiteLLM", ESTIMATED, plain(litellm.read),
            "spend logs: rows of LiteLLM_SpendLogs or of /spend/logs, JSON or CSV",
            litellm.FIELDS,
        ),
        Source(
            "helicone", "Helicone", ESTIMATED, plain(helicone.read),
            "an export of requests: CSV, JSON or JSON lines", helicone.FIELDS,
        ),
        Source(
            "langfuse", "Langfuse", ESTIMATED, langfuse.ReadObservations,
            "observations: CSV, JSON, JSON lines or Parquet, of v3 and v4", langfuse.FIELDS,
        ),
        Source(
            "langsmith", "LangSmith", ESTIMATED, plain(langsmith.read),
            "runs: JSON lines, JSON, CSV or Parquet", langsmith.FIELDS,
        ),
        Source(
            "openrouter", "OpenRouter", BILLED, plain(openrouter.read),
            "the activity export (CSV), generations or activity (JSON)", openrouter.FIELDS,
        ),
        Source(
            "portkey", "Portkey", ESTIMATED, plain(portkey.read),
            "a log export: JSON lines or CSV", portkey.FIELDS,
        ),
        Source(
            OPENAI, "OpenAI", BILLED, _no_reader,
            "usage or costs of the dashboard (CSV) or of the API (JSON)",
        ),
        Source(
            ANTHROPIC, "Anthropic", BILLED, _no_reader,
            "usage or costs of the Console (CSV) or of the Admin API (JSON)",
        ),
        Source(
            "claude-code", "Claude Code", UNTOLD, claude_code.ReadSession,
            "session logs (JSON lines)", claude_code.FIELDS, agent=True,
        ),
        Source(
            "codex", "codex", UNTOLD, codex.ReadSession,
            "session logs (JSON lines)", codex.FIELDS, agent=True,
        ),
        Source(
            "gemini-cli", "Gemini CLI", UNTOLD, gemini_cli.ReadSession,
            "chat logs (JSON or JSON lines)", gemini_cli.FIELDS, agent=True,
        ),
    )
}  # fmt: skip
