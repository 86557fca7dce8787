"""What holds for every answer: headers, problem documents, limits of size, methods and routes."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx
import pytest

from harness import answers
from harness.people import Device, Person, person
from harness.program import Lastseen, eventually

API = [
    ("POST", "/api/v1/sign-in"),
    ("POST", "/api/v1/sign-out"),
    ("POST", "/api/v1/password"),
    ("GET", "/api/v1/session"),
    ("GET", "/api/v1/sessions"),
    ("DELETE", "/api/v1/sessions/0"),
    ("POST", "/api/v1/sessions/terminate"),
    ("POST", "/api/v1/sessions/terminate-others"),
    ("GET", "/api/v1/openapi.json"),
    ("GET", "/auth-request"),
    ("GET", "/forward-auth"),
]
PAGES = [("GET", path) for path in ("/", "/sign-in", "/sessions", "/password")]
OTHERS = [
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/nowhere"),
    ("GET", "/api/v1/nowhere"),
    ("GET", "/api/v1/sessions/%zz"),
    ("GET", "/%ff"),
    ("BREW", "/api/v1/session"),
    ("PUT", "/sessions"),
    ("OPTIONS", "/api/v1/session"),
    ("TRACE", "/api/v1/session"),
]


@pytest.mark.parametrize(("method", "path"), API + PAGES + OTHERS)
@pytest.mark.parametrize("signed_in", [True, False], ids=["signed in", "stranger"])
def test_every_answer_carries_the_headers_that_protect(
    ada: Person, method: str, path: str, signed_in: bool
) -> None:
    device = ada.device(browser=True) if signed_in else Device(ada.server, browser=True)
    response = device.request(method, path)
    answers.assert_safe_headers(response)
    # HSTS is for https alone.
    assert "strict-transport-security" not in response.headers
    if path not in ("/livez", "/readyz", "/api/v1/openapi.json") and response.status_code != 404:
        answers.assert_not_stored(response)
    kind = response.headers.get("content-type", "")
    if kind.startswith("text/"):
        assert "charset=utf-8" in kind.lower()


@pytest.mark.parametrize(("method", "path"), API + PAGES + OTHERS)
def test_where_the_public_url_is_https_every_answer_asks_for_https(
    https: Lastseen, method: str, path: str
) -> None:
    response = Device(https).request(method, path)
    parts = [part.strip() for part in response.headers["strict-transport-security"].split(";")]
    ages = [int(part.removeprefix("max-age=")) for part in parts if part.startswith("max-age=")]
    assert ages[0] >= 31_536_000


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory):
    directory = tmp_path_factory.mktemp("https")
    server = Lastseen(directory, "--public-url", "https://sessions.example").start()
    yield server
    server.close()


@pytest.mark.parametrize("path", ["/sign-in", "/sessions", "/password"])
def test_a_page_runs_scripts_of_this_server_only_and_makes_none_from_text(
    ada: Person, path: str
) -> None:
    response = ada.device(browser=True).get(path, follow_redirects=True)
    policy = answers.content_security_policy(response)
    assert policy.get("script-src", policy["default-src"]) in (["'self'"], ["'none'"])
    assert policy.get("style-src", policy["default-src"]) == ["'self'"]
    assert policy["require-trusted-types-for"] == ["'script'"]
    assert policy["form-action"] == ["'self'"]


def test_what_the_pages_load_carries_them_too(ada: Person) -> None:
    import re

    page = ada.device(browser=True).get("/sessions")
    paths = re.findall(r'(?:src|href)="(/[^"#?]*\.(?:js|css|svg)[^"]*)"', page.text)
    assert len(paths) >= 2
    for path in paths:
        response = Device(ada.server).get(path)
        assert response.status_code == 200, path
        answers.assert_safe_headers(response)


def test_no_origin_is_granted_anything(ada: Person) -> None:
    preflight = Device(ada.server).request(
        "OPTIONS",
        "/api/v1/session",
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "GET"},
    )
    answers.assert_safe_headers(preflight)
    reading = ada.device().get("/api/v1/session", headers={"Origin": "https://evil.example"})
    answers.assert_safe_headers(reading)


@pytest.mark.parametrize("path", ["/api/v1/nowhere", "/api/v2/session", "/api", "/api/v1/session/"])
def test_an_unknown_route_is_a_problem_document(server: Lastseen, path: str) -> None:
    answers.problem(Device(server).get(path), "not_found")


@pytest.mark.parametrize(("method", "path"), API)
def test_a_wrong_method_is_a_problem_document_that_says_which_are_right(
    ada: Person, method: str, path: str
) -> None:
    for wrong in ("PUT", "PATCH", "BREW", "POST", "GET", "DELETE"):
        if wrong == method:
            continue
        response = ada.device().request(wrong, path)
        # `terminate` stands where an id could stand.
        if wrong == "DELETE" and path.startswith("/api/v1/sessions/"):
            continue
        answers.problem(response, "method_not_allowed")
        allowed = [part.strip() for part in response.headers["allow"].split(",")]
        assert method in allowed and wrong not in allowed


def test_head_is_get_without_its_body(ada: Person) -> None:
    # The check of a session goes past the router, its HEAD does not: they may not drift apart.
    for device in (ada.device(), Device(ada.server)):
        for path in ("/api/v1/session", "/api/v1/session?a=b", "/api/v1/sessions", "/sessions", "/livez"):
            got, head = device.get(path), device.request("HEAD", path)
            assert head.status_code == got.status_code
            assert head.content == b""
            assert _lasting(head) == _lasting(got)


def _lasting(response: httpx.Response) -> dict[str, str]:
    """The headers of an answer, but for those that differ from one to the next."""
    differing = ("date", "x-request-id")
    return {name: value for name, value in response.headers.items() if name not in differing}


@pytest.mark.parametrize("path", ["/api/v1/sessions/%zz", "/api/v1/sessions/%ff", "/api/v1/%"])
def test_a_path_that_cannot_be_decoded_is_a_problem_document(ada: Person, path: str) -> None:
    with ada.server.client() as client:
        response = client.delete(path, headers=ada.device().credentials())
    assert response.status_code in (400, 404)
    answers.problem(response, "invalid_request" if response.status_code == 400 else "not_found")


WITH_A_BODY = [
    "/api/v1/sign-in",
    "/api/v1/password",
    "/api/v1/sessions/terminate",
]


@pytest.mark.parametrize("path", WITH_A_BODY)
@pytest.mark.parametrize("chunked", [False, True], ids=["with its length", "in chunks"])
def test_a_body_over_sixty_four_kibibytes_is_too_large(
    ada: Person, path: str, chunked: bool
) -> None:
    device = ada.device()

    def send(size: int) -> httpx.Response:
        body = b'{"x": "' + b"y" * (size - 9) + b'"}'
        assert len(body) == size
        pieces = (body[i : i + 4096] for i in range(0, size, 4096))
        return device.post(
            path,
            content=pieces if chunked else body,
            headers={"Content-Type": "application/json"},
        )

    answers.problem(send(64 * 1024 + 1), "too_large")
    answers.problem(send(64 * 1024), "invalid_request")


@pytest.mark.parametrize("path", WITH_A_BODY)
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"], ids=str)
def test_json_routes_take_json_only(ada: Person, path: str, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    response = ada.device().post(path, content=b"{}", headers=headers)
    answers.problem(response, "unsupported_media_type")


@pytest.mark.parametrize("path", ["/sign-in", "/password", "/sessions/terminate"])
def test_form_routes_take_forms_only(ada: Person, path: str) -> None:
    device = ada.device(browser=True)
    response = device.post(path, json={"username": ada.name, "password": ada.password})
    assert response.status_code == 415
    assert "set-cookie" not in response.headers


def test_deep_json_is_refused_like_any_other_wrong_json(ada: Person) -> None:
    response = ada.device().post(
        "/api/v1/sessions/terminate",
        content=b'{"ids":' * 5_000 + b"1" + b"}" * 5_000,
        headers={"Content-Type": "application/json"},
    )
    answers.problem(response, "invalid_request")


# -- below the routes: what a client sends that is hardly HTTP


def exchange(server: Lastseen, data: bytes) -> bytes:
    """Sends bytes, and returns everything until the server closes or has answered."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            # The server may have had enough before we were done.
            pass
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
        except ConnectionResetError:
            pass
        return received


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 1_000_000 + b"\r\n\r\n",
        b"GET /" + b"y" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 10_000 + b"\r\n",
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
        b"Content-Length: 3\r\n\r\n{}",
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=lambda data: ascii(data[:40]),
)
def test_what_is_hardly_http_is_refused_and_disturbs_nobody(server: Lastseen, data: bytes) -> None:
    received = exchange(server, data)
    if received:
        status = int(received.split(b" ", 2)[1])
        assert 300 <= status < 500 or status == 505, received[:200]
    with server.client() as client:
        assert client.get("/livez").text.strip() == "ok"


def test_a_kilobyte_of_cookies_of_others_does_no_harm_and_a_megabyte_is_refused(
    ada: Person,
) -> None:
    device = ada.device()
    with ada.server.client() as client:
        many = "; ".join(f"c{n}=v" for n in range(150)) + f"; lastseen={device.token}"
        assert client.get("/api/v1/session", headers={"Cookie": many}).status_code == 200
    flood = b"Cookie: " + b"; ".join(b"c%d=v" % n for n in range(100_000))
    received = exchange(
        ada.server, b"GET /api/v1/session HTTP/1.1\r\nHost: x\r\n" + flood + b"\r\n\r\n"
    )
    assert not received or received.split(b" ", 2)[1] in (b"400", b"431"), received[:100]


def test_a_slow_sender_is_cut_off(server: Lastseen) -> None:
    """Half a request line, half a header and half a body; and then nothing more."""
    beginnings = [
        b"GET /livez",
        b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Half: ",
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: 50\r\n\r\n{",
    ]
    connections = []
    for beginning in beginnings:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=90)
        connection.sendall(beginning)
        connections.append(connection)
    for connection, beginning in zip(connections, beginnings, strict=True):
        with connection:
            received = b""
            try:
                while chunk := connection.recv(4096):
                    received += chunk
            except ConnectionResetError:
                pass
            if received:
                assert received.split(b" ", 2)[1] in (b"400", b"408"), (beginning, received[:100])


def test_many_idle_and_slow_connections_do_not_stop_the_others(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    ada = person(server)
    device = ada.device()
    held: list[socket.socket] = []
    try:
        for number in range(1_000):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            if number % 2:
                connection.sendall(b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nX-Slow: ")
            held.append(connection)
        for _ in range(20):
            assert device.is_signed_in()
        fresh = ada.device()
        assert fresh.is_signed_in()
        with server.client() as client:
            assert client.get("/readyz").status_code == 200
    finally:
        for connection in held:
            connection.close()
    eventually(device.is_signed_in, "the server goes on")


# -- health


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_a_healthy_server_says_ok(server: Lastseen, path: str) -> None:
    response = Device(server).get(path)
    assert (response.status_code, response.text.strip()) == (200, "ok")


def test_an_answer_names_no_software_that_an_attacker_could_look_up(server: Lastseen) -> None:
    response = Device(server).get("/livez")
    assert "x-powered-by" not in response.headers
    assert not any(char.isdigit() for char in response.headers.get("server", ""))
