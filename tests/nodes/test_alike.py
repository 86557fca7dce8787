"""Every node answers alike: what one has done, the others show; what one has refused, none accepts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import answers
from harness.history import Answer, now
from harness.nodes import SAID_TO_BE_UNAVAILABLE_WITHIN, Nodes, accepted
from harness.people import PASSWORD, Device
from harness.places import Clock
from harness.postgres import Cluster
from harness.program import eventually

#: What a busy machine may add to any answer, in seconds.
BUSY = 2.0


def at(device: Device, node: object) -> Device:
    """The same device, talking to another node."""
    other = Device(node, device.user_agent)  # type: ignore[arg-type]
    other.token, other.session = device.token, device.session
    return other


def test_a_session_that_began_at_one_node_is_accepted_and_listed_by_the_others(nodes: Nodes) -> None:
    first, second = nodes.start(), nodes.start()
    ada = nodes.person()
    device = ada.device()
    assert at(device, second).listed() == [device.id]
    another = Device(second).sign_in(ada.name)
    assert set(at(device, first).listed()) == {device.id, another.id}
    assert at(another, first).is_signed_in()


def test_a_session_used_at_one_node_only_does_not_expire_at_another(nodes: Nodes) -> None:
    settings = ("--idle-timeout", "4s", "--touch-interval", "60s")
    first, second = nodes.start(*settings), nodes.start(*settings)
    device = nodes.person().device()
    # The other node has it in memory, as it was at the beginning.
    assert at(device, second).is_signed_in()
    stop = threading.Event()
    failures: list[str] = []

    def use() -> None:
        while not stop.wait(0.2):
            if not device.is_signed_in():
                failures.append("refused where it is in use")
                return

    user = threading.Thread(target=use)
    user.start()
    try:
        began = time.monotonic()
        eventually(lambda: time.monotonic() > began + 9, "more than two idle timeouts have passed")
        assert accepted(second, str(device.token)) is Answer.YES
    finally:
        stop.set()
        user.join()
    assert not failures


def test_once_a_node_has_found_it_expired_no_node_accepts_it_whatever_their_clocks(
    nodes: Nodes, tmp_path: Path
) -> None:
    clock = Clock(tmp_path)
    first = nodes.start()
    ahead = nodes.start(environment=clock.environment)
    ada = nodes.person()
    device = ada.device()
    assert accepted(first, str(device.token)) is Answer.YES
    clock.set("+13h")
    eventually(lambda: accepted(ahead, str(device.token)) is Answer.NO, "it has expired by that clock")
    for _ in range(3):
        assert accepted(first, str(device.token)) is Answer.NO
    clock.set("+0")
    assert accepted(ahead, str(device.token)) is Answer.NO
    fresh = nodes.start()
    assert accepted(fresh, str(device.token)) is Answer.NO
    # It is still in its owner's list, marked.
    reader = Device(first).sign_in(ada.name)
    for node in (first, fresh):
        [seen] = [one for one in at(reader, node).sessions() if one["id"] == device.id]
        assert (seen["status"], seen["time_left_seconds"]) == ("expired", 0)


def test_a_node_whose_clock_is_an_hour_ahead_ends_nobody_elses_sessions(
    nodes: Nodes, tmp_path: Path
) -> None:
    clock = Clock(tmp_path)
    clock.set("+1h")
    settings = ("--idle-timeout", "30m")
    first = nodes.start(*settings)
    device = nodes.person().device()
    ahead = nodes.start(*settings, environment=clock.environment)
    # Somebody else uses the node, and it writes down what it thinks the time is.
    ada = nodes.person()
    assert Device(ahead).sign_in(ada.name).is_signed_in()
    ahead.stop()
    assert accepted(first, str(device.token)) is Answer.YES


def test_last_use_differs_by_no_more_than_the_touch_interval(nodes: Nodes) -> None:
    settings = ("--touch-interval", "2s")
    first, second = nodes.start(*settings), nodes.start(*settings)
    ada = nodes.person()
    device, reader = ada.device(), ada.device()

    def seen_by(node: object, id: str) -> object:
        listed = at(reader, node).sessions()
        return next(answers.instant(one["last_updated"]) for one in listed if one["id"] == id)

    used = answers.instant(device.get("/api/v1/session").json()["last_updated"])
    assert seen_by(first, device.id) == used
    eventually(lambda: seen_by(second, device.id) == used, "the other node knows", within=2 + BUSY)


def test_tighter_limits_of_one_node_count_for_all(nodes: Nodes) -> None:
    first = nodes.start()
    device = nodes.person().device()
    assert accepted(first, str(device.token)) is Answer.YES
    nodes.start("--idle-timeout", "1s", "--remembered-idle-timeout", "1s")
    idle_since = time.monotonic()
    eventually(lambda: time.monotonic() > idle_since + 1.1, "it is idle for longer than the new limit")
    assert accepted(first, str(device.token)) is Answer.NO


def test_failed_sign_ins_count_wherever_they_were_tried(nodes: Nodes) -> None:
    three = [nodes.start() for _ in range(3)]
    ada = nodes.person()
    tries = [Device(three[n % 3]).try_sign_in(ada.name, "wrong").status_code for n in range(10)]
    assert tries == [401] * 10
    for node in three:
        refused = Device(node).try_sign_in(ada.name, PASSWORD)
        answers.problem(refused, "too_many_requests")


def test_of_several_nodes_that_offer_the_first_account_one_makes_it(nodes: Nodes) -> None:
    first, second = nodes.start(), nodes.start()
    links = [node.line(1).removeprefix("set-up: ") for node in (first, second)]
    made = []
    for node, link in zip((first, second), links, strict=True):
        with node.client() as client:
            shown = client.get(link)
            form = {"username": "ada", "password": PASSWORD}
            made.append((shown.status_code, client.post(link, data=form).status_code))
    assert sum(status in (200, 201, 303) for _, status in made) == 1, made


#: Everything that needs the database, and may not be answered from memory.
PATHS: list[tuple[str, str, dict[str, object]]] = [
    ("GET", "/readyz", {}),
    ("GET", "/api/v1/session", {}),
    ("GET", "/api/v1/sessions", {}),
    ("POST", "/api/v1/sign-in", {"json": {"username": "ada", "password": PASSWORD}}),
    ("POST", "/api/v1/sign-out", {}),
    ("POST", "/api/v1/sessions/terminate-others", {}),
    ("GET", "/auth-request", {}),
    ("GET", "/forward-auth", {}),
    ("GET", "/sessions", {}),
]


@pytest.mark.parametrize("way", ["stopped", "frozen", "cut off"])
def test_without_the_database_everything_is_503_within_five_seconds(
    own_cluster: Callable[..., Cluster], over: Callable[[Cluster], Nodes], way: str
) -> None:
    cluster = own_cluster()
    nodes = over(cluster)
    node = nodes.start(linked=True)
    device = nodes.person().device()
    assert device.is_signed_in()
    if way == "stopped":
        cluster.stop()
    elif way == "frozen":
        cluster.freeze()
    else:
        for link in node.links():
            link.cut()
    # As long as its lease runs it may still answer from memory.
    eventually(lambda: device.get("/api/v1/session").status_code != 200, "the lease has run out")
    for method, path, options in PATHS:
        began = now()
        response = device.request(method, path, **options)
        took = now() - began
        assert response.status_code == 503, (way, method, path, response.status_code, response.text)
        assert took < SAID_TO_BE_UNAVAILABLE_WITHIN + BUSY, (way, method, path, took)
    with node.client() as client:
        assert client.get("/livez").status_code == 200
    if way == "stopped":
        cluster.start()
    elif way == "frozen":
        cluster.thaw()
    else:
        for link in node.links():
            link.mend()
    eventually(lambda: device.get("/api/v1/session").status_code == 200, "it is accepted again")
    eventually(lambda: device.get("/readyz").status_code == 200, "it is ready again")
