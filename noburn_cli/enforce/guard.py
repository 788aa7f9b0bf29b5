"""May this request go out?  One state machine for every hook, sync or async.

Layer: enforce, injected (standard library, Python 3.10), sans-IO.  Below: providers, core.bounds.
Above: the hooks, which carry out its steps and move the bytes.

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
from noburn_cli.core.bounds import ASSUMED, measure
from noburn_cli.enforce import attribution
from noburn_cli.enforce.context import attributes, is_gateway, settings
from noburn_cli.enforce.outcome import CODE_STOPPED, FAILURE_CHARS_MAX, Follower, Tracker
from noburn_cli.enforce.policy import RECEIVED, policy
from noburn_cli.enforce.received import Received
from noburn_cli.errors import NoburnError, Unavailable, UsageError
from noburn_cli.providers import credentials, paid_headers
from noburn_cli.providers.call import Call
from noburn_cli.providers.ceilings import missing_step
from noburn_cli.providers.codec import Block, Codec, CountRequest
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

#: The provider's error code that a program sees for a block, and for a daemon that is not there.
CODE_BLOCKED = "noburn_budget_exceeded"
CODE_REFUSED = "noburn_call_refused"
CODE_UNAVAILABLE = "noburn_unavailable"
_CODES = {protocol.BLOCKED: CODE_BLOCKED, protocol.STOPPED: CODE_STOPPED}
#: For a virtual key that stands for nothing: HTTP 401, as the provider would.
CODE_NO_KEY = "noburn_key_unknown"
#: Reserve, refine by text, refine by count, decide; one more for a daemon that restarted between.
ROUNDS_MAX = 5
#: A floor above every model's own maximum: an uncapped output is granted whole or not at all.
WHOLE = 10**10  # the most that a frame may say
#: Anthropic calls its count an estimate that may be off by a little: 2 % and 16 tokens more.
#: https://docs.claude.com/en/docs/build-with-claude/token-counting (checked 2026-11-23)
COUNT_MARGIN_PERCENT = 2
COUNT_MARGIN_TOKENS = 16


class Request:
    """An HTTP request as the guard sees it.  `headers` by lower-case name."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body


class AskDaemon:
    """Step: send a frame to the daemon; the answer is its reply, or an Unavailable is thrown in."""

    __slots__ = ("fields", "op")

    def __init__(self, op: str, fields: dict[str, Any]) -> None:
        self.op = op
        self.fields = fields


class AskProvider:
    """Step: send the provider's free count request; the answer is its body, or None."""

    __slots__ = ("request",)

    def __init__(self, request: CountRequest) -> None:
        self.request = request


class Pass:
    """Decision: this request is none of ours, or costs nothing.

    exchange: (virtual, real), to be put in by credentials.swapped; None leaves it as it is.
    """

    __slots__ = ("exchange",)

    def __init__(self, exchange: tuple[str, str] | None = None) -> None:
        self.exchange = exchange


class Refuse:
    """Decision: answer with this block; nothing is sent."""

    __slots__ = ("block",)

    def __init__(self, block: Block) -> None:
        self.block = block


class Send:
    """Decision: send this body, and tell the tracker how it ends.

    exchange: (virtual, real), to be put in by credentials.swapped; None leaves the key as it is.
    """

    __slots__ = ("body", "exchange", "tracker")

    def __init__(
        self, body: bytes, tracker: Tracker, exchange: tuple[str, str] | None = None
    ) -> None:
        self.body = body
        self.tracker = tracker
        self.exchange = exchange


Step = AskDaemon | AskProvider
Decision = Pass | Refuse | Send
PASS = Pass()
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
    route = recognise(method, url, upstreams)
    if route.kind == FREE:
        if headers is None or not (
            credentials.find_virtual(headers, url) or any(map(attribution.is_ours, headers))
        ):
            return None
        return route
    return None if route.kind == NOT_OURS and not route.look_into_body else route


def admit(
    route: Route, request: Request, upstreams: Sequence[Upstream]
) -> Generator[Step, Any, Decision]:
    """Decide on one request that `route_of` did not wave through."""
    if route.look_into_body:
        route = recognise(request.method, request.url, upstreams, body=request.body)
    if route.kind == NOT_OURS:
        return PASS
    virtual = credentials.find_virtual(request.headers, request.url)
    if route.kind == FREE:
        return PASS if virtual is None else (yield from _free(route, virtual))
    if route.kind == FOLLOW and route.codec is not None:
        passed = Pass() if virtual is None else (yield from _free(route, virtual))
        if isinstance(passed, Refuse):
            return passed
        return Send(request.body, Follower(new_call_id(), route.codec), passed.exchange)
    if virtual is None:
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
        call = codec.parse(request.body)
        if call.model:
            call = replace(call, model=route.qualified(call.model))
        call = paid_headers.with_headers(call, route.api_family, request.headers)
    except NoburnError as error:
        reason = f"{error.message}: {error.why}" if error.why else error.message
        return (yield from _refused(call_id, attrs, codec, "", reason, error.next_step))
    if call.unbounded and not _has_ceilings(call):
        step = missing_step(call.unbounded_kinds, policy().ceilings)
        return (yield from _refused(call_id, attrs, codec, call.model, call.unbounded, step))
    notional = virtual is None and credentials.is_subscription(
        request.headers, sold=(route.provider or route.api_family) in policy().notional
    )
    return (yield from _reserve(call_id, attrs, codec, call, request.body, virtual, notional))


def _attributes_of(request: Request) -> tuple[dict[str, str], UsageError | None]:
    """Whom a request is for, and why that cannot be told, if so."""
    try:
        given = attribution.from_fields(request.body, policy().fields)
        given.update(attribution.take(request.headers)[0])
    except UsageError as error:
        return attributes(), error
    return attributes(given), None


def _has_ceilings(call: Call) -> bool:
    """Whether the policy sets something aside for every part that nothing bounds."""
    ceilings = policy().ceilings
    return bool(call.unbounded_kinds) and all(name in ceilings for name in call.unbounded_kinds)


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
        return Refuse(_block(codec, CODE_UNAVAILABLE, error.message, error.why, error.next_step))
    except NoburnError as error:
        codec = route.codec or error_codec(route.api_family)
        return Refuse(_no_key(codec, error.message, error.why, error.next_step))
    return Pass((virtual, str(reply["key"])))


def _reserve(
    call_id: str, attrs: dict[str, str], codec: Codec, call: Call, body: bytes, virtual: str | None,
    notional: bool,
) -> Generator[Step, Any, Decision]:  # fmt: skip
    frame = reserve_fields(call_id, attrs, call)
    if notional:
        frame["notional"] = True
    if virtual is not None:
        frame["key"] = virtual
    reply: Mapping[str, Any] = {}
    for _ in range(ROUNDS_MAX):
        try:
            reply = yield AskDaemon(protocol.RESERVE, frame)
        except NoburnError as error:
            return Refuse(
                _block(codec, CODE_UNAVAILABLE, error.message, error.why, error.next_step)
            )
        if reply.get("ok"):
            if virtual is not None and not reply.get("key"):
                # Who lent it went away while the call waited for its money.
                yield AskDaemon(protocol.VOID, {"call": call_id, "reason": "no key"})
                return Refuse(_no_key(codec, "this virtual key stands for no real one any more"))
            try:
                return _granted(call_id, codec, call, body, reply, virtual)
            except Exception:
                # A body that cannot be edited does not leave, so its money is free again.
                yield AskDaemon(protocol.VOID, {"call": call_id, "reason": "not editable"})
                raise
        if reply.get("error") != protocol.REFINE:
            break
        frame = yield from _refined(frame, codec, call, body, virtual, by=str(reply.get("by")))
    if reply.get("error") == protocol.KEY_UNKNOWN:
        return Refuse(
            _no_key(codec, *(str(reply.get(part)) for part in ("message", "why", "next")))
        )
    return Refuse(_block_of(codec, call_id, reply))


def _refined(
    frame: dict[str, Any], codec: Codec, call: Call, body: bytes, virtual: str | None, *, by: str
) -> Generator[Step, Any, dict[str, Any]]:
    """The frame again, with what the daemon asked for, or saying that it cannot be had."""
    if by == "text":
        return {**frame, "texts": {"texts": list(call.texts), "schema": call.schema_text}}
    count = codec.count_request(body) if by == "count" else None
    if count is not None and virtual is not None:
        count = yield from _with_key(count, virtual)
    answer = (yield AskProvider(count)) if count is not None else None
    if answer is not None:
        try:
            counted = codec.parse_count(answer)
        except NoburnError:
            return {**frame, "refined": True}
        margin = -(-counted * COUNT_MARGIN_PERCENT // 100) + COUNT_MARGIN_TOKENS
        return {**frame, "input": {**frame["input"], "counted": counted + margin}}
    return {**frame, "refined": True}


def _with_key(count: CountRequest, virtual: str) -> Generator[Step, Any, CountRequest | None]:
    try:
        reply = yield AskDaemon(protocol.KEY, {"key": virtual})
    except NoburnError:
        return None  # Without the provider's count the daemon decides on what it has.
    return replace(count, exchange=(virtual, str(reply["key"])))


def _granted(
    call_id: str,
    codec: Codec,
    call: Call,
    body: bytes,
    reply: Mapping[str, Any],
    virtual: str | None,
) -> Decision:
    cap = reply.get("granted") if reply.get("write_cap") else None
    strip_usage = call.stream and not codec.asks_usage(body)
    tracker = Tracker(
        call_id, codec, stream=call.stream, strip_usage=strip_usage,
        tells_all=call.usage_tells_all, fixed_usage=call.fixed_usage,
        received=_received(call, reply),
    )  # fmt: skip
    exchange = None if virtual is None else (virtual, str(reply["key"]))
    return Send(codec.edit(body, cap=cap), tracker, exchange)


def _received(call: Call, reply: Mapping[str, Any]) -> Received | None:
    """What measures the answer, where the policy accepts what came, and it can be priced."""
    granted, bound = reply.get("granted"), reply.get("input_bound")
    if policy().on_abort != RECEIVED or call.output is None or granted is None or bound is None:
        return None
    if call.extra or reply.get("bound") == ASSUMED or len(call.variants) != 1:
        return None  # Fees and other tiers cannot be told from the text that came.
    return Received(
        input_tokens=bound,
        input_kinds=call.input_kinds,
        output_max=granted * call.output.choices,
        variant=call.variants[0],
    )


def reserve_fields(call_id: str, attrs: dict[str, str], call: Call) -> dict[str, Any]:
    """The fields of a reserve frame (docs/protocol.md), with the settings of here and now."""
    chosen = settings()
    measured = measure(
        call.texts,
        call.schema_text,
        overhead_tokens=call.overhead_tokens,
        counted_tokens=call.counted_tokens,
        window=bool(call.window),
        requests=call.requests,
        windows=call.windows,
    )
    ceilings = policy().ceilings
    return {
        "call": call_id,
        "api": call.api,
        "model": call.model,
        "attrs": attrs,
        "input": {
            "bytes": measured.bytes,
            "expanded": measured.expanded,
            "overhead": measured.overhead,
            "tokens": measured.tokens,
            "window": measured.window,
            "counted": measured.counted,
            "requests": measured.requests,
            "windows": measured.windows,
        },
        "input_kinds": list(call.input_kinds),
        "output_kinds": list(call.output_kinds),
        "variants": list(call.variants),
        "extra": dict(call.extra),
        "ceiling": (
            sum(ceilings.get(name, 0) for name in call.unbounded_kinds) if call.unbounded else None
        ),
        "output": _output_fields(call, clamp=chosen.clamp, lower=chosen.lower_caps),
        "wait_ms": chosen.wait_ms,
        "texts": None,
    }


def _output_fields(call: Call, *, clamp: bool, lower: bool) -> dict[str, Any] | None:
    cap = call.output
    if cap is None:
        return None
    if cap.wanted is None:
        floor = max(cap.floor, settings().output_floor) if clamp else WHOLE
        return {"wanted": None, "floor": floor, "choices": cap.choices, "clamp": clamp}
    floor = max(cap.floor, min(settings().output_floor, cap.wanted))
    return {"wanted": cap.wanted, "floor": floor, "choices": cap.choices, "clamp": lower}


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
    return Refuse(_block(codec, CODE_REFUSED, f"call refused: {reason}", why, next_step))


def _block_of(codec: Codec, call_id: str, reply: Mapping[str, Any]) -> Block:
    code = _CODES.get(str(reply.get("error")), CODE_REFUSED)
    message = str(reply.get("message") or f"call refused: {reply.get('error')}")
    why, step = str(reply.get("why") or ""), str(reply.get("next") or "")
    return _block(codec, code, message, why, step, f"see `noburn why {call_id}`")


def _block(codec: Codec, code: str, *sentences: str) -> Block:
    return codec.block(message=_said(sentences), code=code)


def _no_key(codec: Codec, *sentences: str) -> Block:
    """What the provider itself would say to a key that it does not know."""
    return codec.block(message=_said(sentences), code=CODE_NO_KEY, status=401)


def _said(sentences: Sequence[str]) -> str:
    said = [f"{part[0].upper()}{part[1:].rstrip('.')}" for part in sentences if part]
    # Lines to paste stand at the end, and take no full stop.
    end = "" if said[-1].endswith("\n") else "."
    return "noburn: " + ". ".join(said) + end


def failed_closed(route: Route, error: BaseException) -> Block:
    """The block for a failure of our own: the call does not leave."""
    return _block(
        route.codec or error_codec(route.api_family),
        CODE_UNAVAILABLE,
        f"call refused: noburn itself failed ({type(error).__name__}: {error})",
        "please report this; the call was not sent",
    )


def refused_here(route: Route, message: str, next_step: str) -> Block:
    """The block for a call that this stack cannot send as it would have to be."""
    codec = route.codec or error_codec(route.api_family)
    return _block(codec, CODE_REFUSED, f"call refused: {message}", next_step)
