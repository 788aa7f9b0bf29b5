"""The page and its files, and the headers that every answer carries.

Layer: dashboard, I/O (reads the package's files).  Above: dashboard.server.
Owns: the Content-Security-Policy, what may be kept by a browser, where plotly.min.js comes from.
"""

from __future__ import annotations

import functools
import html
from importlib import resources
from importlib.util import find_spec
from pathlib import Path

#: The page's files by name, and what they are.
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
INDEX = "index.html"
PLOTLY = "plotly.min.js"
CHARTS_EXTRA = "pip install 'noburn-cli[charts]'"

_ALWAYS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Server": "noburn",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: What only a new installation changes.
_KEPT = {"Cache-Control": "private, max-age=31536000, immutable"}


def headers(*, nonce: str | None = None, kept: bool = False) -> dict[str, str]:
    """The headers of an answer.

    nonce: of the page, which hands it to plotly for the style sheets that it makes; nothing else
        in line is allowed.
    kept: it may be kept by the browser: its address changes with its content.
    """
    style = "style-src 'self'" + (f" 'nonce-{nonce}'" if nonce else "")
    policy = (
        f"default-src 'none'; script-src 'self'; {style}; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return {**_ALWAYS, "Content-Security-Policy": policy, **(_KEPT if kept else {})}


@functools.cache
def asset(name: str) -> tuple[bytes, str] | None:
    """One of the page's files and its type; None for what is none of them."""
    kind = TYPES.get(Path(name).suffix)
    folder = resources.files("noburn_cli") / "dashboard" / "assets"
    if kind is None or name not in {found.name for found in folder.iterdir()}:
        return None
    return (folder / name).read_bytes(), kind


@functools.cache
def _index() -> str:
    folder = resources.files("noburn_cli") / "dashboard" / "assets"
    return (folder / INDEX).read_text(encoding="utf-8")


def index(*, nonce: str) -> str:
    """The page, whose style sheets made by scripts carry `nonce`."""
    return _index().replace("{nonce}", html.escape(nonce)).replace("{plotly}", plotly_version())


@functools.cache
def plotly_path() -> Path | None:
    """Where the installed plotly keeps its plotly.min.js; None without it.

    Its package is found and not imported, which would take a quarter of a second.
    """
    found = find_spec("plotly")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "package_data" / PLOTLY
    return path if path.is_file() else None


@functools.cache
def plotly_version() -> str:
    """The version of the plotly package: part of the script's address.  Empty without it."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("plotly") if plotly_path() else ""
    except PackageNotFoundError:
        return "0"


def said(title: str, text: str, *, onward: str = "") -> str:
    """A page of a sentence.  onward: where the browser goes by itself."""
    go = f'<meta http-equiv="refresh" content="0; url={html.escape(onward)}">' if onward else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'{go}<link rel="icon" href="data:,"><title>{html.escape(title)}</title></head>'
        f"<body><main><h1>{html.escape(title)}</h1><p>{html.escape(text)}</p></main></body></html>"
    )
