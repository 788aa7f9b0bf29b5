"""The key comes with the hold: what a program with a virtual key can and cannot do."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import anthropic
import openai
import pytest

import noburn_cli
from noburn_cli import protocol
from noburn_cli.client import AsyncClient, Client
from noburn_cli.client.connection import shown
from noburn_cli.demo.stub import BillingStub
from noburn_cli.errors import KeyUnknown
from noburn_cli.providers import credentials
from tests.daemon.parts import eventually

REAL = "sk-real-0123456789abcdef"
VIRTUAL = "sk-noburn-vk-5f3a"
MESSAGES = [{"role": "user", "content": "hello"}]


@pytest.fixture
def locked_stub():
    with BillingStub(defaults={"x-stub-output-tokens": "40"}, required_key=REAL) as running:
        yield running


@pytest.fixture
def lender(home):
    with Client(home.folder) as client:
        client.request(protocol.KEYS_LEND, run="r1", keys={VIRTUAL: REAL})
        yield client


def clients(stub, key=VIRTUAL):
    return (
        openai.OpenAI(api_key=key, base_url=stub.url + "/v1", max_retries=2),
        anthropic.Anthropic(api_key=key, base_url=stub.url, max_retries=2),
    )


def ask(chat, claude):
    chat.chat.completions.create(model="gpt-6-luna", messages=MESSAGES, max_completion_tokens=50)
    claude.messages.create(model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50)


def test_the_real_key_comes_with_the_hold_and_nowhere_else(home, locked_stub, lender):
    for client in clients(locked_stub):  # No guard: the provider's own 401.
        with client, pytest.raises((openai.AuthenticationError, anthropic.AuthenticationError)):
            client.models.list()
    chat, claude = map(noburn_cli.wrap, clients(locked_stub))
    with chat, claude:
        ask(chat, claude)
        assert chat.models.list().data[0].id == "gpt-6-luna"  # Free, and still with the key.
        assert (chat.api_key, claude.api_key) == (VIRTUAL, VIRTUAL)
    assert locked_stub.wait_idle()
    assert home.states() == ["settled"] * 2
    assert home.cost_nano() == locked_stub.bill_nano() > 0
    stored = b"".join(path.read_bytes() for path in home.folder.rglob("*") if path.is_file())
    assert stored
    assert REAL.encode() not in stored


def test_a_key_that_nobody_lends_is_one_401(home, locked_stub):
    lender = Client(home.folder)
    lender.request(protocol.KEYS_LEND, run="r1", keys={VIRTUAL: REAL})
    chat, claude = map(noburn_cli.wrap, clients(locked_stub))
    with chat, claude:
        ask(chat, claude)
        lent = home.client.status()["connections"]
        lender.close()
        eventually(lambda: home.client.status()["connections"] < lent, "the daemon has noticed")
        locked_stub.requests.clear()
        with pytest.raises(openai.AuthenticationError, match="stands for no real one"):
            chat.chat.completions.create(model="gpt-6-luna", messages=MESSAGES)
        with pytest.raises(anthropic.AuthenticationError, match="noburn run"):
            claude.messages.create(model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50)
    assert locked_stub.requests == []
    assert home.states() == ["settled"] * 2


def test_after_a_restart_the_key_is_waited_for(home, lender):
    assert lender.request(protocol.KEY, key=VIRTUAL)["key"] == REAL
    with Client(home.folder) as other, ThreadPoolExecutor() as threads:
        lender.shutdown()
        asked = threads.submit(other.request, protocol.KEY, key=VIRTUAL)
        lender.request(protocol.KEYS_LEND, run="r1", keys={VIRTUAL: REAL})
        assert asked.result()["key"] == REAL
        with pytest.raises(KeyUnknown):
            other.request(protocol.KEY, key="sk-noburn-vk-0")


def test_a_large_input_is_counted_with_the_real_key(home, locked_stub, lender):
    """The provider's count is asked before the hold, and needs the key as well."""
    home.limit("global", 1_500_000)
    _, claude = clients(locked_stub)
    words = [{"role": "user", "content": "the and of " * 2500}]
    with noburn_cli.wrap(claude) as wrapped:
        wrapped.messages.create(model="claude-haiku-5-5", messages=words, max_tokens=200)
    assert [r["path"] for r in locked_stub.requests] == [
        "/v1/messages/count_tokens", "/v1/messages",
    ]  # fmt: skip


def test_keys_are_found_and_swapped_wherever_they_travel():
    for headers, url in [
        ({"authorization": f"Bearer {VIRTUAL}"}, "https://h/v1"),
        ({"x-api-key": VIRTUAL}, "https://h/v1"),
        ({"api-key": VIRTUAL}, "https://h/v1"),
        ({"x-goog-api-key": VIRTUAL}, "https://h/v1"),
        ({}, f"https://h/v1?alt=sse&key={VIRTUAL}"),
    ]:
        assert credentials.find_virtual(headers, url) == VIRTUAL
        swapped, address = credentials.swapped(headers, url, VIRTUAL, REAL)
        assert VIRTUAL not in str(swapped) + address
        assert REAL in str(swapped) + address
    other = {"authorization": f"Bearer {REAL}", "x-note": VIRTUAL}
    assert credentials.find_virtual(other, "https://h/noburn-vk-1/v1?q=1") is None
    assert credentials.swapped(other, "https://h", VIRTUAL, REAL)[0] == other


def test_a_broken_reply_is_shown_without_its_key():
    assert REAL not in shown({"n": 1, "ok": True, "key": REAL})


def test_a_grant_and_an_ending_cross_on_one_connection(home, lender):
    """An ending's reply between a keyed reserve and its grant is not taken for it."""

    async def both():
        client = AsyncClient(home.folder)
        frame = {
            "call": "a", "api": "openai_chat", "model": "gpt-6-luna", "attrs": {},
            "input": {"bytes": 100, "expanded": 100}, "output": None,
        }  # fmt: skip
        assert (await client.reserve({**frame, "key": VIRTUAL}))["key"] == REAL
        return await asyncio.gather(
            client.reserve({**frame, "call": "b", "key": VIRTUAL}),
            client.settle("a", {"input": 1}),
            client.reserve({**frame, "call": "c"}),
        )

    with_key, settled, without = asyncio.run(both())
    assert (with_key["key"], settled["state"], "key" in without) == (REAL, "settled", False)
