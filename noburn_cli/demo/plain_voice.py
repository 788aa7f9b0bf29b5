"""The demo's calls over http.client, each through noburn's guard explicitly.

Layer: demo.  Below: enforce.guard, enforce.drivers, the standard library.  Above: voices, where the
SDKs are not installed.  No hook knows http.client, so nothing here is counted twice.
"""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from noburn_cli.demo.voices import Said, StoppedError
from noburn_cli.enforce import context, layers
from noburn_cli.enforce.decisions import Pass, Refuse, Request
from noburn_cli.enforce.drivers import decide, deliver
from noburn_cli.enforce.guard import admit, route_of
from noburn_cli.enforce.outcome import Tracker
from noburn_cli.errors import NoburnError
from noburn_cli.providers.codec import CountRequest

_TIMEOUT_S = 60.0
_CHUNK_BYTES = 16 * 1024


class PlainVoice:
    """Speaks the two APIs without an SDK."""

    name = "http.client and noburn's guard (no SDKs here)"

    def warm_up(self) -> None:
        """There is nothing to load."""

    def respond(self, model: str, prompt: str) -> Said:
        events = _events("OPENAI_BASE_URL", "/responses", {"model": model, "input": prompt})
        deltas = [e for e in events if e["type"] == "response.output_text.delta"]
        final = events[-1]["response"]
        return Said(
            output_tokens=final["usage"]["output_tokens"],
            input_tokens=final["usage"]["input_tokens"],
            pieces=len(deltas),
            cut=final["status"] == "incomplete",
        )

    def write(self, model: str, prompt: str, *, cap: int) -> Said:
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "max_tokens": cap}
        events = _events("ANTHROPIC_BASE_URL", "/v1/messages", body)
        start = next(e["message"] for e in events if e["type"] == "message_start")
        end = next(e for e in events if e["type"] == "message_delta")
        return Said(
            output_tokens=end["usage"]["output_tokens"],
            input_tokens=start["usage"]["input_tokens"],
            pieces=sum(1 for e in events if e["type"] == "content_block_delta"),
            cut=end["delta"]["stop_reason"] == "max_tokens",
        )

    def chat(self, model: str, prompt: str, *, cap: int) -> Said:
        messages = [{"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "max_completion_tokens": cap}
        answer = json.loads(_post("OPENAI_BASE_URL", "/chat/completions", body))
        return Said(
            output_tokens=answer["usage"]["completion_tokens"],
            input_tokens=answer["usage"]["prompt_tokens"],
            pieces=1,
            cut=answer["choices"][0]["finish_reason"] == "length",
        )


def _events(variable: str, path: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a streamed answer."""
    text = _post(variable, path, {**body, "stream": True}).decode("utf-8")
    lines = (line.removeprefix("data:").strip() for line in text.splitlines())
    return [json.loads(line) for line in lines if line.startswith("{")]


def _post(variable: str, path: str, body: dict[str, Any]) -> bytes:
    """One guarded POST below the base URL in `variable`.  Raises StoppedError, or OSError."""
    url = os.environ[variable].rstrip("/") + path
    request = Request("POST", url, {}, json.dumps(body).encode("utf-8"))
    if os.environ.get("NOBURN_GUARD") != "1":  # as the hooks: outside of `noburn run` nothing
        return b"".join(_send(request, request.body, tracker=None))
    upstreams = context.upstreams()
    route = route_of(request.method, url, upstreams)
    assert route is not None  # both APIs have a codec
    decision = decide(route, admit(route, request, upstreams), lambda c: _count(request, c))
    if isinstance(decision, Refuse):
        raise _refused(decision.block.status, decision.block.body)
    assert not isinstance(decision, Pass)
    try:
        with layers.guarded():  # The hook under http.client leaves it alone: guarded once.
            return b"".join(_send(request, decision.body, tracker=decision.tracker))
    except ConnectionRefusedError as error:
        deliver(decision.tracker.not_sent(error))
        raise
    except OSError as error:
        deliver(decision.tracker.broke(error))
        raise


def _send(request: Request, body: bytes, *, tracker: Tracker | None) -> Iterator[bytes]:
    """The answer's bytes as the program may see them; settles the call at their end."""
    parts = urlsplit(request.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_TIMEOUT_S)
    try:
        connection.request("POST", parts.path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        if tracker is not None:
            tracker.answered(answer.status, {k.lower(): v for k, v in answer.getheaders()})
        received = []
        while chunk := answer.read1(_CHUNK_BYTES):
            received.append(chunk if tracker is None else tracker.receive(chunk))
        if tracker is not None:
            received.append(tracker.rest())
            deliver(tracker.completed())
        if answer.status != http.client.OK:
            raise _refused(answer.status, b"".join(received))
        yield from received
    finally:
        connection.close()


def _count(request: Request, count: CountRequest) -> bytes | None:
    """The provider's own count, or None when it gives none."""
    counting = Request("POST", count.url_of(request.url), {}, count.body)
    try:
        return b"".join(_send(counting, count.body, tracker=None))
    except (OSError, StoppedError, NoburnError):
        return None


def _refused(status: int, body: bytes) -> StoppedError:
    try:
        error = json.loads(body)["error"]
        message = str(error["message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace")
    return StoppedError("the provider's error", status, message)
