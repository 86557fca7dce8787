"""`GET /api/v1/sessions`."""

from __future__ import annotations

import random

import pytest

from harness import answers
from harness.people import Device, Person

PATH = "/api/v1/sessions"


def test_the_current_session_comes_first_then_the_newest_use(ada: Person) -> None:
    devices = [ada.device() for _ in range(6)]
    order = random.Random(3).sample(devices, len(devices))
    latest = ""
    for device in order:
        # Two uses in one millisecond have no order.
        used = latest
        while used == latest:
            used = device.get("/api/v1/session").json()["last_updated"]
        latest = used
    current = order[2]
    expected = [current.id] + [d.id for d in reversed(order) if d is not current]
    sessions = current.sessions()
    assert [s["id"] for s in sessions] == expected
    for session in sessions:
        answers.session(session)
        assert session["current"] is (session["id"] == current.id)
    uses = [answers.instant(s["last_updated"]) for s in sessions[1:]]
    assert uses == sorted(uses, reverse=True)


def test_only_the_callers_own_sessions_are_listed(ada: Person, bob: Person) -> None:
    adas, bobs = ada.device(), bob.device()
    assert adas.listed() == [adas.id]
    assert bobs.listed() == [bobs.id]


def test_fifty_unless_told_and_the_last_page_has_no_cursor(ada: Person) -> None:
    devices = [ada.device() for _ in range(52)]
    first = devices[0].get(PATH)
    assert first.status_code == 200
    answers.assert_not_stored(first)
    body = first.json()
    assert set(body) == {"sessions", "next_cursor"}
    assert len(body["sessions"]) == 50
    second = devices[0].get(PATH, params={"cursor": body["next_cursor"]}).json()
    assert len(second["sessions"]) == 2
    assert second["next_cursor"] is None
    ids = [s["id"] for s in body["sessions"] + second["sessions"]]
    assert sorted(ids) == sorted(d.id for d in devices)
    assert len(devices[0].get(PATH, params={"limit": 200}).json()["sessions"]) == 52
    exactly = devices[0].get(PATH, params={"limit": 52}).json()
    assert len(exactly["sessions"]) == 52 and exactly["next_cursor"] is None


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=",
        "limit=ten",
        "limit=1.5",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "cursor=",
        "cursor=x",
        "cursor=%00",
        "cursor=%ff%fe",
        "cursor=" + "a" * 3_000,
    ],
)
def test_a_wrong_limit_or_cursor_is_an_invalid_request(ada: Person, query: str) -> None:
    answers.problem(ada.device().get(f"{PATH}?{query}"), "invalid_request")


@pytest.mark.parametrize("limit", [1, 3, 7])
def test_a_session_that_neither_ends_nor_is_used_appears_exactly_once(
    ada: Person, limit: int
) -> None:
    randomness = random.Random(limit)
    reader = ada.device()
    still = [ada.device() for _ in range(12)]
    lively = [ada.device() for _ in range(12)]
    devices = still + lively
    randomness.shuffle(devices)
    for device in devices:
        assert device.is_signed_in()
    seen: list[str] = []
    cursor = None
    while True:
        parameters = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = reader.get(PATH, params=parameters).json()
        assert len(page["sessions"]) <= limit
        seen += [s["id"] for s in page["sessions"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        # Meanwhile others are used, end and begin.
        if lively:
            device = lively.pop(randomness.randrange(len(lively)))
            if randomness.random() < 0.5:
                assert device.is_signed_in()
            else:
                assert device.post("/api/v1/sign-out").status_code == 204
            ada.device()
    for device in still:
        assert seen.count(device.id) == 1
    assert seen.count(reader.id) == 1 and seen[0] == reader.id


def test_a_cursor_of_somebody_else_shows_nothing_of_theirs(ada: Person, bob: Person) -> None:
    for _ in range(3):
        ada.device()
    adas, bobs = ada.device(), bob.device()
    cursor = adas.get(PATH, params={"limit": 1}).json()["next_cursor"]
    response = bobs.get(PATH, params={"limit": 200, "cursor": cursor})
    if response.status_code == 200:
        mine = {bobs.id}
        assert {s["id"] for s in response.json()["sessions"]} <= mine
    else:
        answers.problem(response, "invalid_request")


def test_nobody_reads_a_list_without_a_session(ada: Person) -> None:
    answers.problem(Device(ada.server).get(PATH), "not_signed_in")


def test_no_answer_holds_a_token(ada: Person) -> None:
    devices = [ada.device() for _ in range(3)]
    text = devices[0].get(PATH).text + devices[0].get("/api/v1/session").text
    assert "lss_" not in text
    for device in devices:
        assert str(device.token)[30:] not in text
