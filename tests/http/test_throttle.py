"""The limits on failed sign-ins, counted in one step."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from harness import answers
from harness.people import PASSWORD, Device, Person, cookies, fresh_name, person
from harness.program import Lastseen


def fail(person: Person, address: str, count: int = 1) -> list[int]:
    device = Device(person.server, address=address)
    return [device.try_sign_in(person.name, f"wrong {n}").status_code for n in range(count)]


def test_after_ten_failures_from_one_address_the_pair_has_to_wait(ada: Person, bob: Person) -> None:
    address = "198.51.100.10"
    assert fail(ada, address, 10) == [401] * 10
    device = Device(ada.server, address=address)
    response = device.try_sign_in(ada.name, "wrong")
    answers.problem(response, "too_many_requests")
    answers.assert_safe_headers(response)
    # The right password helps as little as another wrong one.
    answers.problem(device.try_sign_in(ada.name, ada.password), "too_many_requests")
    # It is the pair that waits: the name signs in elsewhere, and the address under another name.
    assert ada.device(address="198.51.100.11").is_signed_in()
    assert bob.device(address=address).is_signed_in()


def test_a_name_that_nobody_has_is_counted_like_any_other(server: Lastseen) -> None:
    nobody = Person(server, fresh_name("nobody"))
    assert fail(nobody, "198.51.100.12", 12) == [401] * 10 + [429] * 2


def test_only_failures_count(ada: Person) -> None:
    address = "198.51.100.13"
    for _ in range(15):
        assert ada.device(address=address).is_signed_in()
    assert fail(ada, address, 1) == [401]


def test_an_ipv6_network_is_one_address(ada: Person) -> None:
    statuses = []
    for n in range(12):
        statuses += fail(ada, f"2001:db8:1:2:{n:x}::{n + 1:x}")
    assert statuses == [401] * 10 + [429] * 2
    assert fail(ada, "2001:db8:1:3::1") == [401]


def test_twenty_four_tries_at_once_are_twenty_four_tries(ada: Person) -> None:
    barrier = threading.Barrier(24)

    def guess(number: int) -> int:
        device = Device(ada.server, address="198.51.100.14")
        barrier.wait()
        return device.try_sign_in(ada.name, f"guess {number}").status_code

    with ThreadPoolExecutor(24) as pool:
        statuses = sorted(pool.map(guess, range(24)))
    assert statuses == [401] * 10 + [429] * 14
    assert fail(ada, "198.51.100.14") == [429]


def test_a_right_guess_among_many_at_once_is_found_within_the_ten_or_not_at_all(
    server: Lastseen,
) -> None:
    for round_number in range(3):
        ada = person(server)
        barrier = threading.Barrier(24)
        address = f"198.51.101.{round_number + 1}"

        def guess(number: int) -> int:
            device = Device(server, address=address)  # noqa: B023
            barrier.wait()  # noqa: B023
            password = PASSWORD if number == 23 else f"guess {number}"
            return device.try_sign_in(ada.name, password).status_code  # noqa: B023

        with ThreadPoolExecutor(24) as pool:
            statuses = list(pool.map(guess, range(24)))
        assert statuses.count(401) <= 10
        assert statuses[-1] in (201, 429)


def test_the_counts_survive_a_restart(start: Callable[..., Lastseen]) -> None:
    for way in ("stop", "kill"):
        server = start()
        ada = person(server)
        address = "198.51.100.15"
        assert fail(ada, address, 10) == [401] * 10
        getattr(server, way)()
        server.start()
        assert fail(ada, address, 1) == [429]
        assert ada.device(address="198.51.100.16").is_signed_in()


def test_a_flood_of_other_names_resets_nothing(start: Callable[..., Lastseen]) -> None:
    server = start()
    ada = person(server)
    address = "198.51.100.17"
    assert fail(ada, address, 10) == [401] * 10

    def flood(worker: int) -> None:
        device = Device(server, address=f"198.51.102.{worker + 1}")
        for n in range(150):
            status = device.try_sign_in(f"other {worker} {n}", "x").status_code
            assert status in (401, 429, 503)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(flood, range(4)))
    assert fail(ada, address, 1) == [429]


def test_more_than_a_hundred_from_anywhere_slow_strangers_down_and_never_a_known_browser(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    ada = person(server)
    fields = {"username": ada.name, "password": ada.password}
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as known:
        known.headers["Sec-Fetch-Site"] = "same-origin"
        known.headers["X-Forwarded-For"] = "203.0.113.20"
        assert known.post("/api/v1/sign-in", json=fields).status_code == 201
        assert known.post("/api/v1/sign-out").status_code == 204

        def attack(worker: int) -> list[int]:
            statuses = []
            for n in range(60):
                statuses += fail(ada, f"198.51.{100 + worker}.{n + 1}")
            return statuses

        with ThreadPoolExecutor(2) as pool:
            statuses = [status for part in pool.map(attack, range(2)) for status in part]
        assert statuses.count(401) <= 101, statuses
        begin = time.monotonic()
        stranger = Device(server, address="192.0.2.1").try_sign_in(ada.name, "wrong")
        slowed = stranger.status_code == 429 or time.monotonic() - begin > 1
        assert slowed, stranger.text

        # The owner comes back with the browser that has been here before, from a new address.
        known.headers["X-Forwarded-For"] = "203.0.113.21"
        begin = time.monotonic()
        response = known.post("/api/v1/sign-in", json=fields)
        assert response.status_code == 201, response.text
        assert time.monotonic() - begin < 5


def test_a_known_browser_of_one_account_is_a_stranger_to_another(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    ada, eve = person(server), person(server, "eve")
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as browser:
        fields = {"username": eve.name, "password": eve.password}
        assert browser.post("/api/v1/sign-in", json=fields).status_code == 201
        statuses = []
        for n in range(105):
            browser.headers["X-Forwarded-For"] = f"198.51.100.{n + 1}"
            guess = {"username": ada.name, "password": f"wrong {n}"}
            statuses.append(browser.post("/api/v1/sign-in", json=guess).status_code)
    assert statuses.count(401) <= 101, statuses


@pytest.mark.parametrize("path", ["/sign-in"])
def test_the_page_counts_the_same_failures(ada: Person, path: str) -> None:
    device = Device(ada.server, address="198.51.100.18", browser=True)
    for n in range(5):
        response = device.post(path, data={"username": ada.name, "password": f"wrong {n}"})
        assert response.status_code == 401
    assert fail(ada, "198.51.100.18", 6) == [401] * 5 + [429]
    response = device.post(path, data={"username": ada.name, "password": ada.password})
    assert response.status_code == 429
    assert not cookies(response).get("lastseen")
