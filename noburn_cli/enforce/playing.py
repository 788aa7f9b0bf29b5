"""A call that is answered by what was kept: booked like any other, and never sent.

Layer: enforce, injected (standard library, Python 3.10), sans-IO: generators, as `guard.admit`.
Below: answers, answer_keys, reserving, blocks.  Above: guard.
Owns: how a played answer is booked.

It is held and settled at list price, as `notional` money: in reports and recordings it has its
cost, budgets of dollars are not charged, and what was really spent is not touched.  Its tag says
that it was played.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from noburn_cli.core.recorded_tags import PLAYED_TAG, TEST_TAG
from noburn_cli.enforce import answers
from noburn_cli.enforce.answer_keys import request_key
from noburn_cli.enforce.asking import Asked
from noburn_cli.enforce.blocks import CODE_REFUSED, block
from noburn_cli.enforce.decisions import Decision, Deliver, FindAnswer, Refuse, Request, Send, Step
from noburn_cli.enforce.outcome import Tracker
from noburn_cli.enforce.reserving import reserve
from noburn_cli.providers.codec import Block
from noburn_cli.providers.registry import Route, error_codec

NOT_KEPT = "no answer was recorded to this request of this test, or each was played already"
KEEP_AGAIN = "record them again: noburn run --recording NAME --answers keep -- …"
_YES = "yes"
#: Framing and packing are this side's own.
_NOT_PLAYED = ("content-length", "transfer-encoding", "connection")


def find_answer(request: Request, attrs: Mapping[str, str]) -> FindAnswer:
    """The step that looks for the answer to a request."""
    content_type = request.headers.get("content-type", "")
    key = request_key(request.method, request.url, request.body, content_type)
    return FindAnswer(attrs.get(TEST_TAG, ""), key)


def play(
    call_id: str, attrs: Mapping[str, str], asked: Asked, answer: answers.Answer
) -> Generator[Step, Any, Decision]:
    """Book a call with its kept answer, and give that; or what a budget refuses."""
    tagged = {**attrs, PLAYED_TAG: _YES}
    decision = yield from reserve(call_id, tagged, asked, None, notional=True)
    if not isinstance(decision, Send):
        return decision
    return (yield from _followed(decision.tracker, answer))


def play_free(
    route: Route, request: Request, attrs: Mapping[str, str]
) -> Generator[Step, Any, Decision]:
    """Give the kept answer to a request that costs nothing, and is not booked."""
    answer = yield find_answer(request, attrs)
    if answer is None:
        codec = error_codec(route.api_family)
        return Refuse(block(codec, CODE_REFUSED, f"request refused: {NOT_KEPT}", KEEP_AGAIN))
    return Refuse(Block(answer.status, _headers(answer), answer.body))


def _followed(tracker: Tracker, answer: answers.Answer) -> Generator[Step, Any, Decision]:
    """The answer as its tracker hands it on, and its end told."""
    headers = _headers(answer)
    tracker.answered(answer.status, dict(headers))
    body = tracker.receive(answer.body) + tracker.rest()
    yield Deliver(tracker.completed())
    return Refuse(Block(answer.status, headers, body))


def _headers(answer: answers.Answer) -> tuple[tuple[str, str], ...]:
    return tuple(pair for pair in answer.headers if pair[0].lower() not in _NOT_PLAYED)


def tape_of(request: Request, attrs: Mapping[str, str], decision: Send) -> answers.Tape:
    """What keeps the answer of a request that is sent."""
    return answers.Tape(
        test=attrs.get(TEST_TAG, ""),
        method=request.method,
        url=request.url,
        headers=request.headers,
        body=request.body,
        exchange=decision.exchange or (),
    )
