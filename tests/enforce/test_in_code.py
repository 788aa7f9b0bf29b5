"""`attribute`, `wrap` and `remaining`: the guard in a service that `noburn run` did not start."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import openai
import pytest

import noburn_cli
from noburn_cli.enforce import context
from noburn_cli.errors import UsageError

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
