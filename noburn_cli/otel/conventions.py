"""The names that OpenTelemetry's conventions for generative AI give to what the ledger knows.

Layer: otel, pure.  Below: nothing.  Above: spans, metrics.
Owns: every attribute and metric name that is exported, and which value stands for which API and
provider.  docs/otel.md tells the same.

The conventions are under development.  The names are those of semantic conventions 1.44 (package
opentelemetry-semantic-conventions 0.66b2, 2026-10), which OpenTelemetry's own instrumentations
write.  They live on in a repository of their own, where version 0.1.0 has further ones:
https://github.com/open-telemetry/semantic-conventions-genai/blob/v0.1.0/docs/gen-ai/client-inference.md
(read 2026-11-27).  Of those, the kinds of tokens that 1.44 has no name for are written, and cache
writes under both names (`cache_creation` there, `cache_write` since).  What a call cost has no name
yet (https://github.com/open-telemetry/semantic-conventions-genai/pull/443, open): it is noburn's.
"""

from __future__ import annotations

from collections.abc import Mapping

from noburn_cli.version import __version__

SCOPE, SCOPE_VERSION = "noburn", __version__
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105 -- a name
ERROR_TYPE = "error.type"
#: Of version 0.1.0 of the conventions' own repository.
CACHE_WRITE_TOKENS = "gen_ai.usage.cache_write.input_tokens"
MODALITY_TOKENS = {
    "audio_input": "gen_ai.usage.audio.input_tokens",
    "audio_cache_read": "gen_ai.usage.audio.cache_read.input_tokens",
    "audio_output": "gen_ai.usage.audio.output_tokens",
    "image_input": "gen_ai.usage.image.input_tokens",
    "image_cache_read": "gen_ai.usage.image.cache_read.input_tokens",
    "image_output": "gen_ai.usage.image.output_tokens",
}

TOKEN_USAGE, TOKEN_UNIT = "gen_ai.client.token.usage", "{token}"
DURATION, DURATION_UNIT = "gen_ai.client.operation.duration", "s"
COST, COST_UNIT = "noburn.cost", "{USD}"
#: At list price, of calls that a subscription pays for: a name of its own, so that no sum of
#: costs has it.
NOTIONAL_COST = "noburn.notional_cost"
#: The boundaries that the conventions ask for.
TOKEN_BOUNDS = tuple(4**power for power in range(14))
DURATION_BOUNDS = tuple(0.01 * 2**power for power in range(14))

#: The prefix of what is noburn's own, and how a free tag is called.
OWN, TAG = "noburn.", "noburn.tag."

_CHAT, _EMBEDDINGS, _GENERATE = "chat", "embeddings", "generate_content"
#: Our codecs' names -> the operation.  The last four are no well-known values, as is allowed.
OPERATIONS: Mapping[str, str] = {
    "openai_chat": _CHAT,
    "openai_responses": _CHAT,
    "openai_completions": "text_completion",
    "openai_embeddings": _EMBEDDINGS,
    "anthropic_messages": _CHAT,
    "gemini": _GENERATE,
    "gemini_embeddings": _EMBEDDINGS,
    "bedrock_converse": _CHAT,
    "bedrock_invoke": _CHAT,
    "mistral_chat": _CHAT,
    "mistral_fim": "text_completion",
    "mistral_embeddings": _EMBEDDINGS,
    "cohere_chat": _CHAT,
    "cohere_embed": _EMBEDDINGS,
    "openai_images": "image_generation",
    "openai_speech": "speech",
    "openai_transcription": "transcription",
    "anthropic_batches": "batch",
}

#: The price book's providers -> the well-known value, where it is another word.
PROVIDERS: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
#: What an API's name begins with -> the provider, where the book does not know the model.
_PROVIDER_OF_API: Mapping[str, str] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "google",
    "bedrock": "bedrock",
    "mistral": "mistral",
    "cohere": "cohere",
}

#: States in which nothing was generated, as `error.type` where no HTTP status says more.
FAILED_STATES = ("blocked", "refused", "voided", "orphaned")


def operation(api: str | None) -> str:
    """The operation of a codec; an API that is not listed is named as it is."""
    return OPERATIONS.get(api or "", api or "unknown")


def provider(api: str | None, of_the_book: str | None) -> str:
    """The provider as the conventions name it.  of_the_book: the one that the model has there."""
    found = of_the_book or _PROVIDER_OF_API.get((api or "").partition("_")[0], "unknown")
    return PROVIDERS.get(found, found)


def error_type(state: str, status: int | None) -> str | None:
    """A class of error: the HTTP status, or the state of a call that brought nothing."""
    if status is not None and status >= 400:
        return str(status)
    return state if state in FAILED_STATES else None
