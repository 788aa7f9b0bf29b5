"""The dashboard's routes: who is answered, and with what.

Layer: dashboard, I/O (aiohttp).  Below: access, pages, figures, live, changes.  Above: serving.
Owns: the addresses below /api/v1/, and how an error looks there.  What an answer says is the
others' to know.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

from noburn_cli.dashboard import pages
from noburn_cli.dashboard.access import Access, misplaced
from noburn_cli.dashboard.changes import CHANGES, change
from noburn_cli.dashboard.figures import Figures
from noburn_cli.dashboard.live import Live
from noburn_cli.dashboard.margins import Margins
from noburn_cli.dashboard.periods import THIS_MONTH
from noburn_cli.dashboard.sharing import Sharing, StillReading
from noburn_cli.errors import LedgerUnavailable, NoburnError, Unavailable, UsageError
from noburn_cli.profit.reading import Question
from noburn_cli.render.jsonout import format_json
from noburn_cli.version import __version__

JSON_VERSION = 1
API = "/api/v1"
_BODY_BYTES_MAX = 16_384
_BY_MAX = 3
#: A line that says nothing, so that a page and what is between know that the stream lives.
_PING_S = 15.0
_CLOSED = "Open the address that `noburn dashboard` printed: it says who may look."

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def now_ms() -> int:
    return int(time.time() * 1000)


class Dashboard:
    """The page of one home.

    allow_changes: whether runs may be stopped and budgets topped up from it.
    cookie: the name of the session's cookie: cookies know no port.
    asked: the rules, plans and time zone of its profit and loss.
    """

    def __init__(
        self, home: Path, *, access: Access, cookie: str, allow_changes: bool, asked: Question
    ) -> None:
        self._home = home
        self._access = access
        self._cookie = cookie
        self._allow_changes = allow_changes
        self._figures = Figures(home, now_ms=now_ms, zone=asked.rules.zone)
        self._sharing = Sharing()
        self._margins = Margins(home, asked, now_ms=now_ms)
        self._live = Live(home, now_ms=now_ms, counting=lambda: self._figures.counting)

    def app(self) -> web.Application:
        application = web.Application(middlewares=[self._guarded], client_max_size=_BODY_BYTES_MAX)
        application.add_routes(
            [
                web.get("/", self._page),
                web.get("/assets/{name}", self._asset),
                web.get("/charts/{version}/" + pages.PLOTLY, self._plotly),
                web.get(f"{API}/about", self._about),
                web.get(f"{API}/overview", self._overview),
                web.get(f"{API}/report", self._report),
                web.get(f"{API}/served", self._served),
                web.get(f"{API}/outlook", self._outlook),
                web.get(f"{API}/margin", self._margin),
                web.get(f"{API}/margins", self._margin_of_each),
                web.get(f"{API}/blocks", self._blocks),
                web.get(f"{API}/now", self._now),
                web.get(f"{API}/live", self._stream),
                web.post(f"{API}/changes/{{what}}", self._change),
            ]
        )
        application.on_shutdown.append(self._close)
        return application

    async def _close(self, _: web.Application) -> None:
        await self._live.close()

    @web.middleware
    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only whom the rules of `access` let in; errors as data."""
        try:
            refusal = self._refused(request)
            answer = await handler(request) if refusal is None else refusal
        except web.HTTPException as error:
            answer = _error(NoburnError(error.reason), error.status)
        except NoburnError as error:
            answer = _error(error, _status(error))
        except Exception as error:  # noqa: BLE001 -- told to who asked; never with its address
            failed = NoburnError("the dashboard failed", why=f"{type(error).__name__}: {error}")
            answer = _error(failed, 500)
        if not answer.prepared:
            for name, value in pages.headers().items():
                answer.headers.setdefault(name, value)
        return answer

    def _refused(self, request: web.Request) -> web.Response | None:
        lower = {name.lower(): value for name, value in request.headers.items()}
        page = request.method == "GET" and request.path == "/"
        wrong = misplaced(lower, navigates=page)
        if wrong is not None:
            return _error(NoburnError(wrong), 403)
        if page and "token" in request.query:
            return None
        changes = request.method not in ("GET", "HEAD")
        cookie = request.cookies.get(self._cookie)
        if not self._access.knows(lower, cookie, changes=changes):
            if page:
                return _html(pages.said("noburn", _CLOSED), status=401)
            return _error(NoburnError("this needs the dashboard's token", next_step=_CLOSED), 401)
        if changes and not self._access.may_change(lower):
            return _error(NoburnError("changes are taken from the dashboard's own page alone"), 403)
        return None

    async def _page(self, request: web.Request) -> web.StreamResponse:
        """The page; with a token in its address, the cookie for it.

        A page that goes on by itself: a redirect would be part of a navigation that began
        elsewhere, to which a browser gives no strict cookie.
        """
        given = request.query.get("token")
        if given is None:
            nonce = secrets.token_urlsafe(16)
            answer = _html(pages.index(nonce=nonce))
            answer.headers.update(pages.headers(nonce=nonce))
            return answer
        session = self._access.opens(given, now_ms=now_ms())
        if session is None:
            said = "This address is not, or no longer, one that opens the dashboard. " + _CLOSED
            return _html(pages.said("noburn", said), status=403)
        answer = _html(pages.said("noburn", "The dashboard opens …", onward="/"))
        answer.set_cookie(self._cookie, session, httponly=True, samesite="Strict", path="/")
        return answer

    async def _asset(self, request: web.Request) -> web.StreamResponse:
        found = pages.asset(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        return web.Response(body=found[0], headers={"Content-Type": found[1]})

    async def _plotly(self, request: web.Request) -> web.StreamResponse:
        path = pages.plotly_path()
        if path is None or request.match_info["version"] != pages.plotly_version():
            raise web.HTTPNotFound
        kind = {"Content-Type": pages.TYPES[".js"]}
        return web.FileResponse(path, headers={**pages.headers(kept=True), **kind})

    async def _about(self, _: web.Request) -> web.StreamResponse:
        data = {
            "version": __version__,
            "home": str(self._home),
            "zone": self._figures.zone,
            "allow_changes": self._allow_changes,
            "csrf": self._access.csrf if self._allow_changes else None,
            "charts": pages.plotly_version() or None,
            "charts_next": None if pages.plotly_path() else pages.CHARTS_EXTRA,
        }
        return _json("about", data)

    async def _overview(self, request: web.Request) -> web.StreamResponse:
        period = request.query.get("period", THIS_MONTH)
        return await self._read("overview", self._figures.overview, period)

    async def _report(self, request: web.Request) -> web.StreamResponse:
        by = tuple(request.query.get("by", "model").split(","))
        if len(by) > _BY_MAX or len(set(by)) != len(by):
            raise UsageError(f"a report is by up to {_BY_MAX} different columns")
        period = request.query.get("period", THIS_MONTH)
        latency = request.query.get("latency") == "1"
        own = ("by", "period", "latency")
        where = {name: value for name, value in request.query.items() if name not in own}
        return await self._read(
            "report", self._figures.report, by, period, tuple(sorted(where.items())), latency
        )

    async def _served(self, request: web.Request) -> web.StreamResponse:
        by, period = request.query.get("by", "feature"), request.query.get("period", THIS_MONTH)
        return await self._read("served", self._figures.served, by, period)

    async def _outlook(self, _: web.Request) -> web.StreamResponse:
        return await self._read("outlook", self._figures.outlook)

    async def _margin(self, request: web.Request) -> web.StreamResponse:
        period, by = request.query.get("period", THIS_MONTH), request.query.get("by", "customer")
        return await self._read("margin", self._margins.read, period, by)

    async def _margin_of_each(self, request: web.Request) -> web.StreamResponse:
        period, by = request.query.get("period", THIS_MONTH), request.query.get("by", "customer")
        return await self._read("margins", self._margins.each, period, by)

    async def _blocks(self, _: web.Request) -> web.StreamResponse:
        return await self._read("blocks", self._figures.blocks)

    async def _read(self, kind: str, read: Callable[..., object], *asked: Hashable) -> web.Response:
        """What a question comes to; 202 while it is still being read."""
        try:
            return _json(kind, await self._sharing.ask((kind, *asked), partial(read, *asked)))
        except StillReading:
            done, total = self._figures.counting or (None, None)
            return _json("wait", {"done": done, "total": total}, status=202)

    async def _now(self, _: web.Request) -> web.StreamResponse:
        return _json("now", await self._live.snapshot())

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """What `now` says, each time that it changes, as server-sent events."""
        answer = web.StreamResponse(
            headers={**pages.headers(), "Content-Type": "text/event-stream; charset=utf-8"}
        )
        await answer.prepare(request)
        queue = self._live.listen()
        try:
            while True:
                try:
                    text = await asyncio.wait_for(queue.get(), _PING_S)
                except TimeoutError:
                    await answer.write(b":\n\n")
                    continue
                if text is None or self._refused(request) is not None:
                    break
                await answer.write(f"event: now\ndata: {text}\n\n".encode())
        except ConnectionResetError:
            pass  # The page has gone.
        finally:
            self._live.leave(queue)
        return answer

    async def _change(self, request: web.Request) -> web.StreamResponse:
        what = request.match_info["what"]
        if not self._allow_changes:
            raise web.HTTPForbidden(reason="the dashboard was started without --allow-changes")
        if what not in CHANGES:
            raise web.HTTPNotFound
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType
        fields: object = None
        with contextlib.suppress(ValueError, RecursionError):
            fields = json.loads(await request.text())
        if not isinstance(fields, Mapping):
            raise UsageError("a change is an object in JSON")
        said = await asyncio.to_thread(change, self._home, what, fields)
        self._live.forget_budgets()
        return _json("change", {"message": said})


def _status(error: NoburnError) -> int:
    if isinstance(error, UsageError):
        return 400
    return 503 if isinstance(error, Unavailable | LedgerUnavailable) else 409


def _error(error: NoburnError, status: int) -> web.Response:
    data: dict[str, Any] = {"message": error.message, "why": error.why, "next": error.next_step}
    return _json("error", data, status=status)


def _json(kind: str, data: object, *, status: int = 200) -> web.Response:
    text = format_json(kind, JSON_VERSION, data)
    return web.Response(text=text, status=status, content_type="application/json")


def _html(text: str, *, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html")
