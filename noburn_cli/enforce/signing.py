"""Requests that are signed over their bytes: an edited one is signed anew, or does not leave.

Layer: enforce, injected (standard library, Python 3.10).  Below: blocks.
Above: botocore_hook, which knows how to sign, and the hooks that edit.
AWS signs method, path, chosen headers and the body's hash ("Signature Version 4",
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html, checked 2026-11-27).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar

from noburn_cli.enforce.blocks import refused_here
from noburn_cli.errors import NoburnError
from noburn_cli.providers.codec import Block
from noburn_cli.providers.registry import Route

Headers = list[tuple[str, str]]
#: Makes the headers of the request that is being sent, for another body and, if given, URL.
Signer = Callable[[bytes, "str | None"], Headers]
_signer: ContextVar[Signer | None] = ContextVar("noburn_signer", default=None)


class NotSigned(NoburnError):
    """An edited request that nobody here can sign."""


@contextlib.contextmanager
def signing_with(signer: Signer) -> Iterator[None]:
    """What is sent inside can be signed anew."""
    token = _signer.set(signer)
    try:
        yield
    finally:
        _signer.reset(token)


def is_signed(headers: Sequence[tuple[str, str]]) -> bool:
    """Whether a signature over the body stands among the headers."""
    return any(
        name.lower() == "authorization" and value.startswith("AWS4-") for name, value in headers
    )


def sign_anew(
    headers: Sequence[tuple[str, str]], *, unedited: bytes, body: bytes, url: str | None = None
) -> Headers | None:
    """The headers for an edited body, or URL; None where the old ones still hold.

    Raises NotSigned when there is a signature, and nobody to make another.
    """
    if (body == unedited and url is None) or not is_signed(headers):
        return None
    signer = _signer.get()
    if signer is None:
        raise NotSigned(
            "this request is signed, and cannot be signed anew with the output cap, or the model, "
            "that it gets",
            next_step="set max_tokens and ask for the usage yourself, or call by boto3",
        )
    signed = signer(body, url)
    named = {name.lower() for name, _ in signed}
    return [*signed, *((name, value) for name, value in headers if name.lower() not in named)]


def refusal(route: Route, error: NotSigned) -> Block:
    return refused_here(route, error.message, error.next_step)
