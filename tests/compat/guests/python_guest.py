"""Runs one SDK's calls as it is told, line by line: `python_guest.py SDK`, a key of sdks.SDKS.

An order on standard input is {"row", "mode", "cell", "customer", "cap"}; its result on standard
output is {"cell", "customer", "error": null | {"type", "status", "message"}}.  Runs in the
environment of the SDK, under `noburn run`: standard library and the SDK alone.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
from typing import Any

import sdks

#: The attributes under which SDKs keep an HTTP status.
STATUS_NAMES = ("status_code", "status", "code", "http_status")

_out = threading.Lock()


def say(value: dict[str, Any]) -> None:
    with _out:
        sys.__stdout__.write(json.dumps(value) + "\n")
        sys.__stdout__.flush()


def described(error: BaseException) -> dict[str, Any]:
    """What a program can see of an error: its type, its status, its words."""
    seen: BaseException | None = error
    status = None
    while seen is not None and status is None:
        response = getattr(seen, "response", None)
        if isinstance(response, dict):  # botocore
            status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        for holder in (seen, response, getattr(seen, "raw_response", None)):
            for name in STATUS_NAMES:
                value = getattr(holder, name, None)
                if status is None and isinstance(value, int):
                    status = value
        seen = seen.__cause__ or seen.__context__
    return {"type": type(error).__name__, "status": status, "message": str(error)[:600]}


def wait_for_go() -> None:
    sys.stdin.readline()


def run_sync(row: Any, order: dict[str, Any]) -> None:
    aborted = order["cell"] == "aborted"
    ask = sdks.Ask(order["cap"], order["gives_up_s"] if aborted else None)
    if order["mode"] == "sync":
        row.sync(ask)
        return
    ask = sdks.Ask(order["cap"], None)
    stream = row.stream(ask)
    for _ in stream:
        if aborted:
            close = getattr(stream, "close", None)
            if close is not None:
                close()
            break


async def run_async(row: Any, order: dict[str, Any]) -> None:
    aborted = order["cell"] == "aborted"
    ask = sdks.Ask(order["cap"], None)
    if order["mode"] == "async":
        task = asyncio.ensure_future(row.async_(ask))
        if aborted:
            await asyncio.get_running_loop().run_in_executor(None, wait_for_go)
            task.cancel()
        await task
        return
    stream = row.astream(ask)
    async for _ in stream:
        if aborted:
            await stream.aclose()
            break


def carry_out(order: dict[str, Any]) -> None:
    row = ROWS[order["row"]]
    error = None
    try:
        if order["mode"] in ("sync", "stream"):
            run_sync(row, order)
        else:
            asyncio.run_coroutine_threadsafe(run_async(row, order), LOOP).result()
    except BaseException as raised:  # noqa: BLE001 - whatever a program would see
        error = described(raised)
    say({"cell": order["cell"], "customer": order["customer"], "error": error})


def main() -> None:
    say({"version": sdks.version_of(sys.argv[1]), "run": os.environ["NOBURN_RUN"], "rows": {
        name: [mode for mode in ("sync", "async_", "stream", "astream") if hasattr(row, mode)]
        for name, row in ROWS.items()
    }})  # fmt: skip
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        os.environ["NOBURN_CUSTOMER"] = order["customer"]
        if order["cell"] == "stopped":  # all of them at once, each on its way before the next
            threading.Thread(target=carry_out, args=(order,)).start()
        else:
            carry_out(order)


if __name__ == "__main__":
    # SDKs print what they like; our lines are alone on standard output.
    sys.stdout = sys.stderr
    ROWS = sdks.SDKS[sys.argv[1]]()
    # One loop for all: LangChain keeps its asynchronous clients.
    LOOP = asyncio.new_event_loop()
    threading.Thread(target=LOOP.run_forever, daemon=True).start()
    main()
