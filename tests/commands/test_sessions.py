"""`lastseen sessions …`: what operators see and end."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from harness import answers
from harness.people import FIREFOX_WINDOWS, Person, fresh_name, person
from harness.program import Lastseen


def listed(server: Lastseen, *arguments: str) -> list[dict[str, object]]:
    found = server.run("sessions", "list", "--json", *arguments).json()
    assert isinstance(found, list)
    return [answers.session(session) for session in found]


@pytest.mark.parametrize("running", [True, False], ids=["beside a server", "without one"])
def test_the_list_as_json_is_one_array_of_sessions(
    start: Callable[..., Lastseen], running: bool
) -> None:
    server = start()
    ada, bob = person(server), person(server, "bob")
    first = ada.device(address="203.0.113.7")
    second = ada.device(FIREFOX_WINDOWS, address="2001:db8::7", browser=True)
    third = bob.device(address="198.51.100.7")
    expected = {d.id: d.session for d in (first, second, third)}
    if not running:
        server.stop()

    everyone = listed(server)
    assert {s["id"] for s in everyone} == set(expected)
    for session in everyone:
        assert session["current"] is False
        told = expected[str(session["id"])]
        for member in ("account", "user_agent", "ip_address", "created_at", "remembered"):
            assert session[member] == told[member]

    def ids(*arguments: str) -> set[str]:
        return {str(s["id"]) for s in listed(server, *arguments)}

    assert ids("--account", ada.name) == {first.id, second.id}
    assert ids("--ip", "203.0.113.7") == {first.id}
    assert ids("--ip", "203.0.113.0/24") == {first.id}
    assert ids("--ip", "2001:db8::/32") == {second.id}
    assert ids("--ip", "0.0.0.0/0") == {first.id, third.id}
    assert ids("--account", ada.name, "--ip", "198.51.100.7") == set()
    assert ids("--ip", "192.0.2.1") == set()
    outcome = server.run("sessions", "list", "--account", fresh_name("nobody"), "--json")
    assert outcome.status == 1 or outcome.json() == []


def test_more_than_a_page_of_sessions_is_still_one_array(start: Callable[..., Lastseen]) -> None:
    server = start()
    ada = person(server)
    ids = {ada.device().id for _ in range(205)}
    assert {s["id"] for s in listed(server)} == ids


def test_the_list_for_people_has_a_line_a_session(server: Lastseen, ada: Person) -> None:
    device = ada.device(address="203.0.113.44")
    output = server.run("sessions", "list", "--account", ada.name).done()
    (line,) = [line for line in output.splitlines() if device.id in line]
    assert "203.0.113.44" in line and "Chrome 120 on Linux" in line and ada.name in line
    assert str(device.token)[4:] not in output


def test_a_session_ended_by_a_command_is_refused_at_once(server: Lastseen, ada: Person) -> None:
    first, second, third = ada.device(), ada.device(browser=True), ada.device()
    assert all(d.is_signed_in() for d in (first, second, third))
    server.run("sessions", "terminate", first.id, second.id).done()
    assert not first.is_signed_in()
    assert not second.is_signed_in()
    assert third.listed() == [third.id]


def test_a_session_ended_without_a_server_is_refused_once_it_runs(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    ada = person(server)
    first, second = ada.device(), ada.device()
    server.stop()
    server.run("sessions", "terminate", first.id).done()
    server.start()
    assert not first.is_signed_in()
    assert second.listed() == [second.id]


def test_an_account_and_everything_end_when_yes_is_said(start: Callable[..., Lastseen]) -> None:
    server = start()
    ada, bob = person(server), person(server, "bob")
    adas, bobs = [ada.device(), ada.device()], bob.device()
    server.run("sessions", "terminate", "--account", ada.name, "--yes").done()
    assert not any(d.is_signed_in() for d in adas)
    assert bobs.is_signed_in()
    again = ada.device()
    server.run("sessions", "terminate", "--all", "--yes").done()
    assert not again.is_signed_in() and not bobs.is_signed_in()
    assert listed(server) == []
    assert ada.device().is_signed_in()


@pytest.mark.parametrize("which", ["--all", "--account"])
def test_where_nobody_can_be_asked_nothing_ends(
    server: Lastseen, ada: Person, which: str
) -> None:
    device = ada.device()
    arguments = [which] + ([ada.name] if which == "--account" else [])
    server.run("sessions", "terminate", *arguments).refused(1)
    assert device.is_signed_in()


@pytest.mark.parametrize("id", ["0" * 26, "nonsense", "lss_x", ""])
def test_an_id_that_no_session_has_is_refused_and_ends_none(
    server: Lastseen, ada: Person, id: str
) -> None:
    device = ada.device()
    outcome = server.run("sessions", "terminate", device.id, id)
    assert outcome.status in (1, 2), outcome
    assert len(outcome.errors.splitlines()) == 1
    assert device.is_signed_in()


def test_the_output_can_be_cut_off(server: Lastseen, ada: Person) -> None:
    """`lastseen sessions list | head -1` is no fault."""
    import subprocess

    from harness.program import BINARY, clean_environment

    ada.device()
    database = f"sqlite:{server.directory / server.database}"
    command = f"'{BINARY}' sessions list --json --database '{database}' | true"
    finished = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        capture_output=True,
        env=clean_environment(),
        timeout=30,
        check=False,
    )
    assert b"panic" not in finished.stderr


def test_the_json_is_json_whatever_the_names_hold(server: Lastseen) -> None:
    name = fresh_name('"quoted\\ ‮<b>')
    server.add_account(name, "correct horse battery staple")
    device = Person(server, name).device()
    output = server.run("sessions", "list", "--json", "--account", name).done()
    assert [s["id"] for s in json.loads(output)] == [device.id]
