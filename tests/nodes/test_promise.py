"""When terminate has answered, no node accepts the session, by whatever way it ended."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.applications import Application as Shop
from harness.applications import Begun
from harness.history import Answer, Kind
from harness.nodes import Nodes, Traffic, Visitor, accepted, together
from harness.people import PASSWORD, Device, Person
from harness.program import eventually


@pytest.fixture
def three(nodes: Nodes) -> Nodes:
    for _ in range(3):
        nodes.start()
    return nodes


def known_everywhere(nodes: Nodes, token: str) -> None:
    """Every node has validated the session, and so has it in memory."""
    for _ in range(2):
        for node in nodes.all:
            assert accepted(node, token) is Answer.YES


def refused_everywhere(nodes: Nodes, token: str) -> None:
    for node in nodes.all:
        assert accepted(node, token) is Answer.NO


def at(device: Device, node: object) -> Device:
    """The same device, talking to another node."""
    other = Device(node, device.user_agent)  # type: ignore[arg-type]
    other.token, other.session = device.token, device.session
    return other


def _delete(other: Device, ada: Person, gone: Device) -> None:
    assert other.delete(f"/api/v1/sessions/{gone.id}").status_code == 204


def _terminate(other: Device, ada: Person, gone: Device) -> None:
    answered = other.post("/api/v1/sessions/terminate", json={"ids": [gone.id]})
    assert answered.json() == {"terminated": 1}


def _terminate_others(other: Device, ada: Person, gone: Device) -> None:
    assert other.post("/api/v1/sessions/terminate-others").json()["terminated"] >= 1


def _sign_out(other: Device, ada: Person, gone: Device) -> None:
    assert at(gone, other.server).post("/api/v1/sign-out").status_code == 204


def _password(other: Device, ada: Person, gone: Device) -> None:
    words = {"current_password": PASSWORD, "new_password": "another battery staple"}
    assert other.post("/api/v1/password", json=words).status_code == 200


def _command(other: Device, ada: Person, gone: Device) -> None:
    other.server.run("sessions", "terminate", gone.id).done()


def _command_account(other: Device, ada: Person, gone: Device) -> None:
    other.server.run("sessions", "terminate", "--account", ada.name, "--yes").done()


def _command_all(other: Device, ada: Person, gone: Device) -> None:
    other.server.run("sessions", "terminate", "--all", "--yes").done()


def _disable(other: Device, ada: Person, gone: Device) -> None:
    other.server.run("account", "disable", ada.name).done()


def _remove(other: Device, ada: Person, gone: Device) -> None:
    other.server.run("account", "remove", ada.name).done()


def _command_password(other: Device, ada: Person, gone: Device) -> None:
    other.server.run(
        "account", "password", ada.name, "--password-stdin", stdin="yet another battery\n"
    ).done()


@pytest.mark.parametrize(
    "way",
    [
        _delete,
        _terminate,
        _terminate_others,
        _sign_out,
        _password,
        _command,
        _command_account,
        _command_all,
        _disable,
        _remove,
        _command_password,
    ],
)
def test_a_session_that_ended_on_one_node_is_refused_by_all(
    three: Nodes, way: Callable[[Device, Person, Device], None]
) -> None:
    ada = three.person()
    gone, stays = ada.device(), ada.device()
    known_everywhere(three, str(gone.token))
    way(at(stays, three.all[1]), ada, gone)
    refused_everywhere(three, str(gone.token))


def test_the_old_token_is_refused_by_all_after_a_change_of_password(three: Nodes) -> None:
    device = three.person().device()
    old = str(device.token)
    known_everywhere(three, old)
    words = {"current_password": PASSWORD, "new_password": "another battery staple"}
    changed = at(device, three.all[2]).post("/api/v1/password", json=words)
    assert changed.status_code == 200
    refused_everywhere(three, old)
    known_everywhere(three, changed.json()["token"])


def test_the_key_of_an_application_that_was_removed_is_refused_by_all(three: Nodes) -> None:
    shop = three.application()
    shops = [Shop(node, shop.name, shop.key) for node in three.all]
    begun: Begun = shops[0].begin("ada")
    known_everywhere(three, begun.token)
    for at_node in shops:
        assert at_node.introspect(begun.token)["active"] is True
    three.all[1].run("application", "remove", shop.name).done()
    refused_everywhere(three, begun.token)
    for at_node in shops:
        assert at_node.request("GET", at_node.sessions("ada")).status_code == 401


def test_an_application_that_was_added_by_a_command_is_known_to_all_at_once(three: Nodes) -> None:
    key = three.application().key
    for node in three.all:
        Shop(node, "shop", key).begin("ada")


def test_a_session_beyond_the_limit_is_refused_by_all(nodes: Nodes) -> None:
    for _ in range(2):
        nodes.start("--max-sessions-per-account", "2")
    ada = nodes.person()
    oldest = ada.device()
    known_everywhere(nodes, str(oldest.token))
    for _ in range(2):
        Device(nodes.all[1]).sign_in(ada.name)
    refused_everywhere(nodes, str(oldest.token))


def test_what_somebody_ends_in_the_database_itself_is_followed(three: Nodes) -> None:
    device = three.person().device()
    known_everywhere(three, str(device.token))
    three.database.ask(
        "UPDATE session SET ended_at = created_at, left_list_at = created_at, ended_cause = 'command'"
    )
    for node in three.all:
        eventually(lambda node=node: accepted(node, str(device.token)) is Answer.NO, "it is refused")


def test_a_thousand_terminations_at_once(three: Nodes) -> None:
    key = three.application().key
    crowd = [Visitor(three.all, key, f"account-{number}", seed=number) for number in range(16)]
    begun = together(crowd, lambda one: [one.begin() for _ in range(1000 // len(crowd) + 1)])
    sessions = [session for mine in begun for session in mine]
    assert len(sessions) >= 1000
    share = dict(zip(crowd, (sessions[n :: len(crowd)] for n in range(len(crowd))), strict=True))
    asked = together(crowd, lambda one: [one.validate(session) for session in share[one]])
    assert {answer for seen in asked for answer in seen} == {Answer.YES}

    def end(one: Visitor) -> set[Answer]:
        seen = set()
        for session in share[one]:
            assert one.terminate(session) is Answer.YES
            seen |= {one.validate(session, at=number) for number in range(len(three.all))}
        return seen

    assert set().union(*together(crowd, end)) == {Answer.NO}


def test_thousands_of_operations_without_a_fault_are_all_right(three: Nodes) -> None:
    with Traffic(three.all, three.application()) as traffic:
        while len(traffic.history.operations()) < 4000 and not traffic.failures:
            traffic.last(0.1)
    history = traffic.judge()
    counts = history.counts()
    assert {answer for _, answer in counts} <= {"yes", "no"}, counts
    assert history.slowest(Kind.TERMINATE) < 2, counts
