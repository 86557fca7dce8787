"""A service behind the documented proxies: who gets in, as whom, and who does not."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from harness.people import FIREFOX_WINDOWS, LABELS
from harness.proxies import COOKIE, PAGE, SESSIONS, WIKI, Guarded

OURS = ("Remote-User", "Remote-Account", "Remote-Session")


def assert_leads_to_sign_in(guarded: Guarded, response: httpx.Response, back: str | None) -> None:
    assert response.status_code == 302, (response.status_code, response.text)
    assert "no-store" in response.headers["cache-control"]
    location = urlsplit(response.headers["location"])
    assert f"{location.scheme}://{location.netloc}" == guarded.sessions_url
    assert location.path == "/sign-in"
    assert parse_qs(location.query) == ({} if back is None else {"return_to": [back]})


# -- who gets in


def test_somebody_signed_in_gets_in_and_is_named(guarded: Guarded) -> None:
    device = guarded.sign_in()
    response = guarded.ask("/page", token=device.token)
    assert response.status_code == 200
    seen = guarded.reached()
    assert seen.all("Remote-User") == [guarded.ada.name]
    assert seen.all("Remote-Account") == [device.session["account"]["id"]]  # type: ignore[index]
    assert seen.all("Remote-Session") == [device.id]


def test_a_program_gets_in_with_its_bearer_token(guarded: Guarded) -> None:
    device = guarded.sign_in()
    response = guarded.ask("/page", headers=device.credentials())
    assert response.status_code == 200
    assert guarded.reached().all("Remote-Session") == [device.id]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_any_method_gets_in_with_its_body(guarded: Guarded, method: str) -> None:
    device = guarded.sign_in()
    body = b"" if method == "HEAD" else b"x" * 100_000
    response = guarded.ask("/page?a=b", method=method, token=device.token, content=body)
    assert response.status_code == 200
    seen = guarded.reached()
    assert (seen.method, seen.path, seen.body) == (method, "/page?a=b", body)


def test_the_service_never_sees_the_session_token(guarded: Guarded) -> None:
    device = guarded.sign_in()
    token = str(device.token)
    for sent, kept in [
        (f"{COOKIE}={token}", ""),
        (f"a=1; {COOKIE}={token}", "a=1"),
        (f"{COOKIE}={token}; b=2", "b=2"),
        (f"a=1; {COOKIE}={token}; b=2; c=3", "a=1; b=2; c=3"),
        (f"a=1;{COOKIE} = {token};b=2", "a=1;b=2"),
        (f"{COOKIE}={token}; a=1; {COOKIE}={token}", None),
    ]:
        assert guarded.ask("/page", headers={"Cookie": sent}).status_code == 200, sent
        seen = guarded.reached()
        assert token not in str(seen.headers)
        if kept is not None:
            # Caddy leaves the name of the cookie and nothing else of it.
            passed_on = re.sub(rf"{COOKIE} *=(; *|$)", "", "".join(seen.all("Cookie")))
            assert passed_on.strip("; ") == kept, sent
    assert guarded.ask("/page", headers=device.credentials()).status_code == 200
    assert token not in str(guarded.reached().headers)
    # What is the service's own goes through.
    own = {"Authorization": "Basic YTpi", "Cookie": f"{COOKIE}={token}"}
    assert guarded.ask("/page", headers=own).status_code == 200
    assert guarded.reached().all("Authorization") == ["Basic YTpi"]


def test_a_name_that_no_header_can_hold_is_percent_encoded(guarded: Guarded) -> None:
    name, password = "Žofie 100% /", guarded.ada.password
    guarded.lastseen.add_account(name, password)
    signed_in = guarded.ask(
        "/api/v1/sign-in", host=SESSIONS, method="POST", json={"username": name, "password": password}
    )
    token = signed_in.json()["token"]
    assert guarded.ask("/page", token=token).status_code == 200
    assert guarded.reached().all("Remote-User") == ["%C5%BDofie%20100%25%20%2F"]


# -- who does not


def test_a_browser_that_is_signed_out_is_led_to_sign_in_and_the_query_is_kept(guarded: Guarded) -> None:
    for path in [
        "/",
        "/page?x=1&y=%26%3D%20+&z=https://elsewhere.example/?a=b&empty=&x=2",
        "/a%2Fb/%C3%A9?%C3%A9",
        "//elsewhere.example/",
    ]:
        with guarded.unreached():
            response = guarded.ask(path, headers=PAGE)
        assert_leads_to_sign_in(guarded, response, guarded.wiki_url + path)


def test_a_program_that_is_signed_out_is_told_401(guarded: Guarded) -> None:
    for method in ("GET", "POST"):
        with guarded.unreached():
            response = guarded.ask("/page", method=method, headers={"Accept": "*/*"})
        assert response.status_code == 401


def test_a_session_that_was_terminated_is_refused_from_the_next_request_on(guarded: Guarded) -> None:
    device = guarded.sign_in()
    assert guarded.ask("/page", token=device.token).status_code == 200
    guarded.end(device)
    with guarded.unreached():
        assert guarded.ask("/page", token=device.token).status_code == 401
        response = guarded.ask("/page?a=b", token=device.token, headers=PAGE)
    assert_leads_to_sign_in(guarded, response, f"{guarded.wiki_url}/page?a=b")


def test_two_different_cookies_of_our_name_are_no_sign_in(guarded: Guarded) -> None:
    device = guarded.sign_in()
    with guarded.unreached():
        sent = {"Cookie": f"{COOKIE}={device.token}; {COOKIE}=x"}
        assert guarded.ask("/page", headers=sent).status_code == 401


def test_where_lastseen_does_not_answer_nobody_gets_in(guarded: Guarded) -> None:
    device = guarded.sign_in()
    guarded.lastseen.stop()
    try:
        with guarded.unreached():
            response = guarded.ask("/page", token=device.token)
        assert 500 <= response.status_code <= 599
    finally:
        # On the port that the proxy knows.
        at = guarded.lastseen.arguments.index("--listen") + 1
        guarded.lastseen.arguments[at] = f"127.0.0.1:{guarded.lastseen.port}"
        guarded.lastseen.start()
    assert guarded.ask("/page", token=device.token).status_code == 200


# -- headers that a visitor sends under our names

SPELLINGS = [
    *OURS,
    *("remote-user", "REMOTE-USER", "Remote_User", "remote_user", "REMOTE_USER", "Remote_Account"),
    *("Remote_Session", "Remote.User", "Remote-Name", "Remote-Email", "Remote-Groups", "Remote_Groups"),
]


def spoken(seen, name: str) -> list[str]:
    return [value for value in seen.all(name) if value]


def test_what_a_visitor_says_under_our_names_never_reaches_the_service(guarded: Guarded) -> None:
    device = guarded.sign_in()
    headers = [(name, "root") for name in SPELLINGS]
    response = guarded.ask("/page", token=device.token, headers=headers)
    assert response.status_code == 200
    seen = guarded.reached()
    assert "root" not in [value for _, value in seen.headers], seen.headers
    assert spoken(seen, "Remote-User") == [guarded.ada.name]
    assert spoken(seen, "Remote-Session") == [device.id]


@pytest.mark.parametrize("name", SPELLINGS)
def test_no_spelling_of_our_names_lets_anybody_in(guarded: Guarded, name: str) -> None:
    with guarded.unreached():
        assert guarded.ask("/page", headers=[(name, "root")]).status_code == 401


def test_a_header_of_ours_cannot_be_taken_away_on_its_way(guarded: Guarded) -> None:
    device = guarded.sign_in()
    for value in ("Remote-User", "close, remote-user", "keep-alive, Remote-Account, Remote-Session"):
        before = len(guarded.service.seen)
        response = guarded.ask("/page", token=device.token, headers={"Connection": value})
        if response.status_code == 200:
            seen = guarded.reached()
            assert spoken(seen, "Remote-User") == [guarded.ada.name]
            assert spoken(seen, "Remote-Account") and spoken(seen, "Remote-Session")
        else:
            assert response.status_code == 400
            assert len(guarded.service.seen) == before


# -- whose address it is


def test_the_use_is_the_visitors_own_address_whatever_he_says(guarded: Guarded) -> None:
    device = guarded.sign_in()
    spoofed = [
        {},
        {"X-Forwarded-For": "198.51.100.1"},
        {"X-Forwarded-For": "198.51.100.1, 127.0.0.1"},
        {"Forwarded": "for=198.51.100.1"},
        {"Forwarded": "for=198.51.100.1", "X-Forwarded-For": "198.51.100.1"},
        {"X-Real-IP": "198.51.100.1"},
        {"Connection": "X-Forwarded-For", "X-Forwarded-For": "198.51.100.1"},
    ]
    other = guarded.sign_in()
    for number, headers in enumerate(spoofed):
        address = f"127.0.1.{number + 1}"
        response = guarded.ask("/page", token=device.token, headers=headers, address=address)
        assert response.status_code == 200, headers
        listed = {session["id"]: session for session in other.sessions()}
        assert listed[device.id]["ip_address"] == address, headers
        response = guarded.ask(
            "/api/v1/session", host=SESSIONS, token=device.token, headers=headers, address=address
        )
        assert response.json()["ip_address"] == address, headers


def test_the_use_is_the_visitors_own_device(guarded: Guarded) -> None:
    device, other = guarded.sign_in(), guarded.sign_in()
    guarded.ask("/page", token=device.token, headers={"User-Agent": FIREFOX_WINDOWS})
    listed = {session["id"]: session for session in other.sessions()}
    assert listed[device.id]["user_agent"] == LABELS[FIREFOX_WINDOWS]


# -- open redirects

#: Headers with which a visitor says that he asked for something else.
ELSEWHERE = [
    {"X-Forwarded-Host": "elsewhere.example"},
    {"X-Forwarded-Uri": "//elsewhere.example/"},
    {"X-Forwarded-Uri": "/elsewhere"},
    {"X-Forwarded-Proto": "javascript"},
    {"X-Original-URL": "https://elsewhere.example/"},
    {"X-Forwarded-Prefix": "https://elsewhere.example"},
    {"Forwarded": "host=elsewhere.example;proto=http"},
    {"X-Forwarded-Host": "elsewhere.example", "X-Forwarded-Uri": "/", "X-Forwarded-Proto": "http"},
    {"X_Forwarded_Host": "elsewhere.example"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_a_visitor_cannot_choose_where_the_sign_in_page_leads(guarded: Guarded, headers: dict[str, str]) -> None:
    response = guarded.ask("/page", headers={**PAGE, **headers})
    assert_leads_to_sign_in(guarded, response, f"{guarded.wiki_url}/page")


def test_a_host_that_is_not_ours_leads_nowhere(guarded: Guarded) -> None:
    with guarded.unreached(), guarded.client() as client:
        request = client.build_request(
            "GET",
            f"https://127.0.0.1:{guarded.port}/",
            headers=[("Host", "elsewhere.example"), *PAGE.items()],
            extensions={"sni_hostname": WIKI},
        )
        response = client.send(request)
    location = response.headers.get("location", "")
    assert not re.search("return_to=.*elsewhere", location), location


# -- what is under way when its session ends


def test_a_download_that_is_under_way_goes_on_and_the_next_request_is_refused(guarded: Guarded) -> None:
    device = guarded.sign_in()
    with guarded.streamed("/download", str(device.token)) as response:
        assert response.status_code == 200
        pieces = response.iter_raw()
        guarded.service.next_piece.release()
        assert next(pieces) == b"piece"
        guarded.end(device)
        guarded.service.next_piece.release()
        assert next(pieces) == b"piece"
        with guarded.unreached():
            assert guarded.ask("/download", token=device.token).status_code == 401


HANDSHAKE = (
    "GET /socket HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


def upgrade(guarded: Guarded, token: str):
    connection = guarded.connection()
    connection.sendall(
        HANDSHAKE.format(host=f"{WIKI}:{guarded.port}", cookie=f"{COOKIE}={token}").encode()
    )
    head = b""
    while b"\r\n\r\n" not in head:
        more = connection.recv(1024)
        assert more, head
        head += more
    return connection, int(head.split()[1])


def test_a_web_socket_that_is_open_stays_open_and_no_new_one_opens(guarded: Guarded) -> None:
    device = guarded.sign_in()
    connection, status = upgrade(guarded, str(device.token))
    with connection:
        assert status == 101
        assert guarded.reached().all("Remote-User") == [guarded.ada.name]
        connection.sendall(b"before")
        assert connection.recv(1024) == b"before"
        guarded.end(device)
        connection.sendall(b"after")
        assert connection.recv(1024) == b"after"
        with guarded.unreached():
            refused, status = upgrade(guarded, str(device.token))
            refused.close()
            assert status == 401
