"""Which provider a request to the stub is meant for, beyond OpenAI's and Anthropic's own paths.

Layer: demo.  Above: demo.stub_http.  Below: the modules that know the shapes of the answers.
A first part of the path may name a provider (`/groq/openai/v1/…`): its models are billed under the
price book's prefix (`groq/…`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from noburn_cli.demo import stub_answers as answers
from noburn_cli.demo import stub_bedrock, stub_cohere, stub_google, stub_mistral, stub_openai

#: Providers that the stub stands for below a path of their name.
MOUNTS = (
    *("groq", "mistral", "deepseek", "openrouter", "together", "xai", "azure", "fireworks"),
    *("cohere", "bedrock", "gemini"),
)
#: Those whose own models are plain names in the price book.
_PLAIN = ("gemini",)
_MOUNT = re.compile(rf"^/({'|'.join(MOUNTS)})(?=/)")
_GEMINI = re.compile(
    r"/models/([^/:]+):(generateContent|streamGenerateContent|countTokens"
    r"|embedContent|batchEmbedContents)$"
)
_BEDROCK = re.compile(
    r"/model/([^/]+)/(converse|converse-stream|invoke|invoke-with-response-stream)$"
)
_DEPLOYMENT = re.compile(r"^/openai/deployments/([^/]+)(/.+)$")

for _module in (stub_openai, stub_google, stub_bedrock, stub_mistral, stub_cohere):
    answers.FURTHER.update(_module.SHAPES)


class Asked(NamedTuple):
    """What a URL says: the API, a path that the plain tables know, members for the body.

    api: a name in answers.FURTHER, or "" where the plain path decides.
    path: without the provider in front.
    members: what the URL knows and the body need not: `model`, `stream` and the like.
    prefix: of the model's name in the price book.
    counting: only a count is asked for.
    """

    api: str
    path: str
    members: Mapping[str, Any]
    prefix: str = ""
    counting: bool = False


def read_url(target: str) -> Asked:
    """What a request's target says about it."""
    parts = urlsplit(target)
    path = parts.path
    mount = _MOUNT.match(path)
    prefix = ""
    if mount is not None:
        path = path[mount.end() :]
        prefix = "" if mount[1] in _PLAIN else f"{mount[1]}/"
    gemini = _GEMINI.search(unquote(path))
    if gemini is not None:
        alt = parse_qs(parts.query).get("alt", [""])[0]
        members = {"model": gemini[1], "stream": gemini[2].startswith("stream"), "alt": alt}
        api = stub_google.EMBEDDINGS if "mbedContent" in gemini[2] else stub_google.GENERATE
        return Asked(api, path, members, counting=gemini[2] == "countTokens")
    named: dict[str, Any]
    bedrock = _BEDROCK.search(path)
    if bedrock is not None:
        model = unquote(bedrock[1])
        invoked = stub_bedrock.TITAN if "titan-embed" in model else stub_bedrock.INVOKE
        api = stub_bedrock.CONVERSE if bedrock[2].startswith("converse") else invoked
        named = {"model": model, "stream": bedrock[2].endswith("stream")}
        return Asked(api, path, named, "bedrock/")
    deployment = _DEPLOYMENT.match(path)
    named = {}
    if deployment is not None:
        path, named = deployment[2], {"model": unquote(deployment[1])}
        prefix = prefix or "azure/"
    path = re.sub(r"^/openai(?=/)", "", path)
    path = path if path.startswith(("/v1/", "/v2/", "/stub/")) else f"/v1{path}"
    path = path.rstrip("/")
    if path in stub_cohere.API_OF:
        return Asked(stub_cohere.API_OF[path], path, named, "cohere/")
    tables = stub_mistral.API_OF if prefix == "mistral/" else stub_openai.API_OF
    return Asked(tables.get(path, ""), path, named, prefix)
