#!/usr/bin/env python3
"""Several nodes, traffic, and one thing after the other that goes wrong, for as long as it is told.

    target/python/bin/python tests/nodes_for_an_hour.py --binary target/release/lastseen --seconds 3600

A line for each disturbance says what the clients saw from its beginning to its end: how many operations there
were, how long terminations took, how many answers were `unavailable` or missing, how long it took until
every node was ready again, and how many answers broke the promise: none may. The table at the end has the
worst of each. It is no test of `cargo xtask test`, which runs each disturbance once.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from harness import program  # noqa: E402
from harness.disturbances import DISTURBANCES, Disturbance, World, recover  # noqa: E402
from harness.history import Answer, History, Kind  # noqa: E402
from harness.nodes import LEASE, Application, Nodes, Traffic  # noqa: E402
from harness.places import Clock  # noqa: E402
from harness.postgres import Cluster  # noqa: E402

COLUMNS = (
    "operations",
    "terminated",
    "terminate p50 ms",
    "terminate p99 ms",
    "slowest ms",
    "unavailable",
    "no answer",
    "recovered in s",
    "violations",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    program.BINARY = arguments.binary.absolute()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster()
        nodes = Nodes(Path(folder), cluster)
        try:
            world = World(cluster, nodes, Clock(Path(folder)))
            disturb(world, arguments)
        finally:
            nodes.close()
            cluster.close()


def disturb(world: World, arguments: argparse.Namespace) -> None:
    dice = random.Random(arguments.seed)
    shop = world.nodes.application()
    token = str(world.nodes.person().device("watcher", remember=True).token)
    end = time.monotonic() + arguments.seconds
    worst: dict[str, list[float]] = defaultdict(lambda: [0.0] * len(COLUMNS))
    rounds: dict[str, int] = defaultdict(int)
    operations = violations = 0
    print("| disturbance | " + " | ".join(COLUMNS) + " |")
    calm = Disturbance("nothing", lambda _: None, lambda _: None)
    order: list[Disturbance] = []
    while time.monotonic() < end:
        if not order:
            order = [calm, *DISTURBANCES]
            dice.shuffle(order)
        disturbance = order.pop()
        figures = once(world, shop, token, disturbance, arguments, dice)
        print(row(disturbance.name, figures), flush=True)
        operations += int(figures[0])
        violations += int(figures[-1])
        rounds[disturbance.name] += 1
        worst[disturbance.name] = [max(pair) for pair in zip(worst[disturbance.name], figures, strict=True)]
    print(f"\n{operations} operations, {violations} violations; the worst of each:\n")
    print("| disturbance | rounds | " + " | ".join(COLUMNS) + " |")
    print("| --- |" + " ---: |" * (len(COLUMNS) + 1))
    for name, figures in worst.items():
        print(row(f"{name} | {rounds[name]}", figures))
    sys.exit(1 if violations else 0)


def once(
    world: World,
    shop: Application,
    token: str,
    disturbance: Disturbance,
    arguments: argparse.Namespace,
    dice: random.Random,
) -> list[float]:
    with Traffic(world.everyone, shop, arguments.clients, seed=dice.randrange(1 << 30)) as traffic:
        traffic.last(LEASE)
        disturbance.begin(world)
        traffic.last(disturbance.lasts * dice.uniform(0.5, 2))
        disturbance.end(world)
        began = time.monotonic()
        recover(world, token)
        recovered = time.monotonic() - began
        traffic.last(LEASE)
    if traffic.failures:
        raise traffic.failures[0]
    return [*figures_of(traffic.history), recovered, len(traffic.history.violations())]


def figures_of(history: History) -> list[float]:
    seen = history.operations()
    took = sorted(
        (one.ended - one.began) * 1000
        for one in seen
        if one.kind is Kind.TERMINATE and one.answer is Answer.YES
    ) or [0.0]
    counts = history.counts()
    unclear = [sum(counts[kind.value, answer] for kind in Kind) for answer in ("unavailable", "none")]
    return [
        len(seen),
        len(took),
        took[len(took) // 2],
        took[len(took) * 99 // 100],
        took[-1],
        *unclear,
    ]


def row(name: str, figures: list[float]) -> str:
    shown = (f"{figure:.1f}" if figure % 1 else f"{figure:.0f}" for figure in figures)
    return f"| {name} | " + " | ".join(shown) + " |"


if __name__ == "__main__":
    main()
