"""Where a request carries its key, and how a virtual key becomes the real one.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: nothing.  Above: guard, hooks.
Owns: what marks a virtual key, and which variables hold keys.  Not here: which real key a
virtual one stands for (the daemon), how one is made and put into an environment (enforce.keys).
Sources: the headers that the openai, anthropic, google-genai, mistralai, groq and cohere SDKs send
(their SDKs, checked 2026-11-27); `api-key` is Azure's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

#: In every virtual key, and in nobody's real one.
MARK = "noburn-vk-"
#: Headers that carry a key, by lower-case name.
HEADERS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
#: Google's APIs take the key in the query as well.
QUERY = "key"
#: Variables that hold a provider's key, of the providers whose calls the guard reads.
#: Source: the SDKs named in providers.hosts, and litellm 1.109 (checked 2026-11-27).
KEY_VARIABLES = (
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN",
    "GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY",
    "MISTRAL_API_KEY", "CODESTRAL_API_KEY", "GROQ_API_KEY", "CO_API_KEY", "COHERE_API_KEY",
    "DEEPSEEK_API_KEY", "TOGETHER_API_KEY", "TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY",
    "OPENROUTER_API_KEY", "XAI_API_KEY", "FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY",
    "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_AD_TOKEN", "AZURE_API_KEY", "AWS_BEARER_TOKEN_BEDROCK",
    "CEREBRAS_API_KEY", "MOONSHOT_API_KEY", "SAMBANOVA_API_KEY", "DEEPINFRA_API_KEY",
    "NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY", "NOVITA_API_KEY", "ZAI_API_KEY", "HUGGINGFACE_API_KEY",
)  # fmt: skip
#: How the token of a Claude subscription begins, and how API keys do.
_LOGIN = "sk-ant-oat"
_API_KEYS = ("sk-", "AIza", "gsk_", "xai-")
_VIRTUAL = re.compile(r"[A-Za-z0-9_.-]*noburn-vk-[A-Za-z0-9]+")


def find_virtual(headers: Mapping[str, str], url: str) -> str | None:
    """The virtual key that a request carries, or None.

    headers: found by lower-case names.
    """
    for name in HEADERS:
        value = headers.get(name)
        if value and MARK in value:
            found = _VIRTUAL.search(value)
            if found is not None:
                return found.group()
    if MARK in url:
        found = _VIRTUAL.search(_query_key(url))
        if found is not None:
            return found.group()
    return None


def is_login(token: str) -> bool:
    """Whether a token is a Claude subscription's, by its form alone."""
    return token.startswith(_LOGIN)


def is_subscription(headers: Mapping[str, str], *, sold: bool) -> bool:
    """Whether a request is paid by a subscription: it carries a login's token, and no API key.

    headers: found by lower-case names.
    sold: whether the policy says that this provider's logins are subscriptions; Anthropic's tell
        so by themselves (`sk-ant-oat…`, from a Claude Pro, Max or Team login; checked 2026-11-27 in
        Claude Code 2.1.197, which makes an `sk-ant-api…` key where the login is billed by use).
    """
    if any(headers.get(name) for name in HEADERS if name != "authorization"):
        return False
    scheme, _, token = (headers.get("authorization") or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or MARK in token:
        return False
    return is_login(token) or (sold and not token.startswith(_API_KEYS))


def has_credentials(headers: Mapping[str, str], url: str) -> bool:
    """Whether a request carries a key of any kind, real or virtual."""
    return any(headers.get(name) for name in HEADERS) or bool(_query_key(url))


def swapped(
    headers: Mapping[str, str], url: str, virtual: str, real: str
) -> tuple[dict[str, str], str]:
    """Headers and URL of a request with the real key wherever the virtual one stood.

    headers: in any spelling; only those that carry keys are changed.
    """
    changed = {
        name: value.replace(virtual, real) if name.lower() in HEADERS else value
        for name, value in headers.items()
    }
    address, mark, query = url.partition("?")
    return changed, address + mark + query.replace(virtual, real)


def _query_key(url: str) -> str:
    try:
        pairs = parse_qsl(urlsplit(url).query)
    except ValueError:
        return ""
    return next((value for name, value in pairs if name == QUERY), "")
