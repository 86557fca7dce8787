"""The questions before something ends, by mouse, by keyboard, and for a screen reader."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from harness.browser import Visitor
from harness.people import CHROME_ANDROID, CURL, FIREFOX_WINDOWS, Person

Visit = Callable[..., Visitor]

PHONE = "198.51.100.20"
OFFICE = "203.0.113.30"


@pytest.fixture
def phone(ada: Person):
    return ada.device(CHROME_ANDROID, PHONE)


@pytest.fixture
def office(ada: Person):
    return ada.device(FIREFOX_WINDOWS, OFFICE)


def press(visitor: Visitor, which: str) -> None:
    if which == "one":
        visitor.terminate(visitor.row(PHONE)).click()
    elif which == "current":
        visitor.disconnect(visitor.current()).click()
    elif which == "several":
        visitor.tick(visitor.row(PHONE)).check()
        visitor.button("Terminate 1 Session").click()
    else:
        visitor.button("Terminate All").click()


EVERY = ["one", "current", "several", "all"]


@pytest.mark.parametrize("which", EVERY)
def test_focus_goes_in_to_cancel_and_returns_to_where_it_was(
    ada: Person, visit: Visit, phone, which: str
) -> None:
    visitor = visit(ada)
    press(visitor, which)
    dialog = visitor.dialog()
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Cancel", exact=True)).to_be_focused()
    visitor.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    pressed = {
        "one": lambda: visitor.terminate(visitor.row(PHONE)),
        "current": lambda: visitor.disconnect(visitor.current()),
        "several": lambda: visitor.button("Terminate 1 Session"),
        "all": lambda: visitor.button("Terminate All"),
    }[which]()
    expect(pressed).to_be_focused()
    assert phone.is_signed_in() and visitor.device().is_signed_in()


@pytest.mark.parametrize("which", EVERY)
def test_tab_stays_inside_the_dialog(ada: Person, visit: Visit, phone, which: str) -> None:
    visitor = visit(ada)
    press(visitor, which)
    expect(visitor.dialog()).to_be_visible()
    for _ in range(6):
        visitor.page.keyboard.press("Tab")
        outside = visitor.page.evaluate(
            "document.activeElement !== document.body && !document.activeElement.closest('dialog')"
        )
        assert not outside


@pytest.mark.parametrize("which", EVERY)
def test_a_click_outside_cancels_nothing_and_ends_nothing(
    ada: Person, visit: Visit, phone, which: str
) -> None:
    visitor = visit(ada)
    press(visitor, which)
    visitor.page.mouse.click(3, 3)
    expect(visitor.dialog()).to_be_visible()
    assert phone.is_signed_in() and visitor.device().is_signed_in()


def test_the_words_of_each_question(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    dialog = visitor.dialog()

    press(visitor, "one")
    expect(dialog).to_have_accessible_name("Terminate this session?")
    expect(dialog).to_contain_text(
        re.compile(rf"Chrome 131 on Android, {re.escape(PHONE)}, last used now\. It is signed out at once\.")
    )
    visitor.page.keyboard.press("Escape")

    press(visitor, "current")
    expect(dialog).to_have_accessible_name("Disconnect this device?")
    expect(dialog).to_contain_text(
        "This is the session you are using. You will be signed out here and must sign in again."
        " Your other 2 sessions stay."
    )
    visitor.page.keyboard.press("Escape")

    visitor.tick(visitor.row(PHONE)).check()
    visitor.tick(visitor.row(OFFICE)).check()
    visitor.button("Terminate 2 Sessions").click()
    expect(dialog).to_have_accessible_name("Terminate 2 sessions?")
    expect(dialog).to_contain_text(f"Chrome 131 on Android, {PHONE}")
    expect(dialog).to_contain_text(f"Firefox 132 on Windows, {OFFICE}")
    expect(dialog).to_contain_text("Hold Ctrl (⌘ on a Mac) to skip this question.")
    expect(dialog).not_to_contain_text("you will be signed out here")
    visitor.page.keyboard.press("Escape")

    visitor.tick(visitor.current()).check()
    visitor.button("Terminate 3 Sessions").click()
    expect(dialog).to_contain_text(
        "One of them is the session you are using: you will be signed out here."
    )
    visitor.page.keyboard.press("Escape")

    press(visitor, "all")
    expect(dialog).to_have_accessible_name("Terminate all other sessions?")
    expect(dialog).to_contain_text(
        "2 sessions end on your other devices. The one you are using stays."
    )


def test_of_many_sessions_the_question_names_five(ada: Person, visit: Visit) -> None:
    for n in range(12):
        ada.device(CURL, f"203.0.113.{n + 1}")
    visitor = visit(ada)
    for n in range(12):
        visitor.tick(visitor.rows().nth(n + 1)).check()
    visitor.button("Terminate 12 Sessions").click()
    expect(visitor.dialog().get_by_role("listitem")).to_have_count(6)
    expect(visitor.dialog()).to_contain_text("and 7 more")


@pytest.mark.parametrize("key", ["Control", "Meta"])
def test_a_held_key_skips_the_question_on_terminate(
    ada: Person, visit: Visit, phone, key: str
) -> None:
    visitor = visit(ada)
    visitor.terminate(visitor.row(PHONE)).click(modifiers=[key])
    expect(visitor.row(PHONE)).to_have_count(0)
    expect(visitor.dialog()).to_be_hidden()
    assert not phone.is_signed_in()
    assert len(visitor.context.pages) == 1


@pytest.mark.parametrize("key", ["Control", "Meta"])
def test_a_held_key_skips_it_with_enter_on_the_focused_button_too(
    ada: Person, visit: Visit, phone, key: str
) -> None:
    visitor = visit(ada)
    visitor.terminate(visitor.row(PHONE)).focus()
    visitor.page.keyboard.press(f"{key}+Enter")
    expect(visitor.row(PHONE)).to_have_count(0)
    assert not phone.is_signed_in()


@pytest.mark.parametrize("key", ["Shift", "Alt"])
def test_another_held_key_skips_nothing(ada: Person, visit: Visit, phone, key: str) -> None:
    visitor = visit(ada)
    visitor.terminate(visitor.row(PHONE)).click(modifiers=[key])
    expect(visitor.dialog()).to_be_visible()
    assert phone.is_signed_in()


@pytest.mark.parametrize("which", ["current", "all"])
@pytest.mark.parametrize("key", ["Control", "Meta"])
def test_disconnect_and_terminate_all_always_ask(
    ada: Person, visit: Visit, phone, which: str, key: str
) -> None:
    visitor = visit(ada)
    button = (
        visitor.disconnect(visitor.current()) if which == "current" else visitor.button("Terminate All")
    )
    button.click(modifiers=[key])
    expect(visitor.dialog()).to_be_visible()
    assert phone.is_signed_in() and visitor.device().is_signed_in()


def test_everything_works_by_keyboard_alone(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada, signed_in=False).open("/sign-in")
    keyboard = visitor.page.keyboard

    def tab_to(locator) -> None:
        for _ in range(60):
            if locator.evaluate("node => node === document.activeElement"):
                return
            keyboard.press("Tab")
        raise AssertionError(f"Tab never comes to {locator}")

    tab_to(visitor.page.get_by_label("User name", exact=True))
    keyboard.type(ada.name)
    tab_to(visitor.page.get_by_label("Password", exact=True))
    keyboard.type(ada.password)
    tab_to(visitor.page.get_by_label("Remember this device", exact=True))
    keyboard.press("Space")
    keyboard.press("Enter")
    expect(visitor.rows()).to_have_count(3)
    assert visitor.device().get("/api/v1/session").json()["remembered"] is True

    tab_to(visitor.tick(visitor.row(PHONE)))
    keyboard.press("Space")
    tab_to(visitor.tick(visitor.row(OFFICE)))
    keyboard.press("Space")
    keyboard.press("Escape")
    expect(visitor.button(re.compile(r"^Terminate \d"))).to_have_count(0)

    tab_to(visitor.terminate(visitor.row(PHONE)))
    keyboard.press("Enter")
    expect(visitor.dialog()).to_be_visible()
    tab_to(visitor.dialog().get_by_role("button", name="Terminate", exact=True))
    keyboard.press("Enter")
    expect(visitor.row(PHONE)).to_have_count(0)
    assert not phone.is_signed_in()
    # Focus is on something that is there.
    expect(visitor.page.locator(":focus")).to_be_visible()

    tab_to(visitor.button("Refresh"))
    keyboard.press("Enter")
    tab_to(visitor.button("Terminate All"))
    keyboard.press("Enter")
    tab_to(visitor.dialog().get_by_role("button", name="Terminate All", exact=True))
    keyboard.press("Enter")
    expect(visitor.rows()).to_have_count(1)
    assert not office.is_signed_in()

    tab_to(visitor.disconnect(visitor.current()))
    keyboard.press("Enter")
    tab_to(visitor.dialog().get_by_role("button", name="Disconnect", exact=True))
    keyboard.press("Enter")
    visitor.is_led_to_sign_in()


def test_focus_is_visible_wherever_it_is(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    seen = 0
    for _ in range(25):
        visitor.page.keyboard.press("Tab")
        style = visitor.page.evaluate(
            """() => {
                const node = document.activeElement;
                if (node === document.body) return null;
                const style = getComputedStyle(node);
                return [style.outlineStyle, parseFloat(style.outlineWidth)];
            }"""
        )
        if style is None:
            break
        seen += 1
        assert style[0] != "none" and style[1] >= 2, style
    assert seen >= 8


def test_when_a_row_goes_focus_goes_to_the_next_ones_action(
    ada: Person, visit: Visit, phone, office
) -> None:
    visitor = visit(ada)
    order = [row.inner_text() for row in visitor.rows().all()]
    assert OFFICE in order[1] and PHONE in order[2]
    visitor.terminate(visitor.row(OFFICE)).click(modifiers=["Control"])
    expect(visitor.row(OFFICE)).to_have_count(0)
    expect(visitor.terminate(visitor.row(PHONE))).to_be_focused()
    visitor.terminate(visitor.row(PHONE)).click(modifiers=["Control"])
    expect(visitor.row(PHONE)).to_have_count(0)
    expect(visitor.disconnect(visitor.current())).to_be_focused()


def test_what_changed_is_announced(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    status = visitor.status()
    expect(status).to_have_count(1)
    visitor.tick(visitor.row(PHONE)).check()
    expect(status).to_have_text("1 selected")
    visitor.button("Clear").click()
    expect(status).to_have_text("0 selected")
    visitor.terminate(visitor.row(PHONE)).click(modifiers=["Control"])
    expect(status).to_have_text("Terminated Chrome 131 on Android.")
    visitor.button("Refresh").click()
    expect(status).to_have_text(re.compile(r"^Up to date, \d\d:\d\d:\d\d\. Nothing changed\.$"))
    # The time that runs is silent.
    timers = visitor.page.get_by_role("timer")
    expect(timers).to_have_count(2)
    expect(timers.first).to_have_accessible_name(re.compile(r"^\d+ hours \d+ minutes left$"))


def test_a_button_says_whose_row_it_is_in(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    button = visitor.terminate(visitor.row(PHONE))
    described = button.evaluate(
        """node => (node.getAttribute('aria-label') ?? node.textContent) + ' ' +
            (node.getAttribute('aria-describedby') ?? '').split(' ').filter(Boolean)
                .map(id => document.getElementById(id).textContent).join(' ')"""
    )
    assert "Chrome 131 on Android" in described and PHONE in described
    expect(visitor.tick(visitor.row(PHONE))).to_have_accessible_name(
        f"Select Chrome 131 on Android, {PHONE}"
    )
