"""boto3 behind the guard: Converse and InvokeModel, streams included, signed anew when edited."""

from __future__ import annotations

import hashlib
import http.client
import json
import re

import botocore.endpoint
import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from noburn_cli.demo import stub_http
from noburn_cli.enforce import layers
from noburn_cli.enforce.botocore_hook import hook_botocore
from noburn_cli.enforce.http_client_hook import hook_http_client
from noburn_cli.providers.registry import BEDROCK, Upstream
from tests.enforce.conftest import FOREVER_MS

CLAUDE = "us.anthropic.claude-haiku-4-5-20251001-v1:0"
SAID = [{"role": "user", "content": [{"text": "Which ships lay in the harbour?"}]}]
CAP = {"maxTokens": 100}
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


@pytest.fixture(autouse=True)
def marked(desk):
    hook_http_client(http.client, every_client=False)
    hook_botocore(botocore.endpoint, every_client=False)
    with layers.marking((Upstream(BEDROCK, desk.stub.url),)):
        yield


@pytest.fixture
def arrived(monkeypatch):
    """The requests as they came to the provider, with whether their signature holds."""
    seen = []
    serve = stub_http._Handler._serve

    def checked(handler, path, raw, wishes):
        seen.append((raw, signature_holds(handler, raw)))
        return serve(handler, path, raw, wishes)

    monkeypatch.setattr(stub_http._Handler, "_serve", checked)
    return seen


def signature_holds(handler, raw):
    """Signed once more with the same secret, over what arrived, the signature is the same."""
    said = handler.headers["authorization"]
    signed, signature = re.search(r"SignedHeaders=(\S+), Signature=(\w+)", said).groups()
    headers = {name: handler.headers[name] for name in signed.split(";")}
    url = f"http://{handler.headers['host']}{handler.path}"
    again = AWSRequest(method="POST", url=url, headers=headers, data=raw)
    again.context["timestamp"] = headers["x-amz-date"]
    again.headers["X-Amz-Content-SHA256"] = hashlib.sha256(raw).hexdigest()
    del again.headers["X-Amz-Content-SHA256"]
    auth = SigV4Auth(KEYS, "bedrock", "us-east-1")
    to_sign = auth.string_to_sign(again, auth.canonical_request(again))
    return auth.signature(to_sign, again) == signature


@pytest.fixture
def client(desk):
    session = botocore.session.Session()
    session.set_credentials(KEYS.access_key, KEYS.secret_key)
    return session.create_client(
        "bedrock-runtime",
        region_name="us-east-1",
        endpoint_url=desk.stub.url,
        config=Config(retries={"total_max_attempts": 3, "mode": "standard"}, read_timeout=30),
    )


def invoke_body(**more):
    said = [{"role": "user", "content": "Which ships lay in the harbour?"}]
    return json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 100,
                       "messages": said, **more})  # fmt: skip


def test_what_is_booked_is_what_is_billed(desk, client, arrived):
    answer = client.converse(modelId=CLAUDE, messages=SAID, inferenceConfig=CAP)
    assert answer["usage"]["outputTokens"] == 40
    stream = client.converse_stream(modelId=CLAUDE, messages=SAID, inferenceConfig=CAP)["stream"]
    assert [event for event in stream if "metadata" in event]
    json.load(client.invoke_model(modelId=CLAUDE, body=invoke_body())["body"])
    list(client.invoke_model_with_response_stream(modelId=CLAUDE, body=invoke_body())["body"])
    assert desk.states_when_ended() == ["settled"] * 4
    assert desk.cost_nano() == desk.bill_nano() > 0
    assert [holds for _, holds in arrived] == [True] * 4


def test_a_clamped_call_is_signed_anew(desk, client, arrived):
    desk.stub.defaults["x-stub-output-tokens"] = "100000"
    desk.limit(20_000_000)
    answer = client.converse(modelId=CLAUDE, messages=SAID)
    assert answer["stopReason"] == "max_tokens"
    ((raw, holds),) = arrived
    assert holds
    assert json.loads(raw)["inferenceConfig"]["maxTokens"] == answer["usage"]["outputTokens"]
    assert desk.states() == ["settled"]
    assert desk.cost_nano() == desk.bill_nano() <= 20_000_000


def test_a_block_is_one_client_error(desk, client, arrived):
    desk.limit(1)
    with pytest.raises(ClientError) as blocked:
        client.converse(modelId=CLAUDE, messages=SAID, inferenceConfig=CAP)
    assert blocked.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert blocked.value.response["ResponseMetadata"]["RetryAttempts"] == 0
    assert "spent" in str(blocked.value)
    with pytest.raises(ClientError):
        client.converse_stream(modelId=CLAUDE, messages=SAID, inferenceConfig=CAP)
    assert desk.states() == ["blocked"] * 2
    assert arrived == []


def test_each_attempt_is_a_call_of_its_own(desk, client, arrived):
    desk.stub.defaults["x-stub-status"] = "500"
    with pytest.raises(ClientError):
        client.converse(modelId=CLAUDE, messages=SAID, inferenceConfig=CAP)
    assert len(arrived) == 3
    assert desk.calls("state, status") == [("uncertain", 500)] * 3


def test_a_stream_that_is_closed_early_is_charged_in_full(desk, client):
    desk.stub.defaults["x-stub-chunk-delay-ms"] = FOREVER_MS
    stream = client.converse_stream(modelId=CLAUDE, messages=SAID, inferenceConfig=CAP)["stream"]
    next(iter(stream))
    stream.close()
    assert desk.states_when_ended() == ["uncertain"]
    assert desk.cost_nano() >= desk.bill_nano()


def test_another_models_url_is_signed_anew(desk, client, arrived):
    """The model is in the URL, which is signed as well."""
    desk.home.client.request(
        "budget.set", scope=f"customer={desk.customer}", per="total", action="downgrade",
        limit={"unit": "requests", "amount": 0},
        downgrade={f"bedrock/{CLAUDE}": "bedrock/amazon.nova-micro-v1:0"},
    )  # fmt: skip
    client.converse(modelId=CLAUDE, messages=SAID, inferenceConfig=CAP)
    # InvokeModel's body is the family's own, so that it cannot be one for another.
    with pytest.raises(ClientError, match="is not one that amazon"):
        client.invoke_model(modelId=CLAUDE, body=invoke_body())
    assert [holds for _, holds in arrived] == [True]
    assert desk.calls("state, model") == [
        ("settled", "bedrock/amazon.nova-micro-v1:0"), ("blocked", f"bedrock/{CLAUDE}")
    ]  # fmt: skip
    assert desk.cost_nano() == desk.bill_nano() > 0
