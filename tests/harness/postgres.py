"""A PostgreSQL of the tests' own: a cluster in a directory, with nothing in it that matters."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from harness.program import PATIENCE, eventually, free_port

#: Where Debian puts the programs of the newest PostgreSQL that is installed.
PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin/postgres"), default=Path("postgres")).parent

#: The role that owns every database of the tests.
ROLE = "lastseen"


def as_postgres() -> Sequence[str]:
    """What a program of PostgreSQL begins with: none of them runs as root."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=INT")


class Cluster:
    """One PostgreSQL server. It can be stopped, killed, frozen and started again on the same port."""

    def __init__(self, *settings: str, within: Path | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="lastseen-postgres-", dir=within))
        self.settings = list(settings)
        self.process: subprocess.Popen[bytes] | None = None
        self._names = itertools.count(1)
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.home, owner.pw_uid, owner.pw_gid)
        self.data = self.home / "data"
        subprocess.run(
            [*as_postgres(), *self._fill()], check=True, stdout=subprocess.DEVNULL, cwd="/"
        )
        self.port = free_port()
        self.start()

    def _fill(self) -> list[str]:
        """The command that makes the data."""
        return [
            *(str(PROGRAMS / "initdb"), "--pgdata", str(self.data), "--username", ROLE),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        ]

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *as_postgres(),
                    *(str(PROGRAMS / "postgres"), "-D", str(self.data)),
                    *("-p", str(self.port), "-k", str(self.home)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=300"),
                    *(f"--{setting}" for setting in self.settings),
                ],
                stdout=log,
                stderr=log,
                cwd="/",
            )
        eventually(self.is_ready, "PostgreSQL answers")

    def is_ready(self) -> bool:
        """Whether it accepts connections."""
        assert self.process is not None and self.process.poll() is None, self.log()
        return self._answers()

    def _answers(self) -> bool:
        asked = [str(PROGRAMS / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, check=False).returncode == 0

    def revive(self) -> None:
        """Starts it where it has ended of itself, and waits until it answers."""

        def is_ready() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                self.start()
            return self._answers()

        eventually(is_ready, "PostgreSQL answers")

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it: SIGINT cuts everybody off, SIGQUIT does not even tidy up."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(PATIENCE)

    def everyone(self) -> list[int]:
        """The processes of the cluster, the first one first."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [self.process.pid, *(int(pid) for pid in children.split())]

    def freeze(self) -> None:
        """Stops every process of it where it is."""
        for pid in self.everyone():
            self._send(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Lets them go on."""
        for pid in reversed(self.everyone()):
            self._send(pid, signal.SIGCONT)

    @staticmethod
    def _send(pid: int, how: signal.Signals) -> None:
        # One of them may have ended since they were counted, with the connection that it served.
        with suppress(ProcessLookupError):
            os.kill(pid, how)

    def close(self) -> None:
        """Ends it, whatever its state, and removes what it kept."""
        if self.process is not None and self.process.poll() is None:
            self.thaw()
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.home, ignore_errors=True)

    # -- databases

    def database(self) -> Database:
        """A new, empty database."""
        name = f"lastseen_{next(self._names)}"
        Database(self, "postgres").ask(f"CREATE DATABASE {name}")
        return Database(self, name)


class Standby(Cluster):
    """Another server, which follows a cluster until it is promoted."""

    def __init__(self, primary: Cluster) -> None:
        self.primary = primary
        super().__init__(*primary.settings)

    def _fill(self) -> list[str]:
        return [
            *(str(PROGRAMS / "pg_basebackup"), "--pgdata", str(self.data), "--write-recovery-conf"),
            *("--host", "127.0.0.1", "--port", str(self.primary.port), "--username", ROLE),
            *("--checkpoint", "fast", "--no-sync"),
        ]

    def promote(self) -> None:
        """Takes over, on a timeline of its own."""
        assert Database(self, "postgres").ask("SELECT pg_promote()") == "t"


class Database:
    """One database of a cluster."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def url(self, port: int | None = None) -> str:
        """Its address; through what listens on `port`, where one is given."""
        return f"postgres://{ROLE}@127.0.0.1:{port or self.cluster.port}/{self.name}?sslmode=disable"

    def command(self) -> list[str]:
        """`psql`, connected to it."""
        return [
            *("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align"),
            *("--set", "ON_ERROR_STOP=1", "--host", "127.0.0.1", "--port", str(self.cluster.port)),
            *("--username", ROLE, "--dbname", self.name),
        ]

    def ask(self, statement: str) -> str:
        """What it answers to a statement, as somebody at a terminal asks it."""
        asked = subprocess.run(
            self.command(), input=statement, capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert asked.returncode == 0, asked.stderr
        return asked.stdout.strip()
