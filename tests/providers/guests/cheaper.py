"""One call by each SDK, in the ways that it sends; prints the models that the answers name.

Arguments: the base URL of the provider's stand-in.
"""

import asyncio
import json
import sys

import anthropic
import boto3
import cohere
import openai
from google import genai
from google.genai import types
from mistralai.client import Mistral

(url,) = sys.argv[1:]
TEXT = "Which ships lay in the harbour that winter?"
MESSAGES = [{"role": "user", "content": TEXT}]
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
seen = {}

ai = openai.OpenAI(api_key="any", base_url=f"{url}/v1", max_retries=0)
chat = {"model": "gpt-6.1-sol", "messages": MESSAGES}
seen["chat"] = ai.chat.completions.create(**chat, tools=TOOLS).model
chunks = list(ai.chat.completions.create(**chat, stream=True))
seen["chat stream"] = chunks[-1].model
assert all(chunk.choices for chunk in chunks)  # nobody asked for the usage
events = list(ai.responses.create(model="gpt-6.1-sol", input=TEXT, stream=True))
seen["responses stream"] = events[-1].response.model
azure = openai.AzureOpenAI(
    api_key="any", azure_endpoint=url, api_version="2024-10-21", max_retries=0
)
azure.chat.completions.create(**{**chat, "model": "eu/gpt-5.5"}, max_completion_tokens=40)

claude = anthropic.Anthropic(api_key="any", base_url=url, max_retries=0)
asked = {"model": "claude-opus-5-5", "messages": MESSAGES}
thinking = {"type": "enabled", "budget_tokens": 1100}
seen["claude"] = claude.messages.create(**asked, max_tokens=1200, thinking=thinking).model
with claude.messages.stream(**asked, max_tokens=60) as stream:
    seen["claude stream"] = stream.get_final_message().model

google = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=f"{url}/gemini"))
gemini = {"model": "gemini-4-argon", "contents": TEXT}
seen["gemini"] = google.models.generate_content(**gemini).model_version


async def awaited():
    parts = await google.aio.models.generate_content_stream(**gemini)
    return [part async for part in parts][-1].model_version


seen["gemini, awaited stream"] = asyncio.run(awaited())

KEYS = {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
bedrock = boto3.client("bedrock-runtime", endpoint_url=url, region_name="eu-west-1", **KEYS)
nova = {"modelId": "amazon.nova-pro-v1:0"}
bedrock.converse(
    **nova, messages=[{"role": "user", "content": [{"text": TEXT}]}],
    inferenceConfig={"maxTokens": 50},
)  # fmt: skip

mistral = Mistral(api_key="any", server_url=f"{url}/mistral")
seen["mistral"] = mistral.chat.complete(model="mistral-large-4", messages=MESSAGES).model
co = cohere.ClientV2(api_key="any", base_url=url)
co.chat(model="command-r-plus-08-2024", messages=MESSAGES, max_tokens=50)
print(json.dumps(seen))
