"""`noburn gateway` and `noburn keys`: a service that cannot be wrapped, with a key of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.e2e.conftest import Provider, World

REAL = "sk-real-service-0123456789"


class Service:
    """A gateway in the foreground, as a service manager would start it."""

    def __init__(self, world: World) -> None:
        self.process = world.start("gateway", "--port", "0", "--project", "shop")
        assert self.process.stderr is not None
        ready = self.process.stderr.readline()
        assert "gateway ready on http://127.0.0.1:" in ready, ready
        self.url = ready.rpartition(" ")[2].strip()

    def ask(self, key: str, path: str = "/openai/v1/chat/completions") -> int:
        body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "hello"}],
                "max_completion_tokens": 20}  # fmt: skip
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode(),
            {"authorization": f"Bearer {key}", "content-type": "application/json",
             "x-noburn-customer": "somebody"},
        )  # fmt: skip
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def end(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=120)
        return self.process.returncode


@pytest.fixture
def locked(world: World) -> Iterator[Provider]:
    os.environ["STUB_KEY"] = REAL
    provider = world.provider(
        "--required-key-from", "STUB_KEY", "--default", "x-stub-output-tokens=15"
    )
    del os.environ["STUB_KEY"]
    yield provider
    provider.close()


@pytest.fixture
def service(world: World, locked: Provider) -> Iterator[Service]:
    world.environment |= {"OPENAI_API_KEY": REAL, "OTHER": REAL}
    made = Service(world)
    yield made
    with contextlib.suppress(ProcessLookupError):
        made.process.kill()
        made.process.communicate()


def create(world: World, name: str, *more: str) -> str:
    done = world.noburn("keys", "create", name, "--provider", "openai", *more)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_lasting_key_has_attributes_and_a_budget(
    world: World, service: Service, locked: Provider
) -> None:
    key = create(world, "shop", "--customer", "acme", "--budget", "2req", "--per", "month")
    by_command = create(world, "tool", "--from", "command:echo $OTHER")
    broken = create(world, "broken", "--from", "command:false")
    assert key.startswith("sk-noburn-vk-")
    assert [service.ask(one) for one in (key, key, key, by_command, broken, "sk-noburn-vk-0")] == [
        200, 200, 402, 200, 401, 401,
    ]  # fmt: skip
    assert service.ask(key, "/anthropic/v1/messages") == 401, "the key is for openai"
    rows = world.rows("SELECT state, customer, project, tags FROM calls ORDER BY call")
    assert rows[:4] == [
        ("settled", "acme", "shop", '{"key":"shop"}'),
        ("settled", "acme", "shop", '{"key":"shop"}'),
        ("blocked", "acme", "shop", '{"key":"shop"}'),
        ("settled", "somebody", "shop", '{"key":"tool"}'),
    ]
    listed = world.noburn("keys", "list").stdout
    assert "tool  openai  command:echo $OTHER  tag.key=tool" in listed
    assert world.noburn("keys", "rm", "shop").returncode == 0
    assert service.ask(key) == 401
    assert service.end() == 0
    files = b"".join(p.read_bytes() for p in world.home.rglob("*") if p.is_file())
    for secret in (REAL, key, by_command):
        assert secret.encode() not in files + listed.encode()
    ((cost,),) = world.rows("SELECT sum(cost_nano) FROM calls")
    assert cost == locked.bill()["total_nano"] > 0


def test_a_term_lets_streams_end(world: World, service: Service) -> None:
    key = create(world, "shop")
    client = openai.OpenAI(
        api_key=key, base_url=f"{service.url}/openai/v1",
        default_headers={"x-stub-chunk-delay-ms": "150"},
    )  # fmt: skip
    with client:
        stream = client.chat.completions.create(
            model="gpt-6-luna", messages=[{"role": "user", "content": "hello"}],
            max_completion_tokens=20, stream=True,
        )  # fmt: skip
        chunks: list[Any] = [next(stream)]
        service.process.send_signal(signal.SIGTERM)
        chunks += list(stream)
    assert chunks[-1].choices[0].finish_reason
    service.process.communicate(timeout=120)
    assert service.process.returncode == 0
    assert world.rows("SELECT state FROM calls") == [("settled",)]


def test_wrong_words_make_no_key(world: World) -> None:
    for arguments in [
        ("bad name", "--provider", "openai"),
        ("a", "--provider", "nobody"),
        ("a", "--provider", "openai", "--from", REAL),
        ("a", "--provider", "openai", "--budget", "2M"),
        ("a", "--provider", "openai", "--per", "fortnight"),
    ]:
        done: subprocess.CompletedProcess[str] = world.noburn("keys", "create", *arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert REAL not in done.stderr
    assert world.noburn("keys", "list").stdout == ""
    assert world.noburn("keys", "rm", "a").returncode == 2
    inside = [sys.executable, "-m", "noburn_cli", "gateway"]
    done = world.noburn("run", "--", *inside)
    assert (done.returncode, "has a gateway of its own" in done.stderr) == (2, True)
