"""Who may ask the dashboard: its token, its cookie, and where a request comes from.

Layer: dashboard, pure.  Above: dashboard.server.
Owns: the rules of docs/dashboard.md, "Who can see it".  Secrets are compared in constant time, and
are in no message.
Not here: the headers of answers (dashboard.pages).

A page of another site can make a browser send requests here, and a name that it owns can be made to
point here (DNS rebinding): the Host must be a loopback name, and what says where it comes from must
say that it comes from here.  A server on another port of this machine is the same *site*, so that
SameSite alone does not keep its pages out.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: What Sec-Fetch-Site says of a request that our own page, or a person, makes.
_OWN_SITES = ("same-origin", "none")
_BEARER = "bearer "
CSRF_HEADER = "x-noburn-csrf"
#: How long the address that a browser is started with works, in milliseconds; and once only: other
#: users of the machine can read the arguments of a process.
TICKET_MS = 120_000


def same_secret(given: str, known: str) -> bool:
    """Whether two secrets are one, in a time that does not tell how far they agree."""
    return hmac.compare_digest(given.encode(), known.encode())


def is_loopback(host: str) -> bool:
    """Whether a Host header names this machine; the port may be one that ssh forwards."""
    try:
        parts = urlsplit(f"//{host}")
        plain = parts.port is None or parts.port >= 0  # reading it raises for what is none
        return plain and parts.hostname in _LOOPBACK and "@" not in host and not parts.path
    except ValueError:
        return False


def misplaced(headers: Mapping[str, str], *, navigates: bool) -> str | None:
    """Why a request is not answered for where it comes from; None when it may be.

    headers: by lower-case name.
    navigates: a person opens the page: a link to it may stand anywhere, and shows nothing to
        whoever wrote it.
    """
    host = headers.get("host", "")
    if not is_loopback(host):
        return "the dashboard answers to 127.0.0.1 and localhost alone"
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "the request comes from another site"
    site = headers.get("sec-fetch-site")
    if not navigates and site is not None and site not in _OWN_SITES:
        return "the request comes from another site"
    return None


@dataclass
class Access:
    """The secrets of one dashboard.

    token: in the printed address; session: in the cookie that it is exchanged for; csrf: what our
    page sends along with changes.  A ticket is exchanged for a session of its own.
    """

    token: str = field(repr=False)
    session: str = field(repr=False)
    csrf: str = field(repr=False)
    _tickets: dict[str, tuple[str, int]] = field(default_factory=dict, repr=False)
    _spent: dict[str, str] = field(default_factory=dict, repr=False)

    def issue_ticket(self, ticket: str, session: str, *, now_ms: int) -> str:
        """Let a fresh secret open the page once, soon, for a session that nobody else has."""
        self._tickets[ticket] = session, now_ms + TICKET_MS
        return ticket

    def opens(self, given: str, *, now_ms: int) -> str | None:
        """The session that a secret in an address is exchanged for; None where it opens nothing.

        A ticket is used up by it.  One that comes again was read by somebody else, who may have
        been the first: what it was exchanged for ends.
        """
        if same_secret(given, self.token):
            return self.session
        for one in [one for one in self._spent if same_secret(given, one)]:
            self._spent[one] = ""
        for one in [one for one in self._tickets if same_secret(given, one)]:
            session, until_ms = self._tickets.pop(one)
            if now_ms < until_ms:
                self._spent[one] = session
                return session
        return None

    def knows(self, headers: Mapping[str, str], cookie: str | None, *, changes: bool) -> bool:
        """Whether a request carries the session's cookie, or reads with the token as a bearer.

        headers: by lower-case name.
        """
        if cookie is not None:
            known = [self.session, *filter(None, self._spent.values())]
            return any(same_secret(cookie, one) for one in known)
        said = headers.get("authorization", "")
        if changes or not said.lower().startswith(_BEARER):
            return False
        return same_secret(said[len(_BEARER) :].strip(), self.token)

    def may_change(self, headers: Mapping[str, str]) -> bool:
        """Whether a change comes from our own page, and not from one that a browser was shown."""
        from_here = headers.get("origin") == f"http://{headers.get('host', '')}"
        return from_here and same_secret(headers.get(CSRF_HEADER, ""), self.csrf)
