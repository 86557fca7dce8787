#!/usr/bin/env python3
"""Several nodes, traffic, and one thing after the other that goes wrong, for as long as it is told.

    sudo target/python/bin/python tests/nodes_for_an_hour.py --binary target/release/lastseen --seconds 3600

A line for each disturbance says what its clients saw. At the end every node is asked for every session that
somebody was given and nobody terminated, and for a share of those that were terminated; then comes a table of
all of it, from which docs/faults.md is made. It exits with 1 where the promise was broken, or something did not
mend itself. It is no test of `cargo xtask test`, which runs each disturbance once; it needs root for the disk
that it fills.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from harness import program  # noqa: E402
from harness.disturbances import DISTURBANCES, Disturbance, FullDisk, World, recover  # noqa: E402
from harness.history import Answer, Kind, Operation, Violation, now  # noqa: E402
from harness.nodes import LEASE, Application, Begun, Nodes, Traffic, accepted  # noqa: E402
from harness.places import Clock  # noqa: E402
from harness.postgres import Cluster  # noqa: E402

#: The number of the node that suffers.
SUFFERING = 2

#: How many of the sessions that a round terminated are asked for once more at the end.
REMEMBERED = 200

#: How much longer than any disturbance a world may take to mend itself before that counts as a fault.
MENDED_WITHIN = 30.0


@dataclass
class Figures:
    """What clients saw of one kind of disturbance, in all of its rounds."""

    rounds: int = 0
    operations: int = 0
    #: How long answered terminations took, in seconds: at the nodes that nothing was done to, and at the one that
    #: suffered, which may have to wait until it can reach the database itself.
    terminations: list[float] = field(default_factory=list)
    suffered: list[float] = field(default_factory=list)
    #: Sessions begun, and asked for in vain.
    begun: int = 0
    not_begun: int = 0
    #: How validations at the nodes that nothing was done to were answered, and at the one that suffered.
    healthy: Counter[Answer] = field(default_factory=Counter)
    suffering: Counter[Answer] = field(default_factory=Counter)
    #: The longest that anybody waited to be told that the server cannot tell, in seconds.
    slowest_unavailable: float = 0.0
    #: The longest from the end of the disturbance until every node was ready and accepted a session, in seconds.
    recovered: float = 0.0
    accepted_afterwards: int = 0
    refused_wrongly: int = 0
    #: What must not be, other than those two.
    failures: int = 0

    HEADINGS = (
        "what went wrong",
        "rounds",
        "terminated at the other nodes",
        "p50, ms",
        "p99, ms",
        "slowest, ms",
        "at that node, slowest, ms",
        "sign-ins: done / 503 or none",
        "validations at the other nodes: answered / 503 or none",
        "at that node",
        "slowest 503, s",
        "well again after, s",
        "accepted afterwards",
        "refused wrongly",
    )

    def note(self, operations: list[Operation], violations: list[Violation]) -> None:
        """Adds what was seen in one round."""
        self.rounds += 1
        self.operations += len(operations)
        for one in operations:
            took = one.ended - one.began
            if one.answer is Answer.UNAVAILABLE:
                self.slowest_unavailable = max(self.slowest_unavailable, took)
            if one.kind is Kind.TERMINATE:
                if one.answer is Answer.YES:
                    (self.suffered if one.node == SUFFERING else self.terminations).append(took)
            elif one.kind is Kind.BEGIN:
                if one.answer is Answer.YES:
                    self.begun += 1
                else:
                    self.not_begun += 1
            else:
                (self.suffering if one.node == SUFFERING else self.healthy)[one.answer] += 1
        for violation in violations:
            if violation.second.answer is Answer.YES:
                self.accepted_afterwards += 1
            else:
                self.refused_wrongly += 1

    def add(self, other: Figures) -> None:
        """Adds the figures of other rounds."""
        self.rounds += other.rounds
        self.operations += other.operations
        self.terminations += other.terminations
        self.suffered += other.suffered
        self.begun += other.begun
        self.not_begun += other.not_begun
        self.healthy += other.healthy
        self.suffering += other.suffering
        self.slowest_unavailable = max(self.slowest_unavailable, other.slowest_unavailable)
        self.recovered = max(self.recovered, other.recovered)
        self.accepted_afterwards += other.accepted_afterwards
        self.refused_wrongly += other.refused_wrongly
        self.failures += other.failures

    def row(self, name: str) -> str:
        """The figures as a line of a table."""
        took = sorted(self.terminations) or [0.0]

        def both(seen: Counter[Answer]) -> str:
            answered = seen[Answer.YES] + seen[Answer.NO]
            return f"{answered:,} / {seen.total() - answered:,}"

        cells = [
            name,
            f"{self.rounds}",
            f"{len(self.terminations):,}",
            f"{took[len(took) // 2] * 1000:.1f}",
            f"{took[len(took) * 99 // 100] * 1000:.0f}",
            f"{took[-1] * 1000:,.0f}",
            f"{max(self.suffered, default=0) * 1000:,.0f}",
            f"{self.begun:,} / {self.not_begun:,}",
            both(self.healthy),
            both(self.suffering),
            f"{self.slowest_unavailable:.1f}",
            f"{self.recovered:.1f}",
            f"{self.accepted_afterwards or 'never'}",
            f"{self.refused_wrongly or 'never'}",
        ]
        return "| " + " | ".join(cells) + " |"


def table(rows: list[str]) -> str:
    """A heading, and the rows below it."""
    heading = "| " + " | ".join(Figures.HEADINGS) + " |"
    return "\n".join([heading, "| --- |" + " ---: |" * (len(Figures.HEADINGS) - 1), *rows])


class Hour:
    """Three nodes in their world, and what was seen of them so far."""

    def __init__(self, world: World, disk: FullDisk, clients: int, seed: int, only: str) -> None:
        self.world = world
        self.clients = clients
        self.dice = random.Random(seed)
        self.shop: Application = world.nodes.application()
        self.token = str(world.nodes.person("watcher").device(remember=True).token)
        self.figures: dict[str, Figures] = {}
        #: Sessions that somebody was given and nobody terminated, and sessions that were terminated.
        self.standing: list[Begun] = []
        self.terminated: list[Begun] = []
        calm = Disturbance("nothing", lambda _: None, lambda _: None)
        minute = Disturbance(
            "the database is stopped for a minute",
            lambda world: world.cluster.stop(),
            lambda world: world.cluster.start(),
            without_database=True,
            lasts=60,
        )

        def relieve(world: World) -> None:
            disk.relieve()
            # Out of space for its log PostgreSQL ends; somebody starts it again.
            world.cluster.revive()

        full = Disturbance("the disk of the database is full", lambda _: disk.fill(), relieve, True, 5)
        self.all = [one for one in (calm, *DISTURBANCES, minute, full) if only in one.name]

    def disturb(self, seconds: float) -> None:
        """One disturbance after the other, all of them in turn, in an order of the dice."""
        end = time.monotonic() + seconds
        order: list[Disturbance] = []
        number = 0
        print(table([]))
        while time.monotonic() < end:
            if not order:
                order = list(self.all)
                self.dice.shuffle(order)
            disturbance = order.pop()
            number += 1
            seen = self.once(disturbance, number)
            print(seen.row(f"{time.strftime('%H:%M:%S')} {disturbance.name}"), flush=True)
            self.figures.setdefault(disturbance.name, Figures()).add(seen)

    def once(self, disturbance: Disturbance, number: int) -> Figures:
        """One round under traffic of its own."""
        figures = Figures()
        traffic = Traffic(
            self.world.everyone,
            self.shop,
            self.clients,
            seed=self.dice.randrange(1 << 30),
            # An account of many rounds would come to the limit of its sessions.
            accounts=f"round-{number}",
        )
        with traffic:
            traffic.last(LEASE)
            disturbance.begin(self.world)
            # The minute is one at least.
            traffic.last(disturbance.lasts * self.dice.uniform(0.5 if disturbance.lasts < 60 else 1, 1.5))
            disturbance.end(self.world)
            figures.recovered = self.mended()
            if figures.recovered > MENDED_WITHIN:
                print(f"not well again within {MENDED_WITHIN} s", flush=True)
                figures.failures += 1
            traffic.last(LEASE)
        for failure in traffic.failures:
            figures.failures += 1
            traceback.print_exception(failure, file=sys.stdout)
        violations = traffic.history.violations()
        figures.note(traffic.history.operations(), violations)
        for violation in violations[:3]:
            print(f"{violation}", flush=True)
        self.standing += traffic.left()
        ended = traffic.ended()
        self.terminated += self.dice.sample(ended, min(len(ended), REMEMBERED))
        return figures

    def mended(self) -> float:
        """How long it takes until all is well, in seconds; gives up after several times what is allowed."""
        began = now()
        for chance in reversed(range(4)):
            try:
                recover(self.world, self.token)
                break
            except AssertionError:
                if not chance:
                    raise
        return now() - began

    def audit(self) -> tuple[int, int]:
        """How many sessions are missing that nobody terminated, and how many are back that were terminated."""

        def asked(session: Begun) -> Answer:
            node = self.dice.choice(self.world.everyone)
            answer = accepted(node, session.token)
            while answer in (Answer.UNAVAILABLE, Answer.NONE):
                answer = accepted(node, session.token)
            return answer

        missing = [one for one in self.standing if asked(one) is not Answer.YES]
        back = [one for one in self.terminated if asked(one) is not Answer.NO]
        for one in (missing + back)[:5]:
            print(f"missing or back: {one.id} of {one.account}")
        return len(missing), len(back)

    def say(self) -> bool:
        """The table; whether all was as it must be."""
        total = Figures()
        for figures in self.figures.values():
            total.add(figures)
        missing, back = self.audit()
        print(f"\n{total.operations:,} operations in {total.rounds} rounds, {total.failures} failures")
        print(f"{len(self.standing):,} sessions that nobody terminated, {missing} of them missing")
        print(f"{len(self.terminated):,} terminated ones asked for once more, {back} of them accepted\n")
        print(table([self.figures[one.name].row(one.name) for one in self.all if one.name in self.figures]))
        wrong = total.accepted_afterwards + total.refused_wrongly + total.failures + missing + back
        return wrong == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--clients", type=int, default=6)
    parser.add_argument("--only", default="", help="disturbances whose names have this in them")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    program.BINARY = arguments.binary.absolute()
    print(f"seed {arguments.seed}")
    folder = Path(tempfile.mkdtemp(prefix="lastseen-hour-"))
    print(f"{program.run('--version', directory=folder).done().strip()}; logs in {folder}", flush=True)
    disk = FullDisk(megabytes=8192, image=folder / "disk")
    cluster = Cluster(within=disk.directory)
    nodes = Nodes(folder, cluster)
    is_right = False
    try:
        hour = Hour(World(cluster, nodes, Clock(folder)), disk, arguments.clients, arguments.seed, arguments.only)
        try:
            hour.disturb(arguments.seconds)
        finally:
            is_right = hour.say()
    finally:
        nodes.close()
        shutil.copy(cluster.home / "log", folder / "postgres.log")
        cluster.close()
        disk.close()
        (folder / "disk").unlink()
    if is_right:
        shutil.rmtree(folder)
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()
