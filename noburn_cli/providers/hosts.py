"""The hosts of providers, what they speak, and the variables that name others in their place.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: providers.routes.
Owns: which host bills, under which price prefix, and the hosts that are refused by name.
Not here: paths (providers.paths), the user's own endpoints (the configuration).
Sources, checked 2026-11-27: the base URLs in litellm 1.109 (`litellm/llms/*`,
`litellm/litellm_core_utils/get_llm_provider_logic.py`) and the `api_pattern` of genai-prices 0.2.3;
the SDKs' own defaults (openai 3.54, anthropic 2.14, google-genai 3.6, groq 1.7, cohere 7.3,
mistralai 3, botocore 1.44).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from noburn_cli.providers.routes import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    GOOGLE,
    MISTRAL,
    OPENAI,
    Upstream,
)


class BaseUrl(NamedTuple):
    """A variable that holds a base URL: the API spoken there, its name, the price prefix."""

    family: str
    variable: str
    provider: str = ""


#: Read by the SDKs themselves, then by langchain and litellm (`*_API_BASE`).
BASE_URL_VARIABLES = (
    BaseUrl(OPENAI, "OPENAI_BASE_URL"),
    BaseUrl(ANTHROPIC, "ANTHROPIC_BASE_URL"),
    BaseUrl(GOOGLE, "GOOGLE_GEMINI_BASE_URL"),
    BaseUrl(OPENAI, "GROQ_BASE_URL", "groq"),
    BaseUrl(COHERE, "CO_API_URL"),
    BaseUrl(BEDROCK, "AWS_ENDPOINT_URL_BEDROCK_RUNTIME"),
    BaseUrl(BEDROCK, "ANTHROPIC_BEDROCK_BASE_URL"),
    BaseUrl(OPENAI, "AZURE_OPENAI_ENDPOINT", "azure"),
    BaseUrl(OPENAI, "OPENAI_API_BASE"),
    BaseUrl(ANTHROPIC, "ANTHROPIC_API_BASE"),
    BaseUrl(GOOGLE, "GEMINI_API_BASE"),
    BaseUrl(MISTRAL, "MISTRAL_API_BASE"),
    BaseUrl(COHERE, "COHERE_API_BASE"),
    BaseUrl(BEDROCK, "AWS_BEDROCK_RUNTIME_ENDPOINT"),
    BaseUrl(OPENAI, "AZURE_API_BASE", "azure"),
    BaseUrl(OPENAI, "GROQ_API_BASE", "groq"),
    BaseUrl(OPENAI, "DEEPSEEK_API_BASE", "deepseek"),
    BaseUrl(OPENAI, "OPENROUTER_API_BASE", "openrouter"),
    BaseUrl(OPENAI, "TOGETHER_AI_API_BASE", "together"),
    BaseUrl(OPENAI, "XAI_API_BASE", "xai"),
    BaseUrl(OPENAI, "FIREWORKS_API_BASE", "fireworks"),
)

#: Every base URL of a host; the longest one that fits decides.
_KNOWN = (
    Upstream(OPENAI, "https://api.openai.com"),
    Upstream(ANTHROPIC, "https://api.anthropic.com"),
    Upstream(GOOGLE, "https://generativelanguage.googleapis.com"),
    Upstream(OPENAI, "https://generativelanguage.googleapis.com/v1beta/openai", "google"),
    Upstream(MISTRAL, "https://api.mistral.ai"),
    Upstream(MISTRAL, "https://codestral.mistral.ai"),
    Upstream(COHERE, "https://api.cohere.com"),
    Upstream(COHERE, "https://api.cohere.ai"),
    Upstream(OPENAI, "https://api.groq.com/openai", "groq"),
    Upstream(OPENAI, "https://api.deepseek.com", "deepseek"),
    Upstream(ANTHROPIC, "https://api.deepseek.com/anthropic", "deepseek"),
    Upstream(OPENAI, "https://api.together.xyz", "together"),
    Upstream(OPENAI, "https://api.together.ai", "together"),
    Upstream(OPENAI, "https://openrouter.ai/api", "openrouter"),
    Upstream(ANTHROPIC, "https://openrouter.ai/api", "openrouter"),
    Upstream(OPENAI, "https://api.x.ai", "xai"),
    Upstream(ANTHROPIC, "https://api.x.ai", "xai"),
    Upstream(OPENAI, "https://api.fireworks.ai/inference", "fireworks"),
    Upstream(OPENAI, "https://api.cerebras.ai", "cerebras"),
    Upstream(OPENAI, "https://api.moonshot.ai", "moonshotai"),
    Upstream(OPENAI, "https://api.sambanova.ai", "sambanova"),
    Upstream(OPENAI, "https://api.deepinfra.com/v1/openai", "deepinfra"),
    Upstream(OPENAI, "https://integrate.api.nvidia.com", "nvidia"),
    Upstream(OPENAI, "https://api.novita.ai/v3/openai", "novita"),
    Upstream(OPENAI, "https://api.z.ai/api/paas/v4", "zai"),
    Upstream(OPENAI, "https://router.huggingface.co", "huggingface"),
    Upstream(OPENAI, "https://models.github.ai/inference", "github"),
)
_BY_HOST: dict[str, tuple[Upstream, ...]] = {}
for _upstream in _KNOWN:
    _host = _upstream.base_url.split("/")[2]
    _BY_HOST[_host] = (*_BY_HOST.get(_host, ()), _upstream)

#: `eu.api.openai.com`: inference in that region.  "Data residency endpoints are charged a 10%
#: uplift for models released on or after March 5, 2026" (checked 2026-11-27,
#: https://developers.openai.com/api/docs/guides/data-residency); the price book says for which.
_OPENAI_REGION = re.compile(r"^([a-z0-9-]+)\.api\.openai\.com$")
_AZURE = re.compile(r"^[a-z0-9-]+\.openai\.azure\.com$")
#: Two newer names of the same service, which has other uses as well (speech, vision).
_AZURE_SHARED = re.compile(r"^[a-z0-9-]+\.(cognitiveservices|services\.ai)\.azure\.com$")
#: Public, FIPS, dual-stack and private (VPC) endpoints of one region; whether a model costs more
#: there depends on its id (core.bedrock_regions).
_BEDROCK = re.compile(
    r"^(vpce-[a-z0-9-]+\.)?bedrock-runtime(-fips)?\.([a-z0-9-]+)\."
    r"(vpce\.)?(amazonaws\.com(\.cn)?|api\.aws)$"
)


class RefusedHost(NamedTuple):
    """A host whose calls cannot be bounded: which, whose errors it speaks, why, what to do."""

    pattern: re.Pattern[str]
    family: str
    why: str
    next_step: str


REFUSED_HOSTS = (
    RefusedHost(
        re.compile(r"^([a-z0-9-]+-)?aiplatform(\.[a-z0-9-]+\.rep)?\.googleapis\.com$"),
        GOOGLE,
        "is Vertex AI, whose requests noburn does not read",
        "call the Gemini API (generativelanguage.googleapis.com)",
    ),
    RefusedHost(
        re.compile(r"^api\.(eu|us)\.mistral\.ai$"),
        MISTRAL,
        "is a regional host, whose prices the price book does not have",
        "call api.mistral.ai",
    ),
    RefusedHost(
        re.compile(r"^api\.perplexity\.ai$"),
        OPENAI,
        "bills a fee for each request, which the price book does not have",
        "call another provider",
    ),
    RefusedHost(
        re.compile(
            r"^bedrock(-agent-runtime|-mantle)(-fips)?\.[a-z0-9-]+\.(amazonaws\.com|api\.aws)$"
        ),
        BEDROCK,
        "runs agents or APIs of Bedrock that noburn does not read",
        "call Converse or InvokeModel of bedrock-runtime",
    ),
)


def known_upstreams(host: str) -> tuple[Upstream, ...]:
    """The base URLs of a provider's own host, or nothing for a host that is not known to bill."""
    found = _BY_HOST.get(host)
    if found is not None:
        return found
    region = _OPENAI_REGION.match(host)
    if region is not None:
        return (Upstream(OPENAI, f"https://{host}", region=region[1]),)
    if _AZURE.match(host):
        return (Upstream(OPENAI, f"https://{host}", "azure"),)
    if _AZURE_SHARED.match(host):
        return (
            Upstream(OPENAI, f"https://{host}/openai", "azure"),
            Upstream(OPENAI, f"https://{host}/models", "azure"),
            Upstream(ANTHROPIC, f"https://{host}/anthropic", "azure"),
        )
    region = _BEDROCK.match(host)
    if region is not None:
        return (Upstream(BEDROCK, f"https://{host}", region=region[3]),)
    return ()


def host_patterns() -> tuple[str, ...]:
    """Every host that bills, those that are refused included, as regular expressions."""
    exact = [f"^{re.escape(host)}$" for host in _BY_HOST]
    several = (
        _OPENAI_REGION,
        _AZURE,
        _AZURE_SHARED,
        _BEDROCK,
        *(one.pattern for one in REFUSED_HOSTS),
    )
    return (*exact, *(pattern.pattern for pattern in several))


def refused_host(host: str) -> RefusedHost | None:
    """Why calls to this host are refused whatever they ask for, or None."""
    return next((one for one in REFUSED_HOSTS if one.pattern.match(host)), None)


def base_url_variable(family: str) -> str:
    """The variable by which most programs name a server that speaks this API, or ""."""
    return next((one.variable for one in BASE_URL_VARIABLES if one.family == family), "")
