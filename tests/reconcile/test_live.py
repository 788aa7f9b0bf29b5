"""A provider's API, asked page by page: patience with a busy server, and no word of the key."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from noburn_cli.errors import UsageError
from noburn_cli.reconcile.live import TRIES, FetchFailed, fetch
from tests.reconcile.billing_stub import Biller

KEY = "sk-admin-0123456789"
FIRST = datetime(2026, 10, 1, tzinfo=timezone.utc)


class Server:
    """Answers questions with pages; `plan` goes before the next answers: a status each."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        self.plan: list[int] = []
        self.pages: dict[str, list[dict[str, Any]]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urlsplit(self.path)
                question = parse_qs(url.query)
                outer.asked.append((url.path, question, dict(self.headers)))
                status = outer.plan.pop(0) if outer.plan else 200
                pages = outer.pages.get(url.path, [{"data": [], "has_more": False}])
                number = int(question.get("page", ["0"])[0])
                more = number + 1 < len(pages)
                page = {**pages[number], "has_more": more, "next_page": str(number + 1)}
                body = json.dumps(page if status == 200 else {"error": {"message": "no, not now"}})
                self.send_response(status)
                self.send_header("Retry-After", "7")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def ask(
    server: Server, provider: str = "openai", *, last: str = "2026-11-05", **more: Any
) -> list[Any]:
    name = {"openai": "OPENAI_ADMIN_KEY", "anthropic": "ANTHROPIC_ADMIN_API_KEY"}[provider]
    given: dict[str, Any] = {"base_url": server.url, "sleep": lambda _s: None, **more}
    return fetch(provider, "2026-10-01", last, {name: KEY}, **given)


def test_pages_are_followed_in_spite_of_a_busy_server(server: Server) -> None:
    biller = Biller(FIRST, 14)
    biller.bill("r1", "gpt-6-luna", FIRST, input=100, output=10)
    biller.bill("r2", "gpt-6-luna", FIRST.replace(day=9), input=100, output=10)
    server.pages["/v1/organization/costs"] = json.loads(biller.openai_costs())
    server.pages["/v1/organization/usage/completions"] = json.loads(biller.openai_usage())
    server.plan = [429, 503]
    pauses: list[float] = []
    # One month is asked at a time: the stub answers each question alike, so ask for one month.
    bills = fetch(
        "openai", "2026-10-01", "2026-10-31", {"OPENAI_ADMIN_KEY": KEY}, base_url=server.url,
        sleep=pauses.append,
    )  # fmt: skip
    assert pauses == [7, 7]
    costs, usage = bills[0], bills[1]
    assert sum(row.dollars or 0 for row in costs.rows) == biller.total()
    assert sum(row.requests or 0 for row in usage.rows) == 2
    assert len(costs.days) == 31  # All that were asked about, told or not.
    path, question, headers = server.asked[3]
    assert (path, question["page"]) == ("/v1/organization/costs", ["1"])
    assert question["group_by[]"] == ["line_item", "project_id", "api_key_id"]
    assert headers["Authorization"] == f"Bearer {KEY}"


def test_anthropic_is_asked_for_a_month_at_a_time(server: Server) -> None:
    bills = ask(server, "anthropic")
    assert [bill.rows for bill in bills] == [(), ()]
    spans = [(q["starting_at"][0], q["ending_at"][0]) for _, q, _ in server.asked[:2]]
    assert spans == [
        ("2026-10-01T00:00:00Z", "2026-11-01T00:00:00Z"),
        ("2026-11-01T00:00:00Z", "2026-11-06T00:00:00Z"),
    ]
    headers = {name.lower(): value for name, value in server.asked[0][2].items()}
    assert headers["x-api-key"] == KEY
    assert headers["anthropic-beta"] == "analytics-usage-cost-2026-08-24"


def test_where_the_newer_reports_are_not_the_older_ones_are_asked(server: Server) -> None:
    biller = Biller(FIRST, 3)
    biller.bill("r1", "claude-sonnet-5-5", FIRST, input=100_000, output=10_000)
    server.pages["/v1/organizations/cost_report"] = [json.loads(biller.anthropic_cost())]
    server.pages["/v1/organizations/usage_report/messages"] = [json.loads(biller.anthropic_usage())]
    server.plan = [404]
    costs, usage = ask(server, "anthropic", last="2026-10-03")
    assert sum(row.dollars or 0 for row in costs.rows) == biller.anthropic_invoice()
    assert [row.tokens for row in usage.rows] == [{"input": 100_000, "output": 10_000}]
    asked = [(path, question.get("bucket_width")) for path, question, _ in server.asked]
    assert asked[1:] == [
        ("/v1/organizations/cost_report", ["1d"]),
        ("/v1/organizations/usage_report/messages", ["1d"]),
    ]


def test_what_fails_says_why_and_never_the_key(server: Server) -> None:
    server.plan = [401]
    with pytest.raises(FetchFailed, match="answered 401") as refused:
        ask(server)
    assert "no, not now" in refused.value.why
    assert KEY not in "\n".join(refused.value.lines())
    server.plan = [500] * TRIES
    with pytest.raises(FetchFailed, match="answered 500"):
        ask(server)
    with pytest.raises(UsageError, match="is not set"):
        fetch("openai", "2026-10-01", "2026-10-02", {})
    with pytest.raises(UsageError, match="not asked with an administrator's key"):
        ask(server, base_url="http://example.com")
