"""Streams from both providers until told to stop, and goes on as if nothing had happened.

streamer.py FOLDER STYLE: `deaf` ignores SIGTERM, `leave` does its work in a session of its own.
What each stream ended with is written to FOLDER, a file each.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import anthropic
import openai

FOLDER, STYLE = Path(sys.argv[1]), sys.argv[2]
ASKED = [{"role": "user", "content": "Which ships lay in the harbour that winter?"}]


def chat() -> None:
    client = openai.OpenAI(max_retries=0)
    for _ in client.chat.completions.create(
        model="gpt-6-luna", messages=ASKED, max_completion_tokens=4000, stream=True
    ):
        (FOLDER / "chat.began").touch()


def message() -> None:
    client = anthropic.Anthropic(max_retries=0)
    for _ in client.messages.create(
        model="claude-haiku-5-5", messages=ASKED, max_tokens=4000, stream=True
    ):
        (FOLDER / "message.began").touch()


def follow(work) -> None:
    said = "it ended by itself"
    try:
        work()
    except Exception as error:  # noqa: BLE001 - a program that swallows everything
        said = f"{type(error).__module__.split('.')[0]}.{type(error).__name__}: {error}"
    (FOLDER / f"{work.__name__}.ended").write_text(said)
    if work is chat:
        follow_up()


def follow_up() -> None:
    try:
        chat()
    except Exception as error:  # noqa: BLE001
        (FOLDER / "again").write_text(str(error))


signal.signal(signal.SIGTERM, signal.SIG_IGN)
if STYLE == "leave":
    if os.fork():
        time.sleep(600)
        sys.exit(5)
    os.setsid()
    # Whoever reads what the run wrote is not to wait for this process.
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    (FOLDER / "pid").write_text(str(os.getpid()))
threads = [threading.Thread(target=follow, args=(work,)) for work in (chat, message)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
(FOLDER / "done").touch()
time.sleep(600)
