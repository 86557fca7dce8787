"""The unit: whether systemd understands it, how much it locks away, and whether the server lives with that."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from harness.people import person
from harness.program import PATIENCE, Lastseen

UNITS = Path(__file__).parents[2] / "packaging/systemd"
SERVICE = UNITS / "lastseen.service"


def analyze(*arguments: str) -> str:
    finished = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert finished.returncode == 0, finished
    return finished.stdout


def test_what_the_unit_leaves_open_is_as_little_as_it_says() -> None:
    # Tenths of the exposure that systemd reckons: 0 is all locked away, 100 is nothing.
    text = analyze("security", "--offline=true", "--threshold=13", str(SERVICE))
    exposure = re.search(r"exposure level for lastseen.service: ([0-9.]+)", text)
    assert exposure and f"gives it {exposure[1]}," in SERVICE.read_text()


def calls_in(group: str) -> set[str]:
    """The system calls of one of systemd's groups, with those of the groups in it."""
    found: set[str] = set()
    for line in analyze("syscall-filter", group).splitlines()[1:]:
        name = line.strip()
        if name.startswith("@"):
            found |= calls_in(name)
        elif name and not name.startswith("#"):
            found.add(name)
    return found


def allowed() -> set[str]:
    """What the filter of the unit lets through."""
    calls: set[str] = set()
    for line in re.findall(r"^SystemCallFilter=(.*)$", SERVICE.read_text(), re.MULTILINE):
        for word in line.removeprefix("~").split():
            group = calls_in(word) if word.startswith("@") else {word}
            calls = calls - group if line.startswith("~") else calls | group
    return calls


def test_the_server_makes_no_system_call_that_the_unit_forbids(tmp_path: Path) -> None:
    trace = tmp_path / "calls"
    server = Lastseen(tmp_path, prefix=("strace", "-f", "-qq", "-o", str(trace)))
    server.start()
    try:
        ada = person(server, "ada")
        device, other = ada.device(), ada.device()
        device.get("/sessions")
        assert other.is_signed_in()
        server.run("sessions", "terminate", "--account", ada.name, "--yes").done()
        server.run("backup", "copy.db").done()
        assert not other.is_signed_in()
    finally:
        # The tracer passes no signal on to what it traces.
        [traced] = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(server.pid)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
        subprocess.run(["kill", "-TERM", traced], check=True)
        assert server.wait() == 0
    made = set(re.findall(r"^\d+ +([a-z_0-9]+)\(", trace.read_text(), re.MULTILINE))
    assert {"accept4", "fsync", "fdatasync", "write"} & made, made
    # Made by the tracer in place of systemd, before the filter is there.
    elsewhere = {"execve"}
    if os.geteuid() == 0:
        # SQLite gives its files to the owner of the database where it runs as root, and only there.
        elsewhere.add("fchown")
    assert made - elsewhere <= allowed(), sorted(made - allowed())


@pytest.mark.parametrize("unit", ["lastseen.service", "lastseen.socket"])
def test_the_units_say_where_their_manual_is(unit: str) -> None:
    assert "Documentation=man:lastseen(1)" in (UNITS / unit).read_text()
