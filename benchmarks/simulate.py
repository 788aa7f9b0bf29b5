"""Many customers over many months: the vectorised simulation beside a plain Python loop.

    python benchmarks/simulate.py [--rounds 3]

Pairs in one run, in interleaved rounds; the quietest of each is reported, in customer-months a
second of processor time, with the ratio.  A ratio says more than a time: the machine is shared.

- The engine against a loop: the same scenario, one customer-month after the other, with `random`
  and the same arithmetic in floats.  The loop draws fewer futures; both are counted per
  customer-month.  What both earn is compared, so that the loop is not quick by leaving work out.
- The whole: 10,000 customers, 24 months, 1,000 futures, on one core, with its peak of memory; the
  same with a tenth of the futures, to show that memory does not grow with them.
- A command: `noburn simulate --price 29 --tokens 600k --customers 200`, from start to end.

Writes benchmarks/results/simulate.json and simulate.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import random
import subprocess
import sys
import time
from dataclasses import replace
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Any

from noburn_cli.core.plans import Included, Overage, Plan
from noburn_cli.core.simulation_engine import draw_futures
from noburn_cli.core.simulation_scenario import Scenario, Segment
from noburn_cli.core.simulation_usage import LogNormal

RESULTS = Path(__file__).resolve().parent / "results"
NANO = 10**9
SIGMA, CHURN, STEADINESS = 2.0, 0.033, 0.8
FLAT = Plan(29 * NANO, fee_share=Fraction(29, 1000), fee_fixed_nano=3 * NANO // 10)
HYBRID = replace(
    FLAT, included=Included(cost_nano=5 * NANO), overage=Overage(markup=Fraction(1, 5))
)
PLANS = {"flat": FLAT, "hybrid": HYBRID}
CUSTOMERS, MONTHS, FUTURES = 10_000, 24, 1_000
_CHILD = """
import json, resource, sys, time
sys.path.insert(0, sys.argv[1])
from benchmarks.simulate import PLANS, business
from noburn_cli.core.simulation_engine import draw_futures
scenario = business(PLANS[sys.argv[2]], draws=int(sys.argv[3]))
wall, cpu = time.perf_counter(), time.process_time()
sums = draw_futures(scenario).sums
print(json.dumps({
    "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu,
    "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    "customer_months": float(sums[..., 0].sum()),
}))
"""


def business(plan: Plan, *, draws: int, customers: int = CUSTOMERS, churn: float = 0.0) -> Scenario:
    """The scenario of all measurements: nobody comes, and only where told somebody leaves."""
    segment = Segment(plan, 1.0, tokens=600_000.0, token_nano=10_000.0, churn=churn)
    return Scenario(
        (segment,), LogNormal(SIGMA), customers=customers, months=MONTHS, draws=draws,
        steadiness=STEADINESS,
    )  # fmt: skip


def loop(plan: Plan, *, customers: int, seed: int) -> tuple[int, float]:
    """(customer-months, margin) of one future, one customer after the other."""
    chance = random.Random(seed)
    own, anew = math.sqrt(STEADINESS), math.sqrt(1 - STEADINESS)
    price, cost = 29e9, 6e9
    fee_share, fee_fixed = float(plan.fee_share), float(plan.fee_fixed_nano)
    hybrid = plan.overage is not None
    count, margin = 0, 0.0
    for _ in range(customers):
        level = chance.gauss(0.0, 1.0)
        for _ in range(MONTHS):
            score = own * level + anew * chance.gauss(0.0, 1.0)
            spent = cost * math.exp(SIGMA * score - SIGMA * SIGMA / 2)
            revenue = price
            if hybrid and spent > 5e9:
                revenue += 1.2 * (spent - 5e9)
            count += 1
            margin += revenue - spent - revenue * fee_share - fee_fixed
            if chance.random() < CHURN:
                break
    return count, margin


def rates(plan: Plan, rounds: int) -> dict[str, float]:
    """Customer-months a second of both, the best of the rounds; and what a customer-month earns."""
    best = {"noburn": 0.0, "loop": 0.0}
    earned: dict[str, list[float]] = {"noburn": [], "loop": []}
    for number in range(rounds):
        scenario = replace(business(plan, draws=20, churn=CHURN), seed=number)
        started = time.process_time()
        sums = draw_futures(scenario).sums.sum(axis=(0, 1, 2))
        took = time.process_time() - started
        best["noburn"] = max(best["noburn"], float(sums[0]) / took)
        earned["noburn"].append(float((sums[1] - sums[2] - sums[3]) / sums[0]))
        started = time.process_time()
        count, margin = loop(plan, customers=CUSTOMERS, seed=number)
        took = time.process_time() - started
        best["loop"] = max(best["loop"], count / took)
        earned["loop"].append(margin / count)
    return {
        **{f"{name}_per_s": rate for name, rate in best.items()},
        "ratio": best["noburn"] / best["loop"],
        **{f"{name}_earns": sum(one) / len(one) / NANO for name, one in earned.items()},
    }


def whole(name: str, draws: int) -> dict[str, float]:
    """All futures in a process of their own."""
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, root, name, str(draws)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def command(rounds: int) -> float:
    """Seconds of the command that a founder types first, the quietest round."""
    wanted = ["simulate", "--price", "29", "--tokens", "600k", "--customers", "200"]
    best = math.inf
    for _ in range(rounds):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "noburn_cli", *wanted], capture_output=True, check=True
        )
        best = min(best, time.perf_counter() - started)
    return best


def measure(rounds: int) -> dict[str, Any]:
    return {
        "made": datetime.now(timezone.utc).date().isoformat(),
        "machine": f"{os.cpu_count()} shared cores, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}",
        "rates": {name: rates(plan, rounds) for name, plan in PLANS.items()},
        "whole": {
            f"{name}, {draws:,} futures": whole(name, draws)
            for name in PLANS
            for draws in (FUTURES // 10, FUTURES)
        },
        "command_s": command(rounds),
    }


def page(found: dict[str, Any], rounds: int) -> str:
    lines = [
        "# Simulating customers",
        "",
        f"{found['made']}, {found['machine']}; made by `benchmarks/simulate.py`.",
        f"Pairs in one run, the quietest of {rounds} interleaved rounds: read the ratios.",
        "",
        "## The engine and a plain loop",
        "",
        f"{CUSTOMERS:,} customers, {MONTHS} months, log-normal usage, churn {CHURN:.1%}.",
        "A customer-month is a draw, a bill and the sums; rates are millions a second. What",
        "it earns is shown for both: the same within what the tail allows.",
        "",
        "| plan | noburn | loop | ratio | earns, noburn | earns, loop |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {one['noburn_per_s'] / 1e6:.1f} | {one['loop_per_s'] / 1e6:.2f} "
        f"| {one['ratio']:.0f} | ${one['noburn_earns']:.2f} | ${one['loop_earns']:.2f} |"
        for name, one in found["rates"].items()
    ]
    lines += [
        "",
        f"## {CUSTOMERS:,} customers, {MONTHS} months",
        "",
        "On one core, in a process of its own. Memory does not grow with the futures.",
        "",
        "| | customer-months | processor, s | wall, s | peak, MB |",
        "|---|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {name} | {one['customer_months'] / 1e6:.0f} million | {one['cpu_s']:.1f} "
        f"| {one['wall_s']:.1f} | {one['peak_mb']:.0f} |"
        for name, one in found["whole"].items()
    ]
    lines += [
        "",
        "The first command of a founder,",
        "`noburn simulate --price 29 --tokens 600k --customers 200`, took",
        f"{found['command_s']:.1f} s from start to end, with a thousand futures and every table.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    found = measure(rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "simulate.json").write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    text = page(found, rounds)
    (RESULTS / "simulate.md").write_text(text, "utf-8")
    print(text)


if __name__ == "__main__":
    main()
