"""Which path of an API is a call that costs money, which is free, and which codec reads it.

Layer: providers (sans-IO, standard library, Python 3.10).  Below: the codecs, providers.routes.
Owns: the tables of paths.  A path that is not listed here as free and has no codec is refused when
it may cost money.  Above: registry, which knows on whose server the path is.
Sources: the paths in the openai Python SDK 3.54 and the anthropic one 2.12 (checked 2026-11-23),
in google-genai 3.6, mistralai 3, cohere 7.3 and in botocore 1.44's `bedrock-runtime` model
(checked 2026-11-27).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from noburn_cli.providers.anthropic_batches import AnthropicBatches, AnthropicResults
from noburn_cli.providers.anthropic_messages import AnthropicMessages
from noburn_cli.providers.bedrock_common import model_of
from noburn_cli.providers.bedrock_converse import BedrockConverse
from noburn_cli.providers.bedrock_invoke import BedrockInvoke
from noburn_cli.providers.codec import Codec
from noburn_cli.providers.cohere import CohereChat, CohereEmbed
from noburn_cli.providers.gemini import Gemini
from noburn_cli.providers.gemini_embeddings import GeminiEmbeddings
from noburn_cli.providers.mistral import MistralChat, MistralEmbeddings, MistralFim
from noburn_cli.providers.openai_chat import OpenAIChat
from noburn_cli.providers.openai_completions import OpenAICompletions
from noburn_cli.providers.openai_embeddings import OpenAIEmbeddings
from noburn_cli.providers.openai_media import (
    OnlyCeiling,
    OpenAIImages,
    OpenAISpeech,
    OpenAITranscription,
)
from noburn_cli.providers.openai_responses import OpenAIResponses
from noburn_cli.providers.routes import (
    ANTHROPIC,
    BEDROCK,
    COHERE,
    FAMILIES,
    FOLLOW,
    FREE,
    GOOGLE,
    GUARD,
    MISTRAL,
    OPENAI,
    Route,
    refused_route,
)

#: Every codec by its name; those whose URL names the model are here without one.
CODECS: dict[str, Codec] = {
    codec.api: codec
    for codec in (
        OpenAIChat(),
        OpenAIResponses(),
        OpenAICompletions(),
        OpenAIEmbeddings(),
        AnthropicMessages(),
        Gemini(),
        GeminiEmbeddings(),
        BedrockConverse(),
        BedrockInvoke(),
        MistralChat(),
        MistralFim(),
        MistralEmbeddings(),
        CohereChat(),
        CohereEmbed(),
        OpenAIImages(),
        OpenAISpeech(),
        OpenAITranscription(),
        AnthropicBatches(),
    )
}
#: The codec whose error a refused request of a family is answered with.
ERRORS_OF = {
    OPENAI: OpenAIChat.api,
    ANTHROPIC: AnthropicMessages.api,
    GOOGLE: Gemini.api,
    MISTRAL: MistralChat.api,
    BEDROCK: BedrockConverse.api,
    COHERE: CohereChat.api,
}
#: Paths below a base URL, without the version, whose body names the model.
_CALLS: dict[tuple[str, str], Codec] = {
    (OPENAI, "/chat/completions"): OpenAIChat(),
    (OPENAI, "/responses"): OpenAIResponses(),
    (OPENAI, "/completions"): OpenAICompletions(),
    (OPENAI, "/embeddings"): OpenAIEmbeddings(),
    (OPENAI, "/images/generations"): OpenAIImages(),
    (OPENAI, "/images/edits"): OnlyCeiling("openai_image_edits", "images"),
    (OPENAI, "/images/variations"): OnlyCeiling("openai_image_variations", "images"),
    (OPENAI, "/audio/speech"): OpenAISpeech(),
    (OPENAI, "/audio/transcriptions"): OpenAITranscription(),
    (OPENAI, "/audio/translations"): OnlyCeiling("openai_translations", "transcription"),
    (OPENAI, "/batches"): OnlyCeiling("openai_batches", "batch"),
    (OPENAI, "/videos"): OnlyCeiling("openai_videos", "video"),
    (OPENAI, "/fine_tuning/jobs"): OnlyCeiling("openai_fine_tuning", "fine_tuning"),
    (ANTHROPIC, "/messages"): AnthropicMessages(),
    (MISTRAL, "/chat/completions"): MistralChat(),
    (MISTRAL, "/fim/completions"): MistralFim(),
    (MISTRAL, "/embeddings"): MistralEmbeddings(),
    (COHERE, "/v2/chat"): CohereChat(),
    (COHERE, "/v2/embed"): CohereEmbed(),
    (ANTHROPIC, "/messages/batches"): AnthropicBatches(),
}
_RESULTS = re.compile(r"^/messages/batches/([A-Za-z0-9._-]{1,50})/results$")
#: POSTs that cost nothing: counts, cancellations, moderation, storing what costs only when used.
_FREE_POSTS: dict[str, re.Pattern[str]] = {
    OPENAI: re.compile(
        r"^/(responses/input_tokens|moderations|uploads(/[^/]+(/parts|/complete|/cancel))?|files"
        r"|responses/[^/]+/cancel|batches/[^/]+/cancel|fine_tuning/jobs/[^/]+/(cancel|pause)"
        r"|chat/completions/[^/]+|conversations(/[^/]+(/items)?)?)$"
    ),
    ANTHROPIC: re.compile(r"^/(messages/count_tokens|files|messages/batches/[^/]+/cancel)$"),
    GOOGLE: re.compile(
        r"^/((models|tunedModels)/[^/]+:(countTokens|countMessageTokens|countTextTokens)"
        r"|upload/[^/]+/files|(upload/)?files(:register)?|batches/[^/]+:cancel)$"
    ),
    MISTRAL: re.compile(r"^/(files|batch/jobs/[^/]+/cancel|fine_tuning/jobs/[^/]+/cancel)$"),
    BEDROCK: re.compile(r"^/model/[^/]+/count-tokens$"),
    COHERE: re.compile(r"^/v1/(tokenize|detokenize|check-api-key)$"),
}
#: GETs that could start or carry something with a price (a WebSocket begins as a GET).
_PAID_GETS = re.compile(r"^/(realtime|responses/?$|live|ws)(/|$)|/realtime$")
_HARMLESS_METHODS = ("GET", "HEAD", "OPTIONS", "DELETE")

_VERSION = re.compile(r"^/v1(?=/|$)")
_GOOGLE_VERSION = re.compile(r"^/v1((alpha|beta)\d*)?(?=/|$)")
#: Azure and Groq put the API below `/openai`, DeepSeek its newest parameters below `/beta`.
_OPENAI_MOUNT = re.compile(r"^/(openai(/v1)?|beta)(?=/)")
_WHAT_WORKS = {
    OPENAI: "use chat completions, responses, completions, embeddings, images or audio",
    ANTHROPIC: "use messages",
    GOOGLE: "use generateContent, streamGenerateContent, embedContent or batchEmbedContents",
    MISTRAL: "use chat completions, FIM completions or embeddings",
    BEDROCK: "use Converse, ConverseStream, InvokeModel or InvokeModelWithResponseStream",
    COHERE: "use v2 chat or v2 embed",
}


def route_of_path(
    method: str, family: str, path: str, models: tuple[tuple[str, str], ...]
) -> Route:
    """A request to a server that bills.

    path: below the base URL, as `plain_path` leaves it.
    models: deployments by name, for a URL that names one.
    """
    if family not in FAMILIES:
        return refused_route(
            family, f"no API is called {family[:40]!r}", f"one of {', '.join(FAMILIES)}"
        )
    codec = _CALLS.get((family, path))
    if codec is None and family in _BY_URL:
        codec = _BY_URL[family](path, dict(models))
    if method == "POST" and codec is not None:
        return Route(GUARD, family, codec)
    told = _RESULTS.match(path) if family == ANTHROPIC and method == "GET" else None
    if told is not None:
        return Route(FOLLOW, family, AnthropicResults(told[1]))
    if method in _HARMLESS_METHODS and not (method == "GET" and _PAID_GETS.search(path)):
        return Route(FREE, family)
    if method == "POST" and _FREE_POSTS[family].match(path):
        return Route(FREE, family)
    return refused_route(
        family,
        f"{method} {path[:80]} may cost money that noburn cannot bound",
        f"{_WHAT_WORKS[family]}, or run this part without noburn",
    )


def plain_path(family: str, path: str) -> str:
    """A path without the version in front, doubled slashes or a slash at the end."""
    path = re.sub("/{2,}", "/", path)
    if family == GOOGLE:
        path = _GOOGLE_VERSION.sub("", unquote(path))
    elif family == OPENAI:
        path = _OPENAI_MOUNT.sub("", _VERSION.sub("", path))
    elif family not in (BEDROCK, COHERE):
        path = _VERSION.sub("", path)
    return path.rstrip("/") or "/"


_DEPLOYMENT = re.compile(r"^/deployments/([^/]+)(/chat/completions|/completions|/embeddings)$")


def _azure(path: str, models: dict[str, str]) -> Codec | None:
    """Azure's older paths name the deployment: `/openai/deployments/NAME/chat/completions`."""
    found = _DEPLOYMENT.match(path)
    if found is None:
        return None
    name = unquote(found[1])
    model = models.get(name, name)
    codecs: dict[str, Codec] = {
        "/chat/completions": OpenAIChat(model),
        "/completions": OpenAICompletions(model),
        "/embeddings": OpenAIEmbeddings(model),
    }
    return codecs[found[2]]


_GEMINI = re.compile(
    r"^/models/([^/:]+):(generateContent|streamGenerateContent|embedContent|batchEmbedContents)$"
)


def _google(path: str, models: dict[str, str]) -> Codec | None:  # noqa: ARG001
    """`/models/MODEL:METHOD`; the path is unquoted already.  Tuned models have no price."""
    found = _GEMINI.match(path)
    if found is None or not found[1].isprintable():
        return None
    if found[2].endswith("mbedContents") or found[2] == "embedContent":
        return GeminiEmbeddings(found[1])
    return Gemini(found[1], streams=found[2] == "streamGenerateContent")


_BEDROCK = re.compile(
    r"^/model/([^/]+)/(converse|converse-stream|invoke|invoke-with-response-stream)$"
)


def _bedrock(path: str, models: dict[str, str]) -> Codec | None:
    """`/model/ID/OPERATION`; the id is quoted (an ARN has slashes of its own)."""
    found = _BEDROCK.match(path)
    if found is None:
        return None
    model = model_of(unquote(found[1]), models)
    model = model if model.isprintable() else ""
    streams = found[2].endswith("stream")
    if found[2].startswith("converse"):
        return BedrockConverse(model, streams=streams, in_url=True)
    return BedrockInvoke(model, streams=streams, in_url=True)


#: Families in which a URL may name the model.
_BY_URL: dict[str, Callable[[str, dict[str, str]], Codec | None]] = {
    OPENAI: _azure,
    GOOGLE: _google,
    BEDROCK: _bedrock,
}
