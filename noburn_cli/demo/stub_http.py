"""The HTTP side of the stub: requests in, answers and faults out, and the moment of billing.

Layer: demo.  Below: demo.stub_answers (shapes), demo.stub_bill (money).  Above: demo.stub.
What the `x-stub-…` headers mean stands in demo.stub.
"""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import sys
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from noburn_cli.core.models import Model
from noburn_cli.demo import stub_answers as answers
from noburn_cli.demo import stub_plan
from noburn_cli.demo.stub_bill import BilledCall
from noburn_cli.demo.stub_routes import read_url
from noburn_cli.errors import ModelUnknown

if TYPE_CHECKING:
    from noburn_cli.demo.stub import BillingStub

_APIS = {
    "/v1/chat/completions": answers.CHAT,
    "/v1/responses": answers.RESPONSES,
    "/v1/embeddings": answers.EMBEDDINGS,
    "/v1/messages": answers.MESSAGES,
}
_COUNTS = {
    "/v1/messages/count_tokens": answers.MESSAGES,
    "/v1/responses/input_tokens": answers.RESPONSES,
}
#: Closing with unsent data thrown away: the peer sees a reset.
_LINGER_NOT = struct.pack("ii", 1, 0)
#: What the APIs call the block that says what was used.
_USAGE_NAMES = ("usage", "usageMetadata")
_TEXTS = ("text/event-stream", "application/json")
_USAGE = re.compile(rb'"usage(Metadata)?"')
_BODY_BYTES_MAX = 64 * 1024 * 1024


class Server(ThreadingHTTPServer):
    #: 8 processes × 16 threads may connect in one moment; the default of 5 would drop them.
    request_queue_size = 1024
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], stub: BillingStub) -> None:
        super().__init__(address, _Handler)
        self.stub = stub

    def shutdown_request(self, request: Any) -> None:
        """Close politely, or with the reset that a handler has asked for."""
        size = len(_LINGER_NOT)
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, size) == _LINGER_NOT:
            self.close_request(request)
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of ours; anything else is shown."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _GoneError(Exception):
    """The client has gone, or was reset on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: standard error belongs to whoever runs the stub."""

    def do_GET(self) -> None:
        stub = self.server.stub
        path = _path(self.path)
        if path == "/stub/bill":
            self._answer(200, stub.state())
        elif path == "/stub/requests":
            self._answer(200, {"requests": list(stub.requests)})
        elif not self._may_come_in():
            self._answer(401, _error(path, 401, "the stub does not know this key"))
        elif path == "/v1/models":
            data = [{"id": "gpt-6-luna", "object": "model", "created": 0, "owned_by": "stub"}]
            self._answer(200, {"object": "list", "data": data})
        else:
            self._answer(404, _error(path, 404, "there is nothing here"))

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > _BODY_BYTES_MAX:
            self.close_connection = True
            return self._answer(413, _error(self.path, 413, "the body is too large"))
        raw = self._chunked() if self.headers.get("transfer-encoding") else self.rfile.read(length)
        path = _path(self.path)
        wishes = {**self.server.stub.defaults, **_wishes(self.headers)}
        self.server.stub.begin({"path": path, "bytes": len(raw), "wishes": _wishes(self.headers)})
        try:
            self._serve(path, raw, wishes)
        except (_GoneError, OSError):
            self.close_connection = True
        finally:
            self.server.stub.finish()
        return None

    def _may_come_in(self) -> bool:
        required = self.server.stub.required_key
        if required is None:
            return True
        given = [self.headers.get(name, "") for name in ("x-api-key", "x-goog-api-key", "api-key")]
        given.append(self.headers.get("authorization", "").removeprefix("Bearer "))
        given += parse_qs(urlsplit(self.path).query).get("key", [])
        return required in given

    def _serve(self, path: str, raw: bytes, wishes: Mapping[str, str]) -> None:
        if not self._may_come_in():
            return self._answer(401, _error(path, 401, "the stub does not know this key"))
        try:
            api, model, body, counting = self._read(path, raw)
            if counting:
                tokens = answers.count_input(api, model, body)
                return self._answer(200, _counted(api, tokens))
            made = answers.plan(api, model, body, wishes)
            if not self.server.stub.bill.knows(made.model, made.variant):
                raise stub_plan.BadRequestError(f"{made.model.name} has no {made.variant} tier")
        except stub_plan.BadRequestError as error:
            return self._answer(400, _error(path, 400, str(error)))
        except ModelUnknown as error:
            return self._answer(404, _error(path, 404, error.message))
        except KeyError:
            return self._answer(404, _error(path, 404, f"there is no {path}"))
        self._wait(wishes, "x-stub-delay-ms")
        status = int(wishes.get("x-stub-status", 200))
        if status != 200:
            return self._answer(
                status, _error(path, status, f"the stub was told to fail: {status}")
            )
        if wishes.get("x-stub-reset") == "before":
            self._reset()
        if made.stream and api != answers.EMBEDDINGS:
            return self._stream(made, wishes)
        return self._whole(made, wishes)

    def _read(self, path: str, raw: bytes) -> tuple[str, Model, dict[str, Any], bool]:
        """The API, the model, the body, and whether only a count is asked for.

        Raises KeyError, ModelUnknown, BadRequestError.
        """
        asked = read_url(self.path)
        api = asked.api or _APIS.get(path) or _COUNTS[path]
        try:
            body = json.loads(raw)
        except ValueError as error:
            raise stub_plan.BadRequestError(f"the body is not JSON: {error}") from error
        if not isinstance(body, dict):
            raise stub_plan.BadRequestError("the body is no object")
        body = {**body, **asked.members}
        if not isinstance(body.get("model"), str):
            raise stub_plan.BadRequestError("you must provide a model parameter")
        if not body["model"].startswith(asked.prefix):
            body["model"] = asked.prefix + body["model"]
        counting = asked.counting or path in _COUNTS
        return api, self.server.stub.book.resolve(body["model"]), body, counting

    def _whole(self, made: stub_plan.Plan, wishes: Mapping[str, str]) -> None:
        # Billed before the client can know: a bill is never behind what a client has settled.
        call = self._charge(made, made.produced)
        call.disconnected = self._client_gone()
        answer = answers.whole(made)
        if wishes.get("x-stub-fault") == "no-usage":
            for name in _USAGE_NAMES:
                answer.pop(name, None)
        if wishes.get("x-stub-reset") == "after":
            body = json.dumps(answer).encode()
            self._head(200, "application/json", length=len(body))
            self._send(body[: len(body) // 2])
            call.disconnected = True
            self._reset()
        try:
            self._answer(200, answer)
        except OSError:
            call.disconnected = True
            raise

    def _stream(self, made: stub_plan.Plan, wishes: Mapping[str, str]) -> None:
        call: BilledCall | None = None
        sent = 0
        try:
            further = answers.FURTHER.get(made.api)
            kind = "text/event-stream" if further is None else further.content_type(made)
            self._head(200, kind)
            for number, piece in enumerate(answers.pieces(made)):
                if number:
                    self._wait(wishes, "x-stub-chunk-delay-ms")
                if piece.final and call is None:
                    call = self._charge(made, made.produced)
                if self._client_gone():
                    raise _GoneError
                self._spoil(wishes, number)
                data = piece.data
                if wishes.get("x-stub-fault") == "no-usage":
                    if kind not in _TEXTS and _USAGE.search(data):
                        continue  # What has a checksum cannot be edited.
                    data = _USAGE.sub(b'"not_usage"', data)
                self._chunk(data)
                sent = piece.sent
            self._send(b"0\r\n\r\n")
        except (_GoneError, OSError):
            if call is None:
                mode = wishes["x-stub-on-disconnect"]
                billed = {
                    "stop": sent,
                    "run_on": made.produced,
                    "to_cap": made.cap or made.produced,
                }
                call = self._charge(made, billed[mode])
            call.disconnected = True
            raise

    def _spoil(self, wishes: Mapping[str, str], number: int) -> None:
        """The faults in the middle of a stream."""
        if number == stub_plan.PIECES // 2:
            if wishes.get("x-stub-reset") == "after":
                self._reset()
            if wishes.get("x-stub-fault") == "malformed":
                self._chunk(b'data: {"choices": [\xff\xfe broken\n\n')
                self._send(b"not a chunk at all\r\n")
                raise _GoneError

    def _charge(self, made: stub_plan.Plan, output_per_choice: int) -> BilledCall:
        return self.server.stub.bill.charge(
            request_id=made.request_id, api=made.api, model=made.body["model"],
            variant=made.variant, usage=made.usage(output_per_choice), stream=made.stream,
            disconnected=False,
        )  # fmt: skip

    def _chunked(self) -> bytes:
        """The body of a request that came in chunks."""
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # Trailers say nothing to us.
        return b"".join(parts)

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self._head(status, "application/json", length=len(body))
        self._send(body)

    def _head(self, status: int, content_type: str, *, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        if status >= 400 and _is_bedrock(self.path):
            self.send_header("x-amzn-errortype", _BEDROCK_ERRORS.get(status, "ValidationException"))
        if length is None:
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("content-length", str(length))
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self._send(b"%x\r\n%b\r\n" % (len(data), data))

    def _send(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def _wait(self, wishes: Mapping[str, str], name: str) -> None:
        delay_ms = int(wishes.get(name, 0))
        if delay_ms:
            self.server.stub.hurry.wait(delay_ms / 1000)

    def _client_gone(self) -> bool:
        """Whether the client has closed; a first write after that would still seem to succeed."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and self.connection.recv(1, socket.MSG_PEEK) == b""

    def _reset(self) -> None:
        """Close so that the client sees a reset, not an end."""
        self.wfile.flush()
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        raise _GoneError


def _path(target: str) -> str:
    """The path without its query and the provider in front, always with `/v1` in front."""
    return read_url(target).path


#: The names by which botocore knows the failures; others are no fault of the service.
_BEDROCK_ERRORS = {
    401: "UnrecognizedClientException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    500: "InternalServerException",
    503: "ServiceUnavailableException",
}


def _is_bedrock(target: str) -> bool:
    return "/model/" in target


def _counted(api: str, tokens: int) -> dict[str, Any]:
    if api in answers.FURTHER:
        return answers.FURTHER[api].count(tokens)
    return {"input_tokens": tokens, "object": "response.input_tokens"}


def _wishes(headers: Any) -> dict[str, str]:
    return {k.lower(): v for k, v in headers.items() if k.lower().startswith("x-stub-")}


def _error(path: str, status: int, message: str) -> dict[str, Any]:
    """An error in the shape of the provider whose path it is."""
    if _is_bedrock(path):
        return {"message": message}
    if ":" in path.rpartition("/")[2]:
        return {"error": {"code": status, "message": message, "status": "STUB_ERROR"}}
    if "/messages" in path:
        kind = {
            401: "authentication_error",
            404: "not_found_error",
            429: "rate_limit_error",
            529: "overloaded_error",
        }
        return {
            "type": "error",
            "error": {"type": kind.get(status, "api_error"), "message": message},
        }
    kind = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
    error = {"message": message, "type": "stub_error", "param": None, "code": kind.get(status)}
    return {"error": error}
