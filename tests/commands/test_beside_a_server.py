"""Commands while the server runs: it obeys them, and where it cannot, they fail loudly."""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.people import Person, person
from harness.program import Lastseen, run


@pytest.mark.parametrize(
    "command",
    [
        ("sessions", "list"),
        ("sessions", "terminate", "ID"),
        ("account", "disable", "NAME"),
        ("account", "remove", "NAME"),
        ("account", "add", "other", "--password-stdin"),
    ],
    ids=" ".join,
)
def test_a_frozen_server_makes_a_command_fail_and_nothing_is_written_behind_its_back(
    start: Callable[..., Lastseen], command: tuple[str, ...]
) -> None:
    server = start()
    ada = person(server)
    device = ada.device()
    words = [{"ID": device.id, "NAME": ada.name}.get(word, word) for word in command]
    server.signal(signal.SIGSTOP)
    before = (server.directory / "lastseen.db-wal").stat().st_size
    begin = time.monotonic()
    outcome = server.run(*words, stdin="a long password for it\n", within=60)
    assert time.monotonic() - begin < 20
    outcome.refused(1)
    assert (server.directory / "lastseen.db-wal").stat().st_size == before
    server.signal(signal.SIGCONT)
    # It has been told that nothing was done; so nothing is, when the server wakes and finds the request.
    assert person(server, "after").device().is_signed_in()
    assert device.is_signed_in()
    assert "other" not in server.run("account", "list").done()
    with sqlite3.connect(f"file:{server.directory / 'lastseen.db'}?mode=ro", uri=True) as reading:
        assert reading.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    reading.close()


def test_many_commands_at_once_are_all_obeyed(start: Callable[..., Lastseen]) -> None:
    server = start()
    ada = person(server)
    keeper = ada.device()
    devices = [ada.device() for _ in range(16)]
    barrier = threading.Barrier(16)

    def end(device) -> None:
        barrier.wait()
        server.run("sessions", "terminate", device.id).done()
        assert not device.is_signed_in()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(end, devices))
    assert keeper.listed() == [keeper.id]


def test_commands_without_a_server_do_not_disturb_each_other(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    server.stop()

    def add(number: int) -> None:
        server.add_account(f"account-{number}", "correct horse battery staple")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(8)))
    listed = server.run("account", "list").done()
    assert all(f"account-{number}" in listed for number in range(8))


def test_a_server_starts_while_a_short_command_holds_the_database(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    server.stop()
    with ThreadPoolExecutor(2) as pool:
        adding = pool.submit(server.add_account, "ada", "correct horse battery staple")
        starting = pool.submit(server.start)
        adding.result()
        starting.result()
    assert Person(server, "ada").device().is_signed_in()


def test_only_its_owner_can_open_the_way_to_the_server(start: Callable[..., Lastseen]) -> None:
    server = start()
    person(server)
    sockets = [file for file in server.directory.iterdir() if file.is_socket()]
    assert sockets
    for file in sockets:
        assert file.stat().st_mode & 0o077 == 0


def test_a_deep_directory_works_too(start: Callable[..., Lastseen], tmp_path) -> None:
    deep = tmp_path.joinpath(*["a-directory-with-a-long-name"] * 8)
    deep.mkdir(parents=True)
    server = start(directory=deep)
    ada = person(server)
    device = ada.device()
    server.run("sessions", "terminate", device.id).done()
    assert not device.is_signed_in()


def test_a_backup_is_a_consistent_copy_while_the_server_works(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    ada = person(server)
    devices = [ada.device() for _ in range(20)]
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            for device in devices[10:]:
                assert device.is_signed_in()
            assert ada.device().post("/api/v1/sign-out").status_code == 204

    worker = ThreadPoolExecutor(1)
    working = worker.submit(work)
    try:
        server.run("backup", "copy.db").done()
    finally:
        stop.set()
        working.result()
        worker.shutdown()
    copy = server.directory / "copy.db"
    assert copy.stat().st_mode & 0o077 == 0
    with sqlite3.connect(copy) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()

    restored = start(directory=server.directory, database="copy.db")
    for device in devices:
        device.server = restored
        assert device.is_signed_in()


def test_a_backup_overwrites_nothing(start: Callable[..., Lastseen]) -> None:
    server = start()
    person(server)
    (server.directory / "copy.db").write_text("precious")
    assert "copy.db" in server.run("backup", "copy.db").refused(1)
    assert (server.directory / "copy.db").read_text() == "precious"


def test_a_backup_can_be_made_without_a_server(start: Callable[..., Lastseen]) -> None:
    server = start()
    device = person(server).device()
    server.stop()
    server.run("backup", "copy.db").done()
    restored = start(directory=server.directory, database="copy.db")
    device.server = restored
    assert device.is_signed_in()


def test_a_command_makes_no_database_where_there_is_none_to_look_at(tmp_path) -> None:
    for command in (("account", "list"), ("sessions", "list"), ("backup", "copy.db")):
        outcome = run(*command, "--database", "sqlite:typo.db", directory=tmp_path)
        assert outcome.status in (0, 1)
        if outcome.status == 1:
            assert len(outcome.errors.splitlines()) == 1
