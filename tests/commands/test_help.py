"""What a person at a terminal reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.program import run
from harness.settings import SETTINGS

COMMANDS = [
    (),
    ("serve",),
    ("demo",),
    ("account",),
    ("account", "add"),
    ("account", "list"),
    ("account", "password"),
    ("account", "disable"),
    ("account", "enable"),
    ("account", "remove"),
    ("sessions",),
    ("sessions", "list"),
    ("sessions", "terminate"),
    ("device",),
    ("health",),
    ("check-config",),
    ("backup",),
]

@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_help(tmp_path: Path, command: tuple[str, ...]) -> None:
    outcome = run(*command, "--help", directory=tmp_path)
    assert outcome.status == 0
    assert outcome.errors == ""
    assert "Usage:" in outcome.output
    assert list(tmp_path.iterdir()) == []


def test_the_help_of_serve_names_every_setting_with_its_default(tmp_path: Path) -> None:
    # Wherever the lines break.
    text = " ".join(run("serve", "--help", directory=tmp_path).done().split())
    for setting, default in SETTINGS.items():
        assert f"--{setting}" in text
        if default is not None:
            assert f"default: {default}" in text, setting


def test_the_version_is_one_line(tmp_path: Path) -> None:
    text = run("--version", directory=tmp_path).done()
    assert text.startswith("lastseen ") and text.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_are_completions_for_the_shells(tmp_path: Path, shell: str) -> None:
    text = run("completions", shell, directory=tmp_path).done()
    assert "check-config" in text and "idle-timeout" in text


def test_there_is_a_manual_page(tmp_path: Path) -> None:
    text = run("man", directory=tmp_path).done()
    assert text.lstrip().startswith((".ie", ".TH", ".\\\""))
    assert "lastseen" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("serve", "--nonsense"),
        ("serve", "extra"),
        ("account",),
        ("account", "add"),
        ("account", "nonsense"),
        ("sessions", "terminate"),
        ("sessions", "terminate", "0" * 26, "--all"),
        ("sessions", "terminate", "--all", "--account", "ada"),
        ("sessions", "list", "--ip", "nonsense"),
        ("backup",),
        ("--listen",),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_status_two_and_touches_nothing(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    outcome = run(*arguments, directory=tmp_path)
    assert outcome.status == 2, outcome
    assert outcome.output == ""
    assert outcome.errors.strip()
    assert list(tmp_path.iterdir()) == []
