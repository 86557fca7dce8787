"""Applications: programs that sign people in themselves and keep their sessions on the server."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote

import httpx

from harness import answers
from harness.people import fresh_name
from harness.program import Lastseen, client


@dataclass
class Application:
    """One application, known by its key."""

    server: Lastseen
    name: str
    key: str

    def request(self, method: str, path: str, **options: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.key}", **options.pop("headers", {})}  # type: ignore[dict-item]
        with client(self.server.url) as browserless:
            return browserless.request(method, path, headers=headers, **options)  # type: ignore[arg-type]

    def sessions(self, account: str, rest: str = "") -> str:
        """The address of the sessions of an account, percent-encoded to the last letter."""
        return f"/api/v1/accounts/{quote(account, safe='')}/sessions{rest}"

    def begin(self, account: str, **told: object) -> Begun:
        response = self.request("POST", self.sessions(account), json=told)
        assert response.status_code == 201, (response.status_code, response.text)
        body = response.json()
        assert set(body) == {"token", "session"}
        session = answers.session(body["session"])
        assert session["current"] is False
        return Begun(self, account, body["token"], session)

    def listed(self, account: str) -> list[dict[str, object]]:
        response = self.request("GET", self.sessions(account))
        assert response.status_code == 200, (response.status_code, response.text)
        body = response.json()
        assert set(body) == {"sessions", "next_cursor"}
        return [answers.session(session) for session in body["sessions"]]

    def introspect(self, token: str, **visitor: str) -> dict[str, object]:
        response = self.request("POST", "/api/v1/introspect", data={"token": token, **visitor})
        assert response.status_code == 200, (response.status_code, response.text)
        return response.json()

    def revoke(self, token: str) -> httpx.Response:
        return self.request("POST", "/api/v1/revoke", data={"token": token})


@dataclass
class Begun:
    """A session that an application began."""

    application: Application
    account: str
    token: str
    session: dict[str, object]

    @property
    def id(self) -> str:
        return str(self.session["id"])

    @property
    def path(self) -> str:
        return self.application.sessions(self.account, f"/{self.id}")

    def link(self) -> dict[str, str]:
        response = self.application.request("POST", f"{self.path}/link")
        assert response.status_code == 201, (response.status_code, response.text)
        body = response.json()
        assert set(body) == {"url", "expires_at"}
        answers.instant(body["expires_at"])
        return body

    def is_accepted(self) -> bool:
        """Whether the server accepts the token itself, asked without the application."""
        return accepts(self.application.server, self.token)


def accepts(server: Lastseen, token: str) -> bool:
    with client(server.url) as plain:
        headers = {"Authorization": f"Bearer {token}"}
        return plain.get("/api/v1/session", headers=headers).status_code == 200


def application(server: Lastseen, stem: str = "shop") -> Application:
    """A new application on `server`."""
    name = fresh_name(stem)
    key = server.run("application", "add", name).done().strip()
    assert key.startswith("lsa_") and len(key.split()) == 1, "the key, and nothing else"
    return Application(server, name, key)
