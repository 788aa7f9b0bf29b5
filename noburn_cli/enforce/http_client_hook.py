"""The guard under http.client, and so under urllib.request, urllib3, requests and botocore.

Layer: enforce, injected (standard library, Python 3.10).  Above: the injected bootstrap, api.
Below: http_client_calls, which is loaded with the first request that may need the guard.

All of these libraries end in `HTTPConnection.putrequest`, `send` and `getresponse`, below their own
redirects and retries (urllib3's Retry, botocore's): each attempt is a call of its own, and nothing
is counted twice because there is no lower layer.  (http.client of Python 3.10 to 3.14, urllib3 1.26
and 2.8, requests 2.34, botocore 1.44; checked 2026-11-27.)
A request that may be a call is held back from the socket until it is whole.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False  # `typing` would cost every start some milliseconds.
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

#: On a connection: its request that was begun, held back or sent, until its answer is there.
STATE = "_noburn_state"
#: On the module that is hooked: whether every connection is guarded, or only marked contexts.
_ALL = "_noburn_guards_all"
_OURS = "_noburn_guard"
#: Requests that never carry a prompt; they are looked at only with a virtual key, or at a provider.
PLAIN_METHODS = ("GET", "HEAD", "OPTIONS")
#: Virtual keys, and the headers that end at the guard.
FOR_US = re.compile(rb"noburn-vk-|\nx-noburn-", re.IGNORECASE)
#: In the names of the hosts whose plain requests may cost something too (`GET …/realtime`).
PROVIDERS = ("openai.", "anthropic.", "googleapis.", "mistral.", "groq.", "cohere.", "amazonaws.")


class Begun:
    """A request whose line was written, and whose head has not been sent yet."""

    __slots__ = ("method", "target")

    def __init__(self, method: str, target: str) -> None:
        self.method = method
        self.target = target


def hook_http_client(module: ModuleType, *, every_client: bool) -> None:
    """Put the guard into http.client; again is harmless.

    every_client: guard all connections (under `noburn run`), or those inside a marked context.
    """
    connection_class: Any = module.HTTPConnection
    setattr(module, _ALL, getattr(module, _ALL, False) or every_client)
    if hasattr(connection_class.send, _OURS):
        return
    for name, make in (("putrequest", _putrequest), ("send", _send(module)),
                       ("getresponse", _getresponse), ("close", _close)):  # fmt: skip
        original = getattr(connection_class, name)
        guarded = make(original)
        guarded.__name__, guarded.__doc__ = original.__name__, original.__doc__
        setattr(guarded, _OURS, True)
        setattr(connection_class, name, guarded)


def _putrequest(original: Any) -> Any:
    def putrequest(connection: Any, method: str, url: str, *args: Any, **more: Any) -> None:
        original(connection, method, url, *args, **more)
        connection.__dict__[STATE] = Begun(method, url)

    return putrequest


def _send(module: ModuleType) -> Any:
    def make(original: Any) -> Any:
        def send(connection: Any, data: Any) -> None:
            state = connection.__dict__.get(STATE)
            if state is None:
                original(connection, data)
                return
            if type(state) is Begun:
                connection.__dict__[STATE] = None
                if not _may_be_a_call(connection, state, data):
                    original(connection, data)
                    return
                from noburn_cli.enforce.http_client_calls import begin

                state = begin(connection, state, data, original, every_client=getattr(module, _ALL))
                connection.__dict__[STATE] = state
                if state is None:
                    original(connection, data)
                    return
            else:
                state.receive(data)
            state.go_on()

        return send

    return make


def _getresponse(original: Any) -> Any:
    def getresponse(connection: Any, *args: Any, **more: Any) -> Any:
        state = connection.__dict__.get(STATE)
        if state is None or type(state) is Begun:
            return original(connection, *args, **more)
        connection.__dict__[STATE] = None
        return state.answer(lambda: original(connection, *args, **more))

    return getresponse


def _close(original: Any) -> Any:
    def close(connection: Any) -> None:
        state = connection.__dict__.get(STATE)
        connection.__dict__[STATE] = None
        if state is not None and type(state) is not Begun:
            state.dropped()
        original(connection)

    return close


def _may_be_a_call(connection: Any, begun: Begun, head: Any) -> bool:
    """A cheap look, so that programs without LLM calls do not load the guard."""
    if type(head) is not bytes:
        return False  # http.client and urllib3 send heads as bytes.
    if begun.method.upper() not in PLAIN_METHODS or FOR_US.search(head):
        return True
    host = getattr(connection, "_tunnel_host", None) or connection.host or ""
    return any(name in host or name in begun.target for name in PROVIDERS)
