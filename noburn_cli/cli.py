"""The table of commands, and a group that imports a command when it is asked for.

Layer: commands.  Below: every module under noburn_cli.commands, by name.  Above: noburn_cli.main.
Owns: COMMANDS, the order and wording of `noburn --help`.
Start-up is a feature: `noburn --help` imports none of the modules in the table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup

from noburn_cli.version import __version__

if TYPE_CHECKING:  # typer 0.28 carries click inside; these names have no public address.
    from typer._click.core import Command, Context
    from typer._click.formatting import HelpFormatter
    from typer._click.shell_completion import CompletionItem

#: The four jobs of DESIGN §1, and where to begin.
BEGIN = "Begin here"
ESTIMATE = "Estimate what a call will cost"
ENFORCE = "Enforce what may be spent"
ACCOUNT = "Account for what was spent"
IMPROVE = "Improve what is earned"
JOBS = (BEGIN, ESTIMATE, ENFORCE, ACCOUNT, IMPROVE)


class Entry(NamedTuple):
    """One command: where it lives and how the overview describes it.

    attribute: a function (one command) or a typer.Typer (a group of them) in `module`.
    help: the first line of its docstring; a test holds the two together.
    context: settings for click's parser, for a function only.
    """

    name: str
    job: str
    module: str
    attribute: str
    help: str
    context: Mapping[str, Any] = MappingProxyType({})


#: What follows the command's name belongs to the child, options included.
_CHILD_ARGUMENTS = MappingProxyType({"allow_interspersed_args": False})

COMMANDS = (
    Entry("demo", BEGIN, "demo", "demo_command", "Watch a budget stop an agent, without a key."),
    Entry(
        "estimate",
        ESTIMATE,
        "estimate",
        "estimate_command",
        "Say what a prompt, file or request will cost, and the most it can cost.",
    ),
    Entry(
        "prices",
        ESTIMATE,
        "prices",
        "app",
        "List, show, compare, update and check what models cost.",
    ),
    Entry(
        "gate",
        ESTIMATE,
        "gate",
        "gate_command",
        "Say what a change costs, and fail where it breaks a rule.",
    ),
    Entry(
        "run",
        ENFORCE,
        "run",
        "run_command",
        "Run a command with every LLM call inside a budget.",
        _CHILD_ARGUMENTS,
    ),
    Entry(
        "stop",
        ENFORCE,
        "stop",
        "stop_command",
        "Stop a run: no more calls, streams cut, every process ended.",
    ),
    Entry(
        "top",
        ENFORCE,
        "top",
        "top_command",
        "Watch the open runs; raise, pause, resume or stop one.",
    ),
    Entry(
        "statusline",
        ENFORCE,
        "statusline",
        "statusline_command",
        "Print what is left, in one short line.",
    ),
    Entry(
        "gateway",
        ENFORCE,
        "gateway",
        "gateway_command",
        "Serve providers on this machine, with every call inside its budgets.",
    ),
    Entry("keys", ENFORCE, "keys", "app", "Make, list and remove lasting virtual keys."),
    Entry(
        "budget",
        ENFORCE,
        "budget",
        "app",
        "Set, list, show, remove and top up budgets; apply, replay and suggest policies.",
    ),
    Entry(
        "config",
        ENFORCE,
        "config",
        "app",
        "Show the settings that hold here, and where each is from.",
    ),
    Entry(
        "trust",
        ENFORCE,
        "trust",
        "trust_command",
        "Accept a project's configuration as it stands: its endpoints, prices and looser settings.",
    ),
    Entry("daemon", ENFORCE, "daemon", "app", "Start, stop and install the ledger's daemon."),
    Entry("report", ACCOUNT, "report", "report_command", "Show who spent what, on which model."),
    Entry(
        "pnl",
        ACCOUNT,
        "pnl",
        "pnl_command",
        "Show what each customer, feature or plan earns after what it costs.",
    ),
    Entry(
        "dashboard",
        ACCOUNT,
        "dashboard",
        "dashboard_command",
        "Show spend, margin, runs, budgets and holds on a page of this machine.",
    ),
    Entry("why", ACCOUNT, "why", "why_command", "Explain one call: its cost, clamp or block."),
    Entry(
        "ledger",
        ACCOUNT,
        "ledger",
        "app",
        "Verify, reconcile, follow, copy and compact the ledger.",
    ),
    Entry(
        "export",
        ACCOUNT,
        "export",
        "app",
        "Write the ledger as CSV, JSON lines or Parquet, or send it as OpenTelemetry.",
    ),
    Entry(
        "import",
        ACCOUNT,
        "importing",
        "app",
        "Bring what you have: revenue, and calls that others recorded.",
    ),
    Entry(
        "margin",
        IMPROVE,
        "margin",
        "margin_command",
        "Show what a plan earns after its tokens are paid.",
    ),
    Entry(
        "simulate",
        IMPROVE,
        "simulate",
        "simulate_command",
        "Simulate what plans earn over months, with customers who differ.",
    ),
)


def load_command(entry: Entry) -> Command:
    """Import one command's module and build its parser.

    Raises ImportError or AttributeError when the table names what is not there: a bug of ours.
    """
    found = getattr(import_module(f"noburn_cli.commands.{entry.module}"), entry.attribute)
    if isinstance(found, typer.Typer):
        found.rich_markup_mode = None  # A group's own help would load rich: 60 ms for borders.
        group = typer.main.get_group(found)
        group.name, group.no_args_is_help = entry.name, not group.invoke_without_command
        return group
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    holder.command(entry.name, context_settings=dict(entry.context))(found)
    return typer.main.get_command(holder)


class LazyCommands(MutableMapping[str, "Command"]):
    """The table as typer wants it: names are free, and looking one up imports its module."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = {entry.name: entry for entry in entries}
        self._loaded: dict[str, Command] = {}

    def __getitem__(self, name: str) -> Command:
        if name not in self._loaded:
            self._loaded[name] = load_command(self.entries[name])
        return self._loaded[name]

    def __setitem__(self, name: str, command: Command) -> None:
        raise TypeError(f"{name}: commands are added to COMMANDS")

    def __delitem__(self, name: str) -> None:
        raise TypeError(f"{name}: commands are removed from COMMANDS")

    def __contains__(self, name: object) -> bool:  # The mixin's own would load it.
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)


class LazyGroup(TyperGroup):
    """`noburn` itself: its overview, suggestions and completions come from the table alone."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.table = LazyCommands(COMMANDS)
        self.commands = self.table

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:  # noqa: ARG002
        # Asked first: a KeyError inside a command's module is not an unknown name.
        if cmd_name not in self.table:
            return None
        return self.table[cmd_name]

    def list_commands(self, ctx: Context) -> list[str]:  # noqa: ARG002 -- typer's signature
        return list(self.table)

    def format_commands(self, ctx: Context, formatter: HelpFormatter) -> None:  # noqa: ARG002
        """The overview by job, with one column of names throughout."""
        width = max(len(name) for name in self.table)
        for job in JOBS:
            rows = [(e.name.ljust(width), e.help) for e in COMMANDS if e.job == job]
            if rows:
                with formatter.section(job):
                    formatter.write_dl(rows)

    def shell_complete(self, ctx: Context, incomplete: str) -> list[CompletionItem]:
        from typer._click.shell_completion import CompletionItem

        names = [
            CompletionItem(entry.name, help=entry.help)
            for entry in COMMANDS
            if entry.name.startswith(incomplete)
        ]
        # Past TyperGroup's own, which would load every command for its help.
        return [*names, *super(TyperGroup, self).shell_complete(ctx, incomplete)]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"noburn {__version__}")
        raise typer.Exit


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    rich_markup_mode=None,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="`noburn COMMAND --help` explains one command.",
)


@app.callback()
def noburn(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Know what an LLM call costs before it leaves, and stop it when the money is gone."""


def prepare_completion() -> None:
    """Teach typer the shells; it does so by itself only when it adds options of its own."""
    from typer._completion_classes import completion_init

    completion_init()


def build_group() -> LazyGroup:
    """The whole command line, with no command loaded yet."""
    group = typer.main.get_group(app)
    assert isinstance(group, LazyGroup)
    return group
