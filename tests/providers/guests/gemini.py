"""Calls the Gemini API in every way that google-genai knows; prints what it read, as JSON.

Arguments: the base URL; a model; the base URL of a server that blocks, and of one that ends
a stream with an error.
"""

import asyncio
import json
import sys

from google import genai
from google.genai import errors, types

url, model, blocking_url, cutting_url = sys.argv[1:]
client = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=url))
config = types.GenerateContentConfig(
    max_output_tokens=50, candidate_count=1, system_instruction="Be brief."
)
PROMPT = "Which ships lay in the harbour that winter?"
seen = {}


def used(answer):
    usage = answer.usage_metadata
    return {
        "prompt": usage.prompt_token_count,
        "out": (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0),
        "words": len((answer.text or "").split()),
        "reason": answer.candidates[0].finish_reason,
    }


async def awaited():
    answer = await client.aio.models.generate_content(model=model, contents=PROMPT, config=config)
    seen["async"] = used(answer)
    parts = await client.aio.models.generate_content_stream(
        model=model, contents=PROMPT, config=config
    )
    seen["async_stream"] = used([part async for part in parts][-1])


answer = client.models.generate_content(model=model, contents=PROMPT, config=config)
seen["sync"] = used(answer)
parts = client.models.generate_content_stream(model=model, contents=PROMPT, config=config)
seen["stream"] = used(list(parts)[-1])
asyncio.run(awaited())
seen["count"] = client.models.count_tokens(model=model, contents=PROMPT).total_tokens
embedded = client.models.embed_content(model="gemini-embedding-001", contents=["one", "two"])
seen["vectors"] = len(embedded.embeddings)
blocked = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=blocking_url))
try:
    blocked.models.generate_content(model=model, contents=PROMPT, config=config)
except errors.ClientError as error:
    seen["blocked"] = [error.code, error.message]
cut = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=cutting_url))
try:
    list(cut.models.generate_content_stream(model=model, contents=PROMPT, config=config))
except errors.APIError as error:
    seen["cut"] = error.message
print(json.dumps(seen))
