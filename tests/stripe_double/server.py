"""The HTTP server of the double: it refuses what Stripe's description does not allow.

Owns: keys and what they may read, pages, expanding, faults that a test asks for, the log of
requests.  Not here: what the business does (business).
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.stripe_double import openapi
from tests.stripe_double.business import Business
from tests.stripe_double.openapi import Refused

#: A list's path -> the type that it lists; `/ID` behind it is one of them.
LISTS = {
    "/v1/invoices": "invoice", "/v1/invoice_payments": "invoice_payment",
    "/v1/invoiceitems": "invoiceitem", "/v1/charges": "charge", "/v1/refunds": "refund",
    "/v1/disputes": "dispute", "/v1/balance_transactions": "balance_transaction",
    "/v1/credit_notes": "credit_note", "/v1/customers": "customer",
    "/v1/subscriptions": "subscription", "/v1/products": "product", "/v1/prices": "price",
    "/v1/events": "event", "/v1/billing/credit_grants": "billing.credit_grant",
    "/v1/billing/credit_balance_transactions": "billing.credit_balance_transaction",
}  # fmt: skip
_CREATED_NAMES = {"invoiceitem": "date"}


class StripeDouble:
    """Serves one business on 127.0.0.1 while the `with` lasts.

    key: a restricted key that may read everything.  forbidden: types it may not read.
    faults: called with (method, path, number of the request); a status to answer instead, "drop"
    to break the connection off, or None.
    requests: (method, path with query) of every request, in order.
    """

    def __init__(self, business: Business) -> None:
        self.business = business
        self.key = f"rk_{'live' if business.records.livemode else 'test'}_double0000000000"
        self.forbidden: set[str] = set()
        self.faults: Callable[[str, str, int], int | str | None] = lambda *_: None
        self.requests: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self.page_max = 100
        self._checked: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def __enter__(self) -> StripeDouble:
        double = self

        class Handler(_Handler):
            serves = double

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(
        self, method: str, target: str, headers: dict[str, str], body: str
    ) -> tuple[int, dict[str, Any]]:
        """The status and the document for one request."""
        with self._lock:
            self.requests.append((method, target))
            try:
                return 200, self._answer(method, target, headers, body)
            except Refused as error:
                self.refused.append(f"{method} {target}: {error}")
                kind = "invalid_request_error" if error.status != 429 else "api_error"
                said = {"type": kind, "message": str(error)}
                said.update({k: v for k in ("code", "param") if (v := getattr(error, k))})
                document = {"error": said}
                openapi.check_object("error", document)
                return error.status, document

    def _answer(
        self, method: str, target: str, headers: dict[str, str], body: str
    ) -> dict[str, Any]:
        self._authorize(headers)
        parts = urlsplit(target)
        template, places, operation = openapi.operation(method, parts.path)
        query = openapi.nested(parse_qsl(parts.query, keep_blank_values=True))
        form = openapi.nested(parse_qsl(body, keep_blank_values=True))
        openapi.check_request(operation, query, form)
        if method == "POST":
            return self._checked_object(self._write(template, places, form))
        if template in LISTS:
            return self._list(LISTS[template], parts.path, query)
        if template.endswith("/lines"):
            kind = "invoice" if "invoices" in template else "credit_note"
            (identifier,) = places.values()
            return self._page(self._lines(kind, identifier), parts.path, query)
        home = template.rsplit("/", 1)[0]
        if home not in LISTS:
            raise AssertionError(f"the double does not serve {template} yet")
        (identifier,) = places.values()
        return self._checked_object(self._find(LISTS[home], identifier, param="id"))

    def _authorize(self, headers: dict[str, str]) -> None:
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind.lower() == "basic":
            secret = base64.b64decode(secret).decode().rstrip(":")
        if secret != self.key:
            raise Refused(f"Invalid API Key provided: {secret[:8]}***", status=401)
        version = headers.get("stripe-version", "")
        if version != openapi.api_version():
            raise Refused(f"Invalid Stripe API version: {version}")

    def _find(self, kind: str, identifier: str, *, param: str) -> dict[str, Any]:
        self._allow(kind)
        found = self.business.records.by_type[kind].get(identifier)
        if found is None:
            raise Refused(
                f"No such {kind}: '{identifier}'", status=404 if param == "id" else 400,
                code="resource_missing", param=param,
            )  # fmt: skip
        return found

    def _allow(self, kind: str) -> None:
        if kind in self.forbidden:
            raise Refused(
                "The provided key does not have the required permissions for this endpoint. "
                f"Having the 'rak_{kind.rpartition('.')[2]}_read' permission would allow it.",
                status=403, code="more_permissions_required",
            )  # fmt: skip

    def _lines(self, kind: str, identifier: str) -> list[dict[str, Any]]:
        self._find(kind, identifier, param="id")
        if kind == "invoice":
            return self.business.invoicing.lines_of(self.business.records.get(kind, identifier))
        return list(self.business.records.get(kind, identifier)["lines"]["data"])

    def _list(self, kind: str, path: str, query: dict[str, Any]) -> dict[str, Any]:
        self._allow(kind)
        name = _CREATED_NAMES.get(kind, "created")
        found = [one for one in self.business.records.all(kind) if _matches(one, query, name)]
        if kind == "subscription" and query.get("status") != "all":
            found = [one for one in found if one["status"] != "canceled"]
        # The newest first; those of one second in the order they came to be.
        order = sorted(range(len(found)), key=lambda i: (found[i][name], i), reverse=True)
        return self._page([found[i] for i in order], path, query)

    def _page(
        self, found: list[dict[str, Any]], path: str, query: dict[str, Any]
    ) -> dict[str, Any]:
        after = query.get("starting_after")
        if after is not None:
            names = [one["id"] for one in found]
            if after not in names:
                raise Refused(
                    f"No such object: '{after}'", code="resource_missing", param="starting_after"
                )
            found = found[names.index(after) + 1 :]
        limit = min(int(query.get("limit", 10)), self.page_max)
        data = [self._checked_object(one) for one in found[:limit]]
        return {"object": "list", "data": data, "has_more": len(found) > limit, "url": path}

    def _checked_object(self, one: dict[str, Any]) -> dict[str, Any]:
        """The object, once it is known to be what Stripe describes."""
        state = (one["id"], json.dumps(one, sort_keys=True))
        if state not in self._checked:
            name = "deleted_customer" if one.get("deleted") else one["object"]
            openapi.check_object(name, one)
            self._checked.add(state)
        return one

    def _write(self, template: str, places: dict[str, str], form: dict[str, Any]) -> dict[str, Any]:
        """The few things that a client may change here."""
        if template == "/v1/customers":
            return self.business.customer(form.get("name", ""), form.get("metadata"))
        if template == "/v1/customers/{customer}":
            one = self._find("customer", places["customer"], param="id")
            self.business.set_metadata(one, form.get("metadata", {}))
            return one
        raise AssertionError(f"the double does not serve POST {template} yet")


def _matches(one: dict[str, Any], query: dict[str, Any], created: str) -> bool:
    for name, wanted in query.items():
        if name == "created":
            bounds = wanted if isinstance(wanted, dict) else {"gte": wanted, "lte": wanted}
            moment = one[created]
            if not all(_COMPARE[word](moment, int(bound)) for word, bound in bounds.items()):
                return False
        elif name in ("customer", "invoice", "charge", "credit_grant", "type", "payment_intent"):
            if one.get(name) != wanted:
                return False
        elif name == "types":
            if one["type"] not in wanted:
                return False
        elif name == "payment":
            if one["payment"].get(wanted["type"]) != wanted[wanted["type"]]:
                return False
        elif name == "pending":
            if (one["invoice"] is None) != (wanted == "true"):
                return False
        elif name == "status" and wanted != "all":
            if one["status"] != wanted:
                return False
        elif name not in ("limit", "starting_after", "status", "expand"):
            raise AssertionError(f"the double does not filter by {name} yet")
    return True


_COMPARE = {
    "gt": int.__gt__, "gte": int.__ge__, "lt": int.__lt__, "lte": int.__le__,
}  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    serves: StripeDouble
    # Headers and body in one packet: the second would wait 40 ms for the first one's receipt.
    wbufsize = 65_536
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve("GET")

    def do_POST(self) -> None:
        self._serve("POST")

    def do_DELETE(self) -> None:
        self._serve("DELETE")

    def _serve(self, method: str) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        fault = self.serves.faults(method, self.path, len(self.serves.requests))
        if fault == "drop":
            self.serves.requests.append((method, self.path))
            self.close_connection = True
            return
        if isinstance(fault, int):
            self.serves.requests.append((method, self.path))
            self._send(fault, {"error": {"type": "api_error", "message": "asked for"}})
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(*self.serves.answer(method, self.path, headers, body))

    def _send(self, status: int, document: dict[str, Any]) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Request-Id", f"req_{len(self.serves.requests)}")
        self.end_headers()
        self.wfile.write(content)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """The business's own time, as Stripe's is Stripe's."""
        return super().date_time_string(self.serves.business.now)

    def log_message(self, *_: object) -> None:
        """Quiet."""
