"""What systemd gives the server and is told by it; its protocol is two variables, so no systemd has to run."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from harness.people import Device, person
from harness.program import PATIENCE, Lastseen, eventually, run


class Supervisor:
    """The socket that a service manager listens on for news."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        self.socket.settimeout(PATIENCE)

    def news(self) -> dict[str, str]:
        """The next thing that it is told."""
        lines = self.socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    with made.socket:
        yield made


def supervised(start: Callable[..., Lastseen], supervisor: Supervisor, *arguments: str) -> Lastseen:
    return start(*arguments, environment={"NOTIFY_SOCKET": str(supervisor.path)})


def test_it_says_when_it_is_ready_and_when_it_stops(
    start: Callable[..., Lastseen], supervisor: Supervisor
) -> None:
    server = supervised(start, supervisor)
    assert supervisor.news() == {"READY": "1"}
    assert Device(server).get("/readyz").status_code == 200
    server.signal(signal.SIGTERM)
    assert supervisor.news() == {"STOPPING": "1"}
    assert server.wait() == 0


def test_a_server_that_cannot_start_never_says_that_it_is_ready(
    start: Callable[..., Lastseen], supervisor: Supervisor
) -> None:
    running = start()
    outcome = running.run(
        *("serve", "--listen", "127.0.0.1:0"), environment={"NOTIFY_SOCKET": str(supervisor.path)}
    )
    outcome.refused(1)
    supervisor.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        supervisor.news()


def test_a_supervisor_that_has_gone_keeps_nobody_from_being_served(
    start: Callable[..., Lastseen], tmp_path: Path
) -> None:
    server = start(environment={"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    assert Device(server).get("/readyz").status_code == 200
    assert server.stop() == 0


#: Puts a socket where the protocol wants it, names the process that it is for, and becomes that process.
PASS_ON = """
import os, sys
os.dup2(int(sys.argv[1]), 3, inheritable=True)
os.environ.update(LISTEN_FDS=sys.argv[2], LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[3], sys.argv[3:])
"""


class Activated(Lastseen):
    """A server whose socket somebody else has opened."""

    def __init__(self, directory: Path, listening: socket.socket, number: int = 1) -> None:
        listening.set_inheritable(True)
        passed = str(listening.fileno())
        prefix = (sys.executable, "-c", PASS_ON, passed, str(number))
        super().__init__(directory, prefix=prefix, listen="127.0.0.1:1", close_fds=False)


def test_it_takes_the_socket_that_was_opened_for_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        # A visitor who comes before the server does waits, and is served.
        early = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        early.sendall(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        server = Activated(tmp_path, listening)
        try:
            server.start()
            assert server.port == port
            assert early.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"
            ada = person(server, "ada").device()
            assert server.stop() == 0
            # The socket outlives the server: nobody is refused while there is none.
            server.launch()
            assert httpx.get(server.url + "/livez", trust_env=False, timeout=PATIENCE).text.strip() == "ok"
            assert ada.is_signed_in()
        finally:
            early.close()
            server.close()


def test_more_than_one_socket_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Activated(tmp_path, listening, number=2)
        server.launch()
        assert server.wait() == 1
    assert "LISTEN_FDS" in server.log() and server.log().count("\n") == 1


def test_a_socket_for_another_process_is_left_alone(start: Callable[..., Lastseen]) -> None:
    server = start(environment={"LISTEN_FDS": "1", "LISTEN_PID": "1"})
    assert Device(server).get("/readyz").status_code == 200


def reloaded(server: Lastseen, count: int) -> list[dict[str, object]]:
    """What the log says about reading the settings, once it has said it that many times."""

    def lines() -> list[dict[str, object]]:
        parsed = [json.loads(line) for line in server.log().splitlines()]
        return [line for line in parsed if "settings" in str(line.get("message"))]

    eventually(lambda: len(lines()) >= count, f"{count} lines about the settings: {server.log()}")
    return lines()


def requests_logged(server: Lastseen) -> int:
    return len(re.findall(r'"/livez"', server.log()))


def test_sighup_reads_the_settings_again_and_says_what_waits_for_a_restart(
    start: Callable[..., Lastseen], supervisor: Supervisor, tmp_path: Path
) -> None:
    config = tmp_path / "lastseen.toml"
    config.write_text('log-level = "error"\n')
    options = ("--config", str(config), "--log-format", "json")
    server = supervised(start, supervisor, *options)
    assert supervisor.news() == {"READY": "1"}
    Device(server).get("/livez")

    config.write_text('log-level = "info"\nidle-timeout = "1h"\n')
    server.signal(signal.SIGHUP)
    news = supervisor.news()
    assert news["RELOADING"] == "1" and int(news["MONOTONIC_USEC"]) > 0
    assert supervisor.news() == {"READY": "1"}
    [line] = reloaded(server, 1)
    assert line["waiting"] == "idle-timeout"
    assert requests_logged(server) == 0
    Device(server).get("/livez")
    eventually(lambda: requests_logged(server) == 1, "the request in the log")

    # What is wrong changes nothing, and the server goes on.
    config.write_text('log-level = "loud"\n')
    server.signal(signal.SIGHUP)
    assert "log-level" in str(reloaded(server, 2)[1]["wrong"])
    Device(server).get("/livez")
    eventually(lambda: requests_logged(server) == 2, "the request in the log")


def test_the_health_command_says_whether_the_server_is_ready(
    start: Callable[..., Lastseen], tmp_path: Path
) -> None:
    server = start()
    assert run("health", "--url", server.url, directory=tmp_path).done() == "ready\n"
    listening = {"LASTSEEN_LISTEN": f"0.0.0.0:{server.port}"}
    assert run("health", directory=tmp_path, environment=listening).done() == "ready\n"
    server.stop()
    assert str(server.port) in run("health", "--url", server.url, directory=tmp_path).refused(1)
    assert "http" in run("health", "--url", "https://localhost", directory=tmp_path).refused(2)
    assert "port 0" in run("health", "--listen", "127.0.0.1:0", directory=tmp_path).refused(2)
    assert list(tmp_path.glob("*.db")) == []


def test_something_else_that_answers_is_not_healthy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for answer in (b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 503 Service Unavailable\r\n\r\n"):
            pid = os.fork()
            if pid == 0:
                peer, _ = other.accept()
                peer.recv(1024)
                peer.sendall(answer)
                peer.close()
                os._exit(0)
            run("health", "--url", f"http://127.0.0.1:{port}", directory=tmp_path).refused(1)
            os.waitpid(pid, 0)
