"""docs/proxies/traefik.yml, as far as it can be shown without Traefik, which Debian does not have.

What Traefik's documentation says of its middlewares is done here by hand, with the values of the file: the request that
ForwardAuth makes is sent to a running Lastseen, and the answer is applied to the visitor's request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml

from harness.people import Device, Person, person
from harness.program import Lastseen
from harness.proxies import DOCUMENTED, PAGE, WIKI, adapted

HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}


@dataclass
class Passed:
    """What the service would be sent."""

    headers: list[tuple[str, str]]


class Traefik:
    """The middlewares of the router `wiki`, in their order."""

    def __init__(self, lastseen: Lastseen) -> None:
        text = adapted(
            (DOCUMENTED / "traefik.yml").read_text(),
            {"http://127.0.0.1:8080": lastseen.url},
        )
        http = yaml.safe_load(text)["http"]
        names = http["routers"]["wiki"]["middlewares"]
        self.middlewares = [http["middlewares"][name] for name in names]
        for router in http["routers"].values():
            assert router["service"] in http["services"]
            assert all(name in http["middlewares"] for name in router["middlewares"])

    def request(
        self, path: str, headers: list[tuple[str, str]], address: str = "203.0.113.7"
    ) -> Passed | httpx.Response:
        for middleware in self.middlewares:
            ((kind, settings),) = middleware.items()
            if kind == "headers":
                assert set(settings) == {"customRequestHeaders"}
                # An empty value removes the header.
                removed = {name.lower() for name, value in settings["customRequestHeaders"].items() if not value}
                assert len(removed) == len(settings["customRequestHeaders"])
                headers = [(name, value) for name, value in headers if name.lower() not in removed]
            else:
                assert kind == "forwardAuth"
                assert set(settings) == {"address", "authResponseHeadersRegex"}
                answer = self.ask(settings["address"], path, headers, address)
                if not answer.is_success:
                    return answer
                named = re.compile(settings["authResponseHeadersRegex"])
                headers = [(name, value) for name, value in headers if not named.search(name)]
                headers += [(name, value) for name, value in answer.headers.items() if named.search(name)]
        return Passed(headers)

    def ask(
        self, url: str, path: str, headers: list[tuple[str, str]], address: str
    ) -> httpx.Response:
        """The request to ForwardAuth's address: GET, with the visitor's headers and Traefik's own X-Forwarded-*."""
        own = {
            "X-Forwarded-Method": "GET",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": WIKI,
            "X-Forwarded-Uri": path,
            "X-Forwarded-For": address,
        }
        replaced = {name.lower() for name in own} | HOP_BY_HOP
        kept = [(name, value) for name, value in headers if name.lower() not in replaced]
        with httpx.Client(trust_env=False) as client:
            for name in ("user-agent", "accept"):
                del client.headers[name]
            return client.get(url, headers=[*kept, *own.items()])


@pytest.fixture(scope="module")
def lastseen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lastseen]:
    server = Lastseen(
        tmp_path_factory.mktemp("traefik"),
        *("--public-url", "https://sessions.example.org"),
        *("--cookie-domain", "example.org"),
        *("--return-host", WIKI),
        *("--trusted-proxy", "127.0.0.1"),
    ).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def ada(lastseen: Lastseen) -> Person:
    return person(lastseen, "ada")


@pytest.fixture(scope="module")
def traefik(lastseen: Lastseen) -> Traefik:
    return Traefik(lastseen)


def sign_in(ada: Person) -> Device:
    device = Device(ada.server)
    response = device.try_sign_in(ada.name, ada.password)
    device.token, device.session = response.json()["token"], response.json()["session"]
    return device


def carried(device: Device) -> tuple[str, str]:
    return "Cookie", f"__Secure-lastseen={device.token}"


def test_somebody_signed_in_gets_in_and_is_named(traefik: Traefik, ada: Person) -> None:
    device = sign_in(ada)
    passed = traefik.request("/page", [carried(device)])
    assert isinstance(passed, Passed)
    named = {name.lower(): value for name, value in passed.headers}
    assert named["remote-user"] == ada.name
    assert named["remote-session"] == device.id


def test_a_browser_that_is_signed_out_is_led_to_sign_in_and_the_query_is_kept(traefik: Traefik) -> None:
    path = "/page?x=1&y=%26%3D+&x=2"
    answer = traefik.request(path, list(PAGE.items()))
    assert isinstance(answer, httpx.Response) and answer.status_code == 302
    location = urlsplit(answer.headers["location"])
    assert (location.netloc, location.path) == ("sessions.example.org", "/sign-in")
    assert parse_qs(location.query) == {"return_to": [f"https://{WIKI}{path}"]}


def test_a_program_that_is_signed_out_is_told_401(traefik: Traefik) -> None:
    answer = traefik.request("/page", [("Accept", "*/*")])
    assert isinstance(answer, httpx.Response) and answer.status_code == 401


def test_a_session_that_was_terminated_is_refused_from_the_next_request_on(
    traefik: Traefik, ada: Person
) -> None:
    device, other = sign_in(ada), sign_in(ada)
    assert isinstance(traefik.request("/page", [carried(device)]), Passed)
    assert other.delete(f"/api/v1/sessions/{device.id}").status_code == 204
    answer = traefik.request("/page", [carried(device)])
    assert isinstance(answer, httpx.Response) and answer.status_code == 401


def test_what_a_visitor_says_under_our_names_never_reaches_the_service(
    traefik: Traefik, ada: Person
) -> None:
    spoofed = [
        (name, "root")
        for name in ("Remote-User", "remote_user", "REMOTE_USER", "Remote_Account", "Remote-Groups", "Remote.User")
    ]
    passed = traefik.request("/page", [carried(sign_in(ada)), *spoofed])
    assert isinstance(passed, Passed)
    assert "root" not in [value for _, value in passed.headers]


def test_the_use_is_the_visitors_own_address_whatever_he_says(traefik: Traefik, ada: Person) -> None:
    device, other = sign_in(ada), sign_in(ada)
    said = [("Forwarded", "for=198.51.100.1"), ("X-Forwarded-For", "198.51.100.1")]
    assert isinstance(traefik.request("/page", [carried(device), *said], "203.0.113.9"), Passed)
    listed = {session["id"]: session for session in other.sessions()}
    assert listed[device.id]["ip_address"] == "203.0.113.9"
