"""Who is asking: the cookie, the header, both, neither, and tokens that are not accepted."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from harness import answers
from harness.people import Device, Person, person
from harness.program import Lastseen, eventually

PATH = "/api/v1/session"


def ask(server: Lastseen, headers: list[tuple[str, str]]) -> httpx.Response:
    with server.client() as client:
        return client.get(PATH, headers=headers)


def bearer(device: Device) -> tuple[str, str]:
    return ("Authorization", f"Bearer {device.token}")


def cookie(device: Device) -> tuple[str, str]:
    return ("Cookie", f"lastseen={device.token}")


def test_the_session_is_the_callers_current_one(ada: Person) -> None:
    device = ada.device()
    ada.device()
    for headers in ([bearer(device)], [cookie(device)]):
        response = ask(ada.server, headers)
        assert response.status_code == 200
        session = answers.session(response.json())
        assert session["id"] == device.id
        assert session["current"] is True
        answers.assert_not_stored(response)
        answers.assert_safe_headers(response)


def test_where_both_are_sent_the_header_counts_and_the_cookie_does_not(
    ada: Person, bob: Person
) -> None:
    adas, bobs = ada.device(), bob.device()
    response = ask(ada.server, [cookie(adas), bearer(bobs)])
    assert response.json()["id"] == bobs.id
    refused = [cookie(adas), ("Authorization", "Bearer lss_nothing")]
    answers.problem(ask(ada.server, refused), "not_signed_in")
    accepted = [("Cookie", "lastseen=nothing"), bearer(bobs)]
    assert ask(ada.server, accepted).json()["id"] == bobs.id


def test_two_cookies_of_our_name_with_different_values_are_no_sign_in(
    ada: Person, bob: Person
) -> None:
    adas, bobs = ada.device(), bob.device()
    for headers in (
        [("Cookie", f"lastseen={adas.token}; lastseen={bobs.token}")],
        [("Cookie", f"lastseen={bobs.token}; lastseen={adas.token}")],
        [("Cookie", f"lastseen={adas.token}; lastseen=x")],
        [("Cookie", f"lastseen=; lastseen={adas.token}")],
        [cookie(adas), cookie(bobs)],
        [cookie(adas), ("Cookie", "lastseen=x")],
    ):
        answers.problem(ask(ada.server, headers), "not_signed_in")
    # One value is one sign-in, however often it is sent.
    assert ask(ada.server, [cookie(adas), cookie(adas)]).json()["id"] == adas.id


@pytest.mark.parametrize("name", ["Lastseen", "LASTSEEN", "last%73een", "lastseen2", "xlastseen"])
def test_cookie_names_are_compared_byte_by_byte(ada: Person, name: str) -> None:
    device = ada.device()
    answers.problem(ask(ada.server, [("Cookie", f"{name}={device.token}")]), "not_signed_in")
    # And another cookie beside ours is no second one of ours.
    beside = [("Cookie", f"{name}=x; lastseen={device.token}; theme=dark")]
    assert ask(ada.server, beside).json()["id"] == device.id


def test_unknown_malformed_expired_and_terminated_are_told_apart_by_nothing(
    start: Callable[..., Lastseen],
) -> None:
    server = start("--idle-timeout", "1s", "--remembered-idle-timeout", "1d")
    ada = person(server)
    terminated, expired, other = ada.device(remember=True), ada.device(), ada.device(remember=True)
    assert other.delete(f"/api/v1/sessions/{terminated.id}").status_code == 204
    eventually(
        lambda: next(s for s in other.sessions() if s["id"] == expired.id)["status"] == "expired",
        "the session expires",
    )
    token = str(other.token)
    flipped = token[:-1] + ("A" if token[-1] != "A" else "B")
    middle = token[:30] + ("A" if token[30] != "A" else "B") + token[31:]
    seen = set()
    for sent in (
        None,
        "x",
        flipped,
        middle,
        token[:-1],
        token + "A",
        token.upper(),
        other.id,
        "lss_" + other.id,
        "lsu_" + token[4:],
        "lss_" + "A" * 48,
        "lss_" + "A" * 9_000,
        expired.token,
        terminated.token,
    ):
        for headers in (
            [("Authorization", f"Bearer {sent}")],
            [("Cookie", f"lastseen={sent}")],
            [("Authorization", "Bearer")],
            [("Cookie", "lastseen=")],
            [("Cookie", "lastseen")],
        ):
            response = ask(server, headers if sent is not None else [])
            answers.problem(response, "not_signed_in")
            answers.assert_not_stored(response)
            seen.add((response.content, response.headers.get("www-authenticate")))
    assert len(seen) == 1, seen
    assert other.is_signed_in()


def test_an_id_never_authenticates(ada: Person) -> None:
    device = ada.device()
    answers.problem(ask(ada.server, [("Authorization", f"Bearer {device.id}")]), "not_signed_in")
    answers.problem(ask(ada.server, [("Cookie", f"lastseen={device.id}")]), "not_signed_in")


def test_the_name_of_the_scheme_is_written_in_any_case(ada: Person) -> None:
    device = ada.device()
    for scheme in ("bearer", "BEARER"):
        response = ask(ada.server, [("Authorization", f"{scheme} {device.token}")])
        assert response.status_code == 200


def test_a_token_in_the_address_is_not_looked_at(ada: Person) -> None:
    device = ada.device()
    with ada.server.client() as client:
        for name in ("token", "access_token", "lastseen", "session"):
            answers.problem(client.get(PATH, params={name: str(device.token)}), "not_signed_in")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/v1/session", None),
        ("GET", "/api/v1/sessions", None),
        ("DELETE", "/api/v1/sessions/ID", None),
        ("POST", "/api/v1/sessions/terminate", {"ids": ["ID"]}),
        ("POST", "/api/v1/sessions/terminate-others", None),
        ("POST", "/api/v1/password", {"current_password": "x", "new_password": "y" * 20}),
    ],
    ids=str,
)
@pytest.mark.parametrize("ended", ["terminated", "signed out", "replaced by a new password"])
@pytest.mark.parametrize("way", ["cookie", "bearer"])
def test_an_ended_session_is_refused_on_every_path(
    ada: Person, method: str, path: str, body: dict[str, object] | None, ended: str, way: str
) -> None:
    device, other = ada.device(), ada.device()
    if ended == "terminated":
        assert other.delete(f"/api/v1/sessions/{device.id}").status_code == 204
    elif ended == "signed out":
        assert device.post("/api/v1/sign-out").status_code == 204
    else:
        changed = {"current_password": ada.password, "new_password": "another long sentence"}
        assert other.post("/api/v1/password", json=changed).status_code == 200
    device.browser = way == "cookie"
    if body is not None:
        body = {k: [other.id] if v == ["ID"] else v for k, v in body.items()}
    response = device.request(method, path.replace("ID", other.id), json=body)
    answers.problem(response, "not_signed_in")


@pytest.mark.parametrize("path", ["/sessions", "/password", "/"])
def test_an_ended_session_is_led_from_a_page_to_sign_in(ada: Person, path: str) -> None:
    device, other = ada.device(browser=True), ada.device()
    assert device.get("/sessions").status_code == 200
    assert other.delete(f"/api/v1/sessions/{device.id}").status_code == 204
    response = device.get(path)
    assert response.status_code in (302, 303, 307)
    answers.assert_not_stored(response)
    where = httpx.URL(response.headers["location"])
    if path == "/":
        assert where.path in ("/sessions", "/sign-in")
    else:
        assert where.path == "/sign-in"
    assert not where.host or f"http://{where.host}:{where.port}" == ada.server.url
