"""`noburn export otel`: calls as OpenTelemetry spans and metrics.

Layer: commands.  Below: otel, prices, reports.query (moments), paths.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from noburn_cli.errors import ModelUnknown, NoburnError, UsageError

if TYPE_CHECKING:
    from noburn_cli.otel.cursor import Cursor
    from noburn_cli.otel.destinations import Destination, Lines
    from noburn_cli.otel.job import Exported
    from noburn_cli.otel.spans import SpanMaker

_STDOUT = "-"
#: The variables that name a receiver; the exporter itself reads these and the others.
_ENDPOINTS = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
)


def otel_command(
    endpoint: Annotated[
        str | None,
        typer.Option(
            help="Send to this OTLP/HTTP receiver, without /v1/…; else to the one that "
            "OTEL_EXPORTER_OTLP_ENDPOINT names.",
            metavar="URL",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(help="Write spans as JSON lines; - for standard output.", metavar="FILE"),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Write metrics as JSON lines; - for standard output.", metavar="FILE"),
    ] = None,
    only: Annotated[
        str | None, typer.Option(help="Send spans or metrics, not both.", metavar="WHAT")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Of a first export: what ended from then on: 2026-11-01, 24h, 7d (UTC).",
            metavar="TIME",
        ),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on as calls end, until Ctrl-C.")
    ] = False,
    cursor: Annotated[
        str | None,
        typer.Option(help="The file that remembers how far the export is.", metavar="FILE"),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Forget that, and export everything again.")
    ] = False,
) -> None:
    """Send calls as OpenTelemetry, or write OTLP JSON lines."""
    from noburn_cli.reports.query import parse_moment

    what = _what(endpoint, output, metrics, only)
    now = datetime.now(timezone.utc)
    since_ms = None if since is None else parse_moment(since, now=now, what="--since")
    files = (output, metrics)
    _check(files, follow=follow)
    path = _cursor_path(cursor, endpoint, files, what)
    try:
        from noburn_cli.otel.cursor import opened
        from noburn_cli.otel.job import begin

        with opened(path, restart=restart) as found:
            first = begin(found, what, since_ms)
            destination = _destination(endpoint, files, found, first=first, restart=restart)
            try:
                _export(found, destination, follow=follow)
            finally:
                destination.close()
    except ImportError as error:
        raise NoburnError(
            "OpenTelemetry needs its SDK and exporter",
            why=str(error),
            next_step="install them: pip install 'noburn-cli[otel]'",
        ) from error


def _what(endpoint: str | None, output: str | None, metrics: str | None, only: str | None) -> str:
    """spans, metrics or both.  Raises UsageError when nothing says where they go."""
    to_files = output is not None or metrics is not None
    if only not in (None, "spans", "metrics"):
        raise UsageError(f"--only cannot be {only!r}", why="known are spans, metrics")
    if to_files and (endpoint is not None or only is not None):
        raise UsageError(
            "--output and --metrics write files, --endpoint and --only are for sending",
            next_step="export twice: each place has its own cursor",
        )
    if output == metrics and to_files:
        raise UsageError(
            "spans and metrics cannot go to one place",
            why="OTLP files hold one kind of data each",
        )
    if to_files:
        return "both" if output and metrics else "spans" if output else "metrics"
    if endpoint is None and not any(os.environ.get(name) for name in _ENDPOINTS):
        raise UsageError(
            "nothing says where to: --endpoint URL, --output FILE or --metrics FILE",
            next_step="noburn export otel --endpoint http://127.0.0.1:4318",
        )
    return only or "both"


def _check(files: tuple[str | None, ...], *, follow: bool) -> None:
    """What can be known before a cursor is made, which would stay behind.

    Raises UsageError for what is no regular file; LedgerUnavailable where there is nothing to
    export, and nobody waits for it.
    """
    from noburn_cli import paths
    from noburn_cli.ledger_file import no_ledger
    from noburn_cli.whole_files import file_to_replace

    for name in files:
        if name not in (None, _STDOUT):
            file_to_replace(Path(str(name)), otherwise="name another one, or -")
    if not follow and not paths.ledger_path().exists():
        raise no_ledger(paths.ledger_path())


def _cursor_path(
    cursor: str | None, endpoint: str | None, files: tuple[str | None, ...], what: str
) -> Path | None:
    """Beside the file, or in noburn's home for a receiver; None for standard output alone."""
    from noburn_cli import paths

    if cursor is not None:
        return Path(cursor).absolute()
    kept = next((name for name in files if name not in (None, _STDOUT)), None)
    if kept is not None:
        return Path(f"{kept}.cursor").absolute()
    if any(files):
        return None
    places = [endpoint or "", what, *(os.environ.get(name, "") for name in _ENDPOINTS)]
    places = [endpoint, what] if endpoint else places
    digest = blake2b("\n".join(str(one) for one in places).encode(), digest_size=8).hexdigest()
    return paths.home() / "exports" / f"otel-{digest}.sqlite3"


def _destination(
    endpoint: str | None, files: tuple[str | None, ...], cursor: Cursor, *, first: bool,
    restart: bool,
) -> Destination:  # fmt: skip
    from noburn_cli.otel.destinations import Endpoint, Files, LinesFile, Stream

    if not any(files):
        return Endpoint(endpoint)
    sizes = (cursor.place.spans_bytes, cursor.place.metrics_bytes)

    def lines(name: str | None, size: int) -> Lines | None:
        if name is None:
            return None
        if name == _STDOUT:
            return Stream(sys.stdout)
        return LinesFile(Path(name), None if first else size, restart=restart)

    return Files(*(lines(name, size) for name, size in zip(files, sizes, strict=True)))


def _export(cursor: Cursor, destination: Destination, *, follow: bool) -> None:
    from noburn_cli import paths
    from noburn_cli.commands.ledger.telling import told
    from noburn_cli.otel.job import Export

    export = Export(paths.ledger_path(), cursor, _maker(os.environ), destination)
    if follow:
        export.follow(lambda words: typer.echo(f"noburn: {words}", err=True))
    with told() as tell:
        done = export.catch_up(tell)
    typer.echo(_summary(done), err=True)


def _summary(done: Exported) -> str:
    parts = [f"{done.spans:,} spans"] if done.spans else []
    parts += [f"{done.points:,} data points"] if done.points else []
    return f"exported {' and '.join(parts)}" if parts else "nothing new to export"


def _maker(environment: Mapping[str, str]) -> SpanMaker:
    """Spans of the service that OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES name, or noburn."""
    from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource

    from noburn_cli.otel.spans import SpanMaker

    said = OTELResourceDetector().detect()
    resource = Resource({SERVICE_NAME: "noburn"}).merge(said)
    return SpanMaker(resource, _provider_of(environment))


def _provider_of(environment: Mapping[str, str]) -> Callable[[str | None], str | None]:
    from noburn_cli.prices import load_book

    book = load_book(environment)

    @cache
    def provider_of(model: str | None) -> str | None:
        try:
            return book.resolve(model).provider if model else None
        except ModelUnknown:
            return None

    return provider_of
