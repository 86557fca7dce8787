"""The description of the interface is true: a tester that is driven by it finds nothing."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from harness import answers
from harness.people import Device, Person, person
from harness.program import Lastseen


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory):
    server = Lastseen(tmp_path_factory.mktemp("described"), "--max-sessions-per-account", "0").start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def schema(described: Lastseen):
    grace = person(described, "grace")
    loaded = schemathesis.openapi.from_url(f"{described.url}/api/v1/openapi.json")

    @loaded.auth(refresh_interval=None)
    class SignedIn:
        """The tester ends its own session now and then; it signs in again when it has."""

        def __init__(self) -> None:
            self.device = grace.device()

        def get(self, case, context) -> str:
            if not self.device.is_signed_in():
                self.device = grace.device()
            return str(self.device.token)

        def set(self, case, data, context) -> None:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}

    return loaded


api = schemathesis.pytest.from_fixture("schema")


@api.parametrize()
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_description_names(case) -> None:
    case.call_and_validate()


EXPECTED = {
    ("post", "/api/v1/sign-in"): {"201", "400", "401", "403", "413", "415", "429", "503"},
    ("post", "/api/v1/sign-out"): {"204", "403", "503"},
    ("post", "/api/v1/password"): {"200", "400", "401", "403", "413", "415", "503"},
    ("get", "/api/v1/session"): {"200", "401", "503"},
    ("get", "/api/v1/sessions"): {"200", "400", "401", "503"},
    ("delete", "/api/v1/sessions/{id}"): {"204", "401", "403", "404", "503"},
    ("post", "/api/v1/sessions/terminate"): {
        *("200", "400", "401", "403", "404", "413", "415", "503"),
    },
    ("post", "/api/v1/sessions/terminate-others"): {"200", "401", "403", "503"},
    ("get", "/auth-request"): {"200", "400", "401", "503"},
    ("get", "/forward-auth"): {"200", "302", "400", "401", "503"},
}


@pytest.mark.parametrize(("method", "path"), EXPECTED, ids=str)
def test_the_description_names_every_request_and_its_answers(
    server: Lastseen, method: str, path: str
) -> None:
    response = Device(server).get("/api/v1/openapi.json")
    assert response.status_code == 200
    assert response.headers["content-type"].split(";")[0] == "application/json"
    answers.assert_safe_headers(response)
    described = response.json()
    assert described["openapi"].startswith("3.")
    operation = described["paths"][path][method]
    missing = EXPECTED[method, path] - set(operation["responses"])
    assert not missing, missing
    assert operation.get("summary") or operation.get("description")


def test_the_session_of_the_description_is_the_session_of_the_answers(ada: Person) -> None:
    described = Device(ada.server).get("/api/v1/openapi.json").json()
    schema = described["components"]["schemas"]["Session"]
    assert set(schema["properties"]) == answers.SESSION_MEMBERS
    assert set(schema["required"]) == answers.SESSION_MEMBERS
