"""`noburn demo`: the main job on this machine, without a key and without a network.

Layer: commands.  Below: demo.scenes, demo.stage.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

#: How long the stub thinks: long enough that fifty calls overlap, as with a real model.
PROVIDER_DELAY_MS = 150


def demo_command(
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep the demo's folder, with its ledger and log.")
    ] = False,
) -> None:
    """Watch a budget stop an agent, without a key."""
    from noburn_cli.demo.scenes import play
    from noburn_cli.demo.stage import open_stage

    with open_stage(keep=keep, delay_ms=PROVIDER_DELAY_MS, out=sys.stdout) as stage:
        try:
            holds = play(stage)
        finally:
            if keep:
                typer.echo(f"kept: NOBURN_HOME={stage.home}")
    raise typer.Exit(0 if holds else 1)
