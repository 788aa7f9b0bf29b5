"""Calls Mistral, Cohere and Groq by their own SDKs; prints what they read, as JSON.

Arguments: the base URL; the base URL of a server that blocks, and of one that ends a stream with an
error.
"""

import json
import sys

import cohere
import groq
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

url, blocking_url, cutting_url = sys.argv[1:]
MESSAGES = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]
seen = {}


def plain(usage, reason):
    return {"in": usage.prompt_tokens, "out": usage.completion_tokens, "reason": reason}


mistral = Mistral(api_key="any", server_url=url + "/mistral")
asked = {"model": "mistral-small-test", "messages": MESSAGES, "max_tokens": 50}
answer = mistral.chat.complete(**asked, safe_prompt=True)
seen["mistral"] = plain(answer.usage, answer.choices[0].finish_reason)
last = [event.data for event in mistral.chat.stream(**asked)][-1]
seen["mistral_stream"] = plain(last.usage, last.choices[0].finish_reason)
answer = mistral.fim.complete(model="mistral-small-test", prompt="def f(", max_tokens=50)
seen["mistral_fim"] = plain(answer.usage, answer.choices[0].finish_reason)

ai = groq.Groq(api_key="any", base_url=url + "/groq", max_retries=0)
asked_groq = {"model": "llama-test", "messages": MESSAGES, "max_completion_tokens": 50}
answer = ai.chat.completions.create(**asked_groq)
seen["groq"] = plain(answer.usage, answer.choices[0].finish_reason)

asked_cohere = {"model": "command-test", "messages": MESSAGES, "max_tokens": 50}
co = cohere.ClientV2(api_key="any", base_url=url)
answer = co.chat(**asked_cohere)


def billed(usage, reason):
    units = usage.billed_units
    return {"in": units.input_tokens, "out": units.output_tokens, "reason": reason}


seen["cohere"] = billed(answer.usage, answer.finish_reason)
end = list(co.chat_stream(**asked_cohere))[-1].delta
seen["cohere_stream"] = billed(end.usage, end.finish_reason)

vectors = mistral.embeddings.create(model="mistral-embed-test", inputs=["one", "two"]).data
seen["mistral_vectors"] = len(vectors)
embedded = co.embed(
    model="embed-test", texts=["one", "two"], input_type="search_query", embedding_types=["float"]
)
seen["cohere_vectors"] = len(embedded.embeddings.float_)


def message(body):
    return body["message"] if "message" in body else body["error"]["message"]


blocked = []
try:
    Mistral(api_key="any", server_url=blocking_url).chat.complete(**asked)
except SDKError as error:
    blocked.append([error.status_code, message(json.loads(error.body))])
try:
    groq.Groq(api_key="any", base_url=blocking_url).chat.completions.create(**asked_groq)
except groq.APIStatusError as error:
    blocked.append([error.status_code, message(error.body)])
try:
    cohere.ClientV2(api_key="any", base_url=blocking_url).chat(**asked_cohere)
except cohere.core.ApiError as error:
    blocked.append([error.status_code, message(error.body)])
seen["blocked"] = blocked
cut = cohere.ClientV2(api_key="any", base_url=cutting_url)
try:
    seen["cut"] = list(cut.chat_stream(**asked_cohere))[-1].delta.error
except cohere.core.ApiError as error:
    seen["cut"] = message(error.body)
print(json.dumps(seen))
