"""An unsafe request that carries the cookie, or would set one, must come from the same origin."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from harness import answers
from harness.people import PASSWORD, Device, Person, cookies, person
from harness.program import Lastseen

PUBLIC = "https://sessions.example"

OUR_ORIGIN = [
    {},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Origin": PUBLIC},
    {"Sec-Fetch-Site": "same-origin", "Origin": PUBLIC},
    # Where Sec-Fetch-Site is sent, it is what decides.
    {"Sec-Fetch-Site": "same-origin", "Origin": "https://evil.example"},
]

FOREIGN = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": ""},
    {"Sec-Fetch-Site": "SAME-ORIGIN"},
    {"Sec-Fetch-Site": "cross-site", "Origin": PUBLIC},
    {"Sec-Fetch-Site": "same-site", "Origin": PUBLIC},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "https://sub.sessions.example"},
    {"Origin": "https://sessions.example.evil.example"},
    {"Origin": "https://sessions.example:8443"},
    {"Origin": "http://sessions.example"},
    {"Origin": "https://sessions.example/"},
    {"Origin": "https://sessions.example, https://sessions.example"},
    {"Origin": "https://user@sessions.example"},
]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory):
    server = Lastseen(tmp_path_factory.mktemp("public"), "--public-url", PUBLIC).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def grace(public: Lastseen) -> Person:
    return person(public, "grace")


def carrying(device: Device, *ways: str) -> dict[str, str]:
    sent = {}
    if "cookie" in ways:
        sent["Cookie"] = f"__Host-lastseen={device.token}"
    if "bearer" in ways:
        sent["Authorization"] = f"Bearer {device.token}"
    return sent


def program(grace: Person) -> Device:
    """A signed-in device whose token is taken apart by hand: it sends nothing of its own accord."""
    response = Device(grace.server).try_sign_in(grace.name, grace.password)
    assert response.status_code == 201
    device = Device(grace.server, token=cookies(response)["__Host-lastseen"].value)
    device.session = response.json()["session"]
    return device


def bare(server: Lastseen, method: str, path: str, headers: dict[str, str], **more: object):
    with server.client() as client:
        return client.request(method, path, headers=headers, **more)  # type: ignore[arg-type]


def each_unsafe_request(other: str) -> list[tuple[str, str, dict[str, object]]]:
    return [
        ("DELETE", f"/api/v1/sessions/{other}", {}),
        ("POST", "/api/v1/sessions/terminate", {"json": {"ids": [other]}}),
        ("POST", "/api/v1/sessions/terminate-others", {}),
        (
            "POST",
            "/api/v1/password",
            {"json": {"current_password": PASSWORD, "new_password": "a new long sentence"}},
        ),
        ("POST", "/api/v1/sign-out", {}),
        (
            "POST",
            "/sessions/terminate",
            {"data": {"action": "selected", "id": other, "confirmed": "yes"}},
        ),
        ("POST", "/sign-out", {"data": {"confirmed": "yes"}}),
        ("POST", "/password", {"data": {"current_password": PASSWORD, "new_password": "n" * 20}}),
    ]


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("ways", [("cookie",), ("cookie", "bearer")], ids="+".join)
def test_a_foreign_request_that_carries_the_cookie_is_forbidden_and_does_nothing(
    grace: Person, headers: dict[str, str], ways: tuple[str, ...]
) -> None:
    device, other = program(grace), program(grace)
    for method, path, body in each_unsafe_request(other.id):
        sent = {**headers, **carrying(device, *ways)}
        response = bare(grace.server, method, path, sent, **body)
        assert response.status_code == 403, (path, response.status_code)
        if path.startswith("/api/"):
            answers.problem(response, "forbidden")
        assert "set-cookie" not in response.headers, path
        answers.assert_not_stored(response)
    assert device.is_signed_in() and other.is_signed_in()


@pytest.mark.parametrize("headers", OUR_ORIGIN, ids=str)
def test_a_request_of_our_own_origin_or_of_no_browser_passes(
    grace: Person, headers: dict[str, str]
) -> None:
    device, other = program(grace), program(grace)
    sent = {**headers, **carrying(device, "cookie")}
    assert bare(grace.server, "DELETE", f"/api/v1/sessions/{other.id}", sent).status_code == 204
    assert not other.is_signed_in()
    assert bare(grace.server, "POST", "/api/v1/sign-out", sent).status_code == 204
    assert not device.is_signed_in()


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
def test_nobody_is_signed_in_from_a_foreign_page(grace: Person, headers: dict[str, str]) -> None:
    fields = {"username": grace.name, "password": grace.password}
    response = bare(grace.server, "POST", "/api/v1/sign-in", headers, json=fields)
    answers.problem(response, "forbidden")
    assert "set-cookie" not in response.headers
    response = bare(grace.server, "POST", "/sign-in", headers, data=fields)
    assert response.status_code == 403
    assert "set-cookie" not in response.headers


@pytest.mark.parametrize("headers", FOREIGN[:4], ids=str)
def test_a_bearer_token_alone_is_no_browsers_and_passes(
    grace: Person, headers: dict[str, str]
) -> None:
    device, other = program(grace), program(grace)
    sent = {**headers, **carrying(device, "bearer")}
    response = bare(grace.server, "DELETE", f"/api/v1/sessions/{other.id}", sent)
    assert response.status_code == 204
    assert not other.is_signed_in()


@pytest.mark.parametrize("headers", FOREIGN[:2], ids=str)
def test_reading_is_not_an_unsafe_request(grace: Person, headers: dict[str, str]) -> None:
    device = program(grace)
    for path in ("/api/v1/session", "/api/v1/sessions", "/sessions", "/password"):
        response = bare(grace.server, "GET", path, {**headers, **carrying(device, "cookie")})
        assert response.status_code == 200, path


def test_a_header_that_is_sent_twice_says_nothing_clear(grace: Person) -> None:
    device = program(grace)
    for name, values in (
        ("Sec-Fetch-Site", ("same-origin", "cross-site")),
        ("Sec-Fetch-Site", ("cross-site", "same-origin")),
        ("Origin", (PUBLIC, "https://evil.example")),
        ("Origin", ("https://evil.example", PUBLIC)),
    ):
        headers = [(name, value) for value in values]
        headers += list(carrying(device, "cookie").items())
        with grace.server.client() as client:
            response = client.post("/api/v1/sign-out", headers=headers)
        answers.problem(response, "forbidden")
    assert device.is_signed_in()


def test_the_host_that_a_request_names_is_not_what_origin_is_compared_with(grace: Person) -> None:
    device = program(grace)
    for extra in (
        {"Host": "evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https"},
        {"Forwarded": "host=evil.example;proto=https"},
    ):
        sent = {"Origin": "https://evil.example", **extra, **carrying(device, "cookie")}
        answers.problem(bare(grace.server, "POST", "/api/v1/sign-out", sent), "forbidden")
    assert device.is_signed_in()


def test_links_and_redirects_are_never_built_from_the_host_that_a_request_names(
    grace: Person,
) -> None:
    for path in ("/", "/sessions", "/password"):
        for extra in ({"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}):
            response = bare(grace.server, "GET", path, extra)
            assert "evil" not in str(response.headers) + response.text
            where = httpx.URL(response.headers["location"])
            assert where.host in ("", "sessions.example")


def test_a_public_url_with_the_default_port_is_the_same_origin_as_without(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--public-url", "https://sessions.example:443/")
    ada = person(server)
    response = Device(server, headers={"Origin": PUBLIC}).try_sign_in(ada.name, ada.password)
    assert response.status_code == 201
