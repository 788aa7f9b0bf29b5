"""`python -m tests.simulation --seeds 1000 --start 1`, or `--seed 17 --trace` for one history."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from tests.simulation.mutations import MUTANTS
from tests.simulation.whole_mutations import WHOLE_MUTANTS
from tests.simulation.world import Violation, World


def main() -> int:
    """Exit code 1 when a seed found something."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, metavar="N")
    parser.add_argument("--start", type=int, default=1, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N", help="this one alone")
    parser.add_argument("--calls", type=int, default=60, metavar="N", help="calls in a seed")
    parser.add_argument("--trace", action="store_true", help="print the whole history")
    parser.add_argument("--digests", action="store_true", help="print each seed's digest alone")
    parser.add_argument(
        "--keep-going", action="store_true", help="do not stop at the first finding"
    )
    parser.add_argument(
        "--plain", action="store_true", help="the ledger alone: no months, settings, messages"
    )
    mutants = {**MUTANTS, **WHOLE_MUTANTS}
    parser.add_argument("--mutant", choices=sorted(mutants), help="with this defect planted")
    options = parser.parse_args()
    if options.mutant is None:
        return _run(options, {})
    planted, mixture = mutants[options.mutant]
    options.plain = options.mutant in MUTANTS
    with planted():
        return _run(options, mixture)


def _run(options: argparse.Namespace, mixture: dict[str, Any]) -> int:
    seeds = range(options.start, options.start + options.seeds)
    found = 0
    began = time.monotonic()
    for seed in [options.seed] if options.seed is not None else seeds:
        world = World(
            seed, trace=options.trace, calls=options.calls, mixture=mixture,
            is_whole=not options.plain,
        )  # fmt: skip
        try:
            world.run()
        except Violation as error:
            found += 1
            print(f"seed {seed}: {error}", flush=True)
        except BaseException:
            print(f"seed {seed} breaks the simulation itself", flush=True)
            raise
        finally:
            for line in world.lines or ():
                print(line)
        if options.digests:
            print(f"{seed} {world.digest}")
        elif options.seed is not None:
            print(
                f"digest {world.digest}, {world.checks.turns} turns, row {world.checks.oracle.seq}"
            )
        if found and not options.keep_going:
            break
    if not options.digests:
        print(f"{found} found in {time.monotonic() - began:.1f} s")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
