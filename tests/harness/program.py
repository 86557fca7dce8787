"""The real binary: running its commands, and running it as a server."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx

BINARY = Path(
    os.environ.get("LASTSEEN_BINARY", Path(__file__).parents[2] / "target/debug/lastseen")
).absolute()

#: Longer than any single thing should take, on a slow machine that is busy with something else.
PATIENCE = 30.0

T = TypeVar("T")


def eventually(condition: Callable[[], T], what: str, within: float = PATIENCE) -> T:
    """The first true value of `condition`; fails when there is none in time."""
    deadline = time.monotonic() + within
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what}")
        time.sleep(0.01)


def free_port() -> int:
    """A port that nobody listens on at this moment, for what cannot be asked which one it took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our own environment without any setting of Lastseen's in it."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("LASTSEEN_")
    }
    environment.update(extra or {})
    return environment


@dataclass(frozen=True)
class Outcome:
    """How a command ended."""

    status: int
    output: str
    errors: str

    def refused(self, status: int = 1) -> str:
        """The one line on stderr with which it refused; fails if it did not, or not in one line."""
        assert self.status == status, self
        lines = self.errors.splitlines()
        assert len(lines) == 1, self
        assert lines[0].strip(), self
        return lines[0]

    def done(self) -> str:
        """What it printed; fails unless it succeeded."""
        assert self.status == 0, self
        return self.output

    def json(self) -> object:
        return json.loads(self.done())


def run(
    *arguments: str,
    directory: Path,
    stdin: str | bytes | None = None,
    environment: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    within: float = PATIENCE,
) -> Outcome:
    """Runs one command of the binary to its end, in `directory`, with nobody at a terminal."""
    data = stdin.encode() if isinstance(stdin, str) else stdin
    finished = subprocess.run(
        [*prefix, str(BINARY), *arguments],
        cwd=directory,
        env=clean_environment(environment),
        input=data if data is not None else None,
        stdin=subprocess.DEVNULL if data is None else None,
        capture_output=True,
        timeout=within,
        check=False,
    )
    return Outcome(finished.returncode, finished.stdout.decode(), finished.stderr.decode())


class Lastseen:
    """One server on one database in one directory; it can be stopped, killed and started again."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        command: Sequence[str] = ("serve",),
        listen: str | None = "127.0.0.1:0",
        database: str = "lastseen.db",
        use_database: bool = True,
        close_fds: bool = True,
    ) -> None:
        self.directory = directory
        self.database = database
        self.environment = dict(environment or {})
        self.prefix = list(prefix)
        #: Whether the process gets no descriptor of ours but the usual three.
        self.close_fds = close_fds
        self.arguments = list(command)
        if listen is not None:
            self.arguments += ["--listen", listen]
        if use_database:
            self.arguments += ["--database", f"sqlite:{database}"]
        self.arguments += arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.lines: list[str] = []
        self.url = ""
        self.errors = directory / "stderr.log"

    # -- its life

    def start(self) -> Lastseen:
        """Starts it and waits until it listens."""
        self.launch()
        first = self.line(0)
        match = re.fullmatch(r"listening on (http://\S+:(\d+))", first)
        assert match, f"the first line on stdout was {first!r}; stderr: {self.log()}"
        self.url = match[1]
        self.port = int(match[2])
        return self

    def launch(self) -> None:
        """Starts the process without waiting for anything."""
        self.lines = []
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [*self.prefix, str(BINARY), *self.arguments],
                cwd=self.directory,
                env=clean_environment(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                close_fds=self.close_fds,
            )
        self._reader = threading.Thread(
            target=self._read, args=(self.process, self.lines), daemon=True
        )
        self._reader.start()

    def _read(self, process: subprocess.Popen[bytes], lines: list[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                lines.append(line.decode().rstrip("\n"))

    def line(self, index: int) -> str:
        """The line of that number on stdout, once it is there."""
        process = self._running()
        eventually(
            lambda: len(self.lines) > index or process.poll() is not None,
            f"line {index} on stdout; so far {self.lines}",
        )
        # The process may have ended with lines still on their way.
        if process.poll() is not None:
            self._reader.join(PATIENCE)
        assert len(self.lines) > index, (
            f"ended with {process.returncode} after {self.lines}; stderr: {self.log()}"
        )
        return self.lines[index]

    def _running(self) -> subprocess.Popen[bytes]:
        assert self.process is not None, "not started"
        return self.process

    @property
    def pid(self) -> int:
        return self._running().pid

    def signal(self, number: signal.Signals) -> None:
        self._running().send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        """Its exit status, once it has one."""
        status = self._running().wait(within)
        self._reader.join(PATIENCE)
        return status

    def stop(self, within: float = PATIENCE) -> int:
        """Asks it to end, waits, and returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(within)

    def kill(self) -> None:
        """Ends it as a power cut would, as far as the process is concerned."""
        self.signal(signal.SIGKILL)
        self.wait()

    def close(self) -> None:
        """Ends it if it runs; for the end of a test."""
        if self.process is not None and self.process.poll() is None:
            # A frozen server would not hear SIGTERM.
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def log(self) -> str:
        """Everything it has said on stderr."""
        return self.errors.read_text(errors="replace") if self.errors.exists() else ""

    # -- what one does with it

    def run(self, *arguments: str, **options: object) -> Outcome:
        """Runs a command beside it, on its database."""
        # Before the command, where a name that looks like an option cannot swallow it.
        return run(
            "--database",
            f"sqlite:{self.database}",
            *arguments,
            directory=self.directory,
            **options,  # type: ignore[arg-type]
        )

    def add_account(self, name: str, password: str) -> None:
        self.run("account", "add", name, "--password-stdin", stdin=password + "\n").done()

    def client(self, **options: object) -> httpx.Client:
        """A plain HTTP client of this server, which keeps no cookies of its own accord."""
        return client(self.url, **options)


def client(url: str, **options: object) -> httpx.Client:
    settings: dict[str, object] = {"timeout": PATIENCE, "trust_env": False}
    settings.update(options)
    built = httpx.Client(base_url=url, **settings)  # type: ignore[arg-type]
    # A test says itself what it sends.
    del built.headers["user-agent"]
    return built
