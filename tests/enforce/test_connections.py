"""What passes no guard is noticed: raw sockets and WebSockets are told, hooked stacks are not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from noburn_cli.enforce.launch import LaunchSettings, child_environment
from tests.enforce.scripted import Scripted, chat_answer

GUEST = Path(__file__).parents[2] / ".venv" / "guests" / "current" / "bin" / "python"
needs_guests = pytest.mark.skipif(not GUEST.exists(), reason="scripts/setup-guests was not run")


@pytest.fixture
def notes(desk):
    """Runs code in a run of its own, with the stub as the endpoint `localhost`, and reads notes."""
    url = desk.stub.url.replace("127.0.0.1", "localhost")
    endpoint = {
        "name": "near",
        "base_url": url + "/v1",
        "api": "openai",
        "provider": "",
        "models": {},
    }
    run = desk.customer
    bare = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    environment = child_environment(
        {**bare, "URL": url, "PORT": url.rpartition(":")[2]},
        LaunchSettings(
            attributes={"customer": desk.customer}, policy=json.dumps({"endpoints": [endpoint]})
        ),
        run=run,
        home=desk.home.folder,
        daemon_command=[sys.executable, "-m", "noburn_daemon"],
    )
    desk.home.client.run_start(run=run, attrs={}, command=["x"], limit=None)

    def told(code, python=sys.executable, **variables):
        ran = subprocess.run(
            [str(python), "-c", code], env={**environment, **variables}, cwd="/",
            capture_output=True, text=True, timeout=240, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, "")
        ledger = apsw.Connection(
            str(desk.home.folder / "ledger.sqlite3"), flags=apsw.SQLITE_OPEN_READONLY
        )
        with ledger:
            sql = "SELECT detail FROM journal WHERE kind = 'run_note' AND run = ? ORDER BY seq"
            found = [json.loads(detail) for (detail,) in ledger.execute(sql, (run,))]
        ledger.close()
        return [(one["kind"], one["host"]) for one in found]

    return told


RAW = """
import os, socket
for _ in range(3):
    socket.create_connection(("localhost", int(os.environ["PORT"]))).close()
"""
HOOKED = """
import asyncio, os, urllib.request
import aiohttp, httpx2, requests
url = os.environ["URL"] + "/v1/models"
urllib.request.urlopen(url).read()
requests.get(url)
httpx2.get(url)
async def main():
    async with httpx2.AsyncClient() as client, aiohttp.ClientSession() as session:
        await client.get(url)
        async with session.get(url) as answer:
            await answer.read()
asyncio.run(main())
"""
WEBSOCKET = """
import os
from websockets.sync.client import connect
try:
    connect(os.environ["URL"].replace("http", "ws") + "/v1/realtime", open_timeout=5)
except Exception as error:
    print(type(error).__name__)
"""


def test_a_raw_connection_to_a_provider_is_told_once(notes):
    assert notes(RAW) == [("connection", "localhost")]


def test_connections_of_hooked_stacks_are_their_own(notes):
    assert notes(HOOKED) == []


@needs_guests
def test_a_websocket_is_told(notes):
    assert notes(WEBSOCKET, python=GUEST) == [("connection", "localhost")]


def test_connections_elsewhere_are_nobodys_business(notes):
    assert notes(RAW.replace("localhost", "127.0.0.1")) == []


@needs_guests
def test_curl_cffi_is_sent_to_the_gateway(notes, desk):
    """With where it was going and whom it is for, in headers that the gateway takes off."""
    code = """
import os, asyncio
from curl_cffi import requests
url = os.environ["URL"] + "/v1/chat/completions"
requests.post(url, json={"a": 1}, headers={"x": "y"})
async def main():
    async with requests.AsyncSession(base_url=os.environ["URL"]) as session:
        await session.post("/v1/embeddings?b=c", json={})
asyncio.run(main())
requests.get(os.environ["NOBURN_GATEWAY"] + "/elsewhere")
"""
    with Scripted(chat_answer) as gateway:
        assert notes(code, python=GUEST, NOBURN_GATEWAY=gateway.url) == []
    origin = desk.stub.url.replace("127.0.0.1", "localhost")
    asked = [(one.path, one.headers.get("x-noburn-upstream")) for one in gateway.seen]
    assert asked == [
        ("/v1/chat/completions", origin), ("/v1/embeddings?b=c", origin), ("/elsewhere", None),
    ]  # fmt: skip
    named = json.loads(gateway.seen[0].headers["x-noburn-attributes"])
    assert named["customer"] == desk.customer
    assert gateway.seen[0].headers["x"] == "y"
