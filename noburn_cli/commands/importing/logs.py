"""`noburn import litellm`, `claude-code` and the like: calls that other programs recorded.

Layer: commands.  Below: options, importing.
Owns: one command a source.  The table is here, so that `noburn import --help` loads none of them; a
test holds it to importing.sources.registry.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from noburn_cli.commands.importing import options
from noburn_cli.errors import UsageError

#: Sources of files that are named, and what their help says.
FILES = {
    "litellm": "Bring calls from LiteLLM's spend logs (JSON or CSV).",
    "helicone": "Bring calls from an export of Helicone (CSV, JSON lines).",
    "langfuse": "Bring calls from Langfuse's observations (CSV, JSON, JSON lines, Parquet).",
    "langsmith": "Bring calls from LangSmith's runs (JSON lines, CSV, Parquet).",
    "openrouter": "Bring calls from OpenRouter's activity export (CSV) or generations (JSON).",
    "portkey": "Bring calls from a log export of Portkey (JSON lines).",
    "openai": "Bring days of usage or costs from OpenAI's exports (CSV, JSON).",
    "anthropic": "Bring days of usage or costs from Anthropic's exports (CSV, JSON).",
}
#: Coding agents, whose logs are found where they keep them.
AGENTS = {
    "claude-code": "Bring calls from Claude Code's session logs.",
    "codex": "Bring calls from codex's session logs.",
    "gemini-cli": "Bring calls from Gemini CLI's chat logs.",
}
_SUFFIXES = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".gz", ".parquet")

Files = Annotated[
    list[Path],
    typer.Argument(help="Files, or folders of them; gzip is read as well.", metavar="FILE…"),
]
Places = Annotated[
    list[Path] | None,
    typer.Argument(help="Logs, or folders of them; the agent's own without any.", metavar="PATH…"),
]
Billing = Annotated[
    str,
    typer.Option(
        help="Who paid, which the logs do not say: plan (notional at list price) or api.",
        metavar="WHO",
    ),
]


def files_command(name: str) -> Callable[..., None]:
    """The command of a source of files."""

    def command(
        files: Files,
        customer_from: options.CustomerFrom = None,
        feature_from: options.FeatureFrom = None,
        user_from: options.UserFrom = None,
        project_from: options.ProjectFrom = None,
        attribute: options.Attribute = None,
        fixed: options.Set = None,
        zone: options.Zone = "UTC",
        cost: options.Cost = "auto",
        again: options.Again = False,
        as_json: options.AsJson = False,
    ) -> None:
        from noburn_cli.importing.finding import files_under
        from noburn_cli.importing.sources.registry import SOURCES

        fields = {
            "customer": customer_from, "feature": feature_from, "user": user_from,
            "project": project_from,
        }  # fmt: skip
        chosen = options.Chosen(fields, attribute, fixed, zone, cost, again=again)
        found = files_under(files, _SUFFIXES)
        options.run_import(chosen.wanted(SOURCES[name], found), as_json=as_json)

    command.__doc__ = FILES[name]
    return command


def agent_command(name: str) -> Callable[..., None]:
    """The command of a coding agent."""

    def command(
        places: Places = None,
        billing: Billing = "plan",
        fixed: options.Set = None,
        again: options.Again = False,
        as_json: options.AsJson = False,
    ) -> None:
        from noburn_cli.importing import agents
        from noburn_cli.importing.finding import files_under
        from noburn_cli.importing.reading import BY_API, BY_PLAN
        from noburn_cli.importing.sources.registry import SOURCES

        if billing not in (BY_PLAN, BY_API):
            raise UsageError(f"--billing is {BY_PLAN} or {BY_API}, not {billing!r}")
        chosen = options.Chosen(fixed=fixed, billing=billing, again=again)
        if places:
            files = files_under(places, agents.SUFFIXES[name])
        else:
            folders = agents.folders(os.environ, Path.home())[name]
            files = [one for folder in folders for one in agents.logs(name, folder)]
            if not files:
                raise UsageError(
                    f"there are no logs of {SOURCES[name].title} where it keeps them",
                    next_step="name their folder, or see what is there with noburn import --detect",
                )
        options.run_import(chosen.wanted(SOURCES[name], files), as_json=as_json)

    command.__doc__ = AGENTS[name]
    return command


def add_to(app: typer.Typer) -> None:
    """Put every source's command into the group."""
    for name, words in FILES.items():
        app.command(name, help=words)(files_command(name))
    for name, words in AGENTS.items():
        app.command(name, help=words)(agent_command(name))
