"""A disk that is full: said, survived, and recovered from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import answers
from harness.people import Device, Person, person
from harness.places import SmallDisk
from harness.program import Lastseen, client, eventually


@pytest.fixture
def disk(tmp_path: Path) -> SmallDisk:
    return SmallDisk(tmp_path / "disk", "4m")


@pytest.fixture
def cramped(start: Callable[..., Lastseen], disk: SmallDisk) -> Lastseen:
    """A server whose database is on a small disk; the account was made elsewhere and carried there."""
    elsewhere = start()
    elsewhere.add_account("ada", "correct horse battery staple")
    elsewhere.stop()
    seed = elsewhere.directory / "lastseen.db"
    carry = 'cp "$1" "$2" && shift 2 && exec "$@"'
    prefix = [*disk.prefix, "sh", "-euc", carry, "sh", str(seed), str(disk.directory)]
    return start(
        "--touch-interval", "1s", database=str(disk.directory / "lastseen.db"), prefix=prefix
    )


def status(server: Lastseen, path: str) -> int:
    with client(server.url) as asking:
        return asking.get(path).status_code


def test_a_full_disk_is_unavailable_and_it_recovers_by_itself(
    cramped: Lastseen, disk: SmallDisk
) -> None:
    ada = Person(cramped, "ada")
    devices = [ada.device() for _ in range(3)]
    assert devices[1].post("/api/v1/sign-out").status_code == 204
    assert status(cramped, "/readyz") == 200
    disk.fill(cramped.pid)

    newest: list[Device] = []

    def refuses() -> bool:
        device = Device(cramped)
        response = device.try_sign_in(ada.name, ada.password)
        if response.status_code == 201:
            device.token = response.json()["token"]
            newest.append(device)
            return False
        answers.problem(response, "unavailable")
        answers.assert_safe_headers(response)
        return True

    eventually(refuses, "the full disk is felt")
    eventually(lambda: status(cramped, "/readyz") == 503, "readyz says so")
    assert status(cramped, "/livez") == 200
    # What is not answered with success did not happen, and what did happen holds.
    response = devices[0].delete(f"/api/v1/sessions/{devices[2].id}")
    answers.problem(response, "unavailable")
    response = devices[1].get("/api/v1/session")
    assert response.status_code in (401, 503)
    for page in ("/sign-in", "/sessions"):
        answers.assert_safe_headers(devices[0].get(page))

    disk.relieve(cramped.pid)
    eventually(lambda: status(cramped, "/readyz") == 200, "readyz recovers")
    eventually(lambda: not refuses(), "people sign in again")
    assert devices[0].is_signed_in()
    assert not devices[1].is_signed_in()
    for device in newest:
        assert device.is_signed_in()
    assert devices[0].delete(f"/api/v1/sessions/{devices[2].id}").status_code == 204
    assert not devices[2].is_signed_in()
    listed = devices[0].listed()
    assert devices[2].id not in listed


def test_a_disk_that_is_full_from_the_start_is_one_clear_line(
    tmp_path: Path, disk: SmallDisk
) -> None:
    from harness.program import run

    fill = 'head -c 4194304 /dev/zero > "$1/filler" 2>/dev/null || true; shift && exec "$@"'
    outcome = run(
        *("serve", "--listen", "127.0.0.1:0"),
        *("--database", f"sqlite:{disk.directory / 'lastseen.db'}"),
        directory=tmp_path,
        prefix=[*disk.prefix, "sh", "-euc", fill, "sh", str(disk.directory)],
    )
    assert "lastseen.db" in outcome.refused(1)


def test_termination_is_answered_only_once_it_is_on_the_disk(
    start: Callable[..., Lastseen],
) -> None:
    """The kernel keeps what a killed process wrote; what it had only promised would be gone."""
    server = start()
    ada = person(server)
    for _ in range(5):
        keeper, other = ada.device(), ada.device()
        assert keeper.delete(f"/api/v1/sessions/{other.id}").status_code == 204
        server.kill()
        server.start()
        assert not other.is_signed_in()
        assert keeper.is_signed_in()
