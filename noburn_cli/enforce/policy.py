"""What the configuration says about calls: endpoints, ceilings, aborted calls, provider fields.

Layer: enforce, injected (standard library, Python 3.10).  Below: providers.registry, errors.
Above: context, guard, the hooks, the gateway.
Owns: the form of NOBURN_POLICY, which `noburn run` writes (noburn_cli.settings makes the text).
A program that `noburn run` did not start (noburn_cli.wrap) has noburn in its own environment and
reads the user's configuration and the project's itself, once.
Not here: the configuration files (noburn_cli.settings), what a ceiling bounds (the codecs).

A policy that cannot be read fails closed: `Policy.failure` says why, and the guard refuses calls.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.providers.registry import Upstream

VARIABLE = "NOBURN_POLICY"

#: What a call costs whose answer was broken off: its hold; what reading on in the background
#: shows; what was received.
HOLD, DRAIN, RECEIVED = "hold", "drain", "received"
ON_ABORT = (HOLD, DRAIN, RECEIVED)


@dataclass(frozen=True)
class Policy:
    """What holds for the calls of this process.

    endpoints: base URLs beside the providers' own hosts, each with its API and price book prefix.
    names: the configuration's name of each endpoint, in the same order.
    ceilings: nano-dollars by name: what to set aside for a part of a call that nothing bounds.
    on_abort: HOLD, DRAIN or RECEIVED.
    fields: by provider field (`user`, `metadata.user_id`), the attribute that it fills.
    notional: providers whose calls with a subscription login are recorded at list price and
        counted against no dollar budget.
    failure: why the policy could not be read; then nothing may be sent.
    """

    endpoints: tuple[Upstream, ...] = ()
    names: tuple[str, ...] = ()
    ceilings: Mapping[str, int] = field(default_factory=dict)
    on_abort: str = HOLD
    fields: Mapping[str, str] = field(default_factory=dict)
    notional: tuple[str, ...] = ()
    failure: NoburnError | None = None


NO_POLICY = Policy()
#: The raw text that was read last (None: no variable), and what it says; replaced as a whole, so
#: that no lock is needed.
_read: tuple[str | None, Policy] = ("", NO_POLICY)


def policy() -> Policy:
    """What holds here and now; it is read again when the variable has changed.  Never raises."""
    global _read
    raw = os.environ.get(VARIABLE)
    text, found = _read
    if raw != text:
        found = _own_policy() if raw is None else read_policy(raw)
        _read = (raw, found)
    return found


def _own_policy() -> Policy:
    """What the configuration says to a program that was not started by `noburn run`."""
    if sys.version_info < (3, 11):
        return NO_POLICY
    try:
        # By name, because guests bring only the standard library of Python 3.10 along: this one is
        # no guest, it imported noburn itself.
        return read_policy(importlib.import_module("noburn_cli.settings").own_policy())
    except NoburnError as error:
        return Policy(failure=error)
    except (ImportError, OSError) as error:
        return Policy(failure=_unreadable(error))


def read_policy(raw: str) -> Policy:
    """The policy in a text of NOBURN_POLICY; one with a `failure` when it breaks the form."""
    if not raw:
        return NO_POLICY
    try:
        return _policy(json.loads(raw))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return Policy(failure=_unreadable(error))


def _policy(values: Any) -> Policy:
    endpoints = values.get("endpoints", [])
    on_abort = values.get("on_abort", HOLD)
    if on_abort not in ON_ABORT:
        raise ValueError(f"on_abort is {on_abort!r}")
    return Policy(
        endpoints=tuple(_endpoint(one) for one in endpoints),
        names=tuple(_text(one["name"]) for one in endpoints),
        ceilings={_text(name): _nano(nano) for name, nano in values.get("ceilings", {}).items()},
        on_abort=on_abort,
        fields=_texts(values.get("fields", {})),
        notional=tuple(_text(one) for one in values.get("notional", [])),
    )


def _endpoint(values: Any) -> Upstream:
    base_url = _text(values["base_url"])
    if not urlsplit(base_url).hostname:
        raise ValueError(f"{base_url!r} is no base URL")
    return Upstream(
        _text(values["api"]),
        base_url,
        provider=_text(values["provider"]),
        models=tuple(_texts(values.get("models", {})).items()),
    )


def _texts(values: Any) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _nano(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r} is no amount in nano-dollars")
    return value


def _unreadable(error: BaseException) -> UsageError:
    return UsageError(
        f"{VARIABLE} cannot be read, so no call leaves",
        why=f"{type(error).__name__}: {error}",
        next_step="leave the variable to `noburn run`; `noburn config` shows the configuration",
    )
