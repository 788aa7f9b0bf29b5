"""Logins that no virtual key can stand for: found, and named in the run's summary.

Layer: enforce, the supervisor's side.  Below: nothing of ours.  Above: supervisor.
A call with one of them that passes a guard is held and booked like every other; what passes none is
not seen.  Only whether a file is there is looked at, never what is in it.
Sources, checked 2026-11-27: botocore's credential chain, google-auth's application default
credentials, and the documentation of codex, Claude Code, gemini-cli, opencode and llm.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_FILES = (
    (".aws/credentials", "AWS credentials"),
    (".aws/sso/cache", "AWS single sign-on"),
    (".config/gcloud/application_default_credentials.json", "gcloud's login"),
    (".codex/auth.json", "codex's login"),
    (".claude/.credentials.json", "Claude Code's login"),
    (".gemini/oauth_creds.json", "gemini-cli's login"),
    (".local/share/opencode/auth.json", "opencode's keys"),
    (".config/io.datasette.llm/keys.json", "llm's keys"),
    ("Library/Application Support/io.datasette.llm/keys.json", "llm's keys"),
)
_VARIABLES = (
    ("AWS_ACCESS_KEY_ID", "AWS credentials"),
    ("AWS_PROFILE", "AWS credentials"),
    ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS credentials"),
    ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS credentials"),
    ("GOOGLE_APPLICATION_CREDENTIALS", "gcloud's login"),
    ("CLAUDE_CODE_OAUTH_TOKEN", "Claude Code's login"),
)


def find_unprotected(environment: Mapping[str, str]) -> list[str]:
    """What programs of this run could call a provider with, past any virtual key; each once."""
    found = [what for name, what in _VARIABLES if environment.get(name)]
    home = environment.get("HOME")
    if home:
        found += [what for name, what in _FILES if _is_there(Path(home) / name)]
    return list(dict.fromkeys(found))


def _is_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False
