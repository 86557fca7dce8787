"""What a session says of the device, from user agent and client hints."""

from __future__ import annotations

import pytest

from harness import answers
from harness.people import LABELS, Device, Person

CHROME_WINDOWS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)
BRANDS = '"Google Chrome";v="131", "Chromium";v="131", "Not_A Brand";v="24"'


def described(ada: Person, headers: dict[str, str], user_agent: str | None) -> dict[str, object]:
    device = Device(ada.server, user_agent, headers=headers).sign_in(ada.name)
    return answers.session(device.session)


@pytest.mark.parametrize(("user_agent", "label"), LABELS.items(), ids=LABELS.values())
def test_the_user_agent_is_named_in_words(ada: Person, user_agent: str, label: str) -> None:
    assert described(ada, {}, user_agent)["user_agent"] == label


@pytest.mark.parametrize("user_agent", [None, "", "-", "x" * 4_000, "<script>alert(1)</script>"])
def test_what_cannot_be_worked_out_is_null_and_never_a_guess(
    ada: Person, user_agent: str | None
) -> None:
    session = described(ada, {}, user_agent)
    assert session["operating_system"] is None
    assert session["browser"] is None
    assert session["user_agent"] == "Unknown device"


def test_frozen_versions_are_not_taken_for_versions(ada: Person) -> None:
    windows = described(ada, {}, CHROME_WINDOWS)
    assert windows["operating_system"] == {"name": "Windows", "version": None}


@pytest.mark.parametrize(
    ("version", "expected"),
    [('"10.0.0"', "10"), ('"13.0.0"', "11"), ('"15.0.0"', "11"), ("garbage", None), ('""', None)],
)
def test_windows_11_is_told_from_windows_10_by_the_hint(
    ada: Person, version: str, expected: str | None
) -> None:
    hints = {
        "Sec-CH-UA": BRANDS,
        "Sec-CH-UA-Platform": '"Windows"',
        "Sec-CH-UA-Platform-Version": version,
        "Sec-CH-UA-Mobile": "?0",
    }
    session = described(ada, hints, CHROME_WINDOWS)
    assert session["operating_system"] == {"name": "Windows", "version": expected}
    assert session["browser"] == {"name": "Chrome", "version": "131"}


def test_where_valid_hints_and_user_agent_disagree_the_hints_count(ada: Person) -> None:
    hints = {
        "Sec-CH-UA": '"Brave";v="131", "Chromium";v="131", "Not_A Brand";v="24"',
        "Sec-CH-UA-Platform": '"macOS"',
        "Sec-CH-UA-Platform-Version": '"15.1.0"',
        "Sec-CH-UA-Mobile": "?0",
    }
    session = described(ada, hints, CHROME_WINDOWS)
    assert session["operating_system"]["name"] == "macOS"
    assert session["operating_system"]["version"].startswith("15")
    assert session["browser"] == {"name": "Brave", "version": "131"}


def test_hints_that_cannot_be_read_are_ignored(ada: Person) -> None:
    hints = {"Sec-CH-UA": '"Google Chrome;v=', "Sec-CH-UA-Platform": "Windows, (("}
    assert described(ada, hints, CHROME_WINDOWS)["user_agent"] == "Chrome 131 on Windows"


def test_the_server_asks_for_the_hints_that_it_needs(ada: Person) -> None:
    asked = ada.device(browser=True).get("/sessions").headers["accept-ch"].lower()
    assert "sec-ch-ua-platform-version" in asked
    assert "sec-ch-ua-full-version-list" in asked


@pytest.mark.parametrize(
    "raw",
    [b"\xff\xfe\xfd", b"Mozilla/5.0 \xe2\x80\xae(evil)", b"a\tb", "Пример/1.0".encode()],
    ids=ascii,
)
def test_no_bytes_in_a_user_agent_break_anything(ada: Person, raw: bytes) -> None:
    device = ada.device()
    with ada.server.client() as client:
        response = client.get(
            "/api/v1/session",
            headers=[(b"Authorization", f"Bearer {device.token}".encode()), (b"User-Agent", raw)],
        )
    assert response.status_code == 200
    answers.session(response.json())
    assert ada.device(browser=True).get("/sessions").status_code == 200
