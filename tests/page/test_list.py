"""The list in its states: long, narrow, dark, offline, ended, without a script."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from playwright.sync_api import expect

from harness.browser import Visitor
from harness.people import (
    CHROME_ANDROID,
    CHROME_LINUX,
    CURL,
    EDGE_WINDOWS,
    FIREFOX_WINDOWS,
    SAFARI_IPHONE,
    SAFARI_MAC,
    Person,
    person,
)
from harness.program import Lastseen, eventually

Visit = Callable[..., Visitor]

PHONE = "198.51.100.20"
OFFICE = "203.0.113.30"
AGENTS = [CHROME_LINUX, FIREFOX_WINDOWS, SAFARI_MAC, EDGE_WINDOWS, CHROME_ANDROID, SAFARI_IPHONE, CURL]


@pytest.fixture
def phone(ada: Person):
    return ada.device(CHROME_ANDROID, PHONE)


@pytest.fixture
def office(ada: Person):
    return ada.device(FIREFOX_WINDOWS, OFFICE)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory):
    server = Lastseen(
        tmp_path_factory.mktemp("brief"), "--trusted-proxy", "127.0.0.1/32", "--idle-timeout", "2s"
    ).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def crowd(server: Lastseen) -> Person:
    """Somebody with 999 sessions."""
    crowd = person(server, "crowd")

    def sign_in(number: int) -> None:
        crowd.device(AGENTS[number % len(AGENTS)], f"203.0.{number // 250}.{number % 250 + 1}")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(sign_in, range(999)))
    return crowd


# -- what it loads


def test_the_first_load_is_small_and_all_from_this_server(ada: Person, visit: Visit) -> None:
    for n in range(49):
        ada.device(AGENTS[n % len(AGENTS)], f"203.0.113.{n + 1}")
    visitor = visit(ada, signed_in=False)
    visitor.carry(ada.device(browser=True))
    answers = []
    visitor.page.on("response", lambda answer: answers.append(answer))
    visitor.open()
    visitor.page.wait_for_load_state("networkidle")
    expect(visitor.rows()).to_have_count(50)
    # A browser asks for the icon only where somebody sees it: count it in.
    with httpx.Client(trust_env=False) as client:
        icon = visitor.page.locator("link[rel=icon]").get_attribute("href")
        icon_bytes = len(client.get(visitor.url + str(icon)).content) if icon else 0
    sizes = {answer.url: len(answer.body()) for answer in answers}
    assert all(url.startswith(visitor.url + "/") for url in sizes), sizes
    assert all(answer.status == 200 for answer in answers)
    assert len(answers) + 1 < 10, sizes
    assert sum(sizes.values()) + icon_bytes < 100_000, sizes


def test_the_pages_hold_no_inline_script_or_style(ada: Person, visit: Visit) -> None:
    visitor = visit(ada)
    html = visitor.page.evaluate("fetch(location).then(answer => answer.text())")
    assert not re.search(r"<style|style=|\son[a-z]+=|javascript:", html)
    assert all("src=" in tag for tag in re.findall(r"<script[^>]*>", html))


# -- one's own, and nobody else


def test_with_one_session_there_is_no_empty_table(ada: Person, visit: Visit) -> None:
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(1)
    expect(visitor.page.get_by_text("No other device is signed in.")).to_be_visible()


def test_text_from_outside_is_text(server: Lastseen, visit: Visit) -> None:
    evil = "<img src=x onerror=alert(1)>"
    ada = person(server, evil)
    ada.device(f'{evil} "><script>alert(2)</script>', PHONE)
    visitor = visit(ada)
    alerts = []
    visitor.page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))
    expect(visitor.page.get_by_text(ada.name, exact=True).first).to_be_visible()
    expect(visitor.rows()).to_have_count(2)
    expect(visitor.page.locator("img")).to_have_count(0)
    visitor.terminate(visitor.row(PHONE)).click()
    expect(visitor.dialog()).to_be_visible()
    assert not alerts


# -- time


@pytest.mark.parametrize("zone", ["Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati"])
def test_times_are_in_the_visitors_zone(ada: Person, visit: Visit, zone: str) -> None:
    from zoneinfo import ZoneInfo

    device = ada.device(address=PHONE, remember=True)
    visitor = visit(ada, timezone_id=zone)
    expires = datetime.fromisoformat(str(device.session["expires_at"])).astimezone(ZoneInfo(zone))
    cell = visitor.cell(visitor.row(PHONE), "Expires At")
    expect(cell).to_contain_text(f"{expires:%H:%M}")
    expect(cell).to_contain_text(re.compile(rf"\b{expires.day}\b"))


def test_without_a_script_times_are_in_utc(ada: Person, visit: Visit) -> None:
    device = ada.device(address=PHONE, remember=True)
    visitor = visit(ada, java_script_enabled=False, timezone_id="Asia/Kolkata")
    expires = datetime.fromisoformat(str(device.session["expires_at"])).astimezone(UTC)
    cell = visitor.cell(visitor.row(PHONE), "Expires At")
    expect(cell).to_contain_text(f"{expires:%H:%M}")
    expect(cell).to_contain_text("UTC")


def test_the_exact_instant_is_there_on_hover_and_by_a_switch(ada: Person, visit: Visit) -> None:
    device = ada.device(address=PHONE)
    visitor = visit(ada, timezone_id="Etc/UTC")
    used = datetime.fromisoformat(str(device.session["last_updated"]))
    time = visitor.cell(visitor.row(PHONE), "Last Updated").locator("time")
    expect(time).to_have_attribute("title", re.compile(rf"{used:%H:%M:%S}"))
    visitor.page.get_by_role("switch", name="Exact times").check()
    expect(time).to_contain_text(f"{used:%H:%M:%S}")


def test_a_wrong_clock_on_the_device_changes_no_time_left(ada: Person, visit: Visit) -> None:
    ada.device(address=PHONE, remember=True)
    visitor = visit(ada, signed_in=False)
    visitor.page.clock.install(time=datetime.now(UTC) + timedelta(days=400))
    visitor.carry(ada.device(browser=True))
    visitor.open()
    cell = visitor.cell(visitor.row(PHONE), "Time Left")
    expect(cell).to_have_text(re.compile(r"13 d 23 h 5\d min left"))
    visitor.page.clock.run_for(60_000)
    expect(cell).to_have_text(re.compile(r"13 d 23 h 5\d min left"))


def test_time_left_counts_down_to_the_last_minute(ada: Person, visit: Visit) -> None:
    ada.device(address=PHONE)
    visitor = visit(ada, clock=True)
    cell = visitor.cell(visitor.row(PHONE), "Time Left")
    expect(cell).to_contain_text(re.compile(r"11 h 5\d min left"))
    # Time passes on this side only: the list that is read again after a sleep says the same as before.
    visitor.context.set_offline(True)
    visitor.page.clock.run_for(11 * 3_600_000)
    expect(cell).to_contain_text(re.compile(r"^(1 h 0|5\d) min left$|^5\d min left$"))
    visitor.context.set_offline(False)


def test_a_session_turns_expired_in_place_and_its_tick_stays(brief: Lastseen, visit: Visit) -> None:
    ada = person(brief)
    ada.device(address=PHONE)
    visitor = visit(ada, remember=True)
    row = visitor.row(PHONE)
    visitor.tick(row).check()
    expect(visitor.remove(row)).to_be_visible(timeout=15_000)
    expect(visitor.tick(row)).to_be_checked()
    visitor.button("Refresh").click()
    expect(visitor.status()).to_contain_text("Up to date")
    expect(visitor.tick(row)).to_be_checked()


def test_when_ones_own_time_is_up_the_page_says_so_by_itself(brief: Lastseen, visit: Visit) -> None:
    visitor = visit(person(brief))
    expect(visitor.page.get_by_text("This device has been signed out.")).to_be_visible(timeout=20_000)
    expect(visitor.rows()).to_have_count(0)
    visitor.page.get_by_role("link", name="Sign in").click()
    visitor.is_led_to_sign_in()


# -- the session ends elsewhere


def end_elsewhere(visitor: Visitor) -> None:
    other = visitor.person.device()
    assert other.delete(f"/api/v1/sessions/{visitor.id}").status_code == 204


ACTIONS: dict[str, Callable[[Visitor], None]] = {
    "Refresh": lambda v: v.button("Refresh").click(),
    "Terminate": lambda v: v.terminate(v.row(PHONE)).click(modifiers=["Control"]),
    "Terminate after asking": lambda v: (
        v.terminate(v.row(PHONE)).click(),
        v.dialog().get_by_role("button", name="Terminate", exact=True).click(),
    ),
    "Terminate 1 Session": lambda v: (
        v.tick(v.row(PHONE)).check(),
        v.button("Terminate 1 Session").click(modifiers=["Control"]),
    ),
    "Terminate All": lambda v: (
        v.button("Terminate All").click(),
        v.dialog().get_by_role("button", name="Terminate All", exact=True).click(),
    ),
    "Disconnect": lambda v: (
        v.disconnect(v.current()).click(),
        v.dialog().get_by_role("button", name="Disconnect", exact=True).click(),
    ),
    "Sign out": lambda v: v.button("Sign out").click(),
    "Password": lambda v: v.page.get_by_role("link", name="Password").click(),
    "reload": lambda v: v.page.reload(),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_what_happens_on_a_page_whose_session_has_ended_leads_to_sign_in(
    ada: Person, visit: Visit, phone, action: str
) -> None:
    visitor = visit(ada)
    expect(visitor.row(PHONE)).to_have_count(1)
    end_elsewhere(visitor)
    ACTIONS[action](visitor)
    visitor.is_led_to_sign_in()
    expect(visitor.rows()).to_have_count(0)
    # Nothing was done in the name of a session that had ended.
    assert phone.is_signed_in()


@pytest.mark.parametrize("action", ["Terminate", "Terminate All", "Disconnect", "Sign out"])
def test_without_a_script_it_leads_there_too(ada: Person, visit: Visit, phone, action: str) -> None:
    visitor = visit(ada, java_script_enabled=False)
    end_elsewhere(visitor)
    if action == "Terminate":
        visitor.terminate(visitor.row(PHONE)).click()
    elif action == "Disconnect":
        visitor.disconnect(visitor.current()).click()
    else:
        visitor.button(action).click()
    visitor.is_led_to_sign_in()
    assert phone.is_signed_in()


def test_a_session_that_is_gone_already_counts_as_ended(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    assert phone.post("/api/v1/sign-out").status_code == 204
    visitor.terminate(visitor.row(PHONE)).click(modifiers=["Control"])
    expect(visitor.row(PHONE)).to_have_count(0)
    assert visitor.device().is_signed_in()


def test_back_after_signing_out_shows_nothing(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(2)
    visitor.button("Sign out").click()
    visitor.is_led_to_sign_in()
    visitor.page.go_back()
    eventually(
        lambda: visitor.rows().count() == 0 and PHONE not in visitor.page.inner_text("body"),
        "no row of the list is shown",
    )
    visitor.page.wait_for_load_state()
    assert PHONE not in visitor.page.inner_text("body")
    assert ada.name not in visitor.page.inner_text("body")


def test_a_page_from_the_browsers_memory_shows_no_row_of_an_ended_session(
    ada: Person, visit: Visit, phone
) -> None:
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(2)
    visitor.open("/livez")
    end_elsewhere(visitor)
    visitor.page.go_back()
    eventually(lambda: PHONE not in visitor.page.inner_text("body"), "no row is shown")


# -- a server that cannot answer


def test_offline_is_said_and_ends_nothing(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    visitor.context.set_offline(True)
    expect(
        visitor.page.get_by_text("You are offline. Times keep counting; nothing can be terminated.").first
    ).to_be_visible()
    button = visitor.terminate(visitor.row(PHONE))
    expect(button).to_have_attribute("aria-disabled", "true")
    button.focus()
    expect(button).to_be_focused()
    visitor.page.keyboard.press("Enter")
    expect(visitor.dialog()).to_be_hidden()
    visitor.context.set_offline(False)
    expect(button).not_to_have_attribute("aria-disabled", "true")
    button.click(modifiers=["Control"])
    expect(visitor.row(PHONE)).to_have_count(0)
    assert not phone.is_signed_in()


def test_a_list_that_cannot_be_read_stays_and_says_from_when_it_is(
    start: Callable[..., Lastseen], visit: Visit
) -> None:
    server = start()
    ada = person(server)
    ada.device(address=PHONE)
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(2)
    server.kill()
    visitor.button("Refresh").click()
    expect(visitor.page.get_by_text(re.compile("The list could not be read"))).to_be_visible()
    expect(visitor.rows()).to_have_count(2)
    expect(visitor.button("Try again")).to_be_visible()
    visitor.terminate(visitor.row(PHONE)).click(modifiers=["Control"])
    expect(visitor.status()).to_contain_text("Nothing was terminated.")
    expect(visitor.row(PHONE)).to_have_count(1)


# -- without a script


def test_without_a_script_one_ends_after_a_question_on_a_page(
    ada: Person, visit: Visit, phone, office
) -> None:
    visitor = visit(ada, java_script_enabled=False)
    expect(visitor.rows()).to_have_count(3)
    visitor.terminate(visitor.row(PHONE)).click()
    expect(visitor.heading()).to_have_text("Terminate this session?")
    expect(visitor.page.get_by_role("main")).to_contain_text("Chrome 131 on Android")
    assert phone.is_signed_in()
    visitor.page.get_by_role("link", name="Cancel").click()
    expect(visitor.rows()).to_have_count(3)
    visitor.terminate(visitor.row(PHONE)).click()
    visitor.button("Terminate").click()
    expect(visitor.rows()).to_have_count(2)
    expect(visitor.status()).to_have_text("1 session terminated.")
    assert not phone.is_signed_in() and office.is_signed_in()
    # Reloading does it again to nobody.
    visitor.page.reload()
    expect(visitor.rows()).to_have_count(2)


def test_without_a_script_selected_ones_end(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada, java_script_enabled=False)
    visitor.tick(visitor.row(PHONE)).check()
    visitor.tick(visitor.row(OFFICE)).check()
    visitor.button("Terminate selected sessions").click()
    expect(visitor.heading()).to_have_text("Terminate 2 sessions?")
    assert phone.is_signed_in() and office.is_signed_in()
    visitor.button("Terminate 2 Sessions").click()
    expect(visitor.rows()).to_have_count(1)
    assert not phone.is_signed_in() and not office.is_signed_in()


def test_without_a_script_nothing_ticked_ends_nothing(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada, java_script_enabled=False)
    visitor.button("Terminate selected sessions").click()
    expect(visitor.rows()).to_have_count(2)
    expect(visitor.status()).not_to_be_empty()
    assert phone.is_signed_in()


def test_without_a_script_all_others_end(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada, java_script_enabled=False)
    visitor.button("Terminate All").click()
    expect(visitor.heading()).to_have_text("Terminate all other sessions?")
    visitor.button("Terminate All").click()
    expect(visitor.rows()).to_have_count(1)
    expect(visitor.status()).to_have_text("All 2 other sessions terminated.")
    assert not phone.is_signed_in() and not office.is_signed_in()


def test_without_a_script_the_current_one_ends(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada, java_script_enabled=False)
    device = visitor.device()
    visitor.disconnect(visitor.current()).click()
    expect(visitor.heading()).to_have_text("Disconnect this device?")
    visitor.button("Disconnect").click()
    visitor.is_led_to_sign_in()
    assert not device.is_signed_in()
    assert not visitor.context.cookies(visitor.url) or "lastseen" not in {
        cookie["name"] for cookie in visitor.context.cookies(visitor.url)
    }
    assert phone.is_signed_in()


def test_without_a_script_an_expired_one_is_removed_without_a_question(
    brief: Lastseen, visit: Visit
) -> None:
    ada = person(brief)
    ada.device(address=PHONE)
    visitor = visit(ada, remember=True, java_script_enabled=False)

    def shown_as_expired() -> bool:
        visitor.button("Refresh").click()
        return visitor.remove(visitor.row(PHONE)).count() == 1

    eventually(shown_as_expired, "the session is shown as expired")
    expect(visitor.row(PHONE)).to_contain_text("Expired")
    visitor.remove(visitor.row(PHONE)).click()
    expect(visitor.row(PHONE)).to_have_count(0)
    expect(visitor.current()).to_have_count(1)


def test_without_a_script_one_signs_in_and_out(ada: Person, visit: Visit) -> None:
    visitor = visit(ada, signed_in=False, java_script_enabled=False).open("/sessions")
    visitor.is_led_to_sign_in()
    visitor.sign_in(remember=True)
    expect(visitor.heading()).to_have_text("Sessions")
    device = visitor.device()
    assert device.get("/api/v1/session").json()["remembered"] is True
    visitor.button("Sign out").click()
    visitor.is_led_to_sign_in()
    assert not device.is_signed_in()


# -- many


# Whoever comes first waits for a thousand passwords to be hashed.
@pytest.mark.timeout(600)
def test_two_hundred_rows_at_once_and_the_rest_behind_a_control(crowd: Person, visit: Visit) -> None:
    for script in (True, False):
        visitor = visit(crowd, java_script_enabled=script)
        expect(visitor.rows()).to_have_count(50)
        seen: set[str] = set()

        def note(visitor: Visitor = visitor, seen: set[str] = seen) -> None:
            values = visitor.page.locator("tbody input[name=id]").evaluate_all(
                "boxes => boxes.map(box => box.value)"
            )
            assert len(values) <= 200
            seen.update(values)

        while visitor.button("Show more").count():
            before = visitor.rows().count()
            visitor.button("Show more").click()
            expect(visitor.rows()).not_to_have_count(before)
            note()
        # The headings of groups are rows of the table too.
        assert 150 < visitor.rows().count() <= visitor.page.locator("tbody tr").count() <= 200
        following = visitor.page.get_by_role("link", name=re.compile(r"next", re.I))
        while following.count():
            first = visitor.page.locator("tbody input[name=id]").nth(1).get_attribute("value")
            following.click()
            expect(visitor.page.locator(f"tbody input[value='{first}']")).to_have_count(0)
            note()
        device = visitor.device()
        assert seen == set(device.listed())
        visitor.context.close()


@pytest.mark.timeout(600)
def test_a_thousand_sessions_stay_usable(crowd: Person, visit: Visit) -> None:
    import time

    begun = time.monotonic()
    visitor = visit(crowd)
    expect(visitor.rows()).to_have_count(50)
    assert time.monotonic() - begun < 5
    begun = time.monotonic()
    visitor.button("Refresh").click()
    expect(visitor.status()).to_contain_text("Up to date")
    assert time.monotonic() - begun < 5


def test_all_that_match_a_rule_are_selected_beyond_what_is_shown(
    server: Lastseen, visit: Visit
) -> None:
    many = person(server, "many")
    with ThreadPoolExecutor(4) as pool:
        devices = list(pool.map(lambda _: many.device(CURL, "192.0.2.99"), range(70)))
    odd = many.device(FIREFOX_WINDOWS, OFFICE)
    visitor = visit(many)
    visitor.tick(visitor.row("192.0.2.99").first).check()
    visitor.button(re.compile(r"^This address")).click()
    visitor.button(re.compile(r"^Select all")).click()
    visitor.button("Terminate 70 Sessions").click()
    expect(visitor.dialog()).to_contain_text("and 65 more")
    visitor.dialog().get_by_role("button", name="Terminate 70 Sessions").click()
    expect(visitor.status()).to_have_text("70 sessions terminated.")
    expect(visitor.rows()).to_have_count(2)
    assert not any(device.is_signed_in() for device in devices[::10])
    assert odd.is_signed_in()


# -- selection


def test_shift_ticks_a_range_and_the_head_ticks_all_but_ones_own(ada: Person, visit: Visit) -> None:
    for n in range(5):
        ada.device(AGENTS[n], f"203.0.113.{n + 1}")
    visitor = visit(ada)
    visitor.tick(visitor.rows().nth(1)).click()
    visitor.tick(visitor.rows().nth(3)).click(modifiers=["Shift"])
    expect(visitor.button("Terminate 3 Sessions")).to_be_visible()
    visitor.button("Clear").click()
    visitor.page.get_by_role("checkbox", name=re.compile("^Select all")).first.check()
    expect(visitor.button("Terminate 5 Sessions")).to_be_visible()
    expect(visitor.tick(visitor.current())).not_to_be_checked()


def test_ticks_survive_a_refresh_and_one_that_went_is_said(
    ada: Person, visit: Visit, phone, office
) -> None:
    visitor = visit(ada)
    visitor.tick(visitor.row(PHONE)).check()
    visitor.tick(visitor.row(OFFICE)).check()
    assert office.post("/api/v1/sign-out").status_code == 204
    visitor.button("Refresh").click()
    expect(visitor.row(OFFICE)).to_have_count(0)
    expect(visitor.tick(visitor.row(PHONE))).to_be_checked()
    expect(visitor.button("Terminate 1 Session")).to_be_visible()
    expect(visitor.status()).to_contain_text("1 of the ticked went.")
