"""Secrets: nowhere but where they belong."""

from __future__ import annotations

from collections.abc import Callable

from harness.people import Device, person
from harness.program import Lastseen


def test_neither_log_nor_database_ever_holds_a_token_or_a_password(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    ada = person(server, password="a password that is looked for")
    device = ada.device(browser=True)
    other = ada.device()
    Device(server).try_sign_in(ada.name, "a wrong one that is looked for")
    Device(server, token=device.token).get("/api/v1/sessions")
    Device(server, token=str(device.token)[:-1] + "x").get("/api/v1/session")
    with server.client() as client:
        client.get("/sessions", params={"token": str(device.token)})
        client.get(f"/api/v1/sessions/{device.token}")
    device.post("/api/v1/sessions/terminate-others")
    changed = {"current_password": ada.password, "new_password": "a new one that is looked for"}
    response = device.post("/api/v1/password", json=changed)
    assert response.status_code == 200
    server.stop()

    secrets = ["that is looked for"]
    for token in (device.token, other.token):
        # The part behind the id: the id itself may be written down.
        secrets.append(str(token)[27:])
        secrets.append(str(token))
    for file in server.directory.iterdir():
        content = file.read_bytes()
        for secret in secrets:
            assert secret.encode() not in content, (file.name, secret)


def test_what_outsiders_write_cannot_forge_a_line_of_the_log(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    Device(server).try_sign_in("eve\nFORGED line\x1b[2J", "x" * 20)
    with server.client() as client:
        client.get("/%0aFORGED%20line%1b[2J")
    server.stop()
    log = server.log()
    assert not [line for line in log.splitlines() if line.startswith("FORGED")]
    assert "\x1b[2J" not in log


def test_each_request_has_a_line_with_its_id(start: Callable[..., Lastseen]) -> None:
    server = start()
    ada = person(server)
    response = ada.device().get("/api/v1/session")
    identifier = response.headers["x-request-id"]
    server.stop()
    assert identifier in server.log()


def test_the_database_belongs_to_one_user(start: Callable[..., Lastseen]) -> None:
    server = start()
    person(server)
    for file in server.directory.glob("lastseen.db*"):
        assert file.stat().st_mode & 0o077 == 0, (file.name, oct(file.stat().st_mode))
