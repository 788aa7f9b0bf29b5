"""Base-URL variables: pointed to the gateway for a run's children, restored for the gateway itself.

Layer: enforce, our own side, pure.  Below: providers.hosts.  Above: hosted, supervisor.
Owns: which variable gets which of the gateway's paths, and the form of NOBURN_BASE_URLS.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from noburn_cli.providers.hosts import BASE_URL_VARIABLES

GATEWAY = "NOBURN_GATEWAY"
ORIGINALS = "NOBURN_BASE_URLS"
#: Set in every run: what the SDKs read by themselves.  Others only where they were set before.
_ALWAYS = {
    "OPENAI_BASE_URL": "/openai/v1",
    "ANTHROPIC_BASE_URL": "/anthropic",
    "GOOGLE_GEMINI_BASE_URL": "/gemini",
    "GROQ_BASE_URL": "/groq",
    "CO_API_URL": "/cohere",
}
_BEDROCK = "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"
_BEDROCK_KEY = "AWS_BEARER_TOKEN_BEDROCK"


def pointed_to(gateway: str, environment: Mapping[str, str]) -> dict[str, str]:
    """What a run's children get: each base-URL variable's new value, and the originals.

    gateway: `http://127.0.0.1:PORT`.  environment: before, with nothing of an outer run's gateway.
    """
    changed = {name: gateway + path for name, path in _ALWAYS.items()}
    for _, name, _ in BASE_URL_VARIABLES:
        if name not in changed and environment.get(name) and not _is_aws(name):
            changed[name] = f"{gateway}/via/{name}"
    if environment.get(_BEDROCK_KEY):
        # Without such a key the request is signed for its host, and no gateway can sign it anew.
        changed[_BEDROCK] = f"{gateway}/bedrock"
    originals = {name: environment.get(name) for name in changed}
    return {**changed, GATEWAY: gateway, ORIGINALS: json.dumps(originals)}


def restored(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment as it was before a run pointed its base URLs to a gateway."""
    kept = dict(environment)
    kept.pop(GATEWAY, None)
    try:
        originals = json.loads(kept.pop(ORIGINALS, "") or "{}")
    except ValueError:
        originals = {}
    if isinstance(originals, dict):
        for name, value in originals.items():
            kept.pop(name, None)
            if isinstance(value, str):
                kept[name] = value
    return kept


def _is_aws(name: str) -> bool:
    return name.startswith("AWS_") or name == "ANTHROPIC_BEDROCK_BASE_URL"
