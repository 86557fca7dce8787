"""`lastseen serve` and `lastseen demo`: what they print, how they end, what they refuse."""

from __future__ import annotations

import re
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import answers
from harness.people import Device, person
from harness.program import Lastseen, free_port, run


def test_serve_in_an_empty_directory_works_without_any_configuration(tmp_path: Path) -> None:
    port = free_port()
    server = Lastseen(
        tmp_path, environment={"LASTSEEN_LISTEN": f"127.0.0.1:{port}"}, listen=None, use_database=False
    )
    try:
        server.start()
        assert server.line(0) == f"listening on http://127.0.0.1:{port}"
        assert re.fullmatch(rf"set-up: http://127\.0\.0\.1:{port}/\S+", server.line(1))
        assert (tmp_path / "lastseen.db").is_file()
        assert Device(server).get("/sign-in").status_code == 200
    finally:
        server.close()


def test_no_command_is_serve(tmp_path: Path) -> None:
    server = Lastseen(tmp_path, command=())
    try:
        server.start()
        assert Device(server).get("/livez").status_code == 200
    finally:
        server.close()


def test_the_first_line_has_the_real_port_and_the_set_up_link_leads_to_it(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    assert server.port != 0
    assert server.line(1).startswith(f"set-up: {server.url}/")


def test_the_set_up_link_leads_to_the_public_url(start: Callable[..., Lastseen]) -> None:
    server = start("--public-url", "https://sessions.example")
    assert server.line(1).startswith("set-up: https://sessions.example/")


def test_with_an_account_there_is_one_line(start: Callable[..., Lastseen]) -> None:
    server = start()
    person(server)
    server.stop()
    server.start()
    assert Device(server).get("/livez").status_code == 200
    server.stop()
    assert server.lines == [f"listening on {server.url}"]


def test_an_ipv6_address_is_written_as_a_url_has_it(tmp_path: Path) -> None:
    server = Lastseen(tmp_path, listen="[::1]:0")
    try:
        server.start()
        assert re.fullmatch(r"http://\[::1\]:\d+", server.url)
        assert Device(server).get("/livez").status_code == 200
    finally:
        server.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_when_asked(start: Callable[..., Lastseen], number: signal.Signals) -> None:
    server = start()
    device = person(server).device()
    server.signal(number)
    assert server.wait(5) == 0
    server.start()
    assert device.is_signed_in()


def test_an_address_in_use_is_one_line(start: Callable[..., Lastseen], tmp_path: Path) -> None:
    server = start()
    outcome = run(
        *("serve", "--listen", f"127.0.0.1:{server.port}", "--log-level", "error"),
        directory=tmp_path,
    )
    assert str(server.port) in outcome.refused(1)


def test_a_second_server_on_the_same_file_is_refused(start: Callable[..., Lastseen]) -> None:
    server = start()
    device = person(server).device()
    outcome = server.run("serve", "--listen", "127.0.0.1:0")
    assert "lastseen.db" in outcome.refused(1)
    assert outcome.output == ""
    assert device.is_signed_in()
    # Under another name it is still the same file.
    other = server.directory / "other"
    other.mkdir()
    (other / "link.db").symlink_to(server.directory / "lastseen.db")
    outcome = run(
        *("serve", "--listen", "127.0.0.1:0", "--database", "sqlite:other/link.db"),
        directory=server.directory,
    )
    outcome.refused(1)
    assert device.is_signed_in()


def test_the_file_is_free_again_after_a_kill(start: Callable[..., Lastseen]) -> None:
    server = start()
    device = person(server).device()
    server.kill()
    server.start()
    assert device.is_signed_in()


@pytest.mark.parametrize("content", [b"this is no database" * 100, b"x", bytes(range(256)) * 32])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "lastseen.db").write_bytes(content)
    outcome = run("serve", "--listen", "127.0.0.1:0", directory=tmp_path)
    assert "lastseen.db" in outcome.refused(1)
    assert (tmp_path / "lastseen.db").read_bytes() == content


def test_a_database_of_another_program_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "lastseen.db") as connection:
        connection.execute("CREATE TABLE notes (text TEXT)")
    connection.close()
    before = (tmp_path / "lastseen.db").read_bytes()
    outcome = run("serve", "--listen", "127.0.0.1:0", directory=tmp_path)
    assert "lastseen.db" in outcome.refused(1)
    assert (tmp_path / "lastseen.db").read_bytes() == before


def test_a_database_newer_than_the_program_is_refused(start: Callable[..., Lastseen]) -> None:
    server = start()
    person(server)
    server.stop()
    file = server.directory / "lastseen.db"
    with sqlite3.connect(file) as connection:
        # However the number is kept, the next program will have a higher one.
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = [
            name
            for (name,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE '%migration%'"
            )
        ]
        assert version or tables
        if version:
            connection.execute(f"PRAGMA user_version = {version + 1000}")
        for table in tables:
            columns = connection.execute(f"SELECT * FROM {table}").description
            rows = connection.execute(f"SELECT * FROM {table} ").fetchall()
            newest = list(max(rows, key=str))
            for index, (column, *_) in enumerate(columns):
                if isinstance(newest[index], int) and column in ("number", "version", "id"):
                    newest[index] += 1000
            marks = ", ".join("?" for _ in newest)
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", newest)
    connection.close()
    outcome = server.run("serve", "--listen", "127.0.0.1:0")
    assert "newer" in outcome.refused(1)


def test_a_directory_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    outcome = run("serve", "--database", "sqlite:no/where/lastseen.db", directory=tmp_path)
    assert "no/where/lastseen.db" in outcome.refused(1)
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_a_directory_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "lastseen.db").mkdir()
    run("serve", "--listen", "127.0.0.1:0", directory=tmp_path).refused(1)


def test_a_directory_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    """Root may write everywhere, so the directory is on a file system that nobody may write to."""
    script = 'mount -t tmpfs -o ro tmpfs "$1" && cd "$1" && shift && exec "$@"'
    outcome = run(
        *("serve", "--listen", "127.0.0.1:0"),
        directory=tmp_path,
        prefix=["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", "."],
    )
    assert "lastseen.db" in outcome.refused(1)


def test_the_demo_shows_sessions_of_every_kind(tmp_path: Path) -> None:
    server = Lastseen(tmp_path, command=("demo",), use_database=False)
    try:
        server.start()
        name, password = server.line(1), server.line(2)
        assert name.startswith("name: ") and password.startswith("password: ")
        device = Device(server)
        device.sign_in(name.removeprefix("name: "), password.removeprefix("password: "))
        sessions = [answers.session(s) for s in device.sessions()]
        assert len(sessions) >= 13
        systems = {(s["operating_system"] or {}).get("name") for s in sessions}
        assert systems >= {
            *("Windows", "macOS", "Linux", "Android", "iOS", "iPadOS", "ChromeOS"),
            None,
        }
        browsers = {(s["browser"] or {}).get("name") for s in sessions}
        assert browsers >= {
            *("Chrome", "Firefox", "Safari", "Edge", "Opera", "Samsung Internet"),
            None,
        }
        assert {s["status"] for s in sessions} == {"active", "expired"}
        assert any(0 < s["time_left_seconds"] < 3_600 for s in sessions)
        now = answers.instant(device.get("/api/v1/session").json()["last_updated"])
        ages = [(now - answers.instant(s["last_updated"])).total_seconds() for s in sessions]
        assert any(0 < age < 600 for age in ages)
        assert any(age > 14 * 86_400 for age in ages)
        assert len({s["ip_address"] for s in sessions}) > 5
    finally:
        server.close()
    assert [f.name for f in tmp_path.iterdir()] == ["stderr.log"]


def test_the_demo_is_for_loopback_only(tmp_path: Path) -> None:
    outcome = run("demo", "--listen", "0.0.0.0:0", directory=tmp_path)
    assert outcome.status in (1, 2)
    assert len(outcome.errors.splitlines()) == 1


def test_the_demo_leaves_nothing_behind_when_it_is_stopped(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    server = Lastseen(
        tmp_path, command=("demo",), use_database=False, environment={"TMPDIR": str(scratch)}
    ).start()
    assert server.stop(5) == 0
    assert list(scratch.iterdir()) == []
