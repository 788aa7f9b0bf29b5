"""Long questions: asked once, waited for in turns."""

from __future__ import annotations

import asyncio
import contextlib
import threading

import pytest

from noburn_cli.dashboard.sharing import Sharing, StillReading
from noburn_cli.errors import UsageError


def test_pages_share_one_look_and_are_told_to_ask_again() -> None:
    """Goal: a look that takes long is begun once, goes on, and its answer reaches who asks then."""
    begun, go_on = [], threading.Event()

    def read() -> str:
        begun.append(threading.current_thread().daemon)
        go_on.wait(60)
        return "figures"

    async def ask() -> None:
        hasty, patient = Sharing(patience_s=0.01), Sharing()
        for _ in range(2):
            with pytest.raises(StillReading):
                await hasty.ask("overview", read)
        go_on.set()
        found = ""
        while not found:
            with contextlib.suppress(StillReading):
                found = await hasty.ask("overview", read)
        assert found == "figures"
        both = await asyncio.gather(*(patient.ask("overview", read) for _ in range(3)))
        assert both == ["figures"] * 3

    asyncio.run(ask())
    assert begun == [True, True]  # One for each Sharing; none of them keeps the process alive.


def test_an_error_reaches_everybody_who_asked_and_is_not_kept() -> None:
    answers = iter([UsageError("no such period"), None])

    def read() -> str:
        error = next(answers)
        if error is not None:
            raise error
        return "figures"

    async def ask() -> None:
        sharing = Sharing()
        found = await asyncio.gather(
            *(sharing.ask("x", read) for _ in range(2)), return_exceptions=True
        )
        assert [str(one) for one in found] == ["no such period"] * 2
        assert await sharing.ask("x", read) == "figures"

    asyncio.run(ask())
