"""`noburn export otel`: against a receiver that decodes and checks every request."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.exporter.otlp.proto.http")

from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv._incubating.metrics import gen_ai_metrics
from opentelemetry.semconv.attributes import error_attributes
from opentelemetry.semconv.schemas import Schemas
from typer.testing import CliRunner

from noburn_cli import paths
from noburn_cli.cli import app
from noburn_cli.ledger_file import reading_ledger
from noburn_cli.otel import conventions, identity
from noburn_cli.providers.paths import CODECS
from tests.daemon.months import fill_months
from tests.otlp_receiver import attributes, receiving
from tests.reports.made_ledger import Made

#: https://github.com/open-telemetry/semantic-conventions-genai/blob/v0.1.0/docs/gen-ai/client-inference.md
OF_THE_NEW_REPOSITORY = {
    "gen_ai.usage.cache_write.input_tokens",
    *(
        f"gen_ai.usage.{modality}.{kind}"
        for modality in ("audio", "image")
        for kind in ("input_tokens", "cache_read.input_tokens", "output_tokens")
    ),
}
#: Exports into files with steps of 100 rows, and dies for good when the n-th is to be remembered.
_DIES = """
import os, signal, sys
from noburn_cli import main
from noburn_cli.otel import cursor, job
job.STEP_ROWS = 100
left = int(sys.argv[1])
real = cursor.Cursor.remember
def dying(self, *arguments):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(self, *arguments)
cursor.Cursor.remember = dying
sys.exit(main.main(sys.argv[2:]))
"""


def names_of(module: Any) -> set[str]:
    return {value for name, value in vars(module).items() if name.isupper()}


def test_names_are_those_of_the_conventions() -> None:
    ours = {value for name, value in vars(conventions).items() if name.isupper()
            and isinstance(value, str) and value.startswith("gen_ai.")}  # fmt: skip
    ours |= set(conventions.MODALITY_TOKENS.values())
    theirs = names_of(gen_ai_attributes) | names_of(gen_ai_metrics)
    assert ours - theirs == OF_THE_NEW_REPOSITORY
    assert error_attributes.ERROR_TYPE == conventions.ERROR_TYPE
    assert conventions.SCHEMA_URL in {one.value for one in Schemas}
    providers = {m.value for m in gen_ai_attributes.GenAiProviderNameValues.__members__.values()}
    assert set(conventions.PROVIDERS.values()) <= providers
    operations = {m.value for m in gen_ai_attributes.GenAiOperationNameValues.__members__.values()}
    said = set(conventions.OPERATIONS.values())
    assert said - operations == {"image_generation", "speech", "transcription", "batch"}
    assert set(conventions.OPERATIONS) == set(CODECS)


def test_every_call_arrives_once_and_the_sums_are_the_ledgers(
    filled: Any, here_of: Any, reserve: Any
) -> None:
    """Goal: states, tokens, cost and parents arrive as the ledger has them; what a receiver does
    not take is sent again with the same ids; a late bill corrects a span and the sums."""
    with receiving() as receiver:
        command = ("export", "--otel", "--endpoint", f"{receiver.url}/")
        receiver.status = 400
        headers = {"OTEL_EXPORTER_OTLP_HEADERS": "x-team=llm", "OTEL_SERVICE_NAME": "shop"}
        refused = here_of(filled).noburn(*command, **headers)
        assert (refused.returncode, receiver.spans) == (1, {})
        assert "the spans were not taken" in refused.stderr
        assert "code: 400" in refused.stderr
        assert receiver.headers[-1]["x-team"] == "llm"

        receiver.status = 200
        receiver.refused = 2
        part = here_of(filled).noburn(*command, **headers)
        assert "the receiver refused 2 of the spans" in part.stderr
        assert "too old" in part.stderr
        receiver.refused = 0
        assert here_of(filled).noburn(*command, **headers).returncode == 0
        assert sorted(receiver.sent) == sorted([*receiver.spans, *receiver.spans])
        by_call = {attributes(span)["noburn.call"]: span for span in receiver.spans.values()}
        assert {call: attributes(span)["noburn.state"] for call, span in by_call.items()} == {
            "c1": "settled", "c2": "settled", "c3": "uncertain", "c4": "voided", "c5": "blocked",
            "c6": "refused", "c7": "orphaned",
        }  # fmt: skip
        first = by_call["c1"]
        assert attributes(first) | {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-6-luna", "gen_ai.request.max_tokens": 100,
            "gen_ai.response.id": "chatcmpl-1", "gen_ai.usage.input_tokens": 400,
            "gen_ai.usage.cache_read.input_tokens": 100, "gen_ai.usage.output_tokens": 55,
            "gen_ai.usage.reasoning.output_tokens": 5, "noburn.cost.usd": 0.0000585,
            "noburn.cost.nano_usd": 58_500, "noburn.customer": "acme", "noburn.tag.team": "x",
            "noburn.run": "r1/r2",
        } == attributes(first)  # fmt: skip
        assert (first.name, first.kind) == ("chat gpt-6-luna", 3)
        assert first.end_time_unix_nano - first.start_time_unix_nano == 840_000_000
        assert first.parent_span_id == identity.run_span("r1/r2").to_bytes(8, "big")
        assert first.trace_id == identity.trace_id(None, "r1").to_bytes(16, "big")
        assert {c: attributes(by_call[c]).get("error.type") for c in by_call} == {
            "c1": None, "c2": None, "c3": None, "c4": "voided", "c5": "blocked", "c6": "refused",
            "c7": "orphaned",
        }  # fmt: skip
        assert {attributes(resource)["service.name"] for resource, _, _ in receiver.scopes} == {
            "shop"
        }
        assert {scope.name for _, scope, _ in receiver.scopes} == {"noburn"}
        assert {url for _, _, url in receiver.scopes} == {conventions.SCHEMA_URL}
        tokens = _by(receiver, conventions.TOKEN_USAGE, "gen_ai.token.type")
        assert {kind: (p.count, p.sum) for kind, p in tokens.items()} == {
            "input": (2, 700), "output": (2, 455),
        }  # fmt: skip
        durations = receiver.points.items()
        assert sum(p.count for key, p in durations if key[0] == conventions.DURATION) == 3
        assert _cost(receiver) == _ledger_cost(filled)

        sent = len(receiver.sent)
        with filled.client() as client:
            client.settle("c3", {"input": 10, "output": 2}, latency_ms=9, status=200)
        again = here_of(filled).noburn(*command, **headers)
        assert "exported 1 spans" in again.stderr
        assert receiver.sent[sent:] == [by_call["c3"].span_id]
        assert attributes(receiver.spans[by_call["c3"].span_id])["noburn.state"] == "settled"
        assert _cost(receiver) == _ledger_cost(filled)
        durations = receiver.points.items()
        assert sum(p.count for key, p in durations if key[0] == conventions.DURATION) == 3
        assert receiver.faults == []


def _by(receiver: Any, metric: str, label: str) -> dict[str, Any]:
    found = [(dict(key[1]), point) for key, point in receiver.points.items() if key[0] == metric]
    return {str(labels[label]): point for labels, point in found}


def _cost(receiver: Any) -> int:
    points = [p for key, p in receiver.points.items() if key[0] == conventions.COST]
    return sum(round(point.as_double * 10**9) for point in points)


def _ledger_cost(home: Any) -> int:
    with reading_ledger(home.ledger) as connection:
        found = connection.execute("SELECT sum(cost_nano) FROM calls WHERE state <> 'held'")
        return int(next(iter(found))[0])


def test_runs_and_steps_are_parents_and_following_goes_on(home: Any, reserve: Any) -> None:
    """Goal: a run is a trace of its steps and calls, and what ends later arrives by itself."""
    home.said("daemon", "start")
    attrs = {"run": "r9", "step": "graph/search", "feature": "chat"}
    with receiving() as receiver, home.client() as client:
        client.run_start(
            run="r9",
            attrs={"customer": "acme"},
            command=["/usr/bin/python", "my prompt"],
            limit=None,
        )
        for call in ("s1", "s2"):
            assert client.reserve(reserve(call, attrs=attrs))["ok"]
            client.settle(call, {"input": 10, "output": 1}, latency_ms=40, status=200)
        with subprocess.Popen(
            [sys.executable, "-m", "noburn_cli", "export", "otel", "--endpoint", receiver.url,
             "--follow", "--only", "spans"],
            env=home.environment, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            receiver.wait(lambda: len(receiver.spans) == 2)
            client.run_end(run="r9", exit_code=3)
            receiver.wait(lambda: len(receiver.spans) == 5)
            second = home.noburn("export", "otel", "--endpoint", receiver.url, "--only", "spans")
            assert (second.returncode, "another export" in second.stderr) == (2, True)
            process.send_signal(signal.SIGINT)
            assert process.stderr is not None
            assert process.stderr.read() == ""
        spans = {span.name: span for span in receiver.spans.values()}
        run, graph, search = spans["run python"], spans["graph"], spans["search"]
        call = spans["chat gpt-6-luna"]
        chain = [call.parent_span_id, search.parent_span_id, graph.parent_span_id]
        assert chain == [search.span_id, graph.span_id, run.span_id]
        assert run.parent_span_id == b""
        assert len({span.trace_id for span in receiver.spans.values()}) == 1
        assert graph.start_time_unix_nano <= call.start_time_unix_nano
        assert call.end_time_unix_nano <= graph.end_time_unix_nano
        assert (attributes(run)["noburn.exit_code"], run.status.code) == (3, 2)
        assert "my prompt" not in str(receiver.spans)
        assert (receiver.faults, receiver.metrics) == ([], {})


def test_files_go_on_after_a_kill_without_a_line_twice(
    home: Any, here_of: Any, tmp_path: Path
) -> None:
    """Goal: after SIGKILL between writing and remembering, the files are what one export writes;
    they are OTLP's JSON by OpenTelemetry's own decoder."""
    fill_months(home.ledger, calls=450)
    whole = [tmp_path / "whole-spans", tmp_path / "whole-metrics"]
    cut = [tmp_path / "cut-spans", tmp_path / "cut-metrics"]

    def command(files: list[Path]) -> list[str]:
        return ["export", "otel", "--output", str(files[0]), "--metrics", str(files[1])]

    def run(steps: int, files: list[Path]) -> int:
        return subprocess.run(
            [sys.executable, "-c", _DIES, str(steps), *command(files)],
            env=home.environment, capture_output=True, text=True, check=False, timeout=120,
        ).returncode  # fmt: skip

    assert run(99, whole) == 0
    assert run(3, cut) == -signal.SIGKILL  # the beginning and two steps are remembered
    assert run(99, cut) == 0
    assert [file.read_bytes() for file in cut] == [file.read_bytes() for file in whole]
    spans = [
        json_format.Parse(_base64_ids(line), trace_service_pb2.ExportTraceServiceRequest())
        for line in cut[0].read_text().splitlines()
    ]
    found = [s for one in spans for r in one.resource_spans for c in r.scope_spans for s in c.spans]
    assert len({span.span_id for span in found}) == len(found) == 450
    last = json_format.Parse(
        cut[1].read_text().splitlines()[-1], metrics_service_pb2.ExportMetricsServiceRequest()
    )
    metrics = {m.name: m for m in last.resource_metrics[0].scope_metrics[0].metrics}
    points = metrics["noburn.cost"].sum.data_points
    assert sum(round(point.as_double * 10**9) for point in points) == _ledger_cost(home)
    assert not metrics["noburn.cost"].sum.is_monotonic
    here = here_of(home)
    assert "nothing new to export" in here.noburn(*command(cut)).stderr
    other = ("--cursor", str(tmp_path / "other"))
    foreign = here.noburn("export", "otel", "--output", str(whole[0]), *other)
    assert (foreign.returncode, "is there already" in foreign.stderr) == (2, True)
    said = here.noburn("export", "otel", "--output", "-", "--since", "2026-11-01")
    lines = [json.loads(line) for line in said.stdout.splitlines()]
    assert 0 < sum(len(line["resourceSpans"][0]["scopeSpans"][0]["spans"]) for line in lines) < 450


def _base64_ids(line: str) -> str:
    """OTLP's hexadecimal ids as protobuf's own JSON has bytes."""
    import base64

    found = json.loads(line)
    for span in found["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in span:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json.dumps(found)


def test_what_is_no_export(here: Any) -> None:
    for arguments, error in {
        (): "nothing says where to",
        ("--endpoint", "http://127.0.0.1:1", "--output", "f"): "--output and --metrics write",
        ("--endpoint", "http://127.0.0.1:1", "--only", "logs"): "--only cannot be 'logs'",
        ("--output", "-", "--metrics", "-"): "spans and metrics cannot go to one place",
        ("--output", os.devnull): "is no regular file",
    }.items():
        done = here.noburn("export", "otel", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert error in done.stderr
    assert here.noburn("export", "otel", "--output", str(here.path / "spans")).returncode == 4
    assert not list(here.path.iterdir()), "no ledger, and no cursor for nothing"
    assert not Path(f"{os.devnull}.cursor").exists()


def test_another_ledger_is_not_gone_on_with(home: Any, here_of: Any, tmp_path: Path) -> None:
    fill_months(home.ledger, calls=5)
    here, command = here_of(home), ("export", "otel", "--output", str(tmp_path / "spans"))
    assert here.noburn(*command).returncode == 0
    home.ledger.unlink()
    fill_months(home.ledger, calls=3)
    refused = here.noburn(*command)
    assert (refused.returncode, "made anew or restored" in refused.stderr) == (1, True)
    assert here.noburn(*command, "--restart").returncode == 0
    assert len((tmp_path / "spans").read_text().splitlines()) == 1
    assert "nothing new" in here.noburn(*command, "--since", "24h").stderr
    cursor = ("--cursor", str(tmp_path / "spans.cursor"))
    other = here.noburn("export", "otel", "--metrics", str(tmp_path / "m"), *cursor)
    assert (other.returncode, "of an export of spans" in other.stderr) == (2, True)


def test_what_a_subscription_pays_for_is_in_no_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Goal: the sum of the costs exported is the cost that reports say."""
    monkeypatch.setenv("NOBURN_HOME", str(tmp_path))
    made = Made(paths.ledger_path())
    for notional in (False, True):
        made.do(("reserve", {}, "gpt-6-luna", notional))
        made.do(("settle", 0, {"input": 10, "output": 20}, 200, 40))
    made.commit()
    made.close()
    files = [str(tmp_path / name) for name in ("spans", "metrics")]
    words = ["export", "otel", "--output", files[0], "--metrics", files[1]]
    assert CliRunner().invoke(app, words).exit_code == 0
    names = ("noburn.cost.nano_usd", "noburn.notional_cost.nano_usd", "noburn.notional")
    spans = [
        {one["key"]: one["value"] for one in span["attributes"] if one["key"] in names}
        for line in Path(files[0]).read_text().splitlines()
        for span in json.loads(line)["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]
    paid, free = sorted(spans, key=len)
    assert paid == {"noburn.cost.nano_usd": {"intValue": "11000"}}
    assert free == {
        "noburn.notional_cost.nano_usd": {"intValue": "11000"},
        "noburn.notional": {"boolValue": True},
    }  # fmt: skip
    last = json.loads(Path(files[1]).read_text().splitlines()[-1])
    sums = {
        metric["name"]: [point["asDouble"] for point in metric["sum"]["dataPoints"]]
        for metric in last["resourceMetrics"][0]["scopeMetrics"][0]["metrics"] if "sum" in metric
    }  # fmt: skip
    assert sums == {"noburn.cost": [0.000011], "noburn.notional_cost": [0.000011]}
