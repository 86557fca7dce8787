"""What may go wrong with several nodes, each with its beginning and its end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from harness.history import Answer
from harness.nodes import LEASE, Node, Nodes, accepted
from harness.places import Clock
from harness.postgres import Cluster
from harness.program import PATIENCE, eventually


@dataclass
class World:
    """Three nodes over a PostgreSQL that nobody else uses. The last node is the one that suffers."""

    cluster: Cluster
    nodes: Nodes
    clock: Clock
    healthy: list[Node] = field(init=False)
    victim: Node = field(init=False)

    def __post_init__(self) -> None:
        self.healthy = [self.nodes.start("--lease", f"{LEASE:.0f}s") for _ in range(2)]
        self.victim = self.nodes.start(
            "--lease", f"{LEASE:.0f}s", linked=True, environment=self.clock.environment
        )

    @property
    def everyone(self) -> list[Node]:
        return [*self.healthy, self.victim]


@dataclass(frozen=True)
class Disturbance:
    """Something that goes wrong, and how it ends."""

    name: str
    begin: Callable[[World], object]
    end: Callable[[World], object]
    #: Whether the database cannot be used meanwhile, by anybody.
    without_database: bool = False
    #: How long it lasts at least, in seconds.
    lasts: float = 3 * LEASE

    def __str__(self) -> str:
        return self.name.replace(" ", "-")


def _kill(world: World) -> None:
    world.victim.kill()


def _start(world: World) -> None:
    world.victim.start()


def _freeze(world: World) -> None:
    world.victim.signal(signal.SIGSTOP)


def _thaw(world: World) -> None:
    world.victim.signal(signal.SIGCONT)


def _cut(there: bool, back: bool) -> Callable[[World], None]:
    def cut(world: World) -> None:
        for link in world.victim.links():
            link.cut(there, back)

    return cut


def _cut_notifications(world: World) -> None:
    assert world.victim.notifications is not None
    world.victim.notifications.cut()


def _sever(world: World) -> None:
    for link in world.victim.links():
        link.sever()


def _slow(world: World) -> None:
    for link in world.victim.links():
        link.slow(0.08)


def _mend(world: World) -> None:
    for link in world.victim.links():
        link.mend()


def _stop_database(world: World) -> None:
    world.cluster.stop()


def _crash_database(world: World) -> None:
    world.cluster.stop(signal.SIGQUIT)


def _start_database(world: World) -> None:
    world.cluster.start()


def _freeze_database(world: World) -> None:
    world.cluster.freeze()


def _thaw_database(world: World) -> None:
    world.cluster.thaw()


def _nothing(_world: World) -> None:
    pass


class _Jumping:
    """A wall clock that is never right."""

    def __init__(self) -> None:
        self._stop = threading.Event()

    def begin(self, world: World) -> None:
        self._stop.clear()

        def jump() -> None:
            offsets = ("+1h", "-1h", "+59m", "-3d", "+0")
            turn = 0
            while not self._stop.wait(0.3):
                world.clock.set(offsets[turn % len(offsets)])
                turn += 1

        threading.Thread(target=jump, daemon=True).start()

    def end(self, world: World) -> None:
        self._stop.set()
        world.clock.set("+0")


class _LongTransaction:
    """Somebody's transaction that has written, listens, and does not end."""

    def __init__(self) -> None:
        self._holders: list[subprocess.Popen[str]] = []

    def begin(self, world: World) -> None:
        holder = subprocess.Popen(
            world.nodes.database.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdin is not None and holder.stdout is not None
        # A listener inside a transaction keeps the queue of notifications from being emptied, and its number the
        # horizon of all snapshots from moving.
        holder.stdin.write(
            "LISTEN lastseen_changes;\nBEGIN;\nCREATE TEMPORARY TABLE held (x int);\nSELECT 'held';\n"
        )
        holder.stdin.flush()
        # What it hears before its transaction begins, it says.
        while (line := holder.stdout.readline().strip()) != "held":
            assert line.startswith("Asynchronous notification"), line
        self._holders.append(holder)

    def end(self, _world: World) -> None:
        for holder in self._holders:
            # It says what it heard meanwhile, which is more than a pipe holds: somebody has to read it.
            holder.communicate("COMMIT;\n", timeout=PATIENCE)
        self._holders.clear()


class _Restarts:
    """A node that starts over and over, in the middle of everything."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self, world: World) -> None:
        self._stop.clear()

        def restart() -> None:
            while not self._stop.is_set():
                world.victim.kill()
                world.victim.start()
                self._stop.wait(0.4)

        self._thread = threading.Thread(target=restart, daemon=True)
        self._thread.start()

    def end(self, _world: World) -> None:
        self._stop.set()
        assert self._thread is not None
        self._thread.join()


_jumping = _Jumping()
_long_transaction = _LongTransaction()
_restarts = _Restarts()

DISTURBANCES = [
    Disturbance("a node is killed", _kill, _start),
    Disturbance("a node is frozen for longer than its lease", _freeze, _thaw),
    Disturbance("nothing reaches the database from a node", _cut(there=True, back=False), _mend),
    Disturbance("nothing reaches a node from the database", _cut(there=False, back=True), _mend),
    Disturbance("a node is cut off from the database", _cut(there=True, back=True), _mend),
    Disturbance("the connections of a node are reset", _sever, _nothing, lasts=LEASE),
    Disturbance("the link of a node is slow", _slow, _mend),
    Disturbance("the notifications of a node are cut", _cut_notifications, _mend),
    Disturbance("the clock of a node jumps by an hour", _jumping.begin, _jumping.end),
    Disturbance("a node starts again and again", _restarts.begin, _restarts.end, lasts=5 * LEASE),
    Disturbance("a long transaction holds the notifications", _long_transaction.begin, _long_transaction.end),
    Disturbance("the database is restarted", _stop_database, _start_database, True, lasts=0),
    Disturbance("the database crashes", _crash_database, _start_database, True, lasts=LEASE),
    Disturbance("the database is stopped", _stop_database, _start_database, True, lasts=8 * LEASE),
    Disturbance("the database is frozen", _freeze_database, _thaw_database, True, lasts=8 * LEASE),
]


def recover(world: World, token: str) -> None:
    """Waits until every node accepts a session that nobody has ended, and says that it is ready."""
    for node in world.everyone:
        eventually(lambda node=node: accepted(node, token) is Answer.YES, "it accepts a session again")

        def is_ready(node: Node = node) -> bool:
            with node.client() as client:
                return client.get("/readyz").status_code == 200

        eventually(is_ready, "it is ready again")


class FullDisk:
    """A file system of its own for a PostgreSQL, with a ballast on it that can be grown and dropped."""

    def __init__(self, megabytes: int, image: Path | None = None) -> None:
        """In memory, or in a new file `image`: there a commit waits for a disk."""
        # Not below the directories of the tests: the user of PostgreSQL may not go there.
        self.directory = Path(tempfile.mkdtemp(prefix="lastseen-disk-"))
        if image is None:
            mount = ["-t", "tmpfs", "-o", f"size={megabytes}m,mode=755", "tmpfs"]
        else:
            with image.open("xb") as file:
                file.truncate(megabytes << 20)
            subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
            mount = ["-o", "loop", str(image)]
        subprocess.run(["mount", *mount, str(self.directory)], check=True)

    def fill(self) -> None:
        """Leaves not one byte free."""
        with (self.directory / "ballast").open("ab", buffering=0) as ballast:
            # Most of it is only set aside, which takes no time.
            free = os.statvfs(self.directory)
            with contextlib.suppress(OSError):
                os.posix_fallocate(ballast.fileno(), 0, max(free.f_bavail * free.f_frsize - (4 << 20), 1))
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        ballast.write(b"\0" * size)
                except OSError:
                    continue

    def relieve(self) -> None:
        """Gives back what `fill` took."""
        os.unlink(self.directory / "ballast")

    def close(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.directory)], check=False)
        self.directory.rmdir()
