"""May this request go out?  One state machine for every hook, sync or async.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: providers, reserving,
decisions, blocks.  Above: the hooks, which carry out its steps and move the bytes.
Owns: which requests are calls, and what is refused before the daemon is asked for money.

`admit` is a generator: it yields what it needs (an answer of the daemon, the provider's count) and
returns what is to be done.  A sync and an async driver carry out the same steps.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from noburn_cli import protocol
from noburn_cli.client import new_call_id
from noburn_cli.enforce import answers, attribution
from noburn_cli.enforce.asking import has_ceilings, read
from noburn_cli.enforce.blocks import CODE_REFUSED, CODE_UNAVAILABLE, block, no_key
from noburn_cli.enforce.context import attributes, is_gateway
from noburn_cli.enforce.decisions import (
    PASS,
    AskDaemon,
    Decision,
    Pass,
    Refuse,
    Request,
    Send,
    Step,
)
from noburn_cli.enforce.outcome import FAILURE_CHARS_MAX, LaterBill
from noburn_cli.enforce.playing import (
    KEEP_AGAIN,
    NOT_KEPT,
    find_answer,
    play,
    play_free,
    tape_of,
)
from noburn_cli.enforce.policy import policy
from noburn_cli.enforce.reserving import reserve
from noburn_cli.errors import NoburnError, Unavailable, UsageError
from noburn_cli.providers import credentials
from noburn_cli.providers.ceilings import missing_step
from noburn_cli.providers.codec import Codec
from noburn_cli.providers.hosts import known_upstreams
from noburn_cli.providers.registry import (
    FOLLOW,
    FREE,
    NOT_OURS,
    REFUSED,
    Route,
    Upstream,
    error_codec,
    recognise,
)

#: Providers that this process called with a key of its own.
_noted: set[str] = set()


def route_of(
    method: str, url: str, upstreams: Sequence[Upstream], headers: Mapping[str, str] | None = None
) -> Route | None:
    """What a request is, without its body; None when it needs no guard.

    headers: found by lower-case names; with them, a free request has a route that carries a virtual
        key or a header of ours.  Of such a one `admit` needs no body.
    """
    if is_gateway(url):
        return None
    route = followed(recognise(method, url, upstreams))
    if route.kind == FREE:
        if headers is None or not (
            credentials.find_virtual(headers, url) or any(map(attribution.is_ours, headers))
        ):
            return None
        return route
    return None if route.kind == NOT_OURS and not route.look_into_body else route


def followed(route: Route) -> Route:
    """A free request has an answer to keep or to play as well, where answers are recorded."""
    taped = route.kind == FREE and (answers.keeps() or answers.plays())
    return replace(route, kind=FOLLOW) if taped else route


def admit(
    route: Route, request: Request, upstreams: Sequence[Upstream]
) -> Generator[Step, Any, Decision]:
    """Decide on one request that `route_of` did not wave through."""
    if route.look_into_body:
        route = recognise(request.method, request.url, upstreams, body=request.body)
    if route.kind == NOT_OURS:
        return PASS
    decision = yield from _decide(route, request, upstreams)
    if isinstance(decision, Send) and answers.keeps():
        decision.tracker.tape = tape_of(request, _attributes_of(request)[0], decision)
    return decision


def _decide(
    route: Route, request: Request, upstreams: Sequence[Upstream]
) -> Generator[Step, Any, Decision]:
    virtual = credentials.find_virtual(request.headers, request.url)
    if route.kind == FREE:
        return PASS if virtual is None else (yield from _free(route, virtual))
    if route.kind == FOLLOW and answers.plays():
        return (yield from play_free(route, request, _attributes_of(request)[0]))
    if route.kind == FOLLOW:
        passed = Pass() if virtual is None else (yield from _free(route, virtual))
        if isinstance(passed, Refuse):
            return passed
        codec = route.codec or error_codec(route.api_family)
        return Send(request.body, LaterBill(new_call_id(), codec), passed.exchange)
    if virtual is None and not answers.plays():
        yield from _note_own_key(request)
    call_id = new_call_id()
    attrs, unfit = _attributes_of(request)
    failure = policy().failure or unfit
    if failure is not None:
        codec = route.codec or error_codec(route.api_family)
        reason = f"{failure.message}: {failure.why}"
        return (yield from _refused(call_id, attrs, codec, "", reason, failure.next_step))
    if route.kind == REFUSED or route.codec is None:
        codec = route.codec or error_codec(route.api_family)
        return (yield from _refused(call_id, attrs, codec, "", route.reason, route.next_step))
    codec = route.codec
    try:
        asked = read(request, upstreams, route, codec)
    except NoburnError as error:
        reason = f"{error.message}: {error.why}" if error.why else error.message
        return (yield from _refused(call_id, attrs, codec, "", reason, error.next_step))
    call = asked.call
    if call.unbounded and not has_ceilings(call):
        step = missing_step(call.unbounded_kinds, policy().ceilings)
        return (yield from _refused(call_id, attrs, codec, call.model, call.unbounded, step))
    if answers.plays():
        answer = yield find_answer(request, attrs)
        if answer is None:
            return (yield from _refused(call_id, attrs, codec, call.model, NOT_KEPT, KEEP_AGAIN))
        return (yield from play(call_id, attrs, asked, answer))
    notional = virtual is None and credentials.is_subscription(
        request.headers, sold=(route.provider or route.api_family) in policy().notional
    )
    return (yield from reserve(call_id, attrs, asked, virtual, notional))


def _attributes_of(request: Request) -> tuple[dict[str, str], UsageError | None]:
    """Whom a request is for, and why that cannot be told, if so."""
    try:
        given = attribution.from_fields(request.body, policy().fields)
        given.update(attribution.take(request.headers)[0])
    except UsageError as error:
        return attributes(), error
    return attributes(given), None


def _note_own_key(request: Request) -> Generator[Step, Any, None]:
    """Tell the run, once for each provider, of a key that is no virtual one."""
    host = urlsplit(request.url).hostname or ""
    run = os.environ.get("NOBURN_RUN")
    if not run or host in _noted or not known_upstreams(host):
        return
    if not credentials.has_credentials(request.headers, request.url):
        return
    _noted.add(host)
    note = {"run": run, "kind": "key", "detail": {"host": host}}
    with contextlib.suppress(NoburnError):
        yield AskDaemon(protocol.RUN_NOTE, note)


def _free(route: Route, virtual: str) -> Generator[Step, Any, Pass | Refuse]:
    """A request that costs nothing needs the real key all the same."""
    try:
        reply = yield AskDaemon(protocol.KEY, {"key": virtual})
    except Unavailable as error:
        codec = route.codec or error_codec(route.api_family)
        return Refuse(block(codec, CODE_UNAVAILABLE, error.message, error.why, error.next_step))
    except NoburnError as error:
        codec = route.codec or error_codec(route.api_family)
        return Refuse(no_key(codec, error.message, error.why, error.next_step))
    return Pass((virtual, str(reply["key"])))


def _refused(
    call_id: str, attrs: dict[str, str], codec: Codec, model: str, reason: str, next_step: str
) -> Generator[Step, Any, Decision]:
    """A refusal of the guard's own, recorded where the report finds it."""
    fields = {
        "call": call_id,
        "api": codec.api,
        "model": model,
        "attrs": attrs,
        "reason": reason[:FAILURE_CHARS_MAX],
        "error": protocol.UNBOUNDED,
    }
    why = f"see `noburn why {call_id}`"
    try:
        yield AskDaemon(protocol.REFUSED, fields)
    except NoburnError:
        why = ""  # The call does not leave either way.
    return Refuse(block(codec, CODE_REFUSED, f"call refused: {reason}", why, next_step))
