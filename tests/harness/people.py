"""Those who use the server: people with accounts, and the devices they sign in from."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field

import httpx

from harness.program import Lastseen, client

CHROME_LINUX = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/120.0.0.0 Safari/537.36"
)
FIREFOX_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0"
SAFARI_MAC = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.1 Safari/605.1.15"
)
EDGE_WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0"
)
CHROME_ANDROID = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Mobile Safari/537.36"
)
SAFARI_IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_6 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.6 Mobile/15E148 Safari/604.1"
)
CURL = "curl/8.5.0"

#: What each of the user agents above reads as on the page.
LABELS = {
    CHROME_LINUX: "Chrome 120 on Linux",
    FIREFOX_WINDOWS: "Firefox 132 on Windows",
    SAFARI_MAC: "Safari 18 on macOS",
    EDGE_WINDOWS: "Edge 131 on Windows",
    CHROME_ANDROID: "Chrome 131 on Android",
    SAFARI_IPHONE: "Safari 17 on iOS",
}

PASSWORD = "correct horse battery staple"

_numbers = itertools.count(1)
_numbers_lock = threading.Lock()


def fresh_name(stem: str = "ada") -> str:
    """A name that no other account of this run has."""
    with _numbers_lock:
        return f"{stem}-{next(_numbers)}"


@dataclass
class Device:
    """A program or a browser that is signed in, and how it shows that on a request."""

    server: Lastseen
    user_agent: str | None = CHROME_LINUX
    address: str | None = None
    #: Whether it behaves as a browser does: cookie, `Sec-Fetch-Site`, no token in the body.
    browser: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    token: str | None = None
    session: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client: httpx.Client = client(self.server.url)

    def described(self) -> dict[str, str]:
        """The headers that tell of the device, without those that tell whose it is."""
        headers = dict(self.headers)
        if self.user_agent is not None:
            headers["User-Agent"] = self.user_agent
        if self.address is not None:
            headers["X-Forwarded-For"] = self.address
        if self.browser:
            headers["Sec-Fetch-Site"] = "same-origin"
        return headers

    def credentials(self) -> dict[str, str]:
        if self.token is None:
            return {}
        if self.browser:
            return {"Cookie": f"lastseen={self.token}"}
        return {"Authorization": f"Bearer {self.token}"}

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        extra = options.pop("headers", {})
        headers = {**self.described(), **self.credentials(), **extra}  # type: ignore[dict-item]
        # The server may have been started again on another port.
        self.client.base_url = self.server.url
        response = self.client.request(method, path, headers=headers, **options)  # type: ignore[arg-type]
        self.client.cookies.clear()
        return response

    def get(self, path: str, **options: object) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: object) -> httpx.Response:
        return self.request("POST", path, **options)

    def delete(self, path: str, **options: object) -> httpx.Response:
        return self.request("DELETE", path, **options)

    # -- the verbs

    def try_sign_in(self, name: str, password: str, **more: object) -> httpx.Response:
        return self.post("/api/v1/sign-in", json={"username": name, "password": password, **more})

    def sign_in(self, name: str, password: str = PASSWORD, **more: object) -> Device:
        response = self.try_sign_in(name, password, **more)
        assert response.status_code == 201, (response.status_code, response.text)
        body = response.json()
        self.session = body["session"]
        self.token = cookies(response)["lastseen"].value
        return self

    @property
    def id(self) -> str:
        return str(self.session["id"])

    def is_signed_in(self) -> bool:
        """Whether the server accepts it, asked in the plainest way; anything unclear fails."""
        response = self.get("/api/v1/session")
        assert response.status_code in (200, 401), (response.status_code, response.text)
        return response.status_code == 200

    def sessions(self, limit: int = 200) -> list[dict[str, object]]:
        """Every session in the list of this device's account, over all pages."""
        found: list[dict[str, object]] = []
        parameters: dict[str, object] = {"limit": limit}
        while True:
            response = self.get("/api/v1/sessions", params=parameters)
            assert response.status_code == 200, (response.status_code, response.text)
            page = response.json()
            found += page["sessions"]
            if page["next_cursor"] is None:
                return found
            parameters["cursor"] = page["next_cursor"]

    def listed(self) -> list[str]:
        """The ids of `sessions`."""
        return [str(session["id"]) for session in self.sessions()]


@dataclass
class Person:
    """Somebody with an account."""

    server: Lastseen
    name: str
    password: str = PASSWORD

    def device(
        self,
        user_agent: str | None = CHROME_LINUX,
        address: str | None = None,
        browser: bool = False,
        headers: dict[str, str] | None = None,
        **more: object,
    ) -> Device:
        """A device that has just signed in to this account."""
        device = Device(self.server, user_agent, address, browser, headers or {})
        return device.sign_in(self.name, self.password, **more)


def person(server: Lastseen, stem: str = "ada", password: str = PASSWORD) -> Person:
    """Somebody with a new account on `server`."""
    name = fresh_name(stem)
    server.add_account(name, password)
    return Person(server, name, password)


@dataclass(frozen=True)
class SetCookie:
    """One `Set-Cookie` header, its attribute names in lower case."""

    name: str
    value: str
    attributes: dict[str, str | None]


def cookies(response: httpx.Response) -> dict[str, SetCookie]:
    """The cookies that a response sets, by name; fails where one is set twice."""
    found: dict[str, SetCookie] = {}
    for header in response.headers.get_list("set-cookie"):
        pair, *attributes = [part.strip() for part in header.split(";")]
        name, _, value = pair.partition("=")
        assert name not in found, f"{name} is set twice"
        parsed: dict[str, str | None] = {}
        for attribute in attributes:
            key, separator, text = attribute.partition("=")
            parsed[key.lower()] = text if separator else None
        found[name] = SetCookie(name, value, parsed)
    return found
