"""The demo's five scenes: each shows real commands and adds to what is checked at the end.

Layer: demo.  Below: stage, checks, brief.  Above: commands.demo.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field

from noburn_cli.core.money import parse_dollars, show_dollars
from noburn_cli.demo.brief import BRIEF, PLANNER, RUSH_CAP_TOKENS, WRITER
from noburn_cli.demo.checks import Books, Check, RunBooks, check_books, check_chain, read_books
from noburn_cli.demo.stage import Stage, noburn_command, own_name
from noburn_cli.demo.voices import INSTALL_LINE, have_sdks
from noburn_cli.errors import NoburnError
from noburn_cli.render.table import format_table

AGENT_BUDGET = "0.03"
RUSH_BUDGET = "0.02"
#: What RUSH_BUDGET is made for: four calls fit, a fifth does not.
RUSH_FITS = 4
_RUSH_S_MAX = 60.0
#: How much the stub has to say to the agent; its cap may still cut it.
_AGENT_ANSWER_TOKENS = 450


@dataclass
class Shown:
    """What came out so far."""

    checks: list[Check] = field(default_factory=list)
    naive_made: int = 0
    ours_made: int = 0


def play(stage: Stage) -> bool:
    """Play all scenes; whether every promise held.

    Raises NoburnError when a command of the demo fails.
    """
    shown = Shown()
    _introduce(stage)
    _estimate(stage)
    _margin(stage)
    _agent(stage, shown)
    _rush(stage, shown)
    return _report(stage, shown)


def _introduce(stage: Stage) -> None:
    stage.tell(
        "noburn demo: no key, no network. The provider is a stub on this machine that streams, "
        "answers like OpenAI and Anthropic, and keeps a bill of its own."
    )
    if not have_sdks():
        stage.tell(
            "The openai and anthropic SDKs are not installed here, so the agent speaks both APIs "
            "itself, through noburn's guard. To see it with the real SDKs:"
        )
        stage.say(INSTALL_LINE)


def _estimate(stage: Stage) -> None:
    stage.head("1. What will it cost?  Before anything is sent.")
    (stage.home / "brief.txt").write_text(BRIEF, encoding="utf-8")
    models = ("--model", PLANNER, "--model", WRITER)
    stage.command("estimate", "brief.txt", *models, "--out-tokens", "400", "--calls", "1000")


def _margin(stage: Stage) -> None:
    stage.head("2. Does a customer earn anything?  A $20 plan, 2 million tokens a month.")
    stage.command("margin", "--price", "20", "--tokens", "2M")


def _agent(stage: Stage, shown: Shown) -> None:
    stage.answer_tokens(_AGENT_ANSWER_TOKENS)
    stage.head(f"3. An agent with a budget of ${AGENT_BUDGET}.  It knows nothing of noburn.")
    stage.command(
        "run", "--budget", AGENT_BUDGET, "--customer", "acme", "--feature", "yearbook",
        "--", "python", "-m", "noburn_cli.demo.agent",
    )  # fmt: skip
    stage.command("why")
    run = _books(stage).runs[0]
    shown.checks += [
        Check("the agent was stopped in mid-job", _made(run), run.settled > 0 and run.blocked == 1),
        Check("an uncapped answer was clamped", f"{run.clamped} calls", run.clamped > 0),
    ]


def _rush(stage: Stage, shown: Shown) -> None:
    stage.answer_tokens(RUSH_CAP_TOKENS)
    stage.head(f"4. Fifty calls at once.  The budget, ${RUSH_BUDGET}, fits {RUSH_FITS}.")
    program = (sys.executable, "-m", "noburn_cli.demo.rush")
    guarded = ("run", "--budget", RUSH_BUDGET, "--feature", "support", "--", *program)
    stage.say("")
    stage.typed(f"python -m noburn_cli.demo.rush --check {RUSH_BUDGET}    # check, then act")
    stage.typed(
        f"noburn run --budget {RUSH_BUDGET} --feature support -- python -m noburn_cli.demo.rush"
    )
    naive = stage.start((*program, "--check", RUSH_BUDGET), guarded=False)
    ours = stage.start(noburn_command(guarded), guarded=True)
    naive_counts, _ = _counts(naive, "the naive rush")
    ours_counts, summary = _counts(ours, "the guarded rush")
    stage.say(*(f"  {line}" for line in summary.splitlines() if line.strip()), "")
    limit_nano = parse_dollars(RUSH_BUDGET)
    naive_nano = stage.other.bill_nano()
    run = _books(stage).runs[-1]
    ours_nano = stage.provider.bill_nano() - _books(stage).runs[0].charged_nano
    rows = [
        (
            "check, then act",
            *naive_counts,
            show_dollars(naive_nano),
            _against(naive_nano, limit_nano),
        ),
        ("noburn run", *ours_counts, show_dollars(ours_nano), _against(ours_nano, limit_nano)),
    ]
    headers = ("50 AT ONCE", "MADE", "STOPPED", "PROVIDER'S BILL", f"AGAINST ${RUSH_BUDGET}")
    stage.say(*(f"  {line}" for line in format_table(headers, rows, align="lrrrl")))
    shown.checks += [
        Check("check-then-act overshoots", show_dollars(naive_nano), naive_nano > limit_nano),
        Check(f"ours makes the {RUSH_FITS} that fit", _made(run), run.settled == RUSH_FITS),
    ]


def _report(stage: Stage, shown: Shown) -> bool:
    stage.head("5. The books.")
    stage.command("report", "--by", "feature")
    stage.provider.wait_idle()
    checks = [
        *check_books(_books(stage), stage.provider.bill.calls),
        check_chain(stage.ledger_path),
        *shown.checks,
    ]
    rows = [("ok" if check.holds else "FAILED", check.says, check.shown) for check in checks]
    stage.say("", *(f"  {line}" for line in format_table((), rows)), "")
    failed = sum(not check.holds for check in checks)
    if failed:
        stage.say(f"{failed} of {len(checks)} promises failed.")
        return False
    yours = f"{own_name()} run --budget 5 -- python your_agent.py"
    stage.tell(f"All {len(checks)} hold.  Yours: `{yours}`")
    return True


def _books(stage: Stage) -> Books:
    return read_books(stage.ledger_path)


def _made(run: RunBooks) -> str:
    return f"{run.settled} calls made, {run.blocked} blocked"


def _against(nano: int, limit_nano: int) -> str:
    if nano <= limit_nano:
        return f"{show_dollars(limit_nano - nano)} left"
    tenths = nano * 10 // limit_nano
    return f"{tenths // 10}.{tenths % 10} times the budget"


def _counts(child: subprocess.Popen[str], name: str) -> tuple[tuple[str, str], str]:
    """(made, stopped) as the program printed them, and its standard error."""
    try:
        printed, told = child.communicate(timeout=_RUSH_S_MAX)
    except subprocess.TimeoutExpired as error:
        child.terminate()
        raise NoburnError(f"the demo failed: {name} did not end") from error
    if child.returncode:
        raise NoburnError(
            f"the demo failed: {name} ended with {child.returncode}", why=told.strip()[-500:]
        )
    counts = json.loads(printed)
    return (str(counts["made"]), str(counts["stopped"])), told
