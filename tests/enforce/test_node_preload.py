"""The Node preload: where a program's requests go, and that they stay what they were.

The gateway is played by a recorder here; tests/compat has the real one, with the SDKs.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from noburn_cli.enforce.launch import NODE_PRELOAD, LaunchSettings, child_environment
from noburn_cli.providers.registry import recognise

HERE = Path(__file__).parent / "node"
MODULES = Path(__file__).parents[2] / ".venv" / "guests" / "node" / "node_modules"
NODE = shutil.which("node")


class Recorder(ThreadingHTTPServer):
    """Answers everything, and keeps what came in."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.go_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what one of the cases is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Recorder

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("transfer-encoding"):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.seen.append((self.command, self.path, headers, body))
        asked = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
        if self.path == "/v1/go":
            self.server.go_on.set()
        if "stream" in asked:
            return self._stream(asked["stream"])
        answer = json.dumps({"path": self.path}).encode()
        self.send_response(int(asked.get("status", 200)))
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        return None

    def _stream(self, kind: str) -> None:
        """`wait`: the second piece comes when the client has read the first; `forever`: no end."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self._piece(b'data: {"n": 1}\n\n')
        if kind == "wait":
            assert self.server.go_on.wait(60)
        self._piece(b"data: [DONE]\n\n")
        while kind == "forever":
            self._piece(b"data: more\n\n")
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")

    def _piece(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()


@contextlib.contextmanager
def served() -> Iterator[Recorder]:
    recorder = Recorder()
    thread = threading.Thread(target=recorder.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield recorder
    finally:
        recorder.shutdown()
        recorder.server_close()
        thread.join()


def environment(gateway: str, **more: str) -> dict[str, str]:
    bare = {
        name: text
        for name, text in os.environ.items()
        if not name.startswith(("NOBURN_", "NODE_")) and "proxy" not in name.lower()
    }
    return child_environment(
        {**bare, **more},
        LaunchSettings(attributes={"customer": "acme"}),
        run="r1",
        home=Path("/nowhere"),
        daemon_command=[sys.executable],
    ) | {"NOBURN_GATEWAY": gateway}


def node(program: Path, *arguments: str, env: dict[str, str]) -> list[tuple[str, Any]]:
    ran = subprocess.run(
        [str(NODE), str(program), *arguments],
        env=env, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    return [tuple(json.loads(line)) for line in ran.stdout.splitlines()]


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """The programs, in a folder from which Node finds the packages."""
    shutil.copytree(HERE, tmp_path / "p")
    (tmp_path / "p" / "node_modules").symlink_to(MODULES)
    return tmp_path / "p"


@pytest.fixture
def ran(programs: Path, tmp_path: Path) -> Iterator[tuple[dict[str, Any], Recorder, Recorder]]:
    """What program.mjs printed, the gateway that it met, and a server that is nobody's."""
    presence = tmp_path / "presence"
    presence.mkdir()
    with served() as gateway, served() as other:
        env = environment(gateway.url, TEST_ORIGIN="http://llm.example:8000", TEST_OTHER=other.url)
        env["NOBURN_BASE_URLS"] = json.dumps({"OPENAI_BASE_URL": "http://llm.example:8000/v1"})
        env["NOBURN_PRESENCE"] = str(presence)
        results = dict(node(programs / "program.mjs", env=env))
        # The program, fork, spawn and the CommonJS one; a worker is no process.
        assert len(list(presence.iterdir())) == 4
        yield results, gateway, other


def test_every_stack_reaches_the_gateway_and_nothing_else_does(ran) -> None:
    results, gateway, other = ran
    moved = "/v1/chat/completions"
    names = "project, customer, feature, user, job, step, tags"
    misspelt = f"noburn: custommer is no attribute; one of {names}"
    chat = json.dumps({"path": moved})
    assert results == {
        "fetch": [200, "https://api.openai.com/v1/chat/completions", moved],
        "captured": 200,
        "request_object": [200, True],
        "body_stream": 200,
        "headers_instance": 200,
        "query": "/v1/models?limit=2&a=%2F",
        "stream": ['data: {"n": 1}\n\n', 200, "data: [DONE]\n\n"],
        "abort": "AbortError",
        "aborted_before": "AbortError",
        "bad_header": "TypeError",
        "bad_request": "TypeError",
        "https_options": [200, chat],
        "https_url": [200, chat],
        "https_text": [200, chat],
        "https_get": [200, '{"path": "/v1/models?x=1"}'],
        "to_a_proxy": [200, chat],
        "axios": [200, moved],
        "axios_stream": True,
        "axios_402": 402,
        "node_fetch": 200,
        "undici_fetch": 200,
        "undici_request": [200, moved],
        "behind_a_proxy": [200, 200],
        "named_origin": 200,
        "unlisted": [200] * 4,
        "no_call": [200] * 3,
        "left_alone": ["/hello", 200],
        "attributes": [
            200,
            misspelt,
        ],
        "worker": [
            ["fetch", [200, "https://api.openai.com/v1/chat/completions", moved]],
            ["axios", [200, moved]],
        ],
        "fork": [
            ["fetch", [200, "https://api.openai.com/v1/chat/completions", moved]],
            ["https_text", [200, chat]],
        ],
        "spawn": [["fetch", [200, "https://api.openai.com/v1/chat/completions", moved]]],
        "commonjs": [
            [name, 200] for name in ("fetch", "axios", "undici_fetch", "undici_request", "https")
        ],
    }
    own_paths = [path for _, path, _, _ in other.seen]
    assert own_paths == ["/v1/chat/messages"] * 3 + ["/hello", "/hello?x"]
    assert all("x-noburn-attributes" not in headers for _, _, headers, _ in other.seen)
    upstreams = {headers["x-noburn-upstream"] for _, _, headers, _ in gateway.seen}
    assert upstreams == {
        "https://api.openai.com", "https://api.anthropic.com", "http://llm.example:8000", other.url,
    }  # fmt: skip
    own = f"127.0.0.1:{gateway.server_port}"
    assert {headers["host"] for _, _, headers, _ in gateway.seen} == {own}


def test_requests_stay_what_they_were(ran) -> None:
    _, gateway, _ = ran
    by_case = {
        headers["x-case"]: (headers, body)
        for _, _, headers, body in gateway.seen
        if "x-case" in headers
    }
    assert set(by_case) == {"fetch", "object", "instance", "flat", "axios"}
    for headers, body in by_case.values():
        assert json.loads(body) == {"model": "gpt-6-luna", "messages": []}
        assert json.loads(headers["x-noburn-attributes"]) == {"customer": "acme"}
    assert [body for *_, body in gateway.seen].count(b'{"model":"m"}') == 1
    told = [json.loads(headers["x-noburn-attributes"]) for _, _, headers, _ in gateway.seen]
    assert {"customer": "Bär", "tag.team": "a", "feature": "f"} in told


@pytest.mark.parametrize("customer", ["", "acme"])
def test_a_call_to_the_gateway_itself_is_not_moved_again(customer: str) -> None:
    """SDKs that follow a base URL are there already, with attributes of the run and without."""
    code = """fetch(process.env.NOBURN_GATEWAY + '/openai/v1/chat/completions', {method: 'POST',
        body: JSON.stringify({model: 'gpt-6-luna', messages: [{role: 'user', content: 'x'}]})})
        .then((answer) => console.log(answer.status))"""
    with served() as gateway:
        env = environment(gateway.url) | {"NOBURN_CUSTOMER": customer}
        ran = subprocess.run(
            [str(NODE), "-e", code], env=env, capture_output=True, text=True, check=True
        )
        [(_, path, headers, _)] = gateway.seen
    assert (ran.stdout, path) == ("200\n", "/openai/v1/chat/completions")
    assert "x-noburn-upstream" not in headers
    assert ("x-noburn-attributes" in headers) == bool(customer)


def test_without_a_gateway_nothing_is_changed(programs: Path) -> None:
    env = environment("")
    code = "console.log(JSON.stringify(['x', typeof noburn, /native|lazy/.test(String(fetch))]))"
    ran = subprocess.run(
        [str(NODE), "-e", code], env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(ran.stdout)[1] == "undefined"


def test_a_node_that_is_too_old_goes_on_and_is_not_present(tmp_path: Path) -> None:
    env = environment("http://127.0.0.1:9") | {"NOBURN_PRESENCE": str(tmp_path), "NODE_OPTIONS": ""}
    code = """
        Object.defineProperty(process, 'versions', { value: { node: '16.20.2' } });
        require(process.argv[1]);
        console.log(typeof noburn);
    """
    ran = subprocess.run(
        [str(NODE), "-e", code, str(NODE_PRELOAD)],
        env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ran.stdout == "undefined\n"
    assert list(tmp_path.iterdir()) == []


def test_options_of_node_are_kept_and_paths_are_quoted(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / 'a "b\\ c'
    shutil.copytree(NODE_PRELOAD.parent, folder)
    monkeypatch.setattr("noburn_cli.enforce.launch.NODE_PRELOAD", folder / NODE_PRELOAD.name)
    env = environment("http://127.0.0.1:9", NODE_OPTIONS="--max-old-space-size=300")
    again = environment("http://127.0.0.1:9", NODE_OPTIONS=env["NODE_OPTIONS"])
    assert again["NODE_OPTIONS"] == env["NODE_OPTIONS"]
    code = "console.log(typeof noburn.attribute, v8.getHeapStatistics().heap_size_limit >> 20)"
    ran = subprocess.run(
        [str(NODE), "-e", code], env=env, capture_output=True, text=True, check=True
    )
    kind, limit_mb = ran.stdout.split()
    assert kind == "function"
    assert 300 <= int(limit_mb) < 500


def test_both_languages_know_the_same_hosts(programs: Path) -> None:
    """A provider's host for the registry is one for the reroute, and no other."""
    urls = [
        "https://api.openai.com/v1/responses",
        "https://API.openai.com./v1/responses",
        "https://eu.api.openai.com/v1/responses",
        "https://api.anthropic.com/v1/models",
        "https://api.openai.com.example.org/v1/x",
        "https://example.org/api.openai.com",
    ]
    code = f"""
        const {{ Reroute }} = require({str(NODE_PRELOAD.parent / "targets.cjs")!r});
        const reroute = new Reroute(process.env, {{ headers: () => [] }});
        const urls = {json.dumps(urls)};
        console.log(JSON.stringify(urls.map((url) => reroute.of('GET', new URL(url)) !== null)));
    """
    ran = subprocess.run(
        [str(NODE), "-e", code],
        env=environment("http://127.0.0.1:9"), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(ran.stdout) == [recognise("GET", url).kind != "not_ours" for url in urls]
