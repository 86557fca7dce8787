"""A database that answers nothing any more: whoever asks for whatever hears of it in time, and not one after the other."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlencode

from harness.history import now
from harness.nodes import LEASE, SAID_TO_BE_UNAVAILABLE_WITHIN, Node, Nodes
from harness.people import PASSWORD
from harness.postgres import Cluster
from harness.program import eventually

#: What a busy machine may add to any answer, in seconds.
BUSY = 2.0


@dataclass(frozen=True)
class Request:
    """Something that needs the database."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, node: Node) -> tuple[int, http.client.HTTPMessage, bytes]:
        """The answer: status, headers, body."""
        connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=60)
        try:
            connection.request(self.method, self.path, self.body, self.headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()


def form(**fields: str) -> str:
    return urlencode(fields)


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


def everything(node: Node, key: str) -> list[Request]:
    """A request of each kind that needs the database; of those that stand in a line, several."""
    program = {"Authorization": f"Bearer {key}"}
    mine = "/api/v1/accounts/ada/sessions"
    status, _, body = Request("POST", mine, {**program, **JSON}, "{}").send(node)
    assert status == 201, body
    begun = json.loads(body)
    ada = {"Authorization": f"Bearer {begun['token']}"}
    session = begun["session"]["id"]
    status, _, body = Request("POST", f"{mine}/{session}/link", program).send(node)
    assert status == 201, body
    path = "/link/" + json.loads(body)["url"].rpartition("/")[2]
    status, headers, body = Request("POST", path, FORM, "").send(node)
    assert status == 303, body
    browser = {"Cookie": headers["Set-Cookie"].partition(";")[0]}
    set_up = "/set-up/" + node.line(1).rpartition("/")[2]
    return [
        Request("GET", "/sessions", browser),
        Request("POST", "/sessions/terminate", {**browser, **FORM}, form(action="all", confirmed="yes")),
        Request("POST", "/sign-out", {**browser, **FORM}, ""),
        *[Request("POST", set_up, FORM, form(username="ada", password=PASSWORD))] * 4,
        *[Request("POST", "/api/v1/sign-in", JSON, json.dumps({"username": "bob", "password": PASSWORD}))] * 4,
        Request("POST", "/sign-in", FORM, form(username="bob", password=PASSWORD)),
        Request("GET", "/api/v1/sessions", ada),
        *[Request("POST", "/api/v1/sessions/terminate-others", ada)] * 4,
        Request("POST", "/api/v1/sessions/terminate", {**ada, **JSON}, json.dumps({"ids": [session]})),
        Request("DELETE", f"/api/v1/sessions/{session}", ada),
        Request("POST", "/api/v1/sign-out", ada),
        Request("POST", mine, {**program, **JSON}, "{}"),
        Request("GET", mine, program),
        Request("DELETE", f"{mine}/{session}", program),
        Request("POST", f"{mine}/terminate-others", {**program, **JSON}, json.dumps({"keep": None})),
        Request("POST", f"{mine}/{session}/link", program),
        Request("POST", "/link/lsl_unknown", FORM, ""),
        Request("POST", "/api/v1/revoke", {**program, **FORM}, form(token=begun["token"])),
        Request("GET", "/readyz"),
    ]


def checks(requests: list[Request]) -> list[Request]:
    """Those of which memory may tell, with the credentials of the others."""
    token = next(one.headers for one in requests if one.path == "/api/v1/sessions")
    return [Request("GET", path, token) for path in ("/api/v1/session", "/auth-request", "/forward-auth")]


def test_whoever_asks_a_frozen_database_hears_of_it_in_time(
    own_cluster: Callable[..., Cluster], over: Callable[[Cluster], Nodes]
) -> None:
    cluster = own_cluster()
    nodes = over(cluster)
    node = nodes.start("--lease", f"{5 * LEASE:.0f}s")
    requests = everything(node, nodes.application().key)

    def ask(request: Request) -> tuple[Request, int, float]:
        began = now()
        status, _, _ = request.send(node)
        return request, status, now() - began

    def ask_all(requests: list[Request]) -> None:
        with ThreadPoolExecutor(len(requests)) as threads:
            answers = list(threads.map(ask, requests))
        late = [(str(one), status, round(took, 1)) for one, status, took in answers
                if took > SAID_TO_BE_UNAVAILABLE_WITHIN + BUSY]
        assert not late, late
        answered = [(str(one), status) for one, status, _ in answers if status != 503]
        # What is no link at all is known without asking.
        assert {one for one, _ in answered} <= {"POST /link/lsl_unknown"}, answered

    for request in requests:
        if request.method == "GET":
            # From here on memory tells who is asking.
            assert request.send(node)[0] == 200, request
    cluster.freeze()
    try:
        # While memory still tells who is asking, and afterwards, when that has to be asked too.
        ask_all(requests)
        ask_all(requests + checks(requests))
    finally:
        cluster.thaw()
    eventually(lambda: Request("GET", "/readyz").send(node)[0] == 200, "a node that is ready again")
