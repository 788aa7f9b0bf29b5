"""An agent's tests as anybody writes them: they know nothing of noburn."""

import pytest


def ask(words="hi", calls=1):
    import openai  # Not in a process that only hands out tests.

    with openai.OpenAI(max_retries=0, timeout=30) as client:
        for _ in range(calls):
            client.chat.completions.create(
                model="gpt-6-luna", messages=[{"role": "user", "content": words}], max_tokens=20
            )


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
