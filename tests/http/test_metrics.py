"""`/metrics` on its own listener, and the log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import httpx

from harness.people import Device, person
from harness.program import Lastseen, eventually, free_port


def figures(port: int) -> dict[str, float]:
    """Every sample, by its name and labels as they are written."""
    response = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False)
    assert response.status_code == 200
    samples = {}
    for line in response.text.splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in samples, f"{name} twice"
            samples[name] = float(value)
    return samples


def total(samples: dict[str, float], name: str, **labels: str) -> float:
    """The sum of the samples of that name with those labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    found = [
        value
        for sample, value in samples.items()
        if re.split(r"[{]", sample)[0] in (name, f"{name}_total")
        and all(label in sample for label in wanted)
    ]
    assert found, (name, labels, sorted(samples))
    return sum(found)


def test_metrics_count_what_happens(start: Callable[..., Lastseen]) -> None:
    port = free_port()
    server = start("--metrics-listen", f"127.0.0.1:{port}")
    ada = person(server)
    device, other = ada.device(), ada.device()
    Device(server).try_sign_in(ada.name, "not the password")
    for _ in range(7):
        assert device.is_signed_in()
    assert not Device(server, token="lss_nothing").is_signed_in()
    assert device.delete(f"/api/v1/sessions/{other.id}").status_code == 204
    # As the last tidying met them; the first one is soon, and not at once.
    counted = 'lastseen_sessions{status="active"}'
    before = eventually(
        lambda: (samples := figures(port)) and counted in samples and samples, counted
    )
    assert total(before, "lastseen_sign_in_failures") >= 1
    assert total(before, "lastseen_validations", verdict="active") >= 8
    assert total(before, "lastseen_validations") > total(
        before, "lastseen_validations", verdict="active"
    )
    assert total(before, "lastseen_terminations", kind="session") >= 1
    assert total(before, "lastseen_sessions_created") >= 2
    assert total(before, "lastseen_sessions", status="active") >= 0
    assert total(before, "lastseen_cache", answer="hit") >= 7
    assert total(before, "lastseen_write_batches") >= 0
    for _ in range(5):
        assert device.is_signed_in()
    after = figures(port)
    assert total(after, "lastseen_http_requests") >= total(before, "lastseen_http_requests") + 5
    # It tells numbers, and never whose.
    text = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
    assert ada.name not in text and device.id not in text and "lss_" not in text


def test_metrics_are_on_their_own_listener_only(start: Callable[..., Lastseen]) -> None:
    port = free_port()
    server = start("--metrics-listen", f"127.0.0.1:{port}")
    assert Device(server).get("/metrics").status_code == 404
    elsewhere = httpx.get(f"http://127.0.0.1:{port}/api/v1/session", trust_env=False)
    assert elsewhere.status_code == 404


def test_the_log_has_a_structured_line_a_request(start: Callable[..., Lastseen]) -> None:
    server = start("--log-format", "json")
    ada = person(server)
    device = ada.device(address="203.0.113.7")
    response = device.get("/api/v1/session")
    Device(server).try_sign_in(ada.name, "not the password")
    device.post("/api/v1/sign-out", headers={"Sec-Fetch-Site": "cross-site", "Cookie": "lastseen=x"})
    device.post("/api/v1/sign-out")
    identifier = response.headers["x-request-id"]
    eventually(lambda: identifier in server.log(), "the request is logged")
    server.stop()
    lines = [json.loads(line) for line in server.log().splitlines()]
    assert len(lines) > 5
    (told,) = [line for line in lines if identifier in json.dumps(line)]
    text = json.dumps(told)
    assert "/api/v1/session" in text and "200" in text and "GET" in text
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["timestamp"]), line
