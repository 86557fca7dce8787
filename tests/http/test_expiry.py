"""Deadlines: idle timeout and absolute lifetime, judged at every use."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from harness import answers
from harness.people import Device, Person, person
from harness.program import Lastseen, eventually


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory):
    """A server where a session that is not remembered lasts one second unused, four in all."""
    server = Lastseen(
        tmp_path_factory.mktemp("brief"),
        "--idle-timeout",
        "1s",
        "--remembered-idle-timeout",
        "1h",
        "--absolute-lifetime",
        "1h",
    ).start()
    yield server
    server.close()


@pytest.fixture
def ada(brief: Lastseen) -> Person:
    return person(brief)


def until_listed_as_expired(reader: Device, id: str) -> dict[str, object]:
    def find() -> dict[str, object] | None:
        session = next(s for s in reader.sessions() if s["id"] == id)
        return session if session["status"] == "expired" else None

    return eventually(find, "the session is listed as expired", within=10)


def test_an_unused_session_is_refused_from_its_deadline_on(ada: Person) -> None:
    reader, device = ada.device(remember=True), ada.device()
    session = until_listed_as_expired(reader, device.id)
    answers.session(session)
    answers.problem(device.get("/api/v1/session"), "not_signed_in")
    # Asking again, by any way, does not revive it.
    device.browser = True
    answers.problem(device.get("/api/v1/sessions"), "not_signed_in")
    again = until_listed_as_expired(reader, device.id)
    assert again["last_updated"] == session["last_updated"]
    assert again["expires_at"] == session["expires_at"]


def test_use_moves_the_deadline_on(ada: Person) -> None:
    device = ada.device()
    begin = time.monotonic()
    while time.monotonic() - begin < 2.5:
        assert device.is_signed_in()
        time.sleep(0.1)


def test_an_expired_session_stays_listed_until_it_is_removed(ada: Person) -> None:
    reader, device = ada.device(remember=True), ada.device()
    until_listed_as_expired(reader, device.id)
    assert reader.delete(f"/api/v1/sessions/{device.id}").status_code == 204
    assert reader.listed() == [reader.id]
    assert reader.delete(f"/api/v1/sessions/{device.id}").status_code == 204
    answers.problem(device.get("/api/v1/session"), "not_signed_in")


def test_removing_expired_ones_counts_them(ada: Person) -> None:
    reader, devices = ada.device(remember=True), [ada.device() for _ in range(3)]
    for device in devices:
        until_listed_as_expired(reader, device.id)
    path = "/api/v1/sessions/terminate"
    ids = {"ids": [devices[0].id, devices[1].id]}
    assert reader.post(path, json=ids).json() == {"terminated": 2}
    active = ada.device(remember=True)
    response = reader.post("/api/v1/sessions/terminate-others")
    assert response.json() == {"terminated": 2}
    assert reader.listed() == [reader.id]
    assert not active.is_signed_in()


def test_an_expired_session_that_comes_along_to_sign_in_leaves_one_row(ada: Person) -> None:
    reader, device = ada.device(remember=True), ada.device(browser=True)
    until_listed_as_expired(reader, device.id)
    device.sign_in(ada.name, ada.password, remember=True)
    assert len(reader.sessions()) in (2, 3)
    active = [s for s in reader.sessions() if s["status"] == "active"]
    assert len(active) == 2


def test_the_absolute_lifetime_ends_a_session_however_much_it_is_used(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--absolute-lifetime", "2s")
    ada = person(server)
    begin = time.monotonic()
    device = ada.device(remember=True)
    eventually(lambda: not device.is_signed_in(), "the absolute lifetime ends", within=10)
    assert time.monotonic() - begin >= 2
    # The account has nobody left to look: a new session sees the old one, expired.
    other = ada.device()
    expired = next(s for s in other.sessions() if s["id"] == device.id)
    assert answers.session(expired)["status"] == "expired"


def test_expires_at_is_the_earlier_of_the_two_deadlines(start: Callable[..., Lastseen]) -> None:
    server = start("--idle-timeout", "2h", "--absolute-lifetime", "1h")
    session = person(server).device().session
    lasts = answers.instant(session["expires_at"]) - answers.instant(session["created_at"])
    assert lasts.total_seconds() == 3_600


def test_a_tightened_setting_shortens_at_once_and_a_loosened_one_lengthens_nothing(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--idle-timeout", "1h")
    ada = person(server)
    first = ada.device()

    def lasts(device: Device) -> float:
        session = device.get("/api/v1/session").json()
        left = answers.instant(session["expires_at"]) - answers.instant(session["last_updated"])
        return left.total_seconds()

    assert lasts(first) == 3_600
    server.stop()
    server.arguments[server.arguments.index("--idle-timeout") + 1] = "10m"
    server.start()
    assert lasts(first) == 600
    second = ada.device()
    assert lasts(second) == 600
    server.stop()
    server.arguments[server.arguments.index("--idle-timeout") + 1] = "2h"
    server.start()
    assert lasts(first) == 600
    assert lasts(second) == 600
    assert lasts(ada.device()) == 7_200


def test_an_expired_session_is_not_revived_by_a_loosened_setting(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--idle-timeout", "1s")
    ada = person(server)
    device, reader = ada.device(), ada.device(remember=True)
    until_listed_as_expired(reader, device.id)
    server.stop()
    server.arguments[server.arguments.index("--idle-timeout") + 1] = "12h"
    server.start()
    answers.problem(device.get("/api/v1/session"), "not_signed_in")
    until_listed_as_expired(reader, device.id)


def test_an_expired_session_leaves_the_list_when_its_time_there_is_over(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--idle-timeout", "1s", "--keep-expired", "1s")
    ada = person(server)
    reader, device = ada.device(remember=True), ada.device()
    eventually(lambda: reader.listed() == [reader.id], "the expired one is gone", within=90)
    answers.problem(device.get("/api/v1/session"), "not_signed_in")


def test_beyond_the_limit_the_session_unused_for_longest_ends(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--max-sessions-per-account", "3")
    ada, bob = person(server), person(server, "bob")
    bystander = bob.device()
    first, second, third = ada.device(), ada.device(), ada.device()
    assert first.is_signed_in()
    fourth = ada.device()
    assert not second.is_signed_in()
    assert sorted(fourth.listed()) == sorted(d.id for d in (first, third, fourth))
    assert bystander.is_signed_in()


def test_zero_is_no_limit(start: Callable[..., Lastseen]) -> None:
    server = start("--max-sessions-per-account", "0")
    ada = person(server)
    devices = [ada.device() for _ in range(5)]
    assert len(devices[0].sessions()) == 5
