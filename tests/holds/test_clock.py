"""A wall clock that jumps: what has expired stays expired."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import answers
from harness.people import Device, person
from harness.places import Clock
from harness.program import Lastseen, eventually


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


def refused(device: Device) -> bool:
    return not device.is_signed_in()


def test_the_clock_of_the_server_is_the_tests(start: Callable[..., Lastseen], clock: Clock) -> None:
    clock.set("+10d")
    server = start(environment=clock.environment)
    ada = person(server)
    begun = answers.instant(ada.device().session["created_at"])
    plain = person(start(), "plain").device()
    ahead = begun - answers.instant(plain.session["created_at"])
    assert 10 * 86_400 - 60 < ahead.total_seconds() < 10 * 86_400 + 60


def test_a_clock_set_back_revives_nothing(start: Callable[..., Lastseen], clock: Clock) -> None:
    server = start(environment=clock.environment)
    ada = person(server)
    device = ada.device()
    clock.set("+13h")
    eventually(lambda: refused(device), "the session expires")
    for offset in ("+0", "-1d", "-400d"):
        clock.set(offset)
        for _ in range(3):
            assert refused(device), offset
        reader = ada.device()
        seen = next(s for s in reader.sessions() if s["id"] == device.id)
        assert seen["status"] == "expired"


@pytest.mark.parametrize("way", ["stop", "kill"])
def test_a_clock_set_back_over_a_restart_revives_nothing(
    start: Callable[..., Lastseen], clock: Clock, way: str
) -> None:
    server = start(environment=clock.environment)
    ada = person(server)
    device = ada.device()
    clock.set("+13h")
    eventually(lambda: refused(device), "the session expires")
    getattr(server, way)()
    clock.set("-2d")
    server.start()
    assert refused(device)
    reader = ada.device()
    seen = next(s for s in reader.sessions() if s["id"] == device.id)
    assert seen["status"] == "expired"
    assert refused(device)


def test_a_session_that_expired_while_nobody_asked_is_as_final(
    start: Callable[..., Lastseen], clock: Clock
) -> None:
    server = start(environment=clock.environment)
    ada = person(server)
    quiet = ada.device()
    clock.set("+13h")
    # Somebody else's request is what tells the server the time.
    reader = ada.device()
    seen = next(s for s in reader.sessions() if s["id"] == quiet.id)
    assert seen["status"] == "expired"
    server.kill()
    clock.set("+0")
    server.start()
    assert refused(quiet)


def test_a_clock_set_back_lengthens_no_session(start: Callable[..., Lastseen], clock: Clock) -> None:
    server = start("--idle-timeout", "2s", environment=clock.environment)
    device = person(server).device()
    assert device.is_signed_in()
    clock.set("-1d")
    # Polling counts as use: one look, after its two seconds by any clock that runs on.
    reader = person(server, "bob").device(remember=True)
    begun = answers.instant(reader.get("/api/v1/session").json()["last_updated"])

    def later() -> bool:
        now = answers.instant(reader.get("/api/v1/session").json()["last_updated"])
        return (now - begun).total_seconds() > 2.5

    eventually(later, "the server's own time goes on", within=15)
    assert refused(device)


def test_last_use_does_not_step_back_with_the_clock(
    start: Callable[..., Lastseen], clock: Clock
) -> None:
    server = start(environment=clock.environment)
    device = person(server).device(remember=True)
    before = answers.instant(device.get("/api/v1/session").json()["last_updated"])
    clock.set("-1d")
    after = answers.instant(device.get("/api/v1/session").json()["last_updated"])
    assert after >= before
    server.stop()
    server.start()
    again = answers.instant(device.get("/api/v1/session").json()["last_updated"])
    assert again >= after
