"""`lastseen account …`, with and without a server beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness import answers
from harness.people import PASSWORD, Device, Person, fresh_name, person
from harness.program import Lastseen, run

NEW = "a wholly different sentence"


def account(directory: Path, *arguments: str, stdin: str | None = None):
    return run(
        "account", *arguments, "--database", "sqlite:lastseen.db", directory=directory, stdin=stdin
    )


def names(output: str) -> set[str]:
    return {line.split()[0] for line in output.splitlines() if line.strip()}


def test_accounts_are_added_listed_and_removed_without_a_server(tmp_path: Path) -> None:
    for name in ("ada", "grace"):
        account(tmp_path, "add", name, "--password-stdin", stdin=PASSWORD).done()
    assert names(account(tmp_path, "list").done()) >= {"ada", "grace"}
    account(tmp_path, "remove", "ada").done()
    listed = names(account(tmp_path, "list").done())
    assert "grace" in listed and "ada" not in listed


def test_an_account_added_beside_a_running_server_signs_in_at_once(server: Lastseen) -> None:
    assert person(server).device().is_signed_in()


def test_one_trailing_line_feed_is_dropped_and_no_more(server: Lastseen) -> None:
    for stdin, password in (
        (PASSWORD, PASSWORD),
        (PASSWORD + "\n", PASSWORD),
        (PASSWORD + "\n\n", PASSWORD + "\n"),
        (PASSWORD + "\r\n", PASSWORD + "\r"),
        (" " + PASSWORD + " \n", " " + PASSWORD + " "),
    ):
        name = fresh_name()
        server.run("account", "add", name, "--password-stdin", stdin=stdin).done()
        assert Person(server, name, password).device().is_signed_in()
        if password != PASSWORD:
            wrong = Device(server, address="198.51.100.30").try_sign_in(name, PASSWORD)
            answers.problem(wrong, "invalid_credentials")


@pytest.mark.parametrize(
    "name",
    ["a", "ä" * 64, "x" * 128, "with spaces in it", "-dashed", "ada@example.org", "Ωμέγα", "名前"],
)
def test_a_name_is_1_to_128_bytes(server: Lastseen, name: str) -> None:
    server.run("account", "add", "--password-stdin", "--", name, stdin=PASSWORD).done()
    assert Person(server, name).device().is_signed_in()
    assert name in server.run("account", "list").done()


@pytest.mark.parametrize(
    "name",
    ["", "x" * 129, "ä" * 65, "line\nfeed", "tab\t", "\x1b[31m", "del\x7f", "c1\x85"],
    ids=ascii,
)
def test_a_name_that_is_empty_too_long_or_has_control_characters_is_refused(
    server: Lastseen, name: str
) -> None:
    outcome = server.run("account", "add", name, "--password-stdin", stdin=PASSWORD)
    assert outcome.status in (1, 2)
    assert len(outcome.errors.splitlines()) == 1
    assert "\x1b" not in outcome.errors


@pytest.mark.parametrize(
    "password", ["", "7 chars", "🔑" * 7, "x7" * 64 + "y", "password", "12345678", "qwertyuiop"]
)
@pytest.mark.parametrize("command", ["add", "password"])
def test_the_rules_for_a_password_hold_here_too(
    server: Lastseen, ada: Person, command: str, password: str
) -> None:
    name = fresh_name() if command == "add" else ada.name
    outcome = server.run("account", command, name, "--password-stdin", stdin=password + "\n")
    line = outcome.refused(1)
    assert len(password) < 10 or password not in line
    if command == "add":
        assert name not in server.run("account", "list").done()
    else:
        assert ada.device().is_signed_in()


def test_a_name_that_is_taken_is_refused(server: Lastseen, ada: Person) -> None:
    server.run("account", "add", ada.name, "--password-stdin", stdin=NEW).refused(1)
    assert ada.device().is_signed_in()


@pytest.mark.parametrize("command", ["password", "disable", "enable", "remove"])
def test_a_name_that_nobody_has_is_refused(server: Lastseen, command: str) -> None:
    name = fresh_name("nobody")
    more = ["--password-stdin"] if command == "password" else []
    outcome = server.run("account", command, name, *more, stdin=NEW)
    assert name in outcome.refused(1)


@pytest.mark.parametrize("command", ["add", "password"])
def test_where_nobody_can_be_asked_for_a_password_the_command_is_refused(
    server: Lastseen, ada: Person, command: str
) -> None:
    name = fresh_name() if command == "add" else ada.name
    server.run("account", command, name).refused(1)


@pytest.mark.parametrize("running", [True, False], ids=["beside a server", "without one"])
@pytest.mark.parametrize("command", ["password", "disable", "remove"])
def test_a_new_password_disabling_and_removing_end_the_sessions(
    start: Callable[..., Lastseen], command: str, running: bool
) -> None:
    server = start()
    ada, bob = person(server), person(server, "bob")
    devices, bystander = [ada.device(), ada.device(browser=True)], bob.device()
    if not running:
        server.stop()
    more = ["--password-stdin"] if command == "password" else []
    server.run("account", command, ada.name, *more, stdin=NEW).done()
    if not running:
        server.start()
    assert not any(device.is_signed_in() for device in devices)
    assert bystander.is_signed_in()
    refused = Device(server, address="198.51.100.31").try_sign_in(ada.name, ada.password)
    answers.problem(refused, "invalid_credentials")
    if command == "password":
        device = Person(server, ada.name, NEW).device()
        assert device.listed() == [device.id]


def test_a_disabled_account_signs_in_again_once_enabled_with_none_of_its_old_sessions(
    server: Lastseen, ada: Person
) -> None:
    old = ada.device()
    server.run("account", "disable", ada.name).done()
    assert "disabled" in next(
        line for line in server.run("account", "list").done().splitlines() if ada.name in line
    )
    server.run("account", "enable", ada.name).done()
    assert not old.is_signed_in()
    device = ada.device()
    assert device.listed() == [device.id]


def test_a_new_account_of_an_old_name_has_nothing_of_the_old_one(
    server: Lastseen, ada: Person
) -> None:
    old = ada.device()
    server.run("account", "remove", ada.name).done()
    server.add_account(ada.name, NEW)
    assert not old.is_signed_in()
    device = Person(server, ada.name, NEW).device()
    assert device.listed() == [device.id]
    assert device.session["account"]["id"] != old.session["account"]["id"]


def test_names_are_shown_so_that_a_terminal_obeys_nothing_in_them(server: Lastseen) -> None:
    name = fresh_name("right-to-left ‮ mark")
    server.add_account(name, PASSWORD)
    assert "‮" not in server.run("account", "list").done()
