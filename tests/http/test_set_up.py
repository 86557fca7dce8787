"""The one-time link that creates the first account."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from harness import answers
from harness.people import Device, Person
from harness.program import Lastseen, run

NEW = {"username": "ada", "password": "a long first sentence"}


def link(server: Lastseen) -> httpx.URL:
    match = re.fullmatch(r"set-up: (http\S+)", server.line(1))
    assert match, server.lines
    url = httpx.URL(match[1])
    assert str(url).startswith(server.url + "/")
    return url


def form(server: Lastseen, url: httpx.URL) -> tuple[str, dict[str, str]]:
    """The address that the set-up page's form is sent to, and its hidden fields."""
    with server.client() as client:
        page = client.get(url)
    assert page.status_code == 200
    answers.assert_safe_headers(page)
    answers.assert_not_stored(page)
    (found,) = re.findall(r"<form[^>]*>", page.text)
    assert 'method="post"' in found
    action = re.search(r'action="([^"]*)"', found)
    hidden = dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', page.text))
    return (action[1] if action else str(url)), hidden


def press(server: Lastseen, url: httpx.URL, fields: dict[str, str]) -> httpx.Response:
    action, hidden = form(server, url)
    with server.client() as client:
        return client.post(str(url.join(action)), data={**hidden, **fields})


def accounts(server: Lastseen) -> list[str]:
    lines = server.run("account", "list").done().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("NAME")]


def test_the_link_creates_the_first_account_and_works_once(start: Callable[..., Lastseen]) -> None:
    server = start()
    url = link(server)
    response = press(server, url, NEW)
    assert response.status_code in (200, 201, 303), response.text
    assert Person(server, "ada", NEW["password"]).device().is_signed_in()
    with server.client() as client:
        again = client.get(url)
        assert again.status_code in (403, 404, 410)
        assert "<form" not in again.text
        answers.assert_safe_headers(again)


def test_opening_the_link_uses_nothing_up(start: Callable[..., Lastseen]) -> None:
    server = start()
    url = link(server)
    for _ in range(3):
        form(server, url)
    assert press(server, url, NEW).status_code in (200, 201, 303)


def test_pressed_fifty_times_at_once_it_creates_one_account(start: Callable[..., Lastseen]) -> None:
    server = start()
    url = link(server)
    action, hidden = form(server, url)
    barrier = threading.Barrier(50)

    def create(number: int) -> int:
        fields = {**hidden, "username": f"account-{number}", "password": f"long sentence {number}"}
        with server.client() as client:
            barrier.wait()
            return client.post(str(url.join(action)), data=fields).status_code

    with ThreadPoolExecutor(50) as pool:
        statuses = list(pool.map(create, range(50)))
    assert len([s for s in statuses if s in (200, 201, 303)]) == 1, statuses
    assert len(accounts(server)) == 1


def test_a_wrong_link_creates_nothing(start: Callable[..., Lastseen]) -> None:
    server = start()
    url = link(server)
    action, hidden = form(server, url)
    flipped = str(url)[:-1] + ("A" if str(url)[-1] != "A" else "B")
    with server.client() as client:
        assert client.get(flipped).status_code in (403, 404, 410)
        target = str(url.join(action))
        if url.path in target or str(url) == target:
            target = flipped
        fields = {k: v[:-1] + ("A" if v[-1] != "A" else "B") for k, v in hidden.items()}
        response = client.post(target, data={**fields, **NEW})
        assert response.status_code in (400, 403, 404, 410)
    assert accounts(server) == []


@pytest.mark.parametrize("password", ["short", "password", "x" * 129])
def test_a_weak_first_password_is_refused_and_the_link_stays_good(
    start: Callable[..., Lastseen], password: str
) -> None:
    server = start()
    url = link(server)
    response = press(server, url, {"username": "ada", "password": password})
    assert response.status_code in (400, 422)
    assert accounts(server) == []
    assert press(server, url, NEW).status_code in (200, 201, 303)


def test_with_an_account_there_is_no_link(tmp_path: Path, start: Callable[..., Lastseen]) -> None:
    run(
        *("account", "add", "ada", "--password-stdin", "--database", "sqlite:lastseen.db"),
        directory=tmp_path,
        stdin="a long first sentence\n",
    ).done()
    server = start(directory=tmp_path)
    assert Device(server).get("/livez").status_code == 200
    assert not [line for line in server.lines if "set-up" in line]


def test_an_account_that_is_added_otherwise_ends_the_link(start: Callable[..., Lastseen]) -> None:
    server = start()
    url = link(server)
    action, hidden = form(server, url)
    server.add_account("ada", "a long first sentence")
    with server.client() as client:
        fields = {**hidden, "username": "eve", "password": "another long sentence"}
        response = client.post(str(url.join(action)), data=fields)
    assert response.status_code in (403, 404, 410)
    assert len(accounts(server)) == 1


def test_the_secret_of_the_link_is_kept_nowhere_in_the_clear(start: Callable[..., Lastseen]) -> None:
    server = start()
    url = link(server)
    secret = re.search(r"lsu_[A-Za-z0-9_-]{48}", str(url))
    assert secret, url
    form(server, url)
    assert secret[0] not in server.log()
    for file in server.directory.iterdir():
        if file.is_file() and file.name != "stderr.log":
            assert secret[0].encode() not in file.read_bytes(), file


def test_a_foreign_page_cannot_press_it(start: Callable[..., Lastseen]) -> None:
    server = start()
    url = link(server)
    action, hidden = form(server, url)
    with server.client() as client:
        response = client.post(
            str(url.join(action)),
            data={**hidden, **NEW},
            headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"},
        )
    assert response.status_code == 403
    assert accounts(server) == []
