"""SIGTERM: what is under way finishes, what was seen is kept, and it is over in five seconds."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from harness import answers
from harness.people import FIREFOX_WINDOWS, person
from harness.program import Lastseen, eventually


def begin(server: Lastseen, body: bytes) -> socket.socket:
    """A sign-in of which everything but the body has been sent."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body)
    )
    return connection


def answer(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received


def is_closed_to_newcomers(server: Lastseen) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=5):
            return False
    except (ConnectionRefusedError, ConnectionResetError):
        # A reset: the system had taken the connection, and the program has gone before it did.
        return True


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_under_way_finish_and_newcomers_are_refused(
    start: Callable[..., Lastseen], number: signal.Signals
) -> None:
    server = start()
    ada = person(server)
    body = json.dumps({"username": ada.name, "password": ada.password}).encode()
    connection = begin(server, body)
    # The server has to have seen the head before it is asked to stop.
    connection.sendall(body[:5])
    assert ada.device().is_signed_in()
    server.signal(number)
    eventually(lambda: is_closed_to_newcomers(server), "no new connection is taken", within=3)
    with connection:
        connection.sendall(body[5:])
        head, _, content = answer(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 201 "), head
    assert server.wait(5) == 0

    server.start()
    token = json.loads(content)["token"]
    with server.client() as client:
        response = client.get("/api/v1/session", headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == 200


def test_neither_idle_nor_stuck_connections_keep_it_longer_than_five_seconds(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    ada = person(server)
    device = ada.device()
    held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(20)]
    held += [begin(server, b"x" * 100) for _ in range(20)]
    assert device.is_signed_in()
    begun = time.monotonic()
    assert server.stop(10) == 0
    assert time.monotonic() - begun < 5
    for connection in held:
        connection.close()


def test_with_nothing_under_way_it_is_over_at_once(start: Callable[..., Lastseen]) -> None:
    server = start()
    device = person(server).device()
    # The client keeps its connection open, as browsers do.
    assert device.is_signed_in()
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 2


def test_last_use_is_kept_to_the_millisecond_with_address_and_device(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--touch-interval", "1h")
    ada = person(server)
    reader, device = ada.device(), ada.device(address="203.0.113.7")
    device.address, device.user_agent = "198.51.100.9", FIREFOX_WINDOWS
    used = device.get("/api/v1/session").json()
    assert server.stop() == 0
    server.start()
    found = next(s for s in reader.sessions() if s["id"] == device.id)
    for member in ("last_updated", "ip_address", "user_agent", "expires_at"):
        assert found[member] == used[member], member


def test_a_kill_loses_no_more_of_last_use_than_the_interval(start: Callable[..., Lastseen]) -> None:
    server = start("--touch-interval", "1s")
    ada = person(server)
    reader, device = ada.device(), ada.device()
    begun = time.monotonic()
    last = ""
    while time.monotonic() - begun < 3.3:
        last = device.get("/api/v1/session").json()["last_updated"]
        time.sleep(0.01)
    server.kill()
    server.start()
    found = next(s for s in reader.sessions() if s["id"] == device.id)
    lost = answers.instant(last) - answers.instant(found["last_updated"])
    assert lost.total_seconds() <= 1.05, lost


def test_last_use_never_goes_backwards(start: Callable[..., Lastseen]) -> None:
    server = start("--touch-interval", "1s")
    ada = person(server)
    reader, device = ada.device(), ada.device()
    stop = threading.Event()

    def use() -> None:
        with httpx.Client(base_url=server.url, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {device.token}"}
            while not stop.is_set():
                assert client.get("/api/v1/session", headers=headers).status_code == 200

    users = [threading.Thread(target=use) for _ in range(3)]
    for user in users:
        user.start()
    try:
        latest = ""
        begun = time.monotonic()
        # Over several writes of what is in memory.
        while time.monotonic() - begun < 3:
            seen = next(s for s in reader.sessions() if s["id"] == device.id)["last_updated"]
            assert str(seen) >= latest
            latest = str(seen)
    finally:
        stop.set()
        for user in users:
            user.join()


def readiness(server: Lastseen) -> int:
    with server.client() as client:
        return client.get("/readyz").status_code


def test_a_server_that_drains_says_that_it_is_not_ready_and_goes_on_serving(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--drain", "60s")
    device = person(server).device()
    assert readiness(server) == 200
    server.signal(signal.SIGTERM)
    eventually(lambda: readiness(server) == 503, "it says that it is not ready")
    assert device.is_signed_in()
    with server.client() as client:
        assert client.get("/livez").status_code == 200
    # Whoever asks again does not want to wait.
    assert server.stop(within=10) == 0


def test_a_server_has_drained_when_the_time_is_up(start: Callable[..., Lastseen]) -> None:
    server = start("--drain", "1s")
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began >= 1
