"""Calls Bedrock in every way that boto3 and the anthropic SDK know; prints what it read, as JSON.

Arguments: the base URL; a model; the base URL of a server that blocks, and of one that ends
a stream with an error.
"""

import json
import sys

import anthropic
import boto3
from botocore.exceptions import ClientError

url, model, blocking_url, cutting_url = sys.argv[1:]
KEYS = {
    "aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "eu-west-1",
}  # fmt: skip
PROMPT = "Which ships lay in the harbour that winter?"
MESSAGES = [{"role": "user", "content": [{"text": PROMPT}]}]
ASKED = {"modelId": model, "messages": MESSAGES, "inferenceConfig": {"maxTokens": 50}}
PLAIN = {"max_tokens": 50, "messages": [{"role": "user", "content": PROMPT}]}
client = boto3.client("bedrock-runtime", endpoint_url=url, **KEYS)
seen = {}


def used(usage, reason):
    return {"in": usage["inputTokens"], "out": usage["outputTokens"], "reason": reason}


answer = client.converse(**ASKED)
seen["converse"] = used(answer["usage"], answer["stopReason"])

events = list(client.converse_stream(**ASKED)["stream"])
reason = next(one["messageStop"]["stopReason"] for one in events if "messageStop" in one)
seen["converse_stream"] = used(events[-1]["metadata"]["usage"], reason)

body = json.dumps({"anthropic_version": "bedrock-2023-05-31", **PLAIN})
answer = json.loads(client.invoke_model(modelId=model, body=body)["body"].read())
usage = {
    "inputTokens": answer["usage"]["input_tokens"],
    "outputTokens": answer["usage"]["output_tokens"],
}
seen["invoke"] = used(usage, answer["stop_reason"])

parts = client.invoke_model_with_response_stream(modelId=model, body=body)["body"]
events = [json.loads(part["chunk"]["bytes"]) for part in parts]
metrics = events[-1]["amazon-bedrock-invocationMetrics"]
usage = {"inputTokens": metrics["inputTokenCount"], "outputTokens": metrics["outputTokenCount"]}
seen["invoke_stream"] = used(usage, events[-2]["delta"]["stop_reason"])

claude = anthropic.AnthropicBedrock(
    base_url=url, aws_access_key="any", aws_secret_key="any", aws_region="eu-west-1",
    max_retries=0,
)  # fmt: skip
answer = claude.messages.create(model=model, **PLAIN)
usage = {"inputTokens": answer.usage.input_tokens, "outputTokens": answer.usage.output_tokens}
seen["anthropic"] = used(usage, answer.stop_reason)
with claude.messages.create(model=model, stream=True, **PLAIN) as stream:
    events = list(stream)
usage = {
    "inputTokens": events[0].message.usage.input_tokens,
    "outputTokens": events[-2].usage.output_tokens,
}
seen["anthropic_stream"] = used(usage, events[-2].delta.stop_reason)

titan = client.invoke_model(
    modelId="amazon.titan-embed-text-v2:0", body=json.dumps({"inputText": "one two"})
)
seen["vector"] = len(json.loads(titan["body"].read())["embedding"])

blocked = boto3.client("bedrock-runtime", endpoint_url=blocking_url, **KEYS)
try:
    blocked.converse(**ASKED)
except ClientError as error:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    seen["blocked"] = [status, error.response["Error"]["Message"]]
cut = boto3.client("bedrock-runtime", endpoint_url=cutting_url, **KEYS)
try:
    list(cut.converse_stream(**ASKED)["stream"])
except ClientError as error:  # An EventStreamError is one.
    seen["cut"] = error.response["Error"]["Message"]
print(json.dumps(seen))
