"""`POST /api/v1/password`."""

from __future__ import annotations

import random

import pytest

from harness import answers
from harness.people import Device, Person, cookies

PATH = "/api/v1/password"
NEW = "a wholly different sentence"


def change(device: Device, current: str, new: str):
    return device.post(PATH, json={"current_password": current, "new_password": new})


@pytest.mark.parametrize("browser", [True, False], ids=["browser", "program"])
def test_a_new_password_ends_the_others_and_renews_the_token_of_this_session(
    ada: Person, browser: bool
) -> None:
    device, others = ada.device(browser=browser), [ada.device(), ada.device(browser=True)]
    old = device.token
    response = change(device, ada.password, NEW)
    assert response.status_code == 200, response.text
    answers.assert_not_stored(response)
    body = response.json()
    assert set(body) == ({"session"} if browser else {"session", "token"})
    session = answers.session(body["session"])
    assert session["id"] == device.id
    assert session["current"] is True
    token = cookies(response)["lastseen"].value
    assert token != old
    if not browser:
        assert body["token"] == token

    assert not Device(ada.server, token=old).is_signed_in()
    assert not any(other.is_signed_in() for other in others)
    device.token = token
    assert device.listed() == [device.id]

    elsewhere = Device(ada.server, address="198.51.100.3")
    answers.problem(elsewhere.try_sign_in(ada.name, ada.password), "invalid_credentials")
    assert elsewhere.try_sign_in(ada.name, NEW).status_code == 201


def test_a_new_password_ends_nobody_elses_sessions(ada: Person, bob: Person) -> None:
    bystander = bob.device()
    assert change(ada.device(), ada.password, NEW).status_code == 200
    assert bystander.is_signed_in()


def test_a_remembered_session_stays_remembered_under_its_new_token(ada: Person) -> None:
    device = ada.device(remember=True)
    response = change(device, ada.password, NEW)
    cookie = cookies(response)["lastseen"]
    assert 30 * 86_400 - 60 <= int(cookie.attributes["max-age"] or "") <= 30 * 86_400
    assert response.json()["session"]["remembered"] is True


def test_the_wrong_current_password_changes_nothing(ada: Person) -> None:
    device, other = ada.device(), ada.device()
    response = change(device, "not the password", NEW)
    answers.problem(response, "invalid_credentials")
    assert "set-cookie" not in response.headers
    assert device.is_signed_in() and other.is_signed_in()
    assert ada.device().is_signed_in()


@pytest.mark.parametrize(
    "new",
    [
        "",
        "7 chars",
        "🔑" * 7,
        "x7" * 64 + "y",
        "password",
        "12345678",
        "password1",
        "qwertyuiop",
        "iloveyou",
        "PASSWORD",
    ],
    ids=lambda new: f"{len(new)} characters {new[:10]!a}",
)
def test_a_short_long_or_common_password_is_refused_with_the_reason(ada: Person, new: str) -> None:
    device, other = ada.device(), ada.device()
    problem = answers.problem(change(device, ada.password, new), "invalid_request")
    assert isinstance(problem["detail"], str) and problem["detail"]
    assert len(new) < 10 or new not in str(problem)
    assert device.is_signed_in() and other.is_signed_in()
    assert ada.device().is_signed_in()


@pytest.mark.parametrize(
    "new",
    [
        "8 chars!",
        "🔑🦊🌵🎻🧭🪁🥁🛶",
        "".join(random.Random(1).sample([chr(0x1F300 + n) for n in range(256)], 128)),
        "Zażółć gęślą\tjaźń",
        "nul\x00 and \x7f inside",
    ],
    ids=lambda new: f"{len(new)} characters {new[:10]!a}",
)
def test_eight_to_a_hundred_and_twenty_eight_characters_of_any_kind_will_do(
    ada: Person, new: str
) -> None:
    assert change(ada.device(), ada.password, new).status_code == 200
    assert Person(ada.server, ada.name, new).device().is_signed_in()


def test_nobody_changes_a_password_without_a_session(ada: Person) -> None:
    answers.problem(change(Device(ada.server), ada.password, NEW), "not_signed_in")
    assert ada.device().is_signed_in()


def test_guesses_at_the_current_password_are_counted_too(ada: Person) -> None:
    device = ada.device(address="198.51.100.77")
    statuses = [change(device, f"guess {n}", NEW).status_code for n in range(12)]
    assert statuses[:10] == [401] * 10
    assert set(statuses[10:]) == {429}
    assert device.is_signed_in()
