"""Who is let in, by the rules alone."""

from __future__ import annotations

import pytest

from noburn_cli.dashboard.access import TICKET_MS, Access, is_loopback, misplaced

HERE = {"host": "127.0.0.1:4012"}


@pytest.fixture
def access() -> Access:
    return Access("token", "session", "csrf")


def test_secrets_are_in_no_text(access: Access) -> None:
    assert not {"token", "session", "csrf"} & set(repr(access).replace("(", " ").split())
    assert repr(access) == "Access()"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:4012", "localhost:1", "[::1]:4012"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "example.com", "127.0.0.1.example.com:4012", "localhost.example.com", "0.0.0.0"),
        *("evil@127.0.0.1", "127.0.0.1/x", "[::1", "192.168.1.5:4012", "127.0.0.1:x:y"),
    ],
)
def test_names_that_were_made_to_point_here(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize("navigates", [True, False])
@pytest.mark.parametrize(
    "origin", ["null", "http://example.com", "http://127.0.0.1:1", "https://127.0.0.1:4012"]
)
def test_another_origin_is_refused(origin: str, navigates: bool) -> None:
    """Goal: a page on another port of this machine is another origin, too."""
    assert misplaced({**HERE, "origin": origin}, navigates=navigates)


def test_another_site_may_only_link_to_the_page() -> None:
    for site in ("cross-site", "same-site"):
        seen = {**HERE, "sec-fetch-site": site}
        assert misplaced(seen, navigates=False)
        assert not misplaced(seen, navigates=True)
    for site in ("same-origin", "none"):
        assert not misplaced({**HERE, "sec-fetch-site": site}, navigates=False)
    assert not misplaced({**HERE, "origin": "http://127.0.0.1:4012"}, navigates=False)


def test_the_token_opens_again_and_a_ticket_once(access: Access) -> None:
    assert access.opens("token", now_ms=0)
    assert access.opens("token", now_ms=10**9)
    access.issue_ticket("ticket", "own", now_ms=0)
    assert not access.opens("other", now_ms=1)
    assert not access.knows({}, "own", changes=False)
    assert access.opens("ticket", now_ms=1) == "own"
    assert access.knows({}, "own", changes=True)
    assert not access.opens("ticket", now_ms=1)
    assert not access.knows({}, "own", changes=False)  # two have had it: neither goes on
    access.issue_ticket("late", "never", now_ms=0)
    assert not access.opens("late", now_ms=TICKET_MS)
    assert not access.knows({}, "never", changes=False)
    assert not access.opens("é", now_ms=0)


def test_a_cookie_reads_and_changes_and_a_bearer_only_reads(access: Access) -> None:
    assert access.knows({}, "session", changes=True)
    for cookie in ("token", "", "csrf", "é"):
        assert not access.knows({"authorization": "Bearer token"}, cookie, changes=False)
    assert access.knows({"authorization": "bearer token"}, None, changes=False)
    assert not access.knows({"authorization": "Bearer token"}, None, changes=True)
    assert not access.knows({"authorization": "Basic token"}, None, changes=False)
    assert not access.knows({}, None, changes=False)


def test_a_change_needs_the_pages_own_origin_and_its_secret(access: Access) -> None:
    own = {**HERE, "origin": "http://127.0.0.1:4012", "x-noburn-csrf": "csrf"}
    assert access.may_change(own)
    for gone in own:
        assert not access.may_change({k: v for k, v in own.items() if k != gone})
    assert not access.may_change({**own, "x-noburn-csrf": "token"})
