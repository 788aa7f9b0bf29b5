"""The calls of each SDK, as its documentation shows them.

A row has up to four methods: sync(ask), async_(ask), stream(ask) and astream(ask); the last two
return iterators.  Where the stub is comes in STUB_URL; a client that reads a variable gets none.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
from dataclasses import dataclass
from typing import Any

STUB = os.environ.get("STUB_URL", "")
PROMPT = "Tell me about the harbour in winter."
MESSAGES = [{"role": "user", "content": PROMPT}]
OPENAI_MODEL = "gpt-6-luna"
CLAUDE_MODEL = "claude-haiku-5-5"
GEMINI_MODEL = "gemini-3.8-flash"
PATIENT_S = 60.0


@dataclass(frozen=True)
class Ask:
    """cap: the output cap, or None for none.  timeout: in seconds, None waits."""

    cap: int | None
    timeout: float | None


class OpenAIApi:
    """One API of the openai SDK; both generations have the same methods."""

    def __init__(
        self, path: str, cap_name: str | None, *, default: int | None = None, **body: Any
    ) -> None:
        self.path = path
        self.cap_name = cap_name
        self.default = default
        self.body = body

    def call(self, client_class: Any, ask: Ask, **more: Any) -> Any:
        retries = {} if ask.timeout is None else {"max_retries": 0}
        client = client_class(timeout=ask.timeout or PATIENT_S, **retries)
        method = client
        for part in self.path.split("."):
            method = getattr(method, part)
        wanted = ask.cap or self.default
        cap = {self.cap_name: wanted} if self.cap_name and wanted else {}
        return method.create(**self.body, **cap, **more)

    def sync(self, ask: Ask) -> Any:
        from openai import OpenAI

        return self.call(OpenAI, ask)

    async def async_(self, ask: Ask) -> Any:
        from openai import AsyncOpenAI

        return await self.call(AsyncOpenAI, ask)


class StreamingOpenAIApi(OpenAIApi):  # embeddings do not stream
    def stream(self, ask: Ask) -> Any:
        from openai import OpenAI

        return self.call(OpenAI, ask, stream=True)

    async def astream(self, ask: Ask) -> Any:
        from openai import AsyncOpenAI

        stream = await self.call(AsyncOpenAI, ask, stream=True)
        try:
            async for event in stream:
                yield event
        finally:
            await stream.close()


def openai() -> dict[str, Any]:
    return {
        "chat": StreamingOpenAIApi(
            "chat.completions", "max_completion_tokens", model=OPENAI_MODEL, messages=MESSAGES
        ),
        "responses": StreamingOpenAIApi(
            "responses", "max_output_tokens", model=OPENAI_MODEL, input=PROMPT
        ),
        "completions": StreamingOpenAIApi(
            "completions", "max_tokens",
            default=400,  # without one it means 16
            model="gpt-3.5-turbo-instruct", prompt=PROMPT,
        ),
        "embeddings": OpenAIApi(
            "embeddings", None, model="text-embedding-3-small", input=PROMPT
        ),
    }  # fmt: skip


class Anthropic:
    def body(self, ask: Ask) -> dict[str, Any]:
        return {"model": CLAUDE_MODEL, "messages": MESSAGES, "max_tokens": ask.cap or 400}

    def client(self, kind: str, ask: Ask) -> Any:
        import anthropic

        retries = {} if ask.timeout is None else {"max_retries": 0}
        return getattr(anthropic, kind)(timeout=ask.timeout or PATIENT_S, **retries)

    def sync(self, ask: Ask) -> Any:
        return self.client("Anthropic", ask).messages.create(**self.body(ask))

    async def async_(self, ask: Ask) -> Any:
        return await self.client("AsyncAnthropic", ask).messages.create(**self.body(ask))

    def stream(self, ask: Ask) -> Any:
        return self.client("Anthropic", ask).messages.create(**self.body(ask), stream=True)

    async def astream(self, ask: Ask) -> Any:
        client = self.client("AsyncAnthropic", ask)
        async with client.messages.stream(**self.body(ask)) as stream:
            async for event in stream:
                yield event


class Gemini:
    def call(self, ask: Ask) -> tuple[Any, dict[str, Any]]:
        from google import genai

        milliseconds = int((ask.timeout or PATIENT_S) * 1000)
        client = genai.Client(
            api_key=os.environ["GEMINI_API_KEY"],
            http_options={"base_url": STUB, "timeout": milliseconds},
        )
        config = {} if ask.cap is None else {"config": {"max_output_tokens": ask.cap}}
        return client, {"model": GEMINI_MODEL, "contents": PROMPT, **config}

    def sync(self, ask: Ask) -> Any:
        client, body = self.call(ask)
        return client.models.generate_content(**body)

    async def async_(self, ask: Ask) -> Any:
        client, body = self.call(ask)
        return await client.aio.models.generate_content(**body)

    def stream(self, ask: Ask) -> Any:
        client, body = self.call(ask)
        yield from client.models.generate_content_stream(**body)

    async def astream(self, ask: Ask) -> Any:
        client, body = self.call(ask)
        async for piece in await client.aio.models.generate_content_stream(**body):
            yield piece


class Mistral:
    def call(self, ask: Ask) -> tuple[Any, dict[str, Any]]:
        from mistralai.client import Mistral as Client

        client = Client(
            api_key=os.environ["MISTRAL_API_KEY"],
            server_url=STUB + "/mistral",
            timeout_ms=int((ask.timeout or PATIENT_S) * 1000),
        )
        cap = {} if ask.cap is None else {"max_tokens": ask.cap}
        return client, {"model": "mistral-small-latest", "messages": MESSAGES, **cap}

    def sync(self, ask: Ask) -> Any:
        client, body = self.call(ask)
        return client.chat.complete(**body)

    async def async_(self, ask: Ask) -> Any:
        client, body = self.call(ask)
        return await client.chat.complete_async(**body)

    def stream(self, ask: Ask) -> Any:
        client, body = self.call(ask)
        with client.chat.stream(**body) as events:
            yield from events

    async def astream(self, ask: Ask) -> Any:
        client, body = self.call(ask)
        async with await client.chat.stream_async(**body) as events:
            async for event in events:
                yield event


class Groq:
    def call(self, kind: str, ask: Ask, **more: Any) -> Any:
        import groq

        retries = {} if ask.timeout is None else {"max_retries": 0}
        client = getattr(groq, kind)(timeout=ask.timeout or PATIENT_S, **retries)
        cap = {} if ask.cap is None else {"max_completion_tokens": ask.cap}
        return client.chat.completions.create(
            model="openai/gpt-oss-20b", messages=MESSAGES, **cap, **more
        )

    def sync(self, ask: Ask) -> Any:
        return self.call("Groq", ask)

    async def async_(self, ask: Ask) -> Any:
        return await self.call("AsyncGroq", ask)

    def stream(self, ask: Ask) -> Any:
        return self.call("Groq", ask, stream=True)

    async def astream(self, ask: Ask) -> Any:
        stream = await self.call("AsyncGroq", ask, stream=True)
        try:
            async for event in stream:
                yield event
        finally:
            await stream.close()


class Cohere:
    def call(self, kind: str, ask: Ask) -> tuple[Any, dict[str, Any]]:
        import cohere

        retries = {} if ask.timeout is None else {"max_retries": 0}
        client = getattr(cohere, kind)(
            api_key=os.environ["CO_API_KEY"],
            base_url=STUB,
            timeout=ask.timeout or PATIENT_S,
            **retries,
        )
        cap = {} if ask.cap is None else {"max_tokens": ask.cap}
        return client, {"model": "command-a-03-2025", "messages": MESSAGES, **cap}

    def sync(self, ask: Ask) -> Any:
        client, body = self.call("ClientV2", ask)
        return client.chat(**body)

    async def async_(self, ask: Ask) -> Any:
        client, body = self.call("AsyncClientV2", ask)
        return await client.chat(**body)

    def stream(self, ask: Ask) -> Any:
        client, body = self.call("ClientV2", ask)
        yield from client.chat_stream(**body)

    async def astream(self, ask: Ask) -> Any:
        client, body = self.call("AsyncClientV2", ask)
        async for event in client.chat_stream(**body):
            yield event


class Bedrock:
    model = "amazon.nova-micro-v1:0"

    def client(self, ask: Ask) -> Any:
        import boto3
        from botocore.config import Config

        retries = {} if ask.timeout is None else {"retries": {"total_max_attempts": 1}}
        config = Config(read_timeout=ask.timeout or PATIENT_S, **retries)
        return boto3.client(
            "bedrock-runtime", region_name="us-east-1", endpoint_url=STUB, config=config
        )


class Converse(Bedrock):
    def body(self, ask: Ask) -> dict[str, Any]:
        cap = {} if ask.cap is None else {"inferenceConfig": {"maxTokens": ask.cap}}
        messages = [{"role": "user", "content": [{"text": PROMPT}]}]
        return {"modelId": self.model, "messages": messages, **cap}

    def sync(self, ask: Ask) -> Any:
        return self.client(ask).converse(**self.body(ask))

    def stream(self, ask: Ask) -> Any:
        return self.client(ask).converse_stream(**self.body(ask))["stream"]


class Invoke(Bedrock):
    model = "us.anthropic.claude-haiku-4-5-20251001-v1:0"

    def body(self, ask: Ask) -> dict[str, Any]:
        body = {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": ask.cap or 400,
            "messages": MESSAGES,
        }
        return {"modelId": self.model, "body": json.dumps(body)}

    def sync(self, ask: Ask) -> Any:
        return self.client(ask).invoke_model(**self.body(ask))["body"].read()

    def stream(self, ask: Ask) -> Any:
        return self.client(ask).invoke_model_with_response_stream(**self.body(ask))["body"]


class Plain:
    """What the plain HTTP libraries send: a chat completion, to OPENAI_BASE_URL."""

    def body(self, ask: Ask, *, stream: bool = False) -> dict[str, Any]:
        cap = {} if ask.cap is None else {"max_completion_tokens": ask.cap}
        more = {"stream": True} if stream else {}
        return {"model": OPENAI_MODEL, "messages": MESSAGES, **cap, **more}

    @property
    def url(self) -> str:
        return os.environ["OPENAI_BASE_URL"] + "/chat/completions"

    @property
    def headers(self) -> dict[str, str]:
        key = os.environ["OPENAI_API_KEY"]
        return {"authorization": f"Bearer {key}", "content-type": "application/json"}


class Failed(Exception):
    """An answer that is no 200: what a program without an SDK makes of it."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def checked(status: int, text: str) -> str:
    if status != 200:
        raise Failed(status, text)
    return text


class Requests(Plain):
    def post(self, ask: Ask, *, stream: bool) -> Any:
        import requests

        return requests.post(
            self.url,
            json=self.body(ask, stream=stream),
            headers=self.headers,
            timeout=ask.timeout or PATIENT_S,
            stream=stream,
        )

    def sync(self, ask: Ask) -> Any:
        answer = self.post(ask, stream=False)
        return checked(answer.status_code, answer.text)

    def stream(self, ask: Ask) -> Any:
        with self.post(ask, stream=True) as answer:
            if answer.status_code != 200:
                checked(answer.status_code, answer.text)
            yield from answer.iter_lines()


class Urllib3(Plain):
    def post(self, ask: Ask, *, stream: bool) -> Any:
        import urllib3

        return urllib3.PoolManager().request(
            "POST",
            self.url,
            json=self.body(ask, stream=stream),
            headers=self.headers,
            timeout=ask.timeout or PATIENT_S,
            retries=False if ask.timeout else None,
            preload_content=not stream,
        )

    def sync(self, ask: Ask) -> Any:
        answer = self.post(ask, stream=False)
        return checked(answer.status, answer.data.decode())

    def stream(self, ask: Ask) -> Any:
        answer = self.post(ask, stream=True)
        try:
            if answer.status != 200:
                checked(answer.status, answer.data.decode())
            yield from answer.stream(64)
        finally:
            answer.close()


class Urllib(Plain):
    def sync(self, ask: Ask) -> Any:
        import urllib.error
        import urllib.request

        asked = urllib.request.Request(self.url, json.dumps(self.body(ask)).encode(), self.headers)
        try:
            with urllib.request.urlopen(asked, timeout=ask.timeout or PATIENT_S) as answer:
                return checked(answer.status, answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                return checked(error.code, error.read().decode())


class Aiohttp(Plain):
    async def async_(self, ask: Ask) -> Any:
        import aiohttp

        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, json=self.body(ask), headers=self.headers) as answer,
        ):
            return checked(answer.status, await answer.text())

    async def astream(self, ask: Ask) -> Any:
        import aiohttp

        body = self.body(ask, stream=True)
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url, json=body, headers=self.headers) as answer,
        ):
            if answer.status != 200:
                checked(answer.status, await answer.text())
            async for line in answer.content:
                yield line


class Httpx(Plain):
    name = "httpx"

    @property
    def module(self) -> Any:
        return __import__(self.name)

    def sync(self, ask: Ask) -> Any:
        answer = self.module.post(
            self.url, json=self.body(ask), headers=self.headers, timeout=ask.timeout or PATIENT_S
        )
        return checked(answer.status_code, answer.text)

    async def async_(self, ask: Ask) -> Any:
        async with self.module.AsyncClient(timeout=PATIENT_S) as client:
            answer = await client.post(self.url, json=self.body(ask), headers=self.headers)
            return checked(answer.status_code, answer.text)

    def stream(self, ask: Ask) -> Any:
        body = self.body(ask, stream=True)
        with self.module.stream(
            "POST", self.url, json=body, headers=self.headers, timeout=PATIENT_S
        ) as answer:
            if answer.status_code != 200:
                checked(answer.status_code, answer.read().decode())
            yield from answer.iter_lines()

    async def astream(self, ask: Ask) -> Any:
        body = self.body(ask, stream=True)
        async with (
            self.module.AsyncClient(timeout=PATIENT_S) as client,
            client.stream("POST", self.url, json=body, headers=self.headers) as answer,
        ):
            if answer.status_code != 200:
                checked(answer.status_code, (await answer.aread()).decode())
            async for line in answer.aiter_lines():
                yield line


class Httpx2(Httpx):
    name = "httpx2"


class Litellm:
    def __init__(self, model: str) -> None:
        self.model = model

    def body(self, ask: Ask) -> dict[str, Any]:
        cap = {} if ask.cap is None else {"max_tokens": ask.cap}
        if self.model.startswith("anthropic/"):
            cap = {"max_tokens": ask.cap or 400}
        timeout = {"timeout": ask.timeout or PATIENT_S, "num_retries": 0}
        return {"model": self.model, "messages": MESSAGES, **cap, **timeout}

    def sync(self, ask: Ask) -> Any:
        import litellm

        return litellm.completion(**self.body(ask))

    async def async_(self, ask: Ask) -> Any:
        import litellm

        return await litellm.acompletion(**self.body(ask))

    def stream(self, ask: Ask) -> Any:
        import litellm

        yield from litellm.completion(**self.body(ask), stream=True)

    async def astream(self, ask: Ask) -> Any:
        import litellm

        async for piece in await litellm.acompletion(**self.body(ask), stream=True):
            yield piece


class LangChain:
    """One of LangChain's chat models; make(ask) builds it."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def sync(self, ask: Ask) -> Any:
        return self.make(ask).invoke(PROMPT)

    async def async_(self, ask: Ask) -> Any:
        return await self.make(ask).ainvoke(PROMPT)

    def stream(self, ask: Ask) -> Any:
        return self.make(ask).stream(PROMPT)

    def astream(self, ask: Ask) -> Any:
        return self.make(ask).astream(PROMPT)


def langchain_openai(ask: Ask) -> Any:
    from langchain_openai import ChatOpenAI

    retries = {} if ask.timeout is None else {"max_retries": 0}
    return ChatOpenAI(
        model=OPENAI_MODEL, max_completion_tokens=ask.cap, timeout=ask.timeout, **retries
    )


def langchain_anthropic(ask: Ask) -> Any:
    from langchain_anthropic import ChatAnthropic

    retries = {} if ask.timeout is None else {"max_retries": 0}
    return ChatAnthropic(
        model=CLAUDE_MODEL, max_tokens=ask.cap or 400, timeout=ask.timeout, **retries
    )


def langchain_google(ask: Ask) -> Any:
    from langchain_google_genai import ChatGoogleGenerativeAI

    retries = {} if ask.timeout is None else {"max_retries": 1}
    return ChatGoogleGenerativeAI(
        model=GEMINI_MODEL,
        google_api_key=os.environ["GEMINI_API_KEY"],
        max_output_tokens=ask.cap,
        base_url=STUB,
        timeout=ask.timeout,
        **retries,
    )


class SimonsLlm:
    """The `llm` package, through its Python API."""

    def prompt(self, ask: Ask, **more: Any) -> Any:
        import llm

        model = llm.get_model("gpt-4.1-nano")
        options = {} if ask.cap is None else {"max_tokens": ask.cap}
        return model.prompt(PROMPT, **options, **more)

    def sync(self, ask: Ask) -> Any:
        return self.prompt(ask, stream=False).text()

    def stream(self, ask: Ask) -> Any:
        yield from self.prompt(ask)


class Curl(Plain):
    """What is no Python: a shell and curl, by the base URL that it inherits."""

    def start(self, ask: Ask, *, stream: bool) -> subprocess.Popen[str]:
        script = (
            'exec curl -sS -N --max-time "$2" -w "\\n%{http_code}" -d "$1" '
            '-H "content-type: application/json" -H "authorization: Bearer $OPENAI_API_KEY" '
            '-H "x-noburn-customer: $NOBURN_CUSTOMER" "$OPENAI_BASE_URL/chat/completions"'
        )
        body = json.dumps(self.body(ask, stream=stream))
        patience = str(ask.timeout or PATIENT_S)
        return subprocess.Popen(
            ["sh", "-c", script, "sh", body, patience], stdout=subprocess.PIPE, text=True
        )

    def sync(self, ask: Ask) -> Any:
        text, _ = self.start(ask, stream=False).communicate()
        body, _, status = text.rpartition("\n")
        return checked(int(status), body)

    def stream(self, ask: Ask) -> Any:
        curl = self.start(ask, stream=True)
        assert curl.stdout is not None
        lines = []
        try:
            for line in curl.stdout:
                lines.append(line)
                if line.startswith("data:"):
                    yield line
            status = curl.stdout.read() or lines.pop()
            checked(int(status), "".join(lines))
        finally:
            curl.terminate()
            curl.communicate()


#: SDK -> its rows; the calls that are alike under two versions are written once.
SDKS: dict[str, Any] = {
    "openai": openai,
    "anthropic": lambda: {"messages": Anthropic()},
    "google-genai": lambda: {"generate_content": Gemini()},
    "mistralai": lambda: {"chat": Mistral()},
    "groq": lambda: {"chat": Groq()},
    "cohere": lambda: {"chat": Cohere()},
    "boto3": lambda: {"converse": Converse(), "invoke_model": Invoke()},
    "requests": lambda: {"chat": Requests()},
    "urllib3": lambda: {"chat": Urllib3()},
    "urllib": lambda: {"chat": Urllib()},
    "aiohttp": lambda: {"chat": Aiohttp()},
    "curl": lambda: {"chat": Curl()},
    "httpx": lambda: {"chat": Httpx()},
    "httpx2": lambda: {"chat": Httpx2()},
    "litellm": lambda: {
        "openai/": Litellm(f"openai/{OPENAI_MODEL}"),
        "anthropic/": Litellm(f"anthropic/{CLAUDE_MODEL}"),
    },
    "langchain-openai": lambda: {"ChatOpenAI": LangChain(langchain_openai)},
    "langchain-anthropic": lambda: {"ChatAnthropic": LangChain(langchain_anthropic)},
    "langchain-google-genai": lambda: {"ChatGoogleGenerativeAI": LangChain(langchain_google)},
    "llm": lambda: {"prompt": SimonsLlm()},
}


def version_of(sdk: str) -> str:
    """As installed; of the standard library's, Python's own."""
    if sdk == "urllib":
        return platform.python_version()
    if sdk == "curl":
        told = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True)
        return told.stdout.split()[1]
    return importlib.metadata.version(sdk)
