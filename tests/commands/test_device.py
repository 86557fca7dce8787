"""`lastseen device`: what a user agent would be shown as."""

from __future__ import annotations

import json
import time
from pathlib import Path

from harness.people import LABELS
from harness.program import Outcome, run


def objects(outcome: Outcome) -> list[dict[str, object]]:
    found = [json.loads(line) for line in outcome.done().splitlines()]
    for one in found:
        assert set(one) == {"operating_system", "browser", "user_agent"}
    return found


def test_arguments_are_answered_in_their_order(tmp_path: Path) -> None:
    found = objects(run("device", *LABELS, "", directory=tmp_path))
    assert [one["user_agent"] for one in found] == [*LABELS.values(), "Unknown device"]
    assert found[0] == {
        "operating_system": {"name": "Linux", "version": None},
        "browser": {"name": "Chrome", "version": "120"},
        "user_agent": "Chrome 120 on Linux",
    }
    assert found[-1] == {
        "operating_system": None,
        "browser": None,
        "user_agent": "Unknown device",
    }
    assert list(tmp_path.iterdir()) == []


def test_without_arguments_each_line_of_stdin_is_one(tmp_path: Path) -> None:
    stdin = "".join(f"{user_agent}\n" for user_agent in [*LABELS, "", "nonsense"])
    found = objects(run("device", directory=tmp_path, stdin=stdin))
    assert [one["user_agent"] for one in found][: len(LABELS)] == list(LABELS.values())
    assert len(found) == len(LABELS) + 2
    # The last line needs no line feed, and a line feed alone begins no line.
    assert objects(run("device", directory=tmp_path, stdin=stdin.rstrip("\n"))) == found
    assert objects(run("device", directory=tmp_path, stdin="")) == []


def test_nothing_on_a_line_breaks_it(tmp_path: Path) -> None:
    lines = [
        b"\xff\xfe\x00\x01",
        b"x" * 65_536,
        b"Mozilla/5.0 " * 6_000,
        b"<script>alert(1)</script>",
        "Mozilla/5.0 \u202e(evil) ﷽".encode(),
        b"\x1b[31mred",
        b"a\rb",
        b"((((((((((" * 500,
    ]
    found = objects(run("device", directory=tmp_path, stdin=b"\n".join(lines) + b"\n"))
    assert len(found) == len(lines)
    for one in found:
        assert len(str(one["user_agent"])) < 300


def test_thousands_of_lines_a_second(tmp_path: Path) -> None:
    stdin = "".join(f"{user_agent}\n" for user_agent in LABELS) * 1_000
    begin = time.monotonic()
    found = objects(run("device", directory=tmp_path, stdin=stdin, within=120))
    elapsed = time.monotonic() - begin
    assert len(found) == 1_000 * len(LABELS)
    # The program under test is built without optimisation; the real one is many times faster.
    assert len(found) / elapsed > 1_000, elapsed
