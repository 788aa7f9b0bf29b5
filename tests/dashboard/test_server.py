"""`noburn dashboard` over a real socket: who is answered, with which headers, and how it ends."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from noburn_cli.dashboard import margins
from tests.dashboard.business import build, revenue_csv
from tests.dashboard.desk import Desk, Served


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with Desk() as made:
        build(made.ledger, days=40, calls=300)
        yield made


@pytest.fixture(scope="module")
def served(desk: Desk) -> Served:
    return desk.dashboard()


def test_the_page_needs_its_address_once(served: Served) -> None:
    """Goal: without the token nothing is told; with it a cookie that scripts cannot read."""
    for path in (
        "/",
        "/assets/main.js",
        "/api/v1/about",
        "/api/v1/live",
        "/charts/1/plotly.min.js",
    ):
        status, headers, text = served.ask(path)
        assert status == 401, path
        assert "Set-Cookie" not in headers
        assert served.token not in text
    assert served.ask("/?token=wrong")[0] == 403
    status, headers, text = served.ask(f"/?token={served.token}")
    assert (status, served.token in text) == (200, False)
    name, *parts = (one.strip() for one in headers["Set-Cookie"].split(";"))
    assert name.startswith(f"noburn_dashboard_{served.base.rpartition(':')[2]}=")
    assert set(parts) == {"HttpOnly", "Path=/", "SameSite=Strict"}
    cookie = {"Cookie": served.cookie()}
    assert "<main" in served.ask("/", cookie)[2]
    assert served.ask("/assets/main.js", cookie)[0] == 200
    assert served.ask("/", {"Cookie": name.partition("=")[0] + "=wrong"})[0] == 401


def test_every_answer_has_the_headers(served: Served) -> None:
    cookie = {"Cookie": served.cookie()}
    addresses = ("/", "/assets/base.css", "/nothing", "/api/v1/about", "/api/v1/report?by=x")
    for path, given in (("/", {}), *((path, cookie) for path in addresses)):
        _, headers, _ = served.ask(path, given)
        assert headers["Cache-Control"] == "no-store", path
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Server"] == "noburn"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:4012"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_requests_of_other_sites_are_refused(served: Served, headers: dict[str, str]) -> None:
    """Goal: neither a rebound name nor a page on another port reads anything, cookie or not."""
    given = {"Authorization": f"Bearer {served.token}", **headers}
    status, _, text = served.ask("/api/v1/overview", given)
    assert status == 403
    assert json.loads(text)["kind"] == "noburn.error"


def test_it_only_shows(served: Served) -> None:
    """Goal: without --allow-changes no request changes anything, whoever sends it."""
    assert served.data("/api/v1/about")["csrf"] is None
    given = {"Cookie": served.cookie(), "Origin": served.base, "Content-Type": "application/json",
             "X-Noburn-CSRF": "x"}  # fmt: skip
    for headers in (given, {**given, "X-Noburn-CSRF": ""}):
        assert served.ask("/api/v1/changes/stop", headers, {"run": "r", "confirm": "r"})[0] == 403
    assert served.ask("/api/v1/about", given, {})[0] in (403, 405)


def test_figures_are_those_of_the_report(desk: Desk, served: Served) -> None:
    """Goal: each figure is the one that `noburn report --json` prints."""
    for by in ("model", "customer", "day,model"):
        for period in ("today", "7d", "30d", "month", "last", "all"):
            shown = served.data(f"/api/v1/report?by={by}&period={period}")
            asked = ["report", "--by", by]
            for name in ("since", "until"):
                if shown["period"][f"{name}_ms"] is not None:
                    at = shown["period"][f"{name}_ms"] // 1000
                    asked += [f"--{name}", datetime.fromtimestamp(at, UTC).isoformat()]
            said = desk.said(*asked)
            assert (shown["rows"], shown["total"]) == (said["rows"], said["total"])
    part = served.data("/api/v1/report?by=feature&period=all&customer=acme")
    assert part["rows"] == desk.said("report", "--by", "feature", "--customer", "acme")["rows"]


def test_the_months_end_and_who_is_served_are_those_of_the_report(
    desk: Desk, served: Served
) -> None:
    shown, said = served.data("/api/v1/outlook"), desk.said("report", "--forecast")
    moving = {"expected_usd", "low_usd", "high_usd", "days_left"}  # they go on with the clock
    assert without(shown["forecast"], moving) == without(said, {*moving, *WHAT_WAS_ASKED})
    assert shown["forecast"]["expected_usd"] is not None
    unusual = desk.said("report", "--anomalies", "--by", "customer")
    assert shown["unusual"] == without(unusual, WHAT_WAS_ASKED)
    found = served.data("/api/v1/served?by=feature&period=all")
    assert found == without(desk.said("report", "--pareto", "--by", "feature"), WHAT_WAS_ASKED)


WHAT_WAS_ASKED = {"since_ms", "until_ms", "run", "step", "where", "zone", "sources", "source"}


def without(data: dict[str, Any], names: set[str]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if key not in names}


def test_margin_is_that_of_pnl(desk: Desk, served: Served) -> None:
    """Goal: without revenue it says so; with it each figure is that of `noburn pnl --json`."""
    assert served.data("/api/v1/margin") == {"known": False}
    path = desk.home / "revenue.csv"
    revenue_csv(path)
    code, _, err = desk.here("import", "revenue", str(path))
    assert code == 0, err
    for period, asked in (("month", "month"), ("last", "last-month"), ("7d", "7d")):
        shown = served.data(f"/api/v1/margin?period={period}")
        assert (shown.pop("known"), shown.pop("period")) == (True, period)
        said = desk.said("pnl", "--period", asked, "--outlook")
        numbers = {"rows_total", "rows_under_water", "verdicts", "unmapped_total"}
        assert shown["rows_total"] == len(said["rows"])
        assert sum(shown["verdicts"].values()) == len(said["outlook"])
        assert without_ends(without(shown, numbers)) == without_ends(said)
    each = served.data("/api/v1/margins?by=customer&period=7d")["margin_usd"]
    assert each == {row["key"]["customer"]: row["margin_usd"] for row in said["rows"]}
    by_plan = served.data("/api/v1/margin?by=plan")
    assert by_plan["total"] == desk.said("pnl", "--by", "plan")["total"]


def test_of_thousands_of_customers_the_lowest_are_sent() -> None:
    """Goal: what a page shows, with the numbers of all; a projection for each line of it."""
    names = [f"c{number}" for number in range(1000)]
    rows = [{"key": {"customer": name}, "margin_usd": str(place - 400)}
            for place, name in enumerate(names)]  # fmt: skip
    ends = [{"customer": name, "verdict": "under water"} for name in reversed(names)]
    sides = [{"customer": name} for name in names]
    sent = margins.shown(
        {"rows": rows, "outlook": ends, "unmapped": {"payers": sides}, "total": {}}
    )
    assert (sent["rows"], sent["rows_total"], sent["rows_under_water"]) == (rows[:300], 1000, 400)
    assert sent["outlook"] == [*ends[:300], *ends[-300:]]
    assert (sent["verdicts"], sent["unmapped_total"]) == ({"under water": 1000}, {"payers": 1000})
    assert sent["unmapped"]["payers"] == sides[:10]


def without_ends(data: dict[str, Any]) -> dict[str, Any]:
    """But for projections, which go on with the clock."""
    ends = [(one["customer"], one["margin_now_usd"]) for one in data["outlook"]]
    return {**data, "outlook": ends}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("report?by=mood", 400), ("report?by=model,model", 400), ("report?period=year", 400),
        ("report?mood=good", 400), ("margin?by=call", 400), ("margin?period=x", 400),
        ("nothing", 404), ("report?by=a,b,c,d", 400), ("../../etc/passwd", 404),
    ],
)  # fmt: skip
def test_wrong_questions(served: Served, path: str, status: int) -> None:
    found, _, text = served.ask(f"/api/v1/{path}", {"Authorization": f"Bearer {served.token}"})
    assert found == status
    assert json.loads(text)["data"]["message"]


def test_no_daemon_is_started_and_holds_are_unknown(desk: Desk, served: Served) -> None:
    now = served.data("/api/v1/now")
    assert now["daemon"]["up"] is False
    assert now["holds"]["known"] is False
    assert not (desk.home / "daemon.sock").exists()
    (acme,) = (
        account
        for budget in now["budgets"] if budget["scope"] == "customer=*"
        for account in budget["accounts"] if account["key"] == "customer=acme"
    )  # fmt: skip
    month = served.data("/api/v1/report?by=customer&period=month&customer=acme")
    assert acme["settled"] == month["total"]["cost_usd"]


def test_an_empty_home_and_a_port_that_is_taken() -> None:
    with Desk() as empty:
        board = empty.dashboard()
        assert board.data("/api/v1/overview")["by_model"]["rows"] == []
        assert board.data("/api/v1/blocks") == {"rows": []}
        assert board.data("/api/v1/now")["head"] is None
        port = board.base.rpartition(":")[2]
        code, _, err = empty.here("dashboard", "--no-open", "--port", port)
        assert (code, "cannot listen on port" in err) == (1, True)
        assert empty.here("dashboard", "--zone", "Mars/Base")[0] == 2
        assert list(empty.home.iterdir()) == []


def test_the_browser_that_is_started_gets_an_address_that_works_once(tmp_path: Path) -> None:
    """Goal: what other users can read in a process's arguments is of no use to them."""
    script = tmp_path / "browser"
    told = tmp_path / "told"
    script.write_text(f'#!/bin/sh\necho "$1" > {told}.new && mv {told}.new {told}\n')
    script.chmod(0o700)
    with Desk() as desk:
        desk.environment["BROWSER"] = str(script)
        board = desk.dashboard(opens=True)
        address = wait_for_file(told).strip()
        assert address.startswith(f"{board.base}/?token=")
        assert board.token not in address
        path = address.removeprefix(board.base)
        status, headers, _ = board.ask(path)
        cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
        assert (status, board.ask("/", cookie)[0]) == (200, 200)
        assert board.ask(path)[0] == 403
        assert board.ask("/", cookie)[0] == 401  # whoever came first may have been the other
        assert board.ask(f"/?token={board.token}")[0] == 200


def wait_for_file(path: Path) -> str:
    for _ in range(1200):
        if path.exists():
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} was never written")


def test_a_damaged_ledger_is_told() -> None:
    with Desk() as broken:
        broken.ledger.write_bytes(b"SQLite format 3\0" + b"x" * 4096)
        board = broken.dashboard()
        status, _, text = board.ask("/api/v1/overview", {"Authorization": f"Bearer {board.token}"})
        assert (status, "cannot be read" in text) == (503, True)
        assert board.data("/api/v1/now")["ledger"]["message"]


def test_a_request_that_cannot_be_read_tells_nobody_the_token(desk: Desk) -> None:
    """Goal: an address with the token is in no log, however broken the request that carries it."""
    board = desk.dashboard("--allow-changes")
    own = {"Cookie": board.cookie(), "Content-Type": "application/json", "Origin": board.base,
           "X-Noburn-CSRF": board.data("/api/v1/about")["csrf"]}  # fmt: skip
    host, _, port = board.host.partition(":")
    for rest in ("\x01 HTTP/1.1\r\n\r\n", " HTTP/1.1\r\nno header\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=120) as broken:
            broken.sendall(f"GET /?token={board.token}{rest}".encode())
            assert b" 400 " in broken.recv(4096)
    nested = ("[" * 16_000).encode()
    head = "".join(f"{name}: {value}\r\n" for name, value in own.items())
    asked = f"POST /api/v1/changes/stop HTTP/1.1\r\nHost: {board.host}\r\n{head}"
    with socket.create_connection((host, int(port)), timeout=120) as deep:
        deep.sendall(f"{asked}Content-Length: {len(nested)}\r\n\r\n".encode() + nested)
        assert deep.recv(4096).startswith(b"HTTP/1.1 400 ")
    code, _, err = board.end()
    assert code == 0
    assert board.token not in err
    assert "Traceback" not in err


def test_ctrl_c_ends_it_with_pages_open_and_nothing_was_logged(served: Served) -> None:
    """Goal: clean, at once, and without the token in anything that was said."""
    host, _, port = served.host.partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=120)
    connection.request("GET", "/api/v1/live", headers={"Authorization": f"Bearer {served.token}"})
    answer = connection.getresponse()
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    assert answer.readline() == b"event: now\n"
    code, out, err = served.end()
    assert (code, out) == (0, "")
    assert served.token not in err
    assert "Traceback" not in err
    answer.read()
    connection.close()
    with pytest.raises(OSError), socket.create_connection((host, int(port)), timeout=5):
        pass
