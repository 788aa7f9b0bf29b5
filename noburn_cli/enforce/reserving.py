"""Money for one call: the reserve, what the daemon asks for in between, and the grant.

Layer: enforce, injected (standard library, Python 3.10), sans-IO: generators, as `guard.admit`.
Below: providers, core.bounds, policy, decisions, blocks.  Above: guard.
Owns: the fields of a reserve frame, and what a grant makes of the request.
Not here: whether a request is a call at all, and what the guard itself refuses (guard).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from noburn_cli import protocol
from noburn_cli.core.variants import certain
from noburn_cli.enforce.asking import Asked, for_model
from noburn_cli.enforce.blocks import CODE_UNAVAILABLE, block, block_of, no_key
from noburn_cli.enforce.context import settings
from noburn_cli.enforce.decisions import AskDaemon, AskProvider, Decision, Refuse, Send, Step
from noburn_cli.enforce.outcome import FAILURE_CHARS_MAX, Tracker
from noburn_cli.enforce.policy import RECEIVED, policy
from noburn_cli.enforce.received import Received
from noburn_cli.errors import NoburnError
from noburn_cli.providers.call import Call
from noburn_cli.providers.codec import CountRequest

#: Reserve, refine by text, refine by count, decide; one more for a daemon that restarted between.
#: For each model that a budget asks for anew.
ROUNDS_MAX = 5
#: A floor above every model's own maximum: an uncapped output is granted whole or not at all.
WHOLE = 10**10  # the most that a frame may say
#: Anthropic calls its count an estimate that may be off by a little: 2 % and 16 tokens more.
#: https://docs.claude.com/en/docs/build-with-claude/token-counting (checked 2026-11-23)
COUNT_MARGIN_PERCENT = 2
COUNT_MARGIN_TOKENS = 16


def reserve(
    call_id: str, attrs: dict[str, str], asked: Asked, virtual: str | None, notional: bool
) -> Generator[Step, Any, Decision]:
    """Hold money for a call that can be bounded, and decide by what the daemon says.

    virtual: the virtual key that it came with.  notional: whether a subscription pays for it.
    """
    more: dict[str, Any] = {"notional": True} if notional else {}
    if virtual is not None:
        more["key"] = virtual
    frame = {**reserve_fields(call_id, attrs, asked.call), **more}
    reply: Mapping[str, Any] = {}
    rounds = ROUNDS_MAX
    while rounds:
        rounds -= 1
        try:
            reply = yield AskDaemon(protocol.RESERVE, frame)
        except NoburnError as error:
            return Refuse(
                block(asked.codec, CODE_UNAVAILABLE, error.message, error.why, error.next_step)
            )
        if reply.get("ok"):
            return (yield from _sent(call_id, asked, reply, virtual))
        if reply.get("error") == protocol.DOWNGRADE and "fixed_model" not in frame:
            try:
                asked = for_model(asked, str(reply.get("model")))
            except NoburnError as error:
                frame = {**frame, "fixed_model": error.message[:FAILURE_CHARS_MAX]}
                continue
            frame = {**reserve_fields(call_id, attrs, asked.call), **more}
            frame["downgraded"] = reply.get("downgraded")
            rounds = ROUNDS_MAX  # The daemon asks for no model twice.
        elif reply.get("error") == protocol.REFINE:
            frame = yield from _refined(frame, asked, virtual, by=str(reply.get("by")))
        else:
            break
    if reply.get("error") == protocol.KEY_UNKNOWN:
        said = (str(reply.get(part)) for part in ("message", "why", "next"))
        return Refuse(no_key(asked.codec, *said))
    return Refuse(block_of(asked.codec, call_id, reply))


def _sent(
    call_id: str, asked: Asked, reply: Mapping[str, Any], virtual: str | None
) -> Generator[Step, Any, Decision]:
    """What a grant makes of the request; its money is given back where nothing can be sent."""
    if virtual is not None and not reply.get("key"):
        # Who lent it went away while the call waited for its money.
        yield AskDaemon(protocol.VOID, {"call": call_id, "reason": "no key"})
        return Refuse(no_key(asked.codec, "this virtual key stands for no real one any more"))
    try:
        return _granted(call_id, asked, reply, virtual)
    except Exception:
        # A body that cannot be edited does not leave, so its money is free again.
        yield AskDaemon(protocol.VOID, {"call": call_id, "reason": "not editable"})
        raise


def _refined(
    frame: dict[str, Any], asked: Asked, virtual: str | None, *, by: str
) -> Generator[Step, Any, dict[str, Any]]:
    """The frame again, with what the daemon asked for, or saying that it cannot be had."""
    call, codec = asked.call, asked.codec
    if by == "text":
        return {**frame, "texts": {"texts": list(call.texts), "schema": call.schema_text}}
    count = codec.count_request(asked.body) if by == "count" else None
    if count is not None and asked.moved_to is not None:
        count = replace(count, path=urlsplit(asked.url).path)
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


def _granted(call_id: str, asked: Asked, reply: Mapping[str, Any], virtual: str | None) -> Decision:
    call, codec, body = asked.call, asked.codec, asked.body
    cap = reply.get("granted") if reply.get("write_cap") else None
    strip_usage = call.stream and not codec.asks_usage(body)
    tracker = Tracker(
        call_id, codec, stream=call.stream, strip_usage=strip_usage,
        tells_all=call.usage_tells_all, fixed_usage=call.fixed_usage,
        received=_received(call, reply), region=asked.route.region_of(call.model),
    )  # fmt: skip
    exchange = None if virtual is None else (virtual, str(reply["key"]))
    return Send(
        codec.edit(body, cap=cap), tracker, exchange,
        url=asked.moved_to, warnings=tuple(reply.get("warnings") or ()),
    )  # fmt: skip


def _received(call: Call, reply: Mapping[str, Any]) -> Received | None:
    """What measures the answer, where the policy accepts what came, and it can be priced."""
    granted, bound = reply.get("granted"), reply.get("input_bound")
    if policy().on_abort != RECEIVED or call.output is None or granted is None or bound is None:
        return None
    if call.extra or call.unbounded or sum(certain(one)[1] for one in call.variants) != 1:
        return None  # Fees, what a ceiling lets go, other tiers: no text that came tells them.
    return Received(
        input_tokens=bound,
        input_kinds=call.input_kinds,
        output_max=granted * call.output.choices,
        variant=call.variants[0],
    )


def reserve_fields(call_id: str, attrs: dict[str, str], call: Call) -> dict[str, Any]:
    """The fields of a reserve frame (docs/protocol.md), with the settings of here and now."""
    chosen = settings()
    measured = call.billed_as(call.measured(), call.model)
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
