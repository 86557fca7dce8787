"""Ending sessions over HTTP: one, several, all others, and what must not end with them."""

from __future__ import annotations

import pytest

from harness import answers
from harness.people import Device, Person, cookies, person

ONE = "/api/v1/sessions/"
SEVERAL = "/api/v1/sessions/terminate"
OTHERS = "/api/v1/sessions/terminate-others"


def test_terminating_one_ends_it_and_says_so_twice(ada: Person) -> None:
    device, other = ada.device(), ada.device()
    for _ in range(2):
        response = device.delete(ONE + other.id)
        assert response.status_code == 204
        assert response.content == b""
        assert "set-cookie" not in response.headers
        answers.assert_not_stored(response)
    assert not other.is_signed_in()
    assert device.listed() == [device.id]


@pytest.mark.parametrize("browser", [True, False], ids=["browser", "program"])
def test_terminating_the_current_one_clears_the_cookie(ada: Person, browser: bool) -> None:
    device, other = ada.device(browser=browser), ada.device()
    response = device.delete(ONE + device.id)
    assert response.status_code == 204
    cleared = cookies(response)["lastseen"]
    assert (cleared.value, cleared.attributes["max-age"]) == ("", "0")
    assert not device.is_signed_in()
    assert other.listed() == [other.id]


def test_a_session_of_another_account_and_an_unknown_one_are_told_apart_by_nothing(
    ada: Person, bob: Person
) -> None:
    device, bobs = ada.device(), bob.device()
    unknown = person(ada.server, "gone").device()
    ada.server.run("account", "remove", str(unknown.session["account"]["name"])).done()
    seen = set()
    for id in (
        bobs.id,
        unknown.id,
        "0" * 26,
        bobs.id[:-1] + ("0" if bobs.id[-1] != "0" else "g"),
        bobs.id.upper(),
        "x",
        "%00",
        "-1",
        "%2e%2e",
        "a" * 1_000,
    ):
        response = device.delete(ONE + id)
        answers.problem(response, "not_found")
        seen.add(response.content)
    assert len(seen) == 1, seen
    assert bobs.is_signed_in()


def test_several_count_those_that_left_the_list_through_this_call(ada: Person) -> None:
    device = ada.device()
    others = [ada.device() for _ in range(4)]
    assert device.delete(ONE + others[0].id).status_code == 204
    ids = [o.id for o in others[:3]]
    response = device.post(SEVERAL, json={"ids": [*ids, ids[1], ids[2]]})
    assert response.status_code == 200
    answers.assert_not_stored(response)
    assert response.json() == {"terminated": 2}
    assert "set-cookie" not in response.headers
    assert device.post(SEVERAL, json={"ids": ids}).json() == {"terminated": 0}
    assert [o.is_signed_in() for o in others] == [False, False, False, True]
    assert sorted(device.listed()) == sorted([device.id, others[3].id])


@pytest.mark.parametrize("browser", [True, False], ids=["browser", "program"])
def test_several_with_the_current_one_among_them_clear_the_cookie(
    ada: Person, browser: bool
) -> None:
    device, other, third = ada.device(browser=browser), ada.device(), ada.device()
    response = device.post(SEVERAL, json={"ids": [other.id, device.id]})
    assert response.json() == {"terminated": 2}
    assert cookies(response)["lastseen"].attributes["max-age"] == "0"
    assert not device.is_signed_in() and not other.is_signed_in()
    assert third.listed() == [third.id]


def test_several_are_all_or_nothing(ada: Person, bob: Person) -> None:
    device, other, bobs = ada.device(), ada.device(), bob.device()
    seen = set()
    for stranger in (bobs.id, "0" * 26, "x"):
        for ids in ([other.id, stranger], [stranger, other.id], [stranger], [device.id, stranger]):
            response = device.post(SEVERAL, json={"ids": ids})
            answers.problem(response, "not_found")
            assert "set-cookie" not in response.headers
            seen.add(response.content)
    assert len(seen) == 1, seen
    assert device.is_signed_in() and other.is_signed_in() and bobs.is_signed_in()


def test_one_to_a_thousand_ids_are_taken(ada: Person) -> None:
    device, other = ada.device(), ada.device()
    response = device.post(SEVERAL, json={"ids": [other.id] * 1_000})
    assert response.json() == {"terminated": 1}
    distinct = [f"{n:026d}" for n in range(1_001)]
    for ids in ([], distinct):
        answers.problem(device.post(SEVERAL, json={"ids": ids}), "invalid_request")


@pytest.mark.parametrize(
    "body",
    ["{}", "[]", "null", '{"ids": null}', '{"ids": "x"}', '{"ids": [1]}', '{"ids": [null]}', "{"],
)
def test_a_body_that_is_not_a_list_of_ids_is_an_invalid_request(ada: Person, body: str) -> None:
    headers = {"Content-Type": "application/json"}
    response = ada.device().post(SEVERAL, content=body, headers=headers)
    answers.problem(response, "invalid_request")


def test_terminating_the_others_leaves_the_current_one(ada: Person, bob: Person) -> None:
    device, bobs = ada.device(), bob.device()
    others = [ada.device() for _ in range(3)]
    response = device.post(OTHERS)
    assert response.status_code == 200
    answers.assert_not_stored(response)
    assert response.json() == {"terminated": 3}
    assert "set-cookie" not in response.headers
    assert device.listed() == [device.id]
    assert not any(o.is_signed_in() for o in others)
    assert device.post(OTHERS).json() == {"terminated": 0}
    assert bobs.is_signed_in()


def test_terminating_the_others_takes_json_or_no_body(ada: Person) -> None:
    device, other = ada.device(), ada.device()
    assert device.post(OTHERS, json={}).status_code == 200
    assert not other.is_signed_in()


def test_an_ended_device_ends_nobody(ada: Person) -> None:
    ended, other = ada.device(), ada.device()
    assert other.delete(ONE + ended.id).status_code == 204
    answers.problem(ended.delete(ONE + other.id), "not_signed_in")
    answers.problem(ended.post(SEVERAL, json={"ids": [other.id]}), "not_signed_in")
    answers.problem(ended.post(OTHERS), "not_signed_in")
    answers.problem(Device(ada.server).delete(ONE + other.id), "not_signed_in")
    assert other.is_signed_in()


def test_a_fetch_ends_nothing(ada: Person) -> None:
    device, other = ada.device(browser=True), ada.device()
    for path in (ONE + other.id, SEVERAL, OTHERS, "/sessions/terminate"):
        for method in ("GET", "HEAD"):
            assert device.request(method, path).status_code in (404, 405), path
    assert other.is_signed_in()


def test_a_method_cannot_be_overridden(ada: Person) -> None:
    device, other = ada.device(), ada.device()
    for header in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        device.post(ONE + other.id, headers={header: "DELETE"})
        device.get(f"{ONE}{other.id}?_method=DELETE", headers={header: "DELETE"})
    assert other.is_signed_in()
