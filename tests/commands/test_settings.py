"""Settings: flags over environment over file, wrong ones refused in one line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from harness.program import Lastseen, run
from harness.settings import SETTINGS


def effective(directory: Path, *arguments: str, **environment: str) -> dict[str, object]:
    outcome = run("check-config", *arguments, directory=directory, environment=environment)
    assert outcome.errors == "", outcome
    return tomllib.loads(outcome.done())


def test_check_config_prints_the_effective_settings(tmp_path: Path) -> None:
    found = effective(tmp_path)
    for setting, default in SETTINGS.items():
        if default is not None:
            # A minute may be written as 60s or as 1m.
            same = effective(tmp_path, f"--{setting}={default}")
            assert found[setting] == same[setting]
            assert str(found[setting]) in (default, {"60s": "1m"}.get(default)), setting
    assert list(tmp_path.iterdir()) == []


def test_flags_win_over_environment_and_environment_over_file(tmp_path: Path) -> None:
    file = tmp_path / "lastseen.toml"
    file.write_text(
        'idle-timeout = "1h"\nkeep-ended = "1d"\nkeep-expired = "1d"\n'
        'trusted-proxy = ["10.0.0.0/8"]\nmax-sessions-per-account = 5\n'
    )
    config = ("--config", str(file))
    found = effective(tmp_path, *config)
    assert (found["idle-timeout"], found["keep-ended"]) == ("1h", "1d")
    assert found["trusted-proxy"] == ["10.0.0.0/8"]
    assert found["max-sessions-per-account"] == 5

    environment = {"LASTSEEN_IDLE_TIMEOUT": "2h", "LASTSEEN_TRUSTED_PROXY": "192.0.2.0/24"}
    found = effective(tmp_path, *config, **environment)
    assert (found["idle-timeout"], found["keep-ended"]) == ("2h", "1d")
    assert found["trusted-proxy"] == ["192.0.2.0/24"]

    found = effective(tmp_path, *config, "--idle-timeout", "3h", **environment)
    assert (found["idle-timeout"], found["keep-ended"]) == ("3h", "1d")

    found = effective(tmp_path, LASTSEEN_CONFIG=str(file))
    assert found["idle-timeout"] == "1h"


def test_settings_stand_before_or_after_the_command(tmp_path: Path) -> None:
    before = run("--idle-timeout", "3h", "check-config", directory=tmp_path).done()
    after = run("check-config", "--idle-timeout", "3h", directory=tmp_path).done()
    assert before == after
    assert tomllib.loads(before)["idle-timeout"] == "3h"
    both = run(
        *("--trusted-proxy", "10.0.0.0/8", "check-config", "--trusted-proxy", "192.0.2.0/24"),
        directory=tmp_path,
    )
    assert tomllib.loads(both.done())["trusted-proxy"] == ["10.0.0.0/8", "192.0.2.0/24"]


WRONG = [
    ("idle-timeout", "0s"),
    ("idle-timeout", "401d"),
    ("idle-timeout", "999ms"),
    ("idle-timeout", "-1h"),
    ("idle-timeout", "1"),
    ("idle-timeout", ""),
    ("idle-timeout", "1h 30"),
    ("idle-timeout", "99999999999999999999d"),
    ("remembered-idle-timeout", "400d1s"),
    ("absolute-lifetime", "forever"),
    ("touch-interval", "0s"),
    ("keep-expired", "9999d"),
    ("keep-ended", "x"),
    ("max-sessions-per-account", "-1"),
    ("max-sessions-per-account", "many"),
    ("listen", "localhost"),
    ("listen", "127.0.0.1:65536"),
    ("database", "mysql://x"),
    ("database", "lastseen.db"),
    ("database", "sqlite:"),
    ("public-url", "sessions.example"),
    ("public-url", "ftp://sessions.example"),
    ("public-url", "https://sessions.example/below"),
    ("public-url", "https://user@sessions.example"),
    ("public-url", "https://sessions.example/?x"),
    ("trusted-proxy", "10.0.0.0/33"),
    ("trusted-proxy", "everybody"),
]


@pytest.mark.parametrize(("setting", "value"), WRONG, ids=str)
@pytest.mark.parametrize("way", ["flag", "environment", "file"])
@pytest.mark.parametrize("command", ["serve", "check-config"])
def test_a_wrong_value_is_one_line_and_status_two(
    tmp_path: Path, setting: str, value: str, way: str, command: str
) -> None:
    arguments, environment = [command], {}
    if way == "flag":
        arguments.append(f"--{setting}={value}")
    elif way == "environment":
        environment["LASTSEEN_" + setting.upper().replace("-", "_")] = value
    else:
        file = tmp_path / "lastseen.toml"
        file.write_text(f'{setting} = "{value}"\n')
        arguments += ["--config", str(file)]
    outcome = run(*arguments, directory=tmp_path, environment=environment)
    line = outcome.refused(2)
    name = setting.upper().replace("-", "_") if way == "environment" else setting
    assert name in line
    assert outcome.output == ""
    assert [f.name for f in tmp_path.iterdir()] == (["lastseen.toml"] if way == "file" else [])


@pytest.mark.parametrize("key", ["idle_timeout", "listne", "Listen", "config"])
def test_an_unknown_key_is_one_line_and_status_two(tmp_path: Path, key: str) -> None:
    file = tmp_path / "lastseen.toml"
    file.write_text(f'{key} = "1h"\n')
    for command in ("serve", "check-config", "account list", "sessions list"):
        outcome = run(*command.split(), "--config", str(file), directory=tmp_path)
        assert key in outcome.refused(2)


@pytest.mark.parametrize(
    "content", [b"listen = ", b"\xff\xfe", b"[[", b'listen = "a"\nlisten = "b"\n', b"listen = 1.5\n"]
)
def test_a_file_that_is_no_toml_of_ours_is_one_line_and_status_two(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "lastseen.toml"
    file.write_bytes(content)
    assert "lastseen.toml" in run("serve", "--config", str(file), directory=tmp_path).refused(2)


def test_a_file_that_is_not_there_is_one_line_and_status_two(tmp_path: Path) -> None:
    outcome = run("serve", "--config", "nowhere.toml", directory=tmp_path)
    assert "nowhere.toml" in outcome.refused(2)


@pytest.mark.parametrize("value", ["1s", "90s", "12h", "14d", "400d"])
def test_durations_read_like_fourteen_days_twelve_hours_ninety_seconds(
    tmp_path: Path, value: str
) -> None:
    found = effective(tmp_path, f"--absolute-lifetime={value}")
    again = effective(tmp_path, f"--absolute-lifetime={found['absolute-lifetime']}")
    assert found == again


def test_a_public_url_on_plain_http_that_is_not_loopback_is_warned_of_loudly(
    tmp_path: Path,
) -> None:
    loud, quiet = tmp_path / "loud", tmp_path / "quiet"
    loud.mkdir()
    quiet.mkdir()
    server = Lastseen(loud, "--public-url", "http://sessions.example").start()
    server.stop()
    assert "http://sessions.example" in server.log() and "UNENCRYPTED" in server.log().upper()
    for url in ("http://127.0.0.1:8080", "http://localhost:8080", "https://sessions.example"):
        server = Lastseen(quiet, "--public-url", url).start()
        server.stop()
        assert "UNENCRYPTED" not in server.log().upper()
