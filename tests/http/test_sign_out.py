"""`POST /api/v1/sign-out`."""

from __future__ import annotations

import pytest

from harness import answers
from harness.people import Device, Person, cookies


@pytest.mark.parametrize("browser", [True, False], ids=["browser", "program"])
def test_signing_out_ends_the_current_session_and_clears_the_cookie(
    ada: Person, browser: bool
) -> None:
    device, other = ada.device(browser=browser), ada.device()
    response = device.post("/api/v1/sign-out")
    assert response.status_code == 204
    assert response.content == b""
    answers.assert_not_stored(response)
    answers.assert_safe_headers(response)
    cleared = cookies(response)["lastseen"]
    assert cleared.value == ""
    assert cleared.attributes.pop("max-age") == "0"
    cleared.attributes.pop("expires", None)
    assert cleared.attributes == {"httponly": None, "samesite": "Lax", "path": "/"}
    assert not device.is_signed_in()
    assert other.listed() == [other.id]


def test_signing_out_clears_what_the_browser_kept(ada: Person) -> None:
    response = ada.device(browser=True).post("/api/v1/sign-out")
    kinds = [part.strip() for part in response.headers["clear-site-data"].split(",")]
    assert '"cache"' in kinds or '"*"' in kinds


def test_signing_out_without_a_session_signs_nobody_out(ada: Person) -> None:
    device = ada.device()
    response = Device(ada.server).post("/api/v1/sign-out")
    assert response.status_code in (204, 401)
    assert device.is_signed_in()


def test_fetching_an_address_signs_nobody_out(ada: Person) -> None:
    device = ada.device(browser=True)
    for path in ("/api/v1/sign-out", "/sign-out"):
        device.get(path)
    assert device.is_signed_in()
