"""What the guard sends for exact counting: text that a frame can carry."""

from __future__ import annotations

import dataclasses
import json

import pytest

from noburn_cli import protocol
from noburn_cli.enforce import reserving
from noburn_cli.enforce.decisions import AskDaemon, Refuse, Request, Send
from noburn_cli.enforce.guard import admit, route_of
from noburn_daemon import frames

URL = "https://api.openai.com/v1/chat/completions"


def test_half_a_pair_is_counted_as_the_replacement_character() -> None:
    """JSON may carry it; the daemon's frames are UTF-8, and so is what a tokeniser reads."""
    tool = {"type": "function", "function": {"name": "f", "description": "\udc00 b"}}
    body = {
        "model": "gpt-6-luna",
        "messages": [{"role": "user", "content": "a \ud83d, and a whole one: \U0001f600"}],
        "tools": [tool],
    }
    known = ()
    route = route_of("POST", URL, known)
    assert route is not None
    steps = admit(route, Request("POST", URL, {}, json.dumps(body).encode()), known)
    asked = next(steps)
    assert isinstance(asked, AskDaemon)
    again = steps.send({"ok": False, "error": protocol.REFINE, "by": "text"})
    assert isinstance(again, AskDaemon)
    frame = frames.decode(protocol.encode({"n": 1, "op": again.op, **again.fields}))
    assert isinstance(frame, frames.Reserve)
    assert frame.texts is not None
    assert "a \ufffd, and a whole one: \U0001f600" in frame.texts.texts
    assert "\ufffd b" in frame.texts.schema
    with pytest.raises(StopIteration) as ended:
        steps.send({"ok": False, "error": protocol.BLOCKED, "message": "no"})
    assert isinstance(ended.value.value, Refuse)


def test_an_output_that_may_not_be_lowered_fits_a_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = dataclasses.replace(reserving.settings(), clamp=False)
    monkeypatch.setattr(reserving, "settings", lambda: chosen)
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "a"}]}
    route = route_of("POST", URL, ())
    assert route is not None
    asked = next(admit(route, Request("POST", URL, {}, json.dumps(body).encode()), ()))
    assert isinstance(asked, AskDaemon)
    frame = frames.decode(protocol.encode({"n": 1, "op": asked.op, **asked.fields}))
    assert isinstance(frame, frames.Reserve)
    assert frame.output is not None


def test_a_regional_host_is_held_and_settled_at_its_regions_price() -> None:
    url = "https://eu.api.openai.com/v1/chat/completions"
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "a"}]}
    body |= {"service_tier": "flex", "max_completion_tokens": 9}
    route = route_of("POST", url, ())
    assert route is not None
    steps = admit(route, Request("POST", url, {}, json.dumps(body).encode()), ())
    asked = next(steps)
    assert isinstance(asked, AskDaemon)
    assert asked.fields["variants"] == ["flex@eu", "standard@eu"]
    with pytest.raises(StopIteration) as ended:
        steps.send({"ok": True, "granted": 9, "bound": "bytes", "input_bound": 30})
    sent = ended.value.value
    assert isinstance(sent, Send)
    sent.tracker.answered(200, {"content-type": "application/json"})
    usage = {"prompt_tokens": 8, "completion_tokens": 1}
    sent.tracker.receive(json.dumps({"service_tier": "default", "usage": usage}).encode())
    outcome = sent.tracker.completed()
    assert outcome is not None
    assert (outcome.op, outcome.fields["variant"]) == (protocol.SETTLE, "standard@eu")
