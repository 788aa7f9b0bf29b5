"""A provider's usage and costs, asked of its API with an administrator's key.

Layer: reconcile, I/O.  Below: bill, formats.  Above: commands.ledger.reconcile.
Owns: which addresses are asked, pages, patience with a busy server.  Plain HTTPS by the standard
library.  The key comes from the environment, goes to the provider alone and into no message.
Not here: what a page says (openai_bill, anthropic_bill).
Sources, looked up 2026-11-27: `/v1/organization/usage/…` and `/v1/organization/costs` as the
openai Python library 3.57.0 asks them; `/v1/organizations/analytics/usage` and `/cost` as the
anthropic library 2.14.0 does (beta header `analytics-usage-cost-2026-08-24`, at most 31 days, from
2026-01-01 on); where an organization has none, the reports of before (`usage_report/messages`,
`cost_report`), which platform.claude.com calls legacy and still serves.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from noburn_cli.errors import NoburnError, UsageError
from noburn_cli.reconcile.bill import ANTHROPIC, OPENAI, Bill, digest_of, load_json
from noburn_cli.reconcile.comparing import start_ms
from noburn_cli.reconcile.formats import read_pages

TIMEOUT_S = 60
TRIES = 5
_PAUSE_S = 1.0
_PAUSE_S_MAX = 60.0
_PAGES_MAX = 10_000
_ANSWER_BYTES_MAX = 64 * 1024 * 1024
_BUSY = (408, 409, 429, 500, 502, 503, 504, 529)
#: One question covers at most so many days.
_DAYS = 31
_PAIRS = list[tuple[str, str]]


class FetchFailed(NoburnError):
    """A provider did not tell its bill."""

    may_retry = True


class NotThere(FetchFailed):
    """It has no such report."""


@dataclass(frozen=True)
class _Report:
    """One report: its path and what it is grouped by."""

    path: str
    group_by: tuple[str, ...]


_MODEL_KEYS = ("model", "api_key_id", "project_id")
_OPENAI = (
    _Report("/v1/organization/costs", ("line_item", "project_id", "api_key_id")),
    _Report("/v1/organization/usage/completions", (*_MODEL_KEYS, "batch", "service_tier")),
    *(
        _Report(f"/v1/organization/usage/{name}", _MODEL_KEYS)
        for name in ("embeddings", "images", "audio_speeches", "audio_transcriptions")
    ),
)
_ANTHROPIC_KEYS = ("model", "api_key_id", "workspace_id", "service_tier")
_ANTHROPIC = (
    _Report("/v1/organizations/analytics/cost", (*_ANTHROPIC_KEYS, "cost_type", "token_type")),
    _Report("/v1/organizations/analytics/usage", _ANTHROPIC_KEYS),
)
_ANTHROPIC_BEFORE = (
    _Report("/v1/organizations/cost_report", ("description", "workspace_id")),
    _Report("/v1/organizations/usage_report/messages", _ANTHROPIC_KEYS),
)
BASES = {OPENAI: "https://api.openai.com", ANTHROPIC: "https://api.anthropic.com"}
KEYS = {
    OPENAI: ("OPENAI_ADMIN_KEY",),
    ANTHROPIC: ("ANTHROPIC_ADMIN_API_KEY", "ANTHROPIC_ADMIN_KEY"),
}


def fetch(
    provider: str, first: str, last: str, environment: Mapping[str, str], *,
    base_url: str | None = None, sleep: Callable[[float], None] = time.sleep,
) -> list[Bill]:  # fmt: skip
    """What a provider billed from one day to another, both included, one bill for each report.

    base_url: where its API is asked instead of its own address.
    Raises UsageError without a key, FetchFailed, InputRefused for an answer that cannot be read.
    """
    key = next((environment[name] for name in KEYS[provider] if environment.get(name)), "")
    if not key:
        raise UsageError(
            f"{KEYS[provider][0]} is not set",
            why=f"{provider} tells usage and costs to an administrator's key alone",
            next_step="set it, or save the export to a file and name that",
        )
    base = (base_url or BASES[provider]).rstrip("/")
    if not base.startswith(("https://", "http://127.0.0.1", "http://localhost", "http://[::1]")):
        raise UsageError(
            f"{base} is not asked with an administrator's key", why="it would travel unencrypted"
        )
    asker = _Asker(base, _headers(provider, key), sleep)
    if provider == OPENAI:
        return [_report(asker, provider, one, first, last) for one in _OPENAI]
    try:
        return [_report(asker, provider, one, first, last) for one in _ANTHROPIC]
    except NotThere:
        return [_report(asker, provider, one, first, last) for one in _ANTHROPIC_BEFORE]


def _headers(provider: str, key: str) -> dict[str, str]:
    common = {"Accept": "application/json", "Accept-Encoding": "identity"}
    if provider == OPENAI:
        return {**common, "Authorization": f"Bearer {key}"}
    return {
        **common, "x-api-key": key, "anthropic-version": "2023-06-01",
        "anthropic-beta": "analytics-usage-cost-2026-08-24",
    }  # fmt: skip


def _report(asker: _Asker, provider: str, report: _Report, first: str, last: str) -> Bill:
    contents: list[bytes] = []
    pages: list[Any] = []
    for start, end in _periods(first, last):
        for content, page in asker.pages(report.path, _question(provider, report, start, end)):
            contents.append(content)
            pages.append({**page, "has_more": False})
    source = f"{provider} {report.path.rpartition('/')[2]} from {first} to {last}"
    if not any(page.get("data") for page in pages):
        return Bill(provider, f"{provider}'s API", source, digest_of(contents), (), frozenset())
    bill = read_pages(pages, source, digest_of(contents))
    if report not in (_OPENAI[0], _ANTHROPIC[0], _ANTHROPIC_BEFORE[0]):
        return bill
    # Rows are told for days with spend alone: the others that were asked about had none.
    return Bill(
        bill.provider, bill.format, source, bill.digest, bill.rows,
        frozenset(_days(first, last)), bill.step,
    )  # fmt: skip


def _periods(first: str, last: str) -> Iterator[tuple[date, date]]:
    """(from, until) of at most _DAYS days each, `until` excluded."""
    start, end = date.fromisoformat(first), date.fromisoformat(last) + timedelta(days=1)
    while start < end:
        until = min(start + timedelta(days=_DAYS), end)
        yield start, until
        start = until


def _days(first: str, last: str) -> Iterator[str]:
    day = date.fromisoformat(first)
    while day <= date.fromisoformat(last):
        yield day.isoformat()
        day += timedelta(days=1)


def _question(provider: str, report: _Report, start: date, end: date) -> _PAIRS:
    groups = [("group_by[]", name) for name in report.group_by]
    if provider == OPENAI:
        return [
            ("start_time", str(start_ms(start.isoformat()) // 1000)),
            ("end_time", str(start_ms(end.isoformat()) // 1000)),
            ("bucket_width", "1d"), ("limit", str(_DAYS)), *groups,
        ]  # fmt: skip
    width = [("time_bucket_width", "1d"), ("limit", "1000")]
    if report in _ANTHROPIC_BEFORE:
        width = [("bucket_width", "1d"), ("limit", str(_DAYS))]
    return [
        ("starting_at", f"{start}T00:00:00Z"), ("ending_at", f"{end}T00:00:00Z"), *width, *groups,
    ]  # fmt: skip


class _Asker:
    """One provider's API."""

    def __init__(
        self, base: str, headers: Mapping[str, str], sleep: Callable[[float], None]
    ) -> None:
        self._base = base
        self._headers = headers
        self._sleep = sleep

    def pages(self, path: str, question: _PAIRS) -> Iterator[tuple[bytes, dict[str, Any]]]:
        """Every page of an answer, with its bytes.  Raises FetchFailed, InputRefused."""
        cursor: str | None = None
        for _ in range(_PAGES_MAX):
            asked = question if cursor is None else [*question, ("page", cursor)]
            content = self._get(f"{self._base}{path}?{urlencode(asked)}", path)
            page = load_json(content.decode("utf-8", "replace"), path)
            if not isinstance(page, dict):
                raise FetchFailed(f"{path} answered something that is no page")
            yield content, page
            following = page.get("next_page") if page.get("has_more") else None
            if not following:
                return
            if following == cursor:
                raise FetchFailed(f"{path} names the same page as the next one again")
            cursor = str(following)
        raise FetchFailed(f"{path} has more than {_PAGES_MAX:,} pages")

    def _get(self, url: str, path: str) -> bytes:
        request = urllib.request.Request(url, headers=dict(self._headers))  # noqa: S310 -- checked
        pause_s = _PAUSE_S
        for left in range(TRIES - 1, -1, -1):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
                    content: bytes = answer.read(_ANSWER_BYTES_MAX + 1)
                if len(content) > _ANSWER_BYTES_MAX:
                    raise FetchFailed(f"{path} answered more than {_ANSWER_BYTES_MAX:,} bytes")
                return content
            except urllib.error.HTTPError as error:
                with error:
                    if error.code not in _BUSY or not left:
                        raise _answered(path, error) from error
                    pause_s = _asked_pause(error, pause_s)
            except (OSError, ValueError) as error:
                if not left:
                    reason = getattr(error, "reason", None) or error
                    raise FetchFailed(f"{self._base} cannot be reached: {reason}") from error
            self._sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)
        raise AssertionError("the last try returns or raises")


def _asked_pause(error: urllib.error.HTTPError, pause_s: float) -> float:
    asked = error.headers.get("retry-after", "")
    return min(float(asked), _PAUSE_S_MAX) if asked.isdecimal() else pause_s


def _answered(path: str, error: urllib.error.HTTPError) -> FetchFailed:
    said = ""
    try:
        document = json.loads(error.read(65_536))
        said = str(document["error"]["message"])[:300]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    steps = {
        401: "check the administrator's key", 403: "use a key with the administrator's rights",
        404: "check --base-url, or save the export to a file",
    }  # fmt: skip
    kind = NotThere if error.code == 404 else FetchFailed
    return kind(f"{path} answered {error.code}", why=said, next_step=steps.get(error.code, ""))
