"""/metrics, /healthz and /readyz: what Prometheus' own parser reads, and who may ask."""

from __future__ import annotations

import http.client
import socket
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from noburn_cli.commands.daemon import app
from noburn_daemon.exposition import Histogram, Page
from noburn_daemon.http_endpoint import HEAD_BYTES_MAX
from tests.daemon.parts import Caller, Running, daemon, eventually
from tests.daemon.test_settings import configure

#: A reserve of parts.reserve_frame holds 100 × $0.1/M + 1000 × $0.5/M.
HOLD = 510_000


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=120)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self._path))


def get(home: Path, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = _OverSocket(home / "metrics.sock")
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def samples(text: str) -> dict[str, float]:
    """Every sample by its name and labels; the parser raises for what is not the format."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
            key = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert key not in found
            found[key] = sample.value
    return found


def scraping(running: Running) -> Caller:
    configure(running.home, '[daemon]\nmetrics = "unix"')
    caller = Caller(running.home)
    assert caller.ask(n=1, op="reload")["changed"] == ["daemon.metrics"]
    eventually((running.home / "metrics.sock").exists, "it is served")
    return caller


def test_the_numbers_are_those_of_the_ledger() -> None:
    with daemon() as running:
        caller = scraping(running)
        caller.budget("global", 3 * HOLD)
        caller.budget("customer=*", 10 * HOLD)
        assert caller.budget("tag.x=a", 10, unit="tokens")["ok"]
        for name in ("a1", "a2", "a3"):
            assert caller.reserve(name, attrs={"customer": name})["ok"]
        assert caller.reserve("a4")["error"] == "blocked"
        caller.settle("a1")
        caller.ask(n=1, op="void", call="a2")
        status, text = get(running.home, "/metrics")
        found = samples(text)
        assert status == 200
        assert found["noburn_reserves_total{outcome=granted}"] == 3
        assert found["noburn_reserves_total{outcome=blocked}"] == 1
        assert found["noburn_calls_ended_total{state=settled}"] == 1
        assert found["noburn_calls_ended_total{state=voided}"] == 1
        assert (found["noburn_holds_open"], found["noburn_connections"]) == (1, 1)
        assert found["noburn_held_dollars"] == HOLD / 1e9
        family = "customer=* per total"
        assert found[f"noburn_budget_limit_dollars{{budget={family}}}"] == 10 * HOLD / 1e9
        assert found[f"noburn_budget_settled_dollars{{budget={family}}}"] == 6e-6
        assert found[f"noburn_budget_held_dollars{{budget={family}}}"] == HOLD / 1e9
        assert found[f"noburn_budget_accounts{{budget={family},unit=dollars}}"] == 4
        assert "a1" not in text, "a customer's name is in no series"
        tokens = [v for k, v in found.items() if k.startswith("noburn_budget_limit_tokens{")]
        assert tokens == [10]
        assert found["noburn_commit_seconds_count"] == found["noburn_commit_rows_count"] > 0
        assert found["noburn_ledger_unavailable"] == found["noburn_checkpoint_failures_total"] == 0
        assert found["noburn_ledger_bytes"] > 0
        assert found["process_resident_memory_bytes"] > 10**6
        assert abs(found["process_start_time_seconds"] - time.time()) < 600
        assert get(running.home, "/metrics", "HEAD") == (200, "")
        configure(running.home, "")
        caller.ask(n=1, op="reload")
        eventually(lambda: not (running.home / "metrics.sock").exists(), "it is served no more")


def test_only_what_is_meant_is_answered() -> None:
    with daemon() as running:
        scraping(running)
        home = running.home
        assert (home / "metrics.sock").stat().st_mode & 0o777 == 0o600
        assert get(home, "/healthz")[0] == get(home, "/readyz?x=1")[0] == 200
        assert get(home, "/")[0] == 404
        assert get(home, "/metrics", "POST")[0] == 405
        assert get(home, "/metrics", Host="evil.example:9464")[0] == 403
        assert get(home, "/metrics", Host="127.0.0.1:9464")[0] == 200
        for garbage in (b"\r\n\r\n", b"GET /metrics\r\n\r\n", b"x" * (HEAD_BYTES_MAX + 1)):
            with socket.socket(socket.AF_UNIX) as raw:
                raw.settimeout(60)
                raw.connect(str(home / "metrics.sock"))
                raw.sendall(garbage)
                assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
        assert get(home, "/healthz")[0] == 200


def test_a_ledger_that_cannot_be_written_is_not_ready() -> None:
    """Goal: who routes by readiness, and who watches by channels, learn of a full disk."""
    with daemon() as running:
        caller = scraping(running)
        file = running.home / "ledger.sqlite3"
        file.rename(file.with_suffix(".away"))
        assert caller.reserve("a1")["error"] in ("unknown", "ledger")
        status, why = get(running.home, "/readyz")
        assert (status, "taken away" in why) == (503, True)
        assert get(running.home, "/healthz")[0] == 200
        found = samples(get(running.home, "/metrics")[1])
        assert found["noburn_ledger_unavailable"] == 1
        assert found["noburn_commit_failures_total"] >= 1
        file.with_suffix(".away").rename(file)
        eventually(lambda: caller.reserve("a2").get("ok"), "it can be written again")
        assert get(running.home, "/readyz") == (200, "ok\n")


def test_an_address_in_use_stops_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with daemon("--metrics", address) as running:
            caller = Caller(running.home)
            eventually(
                lambda: address in "".join(caller.ask(n=1, op="status")["warnings"]), "it is said"
            )
            assert caller.reserve("a1")["ok"]
            reply = caller.ask(n=1, op="reload")
            assert (reply["ok"], reply["changed"]) == (True, [])
            assert address in "".join(reply["warnings"])
            home = {"NOBURN_HOME": str(running.home)}
            said = CliRunner().invoke(app, ["reload"], env=home)
            assert said.exit_code == 1
            assert said.stdout.startswith("reloaded: nothing has changed\n")
            assert f"warning: metrics cannot be served at {address}" in said.stderr
            taken.close()
            assert caller.ask(n=1, op="reload")["warnings"] == []  # tried again
            connection = http.client.HTTPConnection(address, timeout=120)
            eventually(lambda: _answers(connection), "it is served now")
            connection.close()


def _answers(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().read() == b"ok\n"
    except OSError:
        return False
    finally:
        connection.close()


def test_histograms_count_up_to_their_bounds() -> None:
    found = Histogram((1, 2))
    for value in (0.5, 1, 1.5, 2, 9):
        found.add(value)
    page = Page()
    page.histogram("x_rows", "Rows.", found)
    page.gauges("empty", "Nothing.", [])
    page.gauges("odd", "Odd.", [({"x": 'a"b\\c\nd'}, 1)])
    assert samples(page.text()) == {
        "x_rows_bucket{le=1}": 2,
        "x_rows_bucket{le=2}": 4,
        "x_rows_bucket{le=+Inf}": 5,
        "x_rows_sum": 14,
        "x_rows_count": 5,
        'odd{x=a"b\\c\nd}': 1,
    }
