"""`attribute`, `wrap` and `remaining`: the guard in a service that `noburn run` did not start."""

from __future__ import annotations

import asyncio
import contextvars
import decimal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import anthropic
import openai
import pytest

import noburn_cli
from noburn_cli.enforce import context
from noburn_cli.enforce.httpx_hook import hook_httpx
from noburn_cli.errors import UsageError
from tests.enforce.conftest import FOREVER_MS

REPOSITORY = Path(__file__).parents[2]
MESSAGES = [{"role": "user", "content": "hello"}]


def make(stub, kind=openai.OpenAI):
    return kind(api_key="any", base_url=stub.url + "/v1", max_retries=0, timeout=30)


def chat(client):
    return client.chat.completions.create(
        model="gpt-6-luna", messages=MESSAGES, max_completion_tokens=50
    )


def test_importing_it_costs_nothing():
    code = (
        "import sys; before = set(sys.modules); import noburn_cli; "
        "print(sorted(set(sys.modules) - before))"
    )
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=REPOSITORY,
    ).stdout
    assert eval(loaded) == ["__future__", "noburn_cli", "noburn_cli.version"]


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'atribute'"):
        _ = noburn_cli.atribute


def test_attributes_nest_and_end():
    with noburn_cli.attribute(customer="acme", tags={"team": "x"}):
        with noburn_cli.attribute(feature="research", customer="other"):
            inner = context.attributes()
        outer = context.attributes()
    assert inner == {"customer": "other", "feature": "research", "tag.team": "x"}
    assert outer == {"customer": "acme", "tag.team": "x"}
    assert context.attributes() == {}


def test_a_misspelt_attribute_is_an_error():
    with pytest.raises(TypeError, match="custommer"):
        noburn_cli.attribute(custommer="acme")
    with pytest.raises(UsageError, match="ambiguous"):
        noburn_cli.attribute(budget="2M")
    with pytest.raises(UsageError, match="empty"):
        noburn_cli.attribute(customer="")


def test_tasks_keep_their_own_attributes():
    async def work(name):
        async with noburn_cli.attribute(customer=name):
            await asyncio.sleep(0)
            return context.attributes()["customer"]

    async def both():
        return await asyncio.gather(work("a"), work("b"))

    assert asyncio.run(both()) == ["a", "b"]


def test_one_object_may_be_entered_by_several_tasks_at_once():
    shared = noburn_cli.attribute(customer="acme")

    async def work(turns):
        async with shared:
            for _ in range(turns):
                await asyncio.sleep(0)
            seen = context.attributes()
        return seen, context.attributes()

    async def both():
        return await asyncio.gather(work(1), work(3))

    assert asyncio.run(both()) == [({"customer": "acme"}, {})] * 2


def test_what_is_not_wrapped_is_not_guarded(home, stub):
    with noburn_cli.wrap(make(stub)) as wrapped, make(stub) as plain:
        chat(plain)
        chat(wrapped)
    assert len(stub.bill.calls) == 2
    assert home.states() == ["settled"]


def test_wrapping_twice_counts_once_and_copies_stay_guarded(home, stub):
    with noburn_cli.wrap(noburn_cli.wrap(make(stub))) as client:
        chat(client)
        chat(client.with_options(timeout=20))
        chat(client.copy())
    assert home.states() == ["settled"] * 3


def test_wrap_says_what_it_cannot_guard():
    with pytest.raises(UsageError, match=r"cannot guard a builtins\.object"):
        noburn_cli.wrap(object())


def test_a_budget_for_a_block_of_work(home, stub):
    with noburn_cli.wrap(make(stub)) as client:
        with noburn_cli.attribute(customer="acme", job="j-17", budget="0.00004"):
            before = noburn_cli.remaining()
            chat(client)
            after = noburn_cli.remaining()
            with pytest.raises(openai.APIStatusError, match="job=j-17"):
                chat(client)
        chat(client)  # Outside of the block there is no limit.
    assert before.dollars == Decimal("0.00004")
    assert before.nano - after.nano == stub.bill.calls[0].nano
    assert noburn_cli.remaining().dollars is None
    assert home.calls("state, job, customer") == [
        ("settled", "j-17", "acme"),
        ("blocked", "j-17", "acme"),
        ("settled", None, None),
    ]


def test_a_budget_for_a_block_of_async_work(home, stub):
    async def work():
        async with (
            noburn_cli.wrap(make(stub, openai.AsyncOpenAI)) as client,
            noburn_cli.attribute(budget="2req"),
        ):
            await chat(client)
            left = await noburn_cli.aremaining()
            await chat(client)
            with pytest.raises(openai.APIStatusError, match="block-"):
                await chat(client)
        return left

    assert asyncio.run(work()).requests == 1
    assert len(stub.bill.calls) == 2


def test_blocks_that_end_in_another_order_do_not_end_each_other():
    first, second = noburn_cli.attribute(customer="a"), noburn_cli.attribute(feature="b")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert context.attributes() == {"feature": "b"}
    second.__exit__(None, None, None)
    assert context.attributes() == {}


def test_a_block_may_be_entered_again_inside_itself():
    block = noburn_cli.attribute(customer="a")
    with block, noburn_cli.attribute(customer="b"), block:
        assert context.attributes() == {"customer": "a"}
    assert context.attributes() == {}


def test_threads_take_attributes_only_in_a_copied_context():
    with noburn_cli.attribute(customer="acme"), ThreadPoolExecutor(1) as pool:
        bare = pool.submit(context.attributes).result()
        copied = pool.submit(contextvars.copy_context().run, context.attributes).result()
    assert (bare, copied) == ({}, {"customer": "acme"})


@pytest.mark.parametrize("budget", ["0.00001", 1e-05, Decimal("1E-5"), "$0.00001"])
def test_a_budget_may_be_text_or_a_number(budget):
    fields = noburn_cli.attribute(budget=budget)._budget_fields()
    assert fields["limit"] == {"unit": "dollars", "amount": 10_000}


def test_what_is_left_of_dollars_tokens_and_requests(home, stub):
    with decimal.localcontext(decimal.Context(prec=3)):
        nothing = noburn_cli.remaining()
        assert (nothing.dollars, nothing.tokens, nothing.requests) == (None, None, None)
        home.limit("customer=acme", 123_456_789)
        for unit, amount in (("tokens", 1_000), ("requests", 3)):
            limit = {"unit": unit, "amount": amount}
            home.client.budget_set(scope="customer=acme,tag.team=x", per="total", limit=limit)
        seen = noburn_cli.remaining(customer="acme", tags={"team": "x"})
        assert seen.dollars == Decimal("0.123456789")  # Whatever context the program has.
    assert (seen.tokens, seen.requests) == (1_000, 3)
    assert noburn_cli.remaining(customer="other").dollars is None
    with pytest.raises(TypeError, match="custommer"):
        noburn_cli.remaining(custommer="acme")


def test_what_is_left_can_be_asked_while_calls_are_in_flight(home, stub):
    home.limit("global", 1_000_000)
    stub.defaults["x-stub-delay-ms"] = FOREVER_MS

    async def both():
        async with noburn_cli.wrap(make(stub, openai.AsyncOpenAI)) as client:
            call = asyncio.create_task(chat(client))
            while not stub.requests:
                await asyncio.sleep(0.01)
            during = await noburn_cli.aremaining()
            stub.hurry.set()
            await call
            return during, await noburn_cli.aremaining()

    during, after = asyncio.run(both())
    assert during.nano < after.nano == 1_000_000 - stub.bill_nano()


@pytest.mark.parametrize(
    "kind", [openai.OpenAI, openai.AsyncOpenAI, anthropic.Anthropic, anthropic.AsyncAnthropic]
)
def test_every_sdk_client_can_be_wrapped(home, stub, kind):
    family = "openai" if kind.__module__.startswith("openai") else "anthropic"
    base_url = stub.url + "/v1" if family == "openai" else stub.url
    client = kind(api_key="any", base_url=base_url, max_retries=0)
    assert noburn_cli.wrap(client) is client

    def ask(asker):
        if family == "openai":
            return chat(asker)
        return asker.messages.create(model="claude-haiku-5-5", messages=MESSAGES, max_tokens=50)

    async def awaited():
        async with client:
            await ask(client)
            await ask(client.with_options(max_retries=1))

    if "Async" in kind.__name__:
        asyncio.run(awaited())
    else:
        with client:
            ask(client)
            ask(client.with_options(max_retries=1))
    assert home.states() == ["settled"] * 2
    assert home.cost_nano() == stub.bill_nano()


def test_an_unknown_version_is_refused_each_time():
    module = type(sys)("httpx_of_tomorrow")
    module.Client = module.AsyncClient = type("Client", (), {})
    for _ in range(2):
        with pytest.raises(RuntimeError, match="does not know this version"):
            hook_httpx(module, every_client=False)
