"""Asking Stripe, through its own package: pages, patience, errors that say what to do.

Layer: revenue, I/O.  Below: the package stripe (extra `stripe`), revenue.stripe_key, errors.
Above: revenue.stripe_pass, revenue.stripe_changes.
Owns: the API's version, how long a busy or absent Stripe is waited for, which permission a refusal
is about.  Nothing but GET is ever sent.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.revenue.stripe_key import NEEDS, StripeKey
from noburn_cli.version import __version__

#: Pinned: an account's own default would change what fields mean.  It is the newest version whose
#: OpenAPI description the tests can validate by (tests/guests/stripe-openapi.txt, 2026-11-27).
API_VERSION = "2026-05-27.dahlia"
BASE = "https://api.stripe.com"
PAGE = 100
TRIES = 8
_PAUSE_S = 1.0
_PAUSE_S_MAX = 60.0
#: Stripe asks for fewer requests with 429; 409 is a lock; the others are its own trouble.
_BUSY = (409, 429, 500, 502, 503, 504)


class StripeFailed(NoburnError):
    """Stripe did not answer what was asked."""

    may_retry = True


class NotThere(StripeFailed):
    """The object is not there (any more)."""


class KeyRefused(UsageError):
    """The key is none of Stripe's, or may not read `path`."""

    path = ""


class StripeApi:
    """One account in one mode.

    base: where it is asked instead of Stripe's own address; sleep: between tries.
    clock_s: the last answer's own time, epoch seconds, by Stripe's clock; 0 before the first.
    """

    def __init__(
        self,
        key: StripeKey,
        *,
        base: str = BASE,
        sleep: Callable[[float], None] = time.sleep,
        tries: int = TRIES,
    ) -> None:
        self.source = key.source
        self.livemode = key.livemode
        self.clock_s = 0
        self._secret = key.secret
        self._sleep = sleep
        self._tries = tries
        self._base = _checked(base)
        stripe = _package()
        stripe.enable_telemetry = False  # Nothing about this machine but the request itself.
        stripe.set_app_info("noburn", version=__version__)
        self._stripe = stripe
        self._client = stripe.StripeClient(
            key.secret,
            stripe_version=API_VERSION,
            base_addresses={"api": self._base},
            max_network_retries=0,  # It does not retry 429; see ask.
        )

    def get(self, path: str, **question: Any) -> dict[str, Any]:
        """One object.  Raises NotThere, StripeFailed, UsageError for a key that may not."""
        answer = self.ask(path, **question)
        self._check_mode(answer)
        return answer

    def check_permissions(self, paths: Iterable[str]) -> None:
        """Ask each list for one object, to name all that the key may not read at once.

        Raises UsageError.
        """
        refused: list[str] = []
        why = ""
        for path in paths:
            try:
                self.ask(path, limit=1)
            except KeyRefused as error:
                if not error.path:
                    raise
                refused.append(error.path)
                why = error.why
        if refused:
            raise UsageError(f"the key may not read {', '.join(refused)}", why=why, next_step=NEEDS)

    def pages(
        self, path: str, *, after: str | None = None, **question: Any
    ) -> Iterator[list[dict[str, Any]]]:
        """The pages of a list, the newest objects first, from behind `after`.

        Raises NotThere when `after` is gone, and as `get` does.
        """
        while True:
            asked = {**question, "limit": PAGE}
            if after is not None:
                asked["starting_after"] = after
            page = self.ask(path, **asked)
            data = page.get("data")
            if not isinstance(data, list):
                raise StripeFailed(f"{path} answered something that is no list")
            for one in data:
                self._check_mode(one)
            yield data
            if not page.get("has_more") or not data:
                return
            if data[-1]["id"] == after:
                raise StripeFailed(f"{path} names the same page as the next one again")
            after = data[-1]["id"]

    def _check_mode(self, one: Mapping[str, Any]) -> None:
        if one.get("livemode", self.livemode) is not self.livemode:
            raise StripeFailed(
                f"{one.get('id')} is of the other mode than the key",
                why="test and live figures are never mixed",
            )

    def ask(self, path: str, **question: Any) -> dict[str, Any]:
        """What a path answers.  Raises NotThere, StripeFailed, KeyRefused."""
        errors = self._stripe.StripeError
        pause_s = _PAUSE_S
        for left in range(self._tries - 1, -1, -1):
            try:
                answer = self._client.raw_request("get", path, **question)
            except errors as error:
                if not left or not self._is_passing(error):
                    raise self._explained(path, error) from None  # Its texts may carry the key.
                pause_s = _asked_pause(error, pause_s)
            else:
                self._note_time(answer.headers)
                return dict(answer.data)
            # Many clients that were refused together should not come back together.
            self._sleep(pause_s * (1 + random.random() / 4))  # noqa: S311 -- no secret
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)
        raise AssertionError("the last try returns or raises")

    def _note_time(self, headers: Mapping[str, str]) -> None:
        said = headers.get("Date") or headers.get("date") or ""
        try:
            self.clock_s = int(parsedate_to_datetime(said).timestamp())
        except (TypeError, ValueError):
            self.clock_s = int(time.time())

    def _is_passing(self, error: Any) -> bool:
        return error.http_status in _BUSY or isinstance(error, self._stripe.APIConnectionError)

    def _explained(self, path: str, error: Any) -> NoburnError:
        said = str(error.user_message or error).replace(self._secret, "…")
        status = error.http_status
        if status == 401:
            return KeyRefused(
                "Stripe does not know the key", why="it was revoked, or is of another account",
                next_step=NEEDS,
            )  # fmt: skip
        if status == 403:
            refused = KeyRefused(f"the key may not read {path}", why=said, next_step=NEEDS)
            refused.path = path
            return refused
        if status == 404 or error.code == "resource_missing":
            return NotThere(f"{path} is not there", why=said)
        if status is None:
            return StripeFailed(
                f"{self._base} cannot be reached", why=_network_fault(error),
                next_step="run the same command again: it goes on where it stopped",
            )  # fmt: skip
        return StripeFailed(
            f"Stripe answered {status} to {path}", why=said,
            next_step="run the same command again: it goes on where it stopped",
        )  # fmt: skip


def _asked_pause(error: Any, pause_s: float) -> float:
    headers = error.headers or {}
    asked = str(headers.get("retry-after") or headers.get("Retry-After") or "")
    return min(float(asked), _PAUSE_S_MAX) if asked.isdecimal() else pause_s


def _checked(base: str) -> str:
    plain = base.rstrip("/")
    if not plain.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
        raise UsageError(f"{plain} is not asked with a key", why="it would travel unencrypted")
    return plain


def _package() -> Any:
    try:
        import stripe
    except ImportError as error:
        raise NoburnError(
            "the package stripe is not installed",
            why="Stripe is asked through its own package",
            next_step="pip install 'noburn-cli[stripe]'",
        ) from error
    return stripe


def _network_fault(error: Exception) -> str:
    """What the network said, without the address and the client's own words about it."""
    cause = error.__cause__
    inner = cause.args[0] if cause is not None and cause.args else cause
    return str(getattr(inner, "reason", inner) or error).rpartition(": ")[2]
