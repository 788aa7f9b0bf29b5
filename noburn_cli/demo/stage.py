"""Where the demo plays: a home of its own, providers on this machine, commands as typed.

Layer: demo.  Below: demo.stub, the standard library.  Above: scenes.
Owns: the temporary home and its end, the environment of every child, how output is shown.
Nothing of the person's own is read or changed: no home, no key, no base URL, no proxy.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from noburn_cli import resources
from noburn_cli.core.pricebook import PriceBook
from noburn_cli.demo.stub import BillingStub
from noburn_cli.errors import NoburnError
from noburn_cli.render.table import COLUMNS_VARIABLE, terminal_width, wrap_line

#: Room for `/daemon.sock` below the home in the shortest limit of a socket's path, macOS's 103.
_HOME_CHARS_MAX = 80
#: Variables that would lead a call out of the demo, or change what it shows.
_FOREIGN = ("NOBURN_", "OPENAI_", "ANTHROPIC_", "AZURE_OPENAI_")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_KEY = "demo-key-that-nobody-accepts"
_COMMAND_S_MAX = 60.0
#: Before what a command prints; the demo's own sentences in a pipe are as wide as a page.
_INDENT = "  "
_PIPE_COLUMNS = 90


class Stage:
    """One demo: `with open_stage(…) as stage:`.

    home: the folder that stands for the person's own.
    provider: what `noburn` stands in front of; other: a provider that nothing stands in front of.
    """

    def __init__(
        self, home: Path, *, provider: BillingStub, other: BillingStub, out: TextIO
    ) -> None:
        self.home = home
        self.provider = provider
        self.other = other
        self._out = out
        self._width = terminal_width(out)
        self._bold = out.isatty() and not os.environ.get("NO_COLOR") and _has_colour()

    @property
    def ledger_path(self) -> Path:
        return self.home / "ledger.sqlite3"

    def environment(self, *, guarded: bool = True) -> dict[str, str]:
        """A child's environment, with the base URLs of one of the two providers."""
        stub = self.provider if guarded else self.other
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(_FOREIGN) and name.upper() not in _PROXIES
        }
        return {
            **kept,
            "NOBURN_HOME": str(self.home),
            "OPENAI_BASE_URL": f"{stub.url}/v1",
            "OPENAI_API_KEY": _KEY,
            "ANTHROPIC_BASE_URL": stub.url,
            "ANTHROPIC_API_KEY": _KEY,
            "NO_PROXY": "127.0.0.1",
            "PYTHONPATH": os.pathsep.join(_import_path(kept.get("PYTHONPATH", ""))),
            "PYTHONUNBUFFERED": "1",
            **({COLUMNS_VARIABLE: str(self._width - len(_INDENT))} if self._width else {}),
        }

    def answer_tokens(self, count: int) -> None:
        """From now on the providers answer at this length, where no cap is below it."""
        for stub in (self.provider, self.other):
            stub.defaults["x-stub-output-tokens"] = str(count)

    def say(self, *lines: str) -> None:
        """Lines of the demo's own."""
        for line in lines:
            self._out.write(line + "\n")
        self._out.flush()

    def tell(self, text: str) -> None:
        """A sentence or two, on as many lines as the terminal needs."""
        self.say(*wrap_line(text, width=self._width or _PIPE_COLUMNS))

    def typed(self, command: str) -> None:
        """A command line as somebody would type it, a long one with backslashes."""
        lines = wrap_line(f"$ {command}", width=self._width and self._width - len(" \\"), indent=2)
        self.say(*(f"{line} \\" for line in lines[:-1]), lines[-1])

    def head(self, title: str) -> None:
        """The title of a scene."""
        self.say("", f"\x1b[1m{title}\x1b[0m" if self._bold else title)

    def command(self, *arguments: str, expect: int = 0) -> None:
        """Show `noburn …` as it would be typed, run it, and show what it prints as it comes.

        Raises NoburnError when it ends with another code than `expect`.
        """
        self.say("")
        self.typed(f"noburn {shlex.join(arguments)}")
        with subprocess.Popen(
            noburn_command(arguments),
            env=self.environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as child:
            assert child.stdout is not None
            for line in child.stdout:
                self.say(f"{_INDENT}{line.rstrip()}" if line.strip() else "")
            code = child.wait(_COMMAND_S_MAX)
        if code != expect:
            raise NoburnError(
                f"the demo failed: `noburn {shlex.join(arguments)}` ended with {code}",
                why=f"expected {expect}",
                next_step="`noburn demo --keep` keeps its folder to look at",
            )

    def start(self, command: Sequence[str], *, guarded: bool) -> subprocess.Popen[str]:
        """Start a program whose output the caller reads."""
        return subprocess.Popen(
            list(command),
            env=self.environment(guarded=guarded),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

    def close(self) -> None:
        """Stop the daemon of this home, if there is one."""
        subprocess.run(
            noburn_command(("daemon", "stop")),
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_COMMAND_S_MAX,
            check=False,
        )


@contextlib.contextmanager
def open_stage(*, keep: bool, delay_ms: int, out: TextIO) -> Iterator[Stage]:
    """Set up and, whatever happens, take down.

    keep: leave the home where it is.
    delay_ms: how long the providers think; without it no two calls would ever overlap.
    """
    home = _make_home()
    book = PriceBook.from_texts([resources.shipped_prices()])
    try:
        with (
            BillingStub(book=book) as provider,
            BillingStub(book=book) as other,
        ):
            for stub in (provider, other):
                stub.defaults["x-stub-delay-ms"] = str(delay_ms)
            stage = Stage(home, provider=provider, other=other, out=out)
            try:
                yield stage
            finally:
                stage.close()
    finally:
        if not keep:
            shutil.rmtree(home, ignore_errors=True)


def noburn_command(arguments: Sequence[str]) -> list[str]:
    """`noburn …` with this very interpreter and installation.

    `python` in it is this interpreter, too, so that the demo's programs are found.
    """
    own = [sys.executable if argument == "python" else argument for argument in arguments]
    return [sys.executable, "-m", "noburn_cli", *own]


def own_name() -> str:
    """How this noburn is started from here: `make demo` puts it where no shell looks."""
    script = Path(sys.executable).with_name("noburn")
    if shutil.which("noburn") or not script.exists():
        return "noburn"
    here = Path.cwd()
    return str(script.relative_to(here) if script.is_relative_to(here) else script)


def _make_home() -> Path:
    folder = tempfile.gettempdir()
    if len(folder) + len("/noburn-demo-12345678") > _HOME_CHARS_MAX:
        folder = "/tmp"  # noqa: S108 -- mkdtemp makes a folder that is ours alone
    return Path(tempfile.mkdtemp(prefix="noburn-demo-", dir=folder))


def _import_path(inherited: str) -> list[str]:
    """PYTHONPATH with the folders that this noburn is imported from, the standard ones left out."""
    standard = {
        str(Path(folder)) for folder in (*site.getsitepackages(), site.getusersitepackages())
    }
    own = [
        str(Path(entry).absolute())
        for entry in sys.path
        if (Path(entry) / "noburn_cli").is_dir() or (Path(entry) / "noburn_daemon").is_dir()
    ]
    given = [entry for entry in inherited.split(os.pathsep) if entry]
    return list(dict.fromkeys([*(entry for entry in own if entry not in standard), *given]))


def _has_colour() -> bool:
    return os.environ.get("TERM", "dumb") != "dumb"
