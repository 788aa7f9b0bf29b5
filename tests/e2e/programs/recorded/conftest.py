"""An agent's tests as anybody writes them: they know nothing of noburn."""

import json
import os
import urllib.request

import pytest


def ask(words="hi", calls=1):
    """By plain HTTP, because importing an SDK in every process would take most of the time."""
    body = {
        "model": "gpt-6-luna",
        "messages": [{"role": "user", "content": words}],
        "max_tokens": 20,
    }
    request = urllib.request.Request(
        os.environ["OPENAI_BASE_URL"] + "/chat/completions",
        data=json.dumps(body).encode(),
        headers={
            "authorization": f"Bearer {os.environ['OPENAI_API_KEY']}",
            "content-type": "application/json",
        },
    )
    for _ in range(calls):
        with urllib.request.urlopen(request, timeout=30) as answer:
            json.load(answer)


@pytest.fixture(scope="session")
def index():
    ask("index", 2)
    yield
    ask("close")


@pytest.fixture
def client():
    ask("set up")
    yield ask
    ask("tear down")
