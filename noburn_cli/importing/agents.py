"""Where coding agents keep their logs on this machine.

Layer: importing, I/O (it looks around, and opens nothing).  Below: reading.
Above: detecting, commands.
Sources, looked up 2026-11-27: the documentation and adapters of ryoppippi/ccusage (2026-06-13), and
the agents' own: `CLAUDE_CONFIG_DIR` (one folder, or several between commas), `CODEX_HOME`, and
Gemini CLI's `~/.gemini`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

CLAUDE_CODE, CODEX, GEMINI_CLI = "claude-code", "codex", "gemini-cli"
SUFFIXES = {CLAUDE_CODE: (".jsonl",), CODEX: (".jsonl",), GEMINI_CLI: (".json", ".jsonl")}


def folders(environment: Mapping[str, str], home: Path) -> dict[str, list[Path]]:
    """The folders of each agent that are there, by its source's name."""
    wanted = {
        CLAUDE_CODE: [one / "projects" for one in _claude(environment, home)],
        CODEX: [_codex(environment, home) / name for name in ("sessions", "archived_sessions")],
        GEMINI_CLI: [home / ".gemini" / "tmp"],
    }
    return {
        name: [one for one in dict.fromkeys(places) if one.is_dir()]
        for name, places in wanted.items()
    }


def _claude(environment: Mapping[str, str], home: Path) -> list[Path]:
    named = [part.strip() for part in environment.get("CLAUDE_CONFIG_DIR", "").split(",")]
    if any(named):
        return [Path(part).expanduser() for part in named if part]
    config = environment.get("XDG_CONFIG_HOME")
    return [(Path(config) if config else home / ".config") / "claude", home / ".claude"]


def _codex(environment: Mapping[str, str], home: Path) -> Path:
    named = environment.get("CODEX_HOME")
    return Path(named).expanduser() if named else home / ".codex"


def logs(name: str, folder: Path) -> list[Path]:
    """The logs of an agent in a folder, in the order of their names."""
    found = (one for one in folder.rglob("*") if one.name.endswith(SUFFIXES[name]))
    kept = (one for one in found if name != GEMINI_CLI or "chats" in one.parts)
    return sorted(one for one in kept if one.is_file())
