"""Each sentence of the text that the product began with, shown in a real browser.

The text speaks of the product whose manual it was; apart from that name every word is meant.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from harness import sentences
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
from harness.sentences import shows

Visit = Callable[..., Visitor]

TEXT = {
    "Managing Sessions": [
        "A session represents an active login to your OctoPerf account from a specific device.",
        "You can view all your active sessions, see details about each one, and terminate sessions"
        " you no longer need.",
    ],
    "Why This Matters": [
        "When you log in to OctoPerf, you create a session on that device.",
        "If you log in from multiple devices, each login is a separate session.",
        "Being able to see and manage these sessions helps you:",
        "Secure your account: Remove access from lost or stolen devices",
        "Monitor activity: See which devices are currently logged in",
        "Clean up: Disconnect from devices you no longer use",
        "Maintain control: Ensure only devices you own can access your account",
    ],
    "Understanding Session Information": [
        "For each session, you see:",
        "Operating System: The OS of the device (Windows, Mac, Linux, etc.) shown as an icon",
        "Browser: The web browser being used (Chrome, Firefox, Safari, Edge, etc.) shown as an icon",
        "IP Address: The network address of the device",
        'User Agent: A description combining the browser and OS (e.g., "Chrome 120 on Linux")',
        "Last Updated: When the session was last active",
        "Expires At: The date when this session automatically expires",
        "Time Left: Days, hours, and minutes remaining until the session expires",
        "Current Session Indicator: A checkmark (✓) shows which session you're currently using",
    ],
    "Terminating Sessions": [
        "You can remove individual sessions or clear multiple sessions at once.",
    ],
    "Terminate One Session": [
        "Find the session you want to remove",
        "Click Terminate",
        "If it's your current session, the button says Disconnect instead",
        "Confirm when prompted",
    ],
    "Terminate Your Current Session": [
        "Clicking Disconnect on your current session (marked with ✓) will:",
        "End your current login",
        "Log you out of the application",
        "Require you to log in again",
    ],
    "Terminate Multiple Sessions": [
        "Check the boxes next to the sessions you want to remove",
        "Click Terminate [X] Sessions",
        "Confirm when prompted",
        "To skip the confirmation dialog and terminate immediately, hold Ctrl (or Cmd on Mac) while"
        " clicking the button.",
    ],
    "Terminate All Sessions": [
        "Click Terminate All to remove every active session except the one you're currently using.",
        "Confirm when prompted.",
    ],
    "Session Expiration": [
        "Sessions automatically expire for security.",
        "Expires At: Shows the exact date and time the session will automatically expire",
        "Time Left: Counts down the remaining time (shows days, hours, and minutes)",
        'Expired: Once a session expires, it appears with an "Expired" label and you can no longer'
        " use it",
    ],
    "Refreshing the List": [
        "Click Refresh to reload the sessions list and see the latest information.",
        "This is useful if you recently logged in from a new device and want to verify it appears in"
        " the list.",
    ],
    "Tips for Managing Sessions": [
        "Check regularly: Review your sessions periodically to catch unauthorized access",
        "Terminate old devices: If you've upgraded your device, terminate the old session",
        "Monitor the list: Unfamiliar IP addresses or browsers may indicate unauthorized access",
        "Keep current: Remove expired sessions to keep your list clean",
    ],
    "Security Best Practices": [
        "Terminate sessions immediately if you believe a device is compromised",
        "Log out when using shared or public computers (this terminates that session)",
        "Review sessions after password changes or security events",
        "Remove sessions from devices you no longer own or control",
    ],
}


def test_every_sentence_has_a_test_of_its_name() -> None:
    assert sentences.covered == {(section, text) for section in TEXT for text in TEXT[section]}


PHONE = "198.51.100.20"
OFFICE = "203.0.113.30"


@pytest.fixture
def phone(ada: Person):
    return ada.device(CHROME_ANDROID, PHONE)


@pytest.fixture
def office(ada: Person):
    return ada.device(FIREFOX_WINDOWS, OFFICE)


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory):
    """A server where a session that is not remembered expires after two seconds without use."""
    server = Lastseen(
        tmp_path_factory.mktemp("brief"), "--trusted-proxy", "127.0.0.1/32", "--idle-timeout", "2s"
    ).start()
    yield server
    server.close()


def confirm(visitor: Visitor, name: str) -> None:
    visitor.dialog().get_by_role("button", name=name, exact=True).click()
    expect(visitor.dialog()).to_be_hidden()


# -- Managing Sessions


@shows("Managing Sessions", TEXT["Managing Sessions"][0])
def test_1(ada: Person, visit: Visit) -> None:
    visitor = visit(ada, signed_in=False).open("/sign-in").sign_in()
    expect(visitor.heading()).to_have_text("Sessions")
    expect(visitor.rows()).to_have_count(1)
    assert len(visitor.device().sessions()) == 1


@shows("Managing Sessions", TEXT["Managing Sessions"][1])
def test_2(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(3)
    for address, label in ((PHONE, "Chrome 131 on Android"), (OFFICE, "Firefox 132 on Windows")):
        expect(visitor.row(address)).to_contain_text(label)
        expect(visitor.terminate(visitor.row(address))).to_be_enabled()


# -- Why This Matters


@shows("Why This Matters", TEXT["Why This Matters"][0])
def test_3(ada: Person, visit: Visit) -> None:
    looker = visit(ada)
    expect(looker.rows()).to_have_count(1)
    other = visit(ada, signed_in=False).open("/sign-in").sign_in()
    expect(other.rows()).to_have_count(2)
    expect(other.current()).to_have_count(1)
    assert len(looker.device().sessions()) == 2


@shows("Why This Matters", TEXT["Why This Matters"][1])
def test_4(ada: Person, visit: Visit) -> None:
    devices = [ada.device(CHROME_LINUX, f"203.0.113.{n}") for n in (41, 42, 43)]
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(4)
    # Alike as they are, each has a row and an end of its own.
    visitor.terminate(visitor.row("203.0.113.42")).click()
    confirm(visitor, "Terminate")
    expect(visitor.rows()).to_have_count(3)
    assert [d.is_signed_in() for d in devices] == [True, False, True]


@shows("Why This Matters", TEXT["Why This Matters"][2])
def test_5(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada, signed_in=False).open("/")
    visitor.is_led_to_sign_in()
    # Signed in, the list is what one sees, and what one can do stands in it.
    visitor.sign_in()
    expect(visitor.page).to_have_url(re.compile(r"/sessions$"))
    expect(visitor.page.get_by_role("table", name="Your sessions")).to_be_visible()
    for name in ("Refresh", "Terminate All"):
        expect(visitor.button(name)).to_be_visible()


@shows("Why This Matters", TEXT["Why This Matters"][3])
def test_6(ada: Person, visit: Visit, phone) -> None:
    assert phone.is_signed_in()
    visitor = visit(ada)
    visitor.terminate(visitor.row(PHONE)).click()
    confirm(visitor, "Terminate")
    expect(visitor.row(PHONE)).to_have_count(0)
    assert not phone.is_signed_in()


@shows("Why This Matters", TEXT["Why This Matters"][4])
def test_7(ada: Person, visit: Visit) -> None:
    ada.device(SAFARI_MAC, "203.0.113.51")
    ada.device(EDGE_WINDOWS, "203.0.113.52")
    gone = ada.device(SAFARI_IPHONE, "203.0.113.53")
    assert gone.post("/api/v1/sign-out").status_code == 204
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(3)
    expect(visitor.row("203.0.113.51")).to_contain_text("Safari 18 on macOS")
    expect(visitor.row("203.0.113.52")).to_contain_text("Edge 131 on Windows")


@shows("Why This Matters", TEXT["Why This Matters"][5])
def test_8(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    for address in (PHONE, OFFICE):
        visitor.tick(visitor.row(address)).check()
    visitor.button("Terminate 2 Sessions").click()
    confirm(visitor, "Terminate 2 Sessions")
    expect(visitor.rows()).to_have_count(1)
    assert not phone.is_signed_in() and not office.is_signed_in()


@shows("Why This Matters", TEXT["Why This Matters"][6])
def test_9(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    visitor.button("Terminate All").click()
    confirm(visitor, "Terminate All")
    expect(visitor.rows()).to_have_count(1)
    assert not phone.is_signed_in() and not office.is_signed_in()
    assert visitor.device().is_signed_in()


# -- Understanding Session Information


@shows("Understanding Session Information", TEXT["Understanding Session Information"][0])
def test_10(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    heads = [text.strip().lower() for text in visitor.page.get_by_role("columnheader").all_inner_texts()]
    for head in ("Operating System", "Browser", "IP Address", "User Agent", "Last Updated",
                 "Expires At", "Time Left"):
        assert head.lower() in heads, heads
        for row in visitor.rows().all():
            expect(visitor.cell(row, head)).not_to_be_empty()


def has_icon(visitor: Visitor, address: str, column: str, word: str) -> str:
    """Checks that a cell shows an icon with its word beside it; returns what the icon looks like."""
    cell = visitor.cell(visitor.row(address), column)
    expect(cell).to_contain_text(word)
    icon = cell.locator("svg")
    expect(icon).to_be_visible()
    # The word is what is read out; the drawing beside it says nothing more.
    expect(icon).to_have_attribute("aria-hidden", "true")
    box = icon.bounding_box()
    assert box and box["width"] >= 12 and box["height"] >= 12
    return str(icon.evaluate("""svg => {
        const use = svg.querySelector('use');
        return use ? document.querySelector(use.getAttribute('href')).innerHTML : svg.innerHTML;
    }"""))


@shows("Understanding Session Information", TEXT["Understanding Session Information"][1])
def test_11(ada: Person, visit: Visit) -> None:
    ada.device(FIREFOX_WINDOWS, "203.0.113.61")
    ada.device(SAFARI_MAC, "203.0.113.62")
    ada.device(CHROME_LINUX, "203.0.113.63")
    ada.device(CHROME_ANDROID, "203.0.113.64")
    ada.device(SAFARI_IPHONE, "203.0.113.65")
    ada.device(CURL, "203.0.113.66")
    visitor = visit(ada)
    drawings = {
        has_icon(visitor, f"203.0.113.{n}", "Operating System", word)
        for n, word in (
            (61, "Windows"), (62, "macOS"), (63, "Linux"), (64, "Android"), (65, "iOS"),
            (66, "Unknown"),
        )
    }
    assert len(drawings) >= 5 and all(drawings)


@shows("Understanding Session Information", TEXT["Understanding Session Information"][2])
def test_12(ada: Person, visit: Visit) -> None:
    ada.device(FIREFOX_WINDOWS, "203.0.113.71")
    ada.device(SAFARI_MAC, "203.0.113.72")
    ada.device(CHROME_LINUX, "203.0.113.73")
    ada.device(EDGE_WINDOWS, "203.0.113.74")
    visitor = visit(ada)
    drawings = {
        has_icon(visitor, f"203.0.113.{n}", "Browser", word)
        for n, word in ((71, "Firefox"), (72, "Safari"), (73, "Chrome"), (74, "Edge"))
    }
    assert len(drawings) == 4 and all(drawings)


@shows("Understanding Session Information", TEXT["Understanding Session Information"][3])
def test_13(ada: Person, visit: Visit) -> None:
    ada.device(address="203.0.113.81")
    ada.device(address="2001:db8::81")
    visitor = visit(ada, extra_http_headers={"X-Forwarded-For": "198.51.100.81"})
    expect(visitor.cell(visitor.current(), "IP Address")).to_have_text("198.51.100.81")
    addresses = [visitor.cell(row, "IP Address").inner_text() for row in visitor.rows().all()]
    assert set(addresses) == {"198.51.100.81", "203.0.113.81", "2001:db8::81"}


@shows("Understanding Session Information", TEXT["Understanding Session Information"][4])
def test_14(ada: Person, visit: Visit) -> None:
    ada.device(CHROME_LINUX, "203.0.113.91")
    ada.device(None, "203.0.113.92")
    visitor = visit(ada)
    described = visitor.cell(visitor.row("203.0.113.91"), "User Agent")
    expect(described).to_contain_text("Chrome 120 on Linux")
    expect(visitor.cell(visitor.row("203.0.113.92"), "User Agent")).to_contain_text("Unknown device")


@shows("Understanding Session Information", TEXT["Understanding Session Information"][5])
def test_15(ada: Person, visit: Visit, phone) -> None:
    used = phone.get("/api/v1/session").json()["last_updated"]
    visitor = visit(ada)
    cell = visitor.cell(visitor.row(PHONE), "Last Updated")
    expect(cell).to_have_text(re.compile(r"^(now|1 min ago)$"))
    told = cell.locator("time").get_attribute("datetime")
    assert datetime.fromisoformat(told) == datetime.fromisoformat(used)


@shows("Understanding Session Information", TEXT["Understanding Session Information"][6])
def test_16(ada: Person, visit: Visit) -> None:
    remembered = ada.device(address=PHONE, remember=True)
    visitor = visit(ada)
    cell = visitor.cell(visitor.row(PHONE), "Expires At")
    expires = remembered.session["expires_at"]
    told = cell.locator("time").get_attribute("datetime")
    assert datetime.fromisoformat(told) == datetime.fromisoformat(expires)
    expect(cell).to_contain_text(str(datetime.fromisoformat(expires).year))


@shows("Understanding Session Information", TEXT["Understanding Session Information"][7])
def test_17(ada: Person, visit: Visit, phone) -> None:
    ada.device(address=OFFICE, remember=True)
    visitor = visit(ada)
    expect(visitor.cell(visitor.row(OFFICE), "Time Left")).to_contain_text(
        re.compile(r"\b13 d 23 h 5\d min left")
    )
    expect(visitor.cell(visitor.row(PHONE), "Time Left")).to_contain_text(
        re.compile(r"\b11 h 5\d min left")
    )


@shows("Understanding Session Information", TEXT["Understanding Session Information"][8])
def test_18(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    marked = visitor.rows().filter(has_text="✓")
    expect(marked).to_have_count(1)
    expect(visitor.disconnect(marked)).to_be_visible()
    # And it is the first of all.
    expect(visitor.rows().first).to_contain_text("✓")


# -- Terminating Sessions


@shows("Terminating Sessions", TEXT["Terminating Sessions"][0])
def test_19(ada: Person, visit: Visit, phone, office) -> None:
    third = ada.device(SAFARI_MAC, "203.0.113.99")
    visitor = visit(ada)
    visitor.terminate(visitor.row(PHONE)).click()
    confirm(visitor, "Terminate")
    expect(visitor.rows()).to_have_count(3)
    visitor.tick(visitor.row(OFFICE)).check()
    visitor.tick(visitor.row("203.0.113.99")).check()
    visitor.button("Terminate 2 Sessions").click()
    confirm(visitor, "Terminate 2 Sessions")
    expect(visitor.rows()).to_have_count(1)
    assert not any(d.is_signed_in() for d in (phone, office, third))


# -- Terminate One Session


@shows("Terminate One Session", TEXT["Terminate One Session"][0])
def test_20(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    expect(visitor.row(PHONE)).to_have_count(1)
    row = visitor.page.get_by_role("row", name=re.compile("Chrome 131 on Android"))
    expect(row).to_have_count(1)
    expect(row).to_contain_text(PHONE)


@shows("Terminate One Session", TEXT["Terminate One Session"][1])
def test_21(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    visitor.terminate(visitor.row(PHONE)).click()
    expect(visitor.dialog()).to_have_accessible_name("Terminate this session?")
    expect(visitor.dialog()).to_contain_text("Chrome 131 on Android")
    expect(visitor.dialog()).to_contain_text(PHONE)
    # Nothing has happened yet.
    assert phone.is_signed_in()


@shows("Terminate One Session", TEXT["Terminate One Session"][2])
def test_22(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    current = visitor.rows().filter(has_text="✓")
    expect(visitor.disconnect(current)).to_be_enabled()
    expect(visitor.terminate(current)).to_have_count(0)
    expect(visitor.disconnect(visitor.row(PHONE))).to_have_count(0)


@shows("Terminate One Session", TEXT["Terminate One Session"][3])
def test_23(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    visitor.terminate(visitor.row(PHONE)).click()
    confirm(visitor, "Cancel")
    expect(visitor.rows()).to_have_count(3)
    assert phone.is_signed_in()
    visitor.terminate(visitor.row(PHONE)).click()
    confirm(visitor, "Terminate")
    expect(visitor.rows()).to_have_count(2)
    expect(visitor.status()).to_have_text("Terminated Chrome 131 on Android.")
    assert not phone.is_signed_in()
    assert office.is_signed_in()


# -- Terminate Your Current Session


@shows("Terminate Your Current Session", TEXT["Terminate Your Current Session"][0])
def test_24(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    visitor.disconnect(visitor.rows().filter(has_text="✓")).click()
    expect(visitor.dialog()).to_have_accessible_name("Disconnect this device?")
    expect(visitor.dialog()).to_contain_text("You will be signed out here")
    assert visitor.device().is_signed_in()
    confirm(visitor, "Cancel")
    assert visitor.device().is_signed_in()


def disconnect(visitor: Visitor) -> None:
    visitor.disconnect(visitor.current()).click()
    confirm_button = visitor.dialog().get_by_role("button", name="Disconnect", exact=True)
    confirm_button.click()


@shows("Terminate Your Current Session", TEXT["Terminate Your Current Session"][1])
def test_25(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    device = visitor.device()
    disconnect(visitor)
    eventually(lambda: not device.is_signed_in(), "the session ends")
    assert phone.listed() == [phone.id]


@shows("Terminate Your Current Session", TEXT["Terminate Your Current Session"][2])
def test_26(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    disconnect(visitor)
    visitor.is_led_to_sign_in()
    assert not [c for c in visitor.context.cookies() if c["name"] == "lastseen"]


@shows("Terminate Your Current Session", TEXT["Terminate Your Current Session"][3])
def test_27(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    disconnect(visitor)
    visitor.is_led_to_sign_in()
    visitor.open("/sessions").is_led_to_sign_in()
    visitor.sign_in()
    expect(visitor.heading()).to_have_text("Sessions")
    expect(visitor.rows()).to_have_count(2)


# -- Terminate Multiple Sessions


@shows("Terminate Multiple Sessions", TEXT["Terminate Multiple Sessions"][0])
def test_28(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    for row in visitor.rows().all():
        expect(visitor.tick(row)).not_to_be_checked()
    visitor.tick(visitor.row(PHONE)).check()
    expect(visitor.tick(visitor.row(PHONE))).to_be_checked()
    expect(visitor.tick(visitor.row(OFFICE))).not_to_be_checked()


@shows("Terminate Multiple Sessions", TEXT["Terminate Multiple Sessions"][1])
def test_29(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    some = re.compile(r"^Terminate \d+ Sessions?$")
    expect(visitor.button(some)).to_have_count(0)
    visitor.tick(visitor.row(PHONE)).check()
    expect(visitor.button("Terminate 1 Session")).to_be_visible()
    visitor.tick(visitor.row(OFFICE)).check()
    expect(visitor.button("Terminate 2 Sessions")).to_be_visible()
    visitor.tick(visitor.current()).check()
    expect(visitor.button("Terminate 3 Sessions")).to_be_visible()
    visitor.tick(visitor.current()).uncheck()
    visitor.button("Terminate 2 Sessions").click()
    expect(visitor.dialog()).to_have_accessible_name("Terminate 2 sessions?")


@shows("Terminate Multiple Sessions", TEXT["Terminate Multiple Sessions"][2])
def test_30(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    for address in (PHONE, OFFICE):
        visitor.tick(visitor.row(address)).check()
    visitor.button("Terminate 2 Sessions").click()
    expect(visitor.dialog()).to_contain_text("Chrome 131 on Android")
    expect(visitor.dialog()).to_contain_text("Firefox 132 on Windows")
    confirm(visitor, "Cancel")
    assert phone.is_signed_in() and office.is_signed_in()
    # What was ticked is still ticked.
    visitor.button("Terminate 2 Sessions").click()
    confirm(visitor, "Terminate 2 Sessions")
    expect(visitor.status()).to_have_text("2 sessions terminated.")
    expect(visitor.rows()).to_have_count(1)
    assert not phone.is_signed_in() and not office.is_signed_in()


@shows("Terminate Multiple Sessions", TEXT["Terminate Multiple Sessions"][3])
def test_31(ada: Person, visit: Visit) -> None:
    for key in ("Control", "Meta"):
        pair = [ada.device(CHROME_ANDROID, PHONE), ada.device(FIREFOX_WINDOWS, OFFICE)]
        visitor = visit(ada)
        for address in (PHONE, OFFICE):
            visitor.tick(visitor.row(address)).check()
        visitor.button("Terminate 2 Sessions").click(modifiers=[key])
        expect(visitor.rows().filter(has_text=PHONE)).to_have_count(0)
        expect(visitor.dialog()).to_be_hidden()
        assert not any(device.is_signed_in() for device in pair)
        visitor.context.close()


# -- Terminate All Sessions


@shows("Terminate All Sessions", TEXT["Terminate All Sessions"][0])
def test_32(ada: Person, visit: Visit) -> None:
    others = [ada.device(address=f"203.0.113.{n}") for n in range(1, 8)]
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(8)
    visitor.button("Terminate All").click()
    confirm(visitor, "Terminate All")
    expect(visitor.rows()).to_have_count(1)
    expect(visitor.rows()).to_contain_text("✓")
    expect(visitor.status()).to_have_text("All 7 other sessions terminated.")
    assert not any(device.is_signed_in() for device in others)
    assert visitor.device().is_signed_in()


@shows("Terminate All Sessions", TEXT["Terminate All Sessions"][1])
def test_33(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    visitor.button("Terminate All").click(modifiers=["Control"])
    # So much at once is always asked about.
    expect(visitor.dialog()).to_have_accessible_name("Terminate all other sessions?")
    expect(visitor.dialog()).to_contain_text("2 sessions end on your other devices")
    confirm(visitor, "Cancel")
    assert phone.is_signed_in() and office.is_signed_in()


# -- Session Expiration


@shows("Session Expiration", TEXT["Session Expiration"][0])
def test_34(brief: Lastseen, visit: Visit) -> None:
    ada = person(brief)
    device = ada.device(address=PHONE)
    visitor = visit(ada, remember=True)
    expect(visitor.row(PHONE)).to_contain_text("Expired")
    assert not device.is_signed_in()


@shows("Session Expiration", TEXT["Session Expiration"][1])
def test_35(ada: Person, visit: Visit) -> None:
    device = ada.device(address=PHONE, remember=True)
    visitor = visit(ada, timezone_id="Asia/Kolkata", locale="en-GB")
    expires = datetime.fromisoformat(str(device.session["expires_at"]))
    local = expires.astimezone(UTC) + timedelta(hours=5, minutes=30)
    shown = visitor.cell(visitor.row(PHONE), "Expires At")
    expect(shown).to_contain_text(f"{local.day} {local:%b}"[:5].rstrip())
    expect(shown).to_contain_text(f"{local:%Y}")
    expect(shown).to_contain_text(f"{local:%H:%M}")
    expect(shown).to_contain_text(re.compile(r"GMT\+5:30|IST"))


@shows("Session Expiration", TEXT["Session Expiration"][2])
def test_36(ada: Person, visit: Visit) -> None:
    ada.device(address=PHONE, remember=True)
    visitor = visit(ada, clock=True)
    shown = visitor.cell(visitor.row(PHONE), "Time Left")

    def minutes() -> int:
        days, hours, left = re.search(r"(\d+) d (\d+) h (\d+) min left", shown.inner_text()).groups()
        return (int(days) * 24 + int(hours)) * 60 + int(left)

    before = minutes()
    assert 14 * 24 * 60 - 2 <= before <= 14 * 24 * 60
    visitor.page.clock.run_for(3 * 60_000)
    eventually(lambda: minutes() == before - 3, "three minutes later it says three minutes less")


@shows("Session Expiration", TEXT["Session Expiration"][3])
def test_37(brief: Lastseen, visit: Visit) -> None:
    ada = person(brief)
    device = ada.device(address=PHONE)
    visitor = visit(ada, remember=True)
    row = visitor.row(PHONE)
    # It turns in place, without anybody asking for the list again.
    expect(visitor.cell(row, "User Agent").get_by_text("Expired", exact=True)).to_be_visible()
    expect(visitor.remove(row)).to_be_visible()
    assert not device.is_signed_in()
    visitor.page.reload()
    expect(row.get_by_text("Expired", exact=True).first).to_be_visible()


# -- Refreshing the List


@shows("Refreshing the List", TEXT["Refreshing the List"][0])
def test_38(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(3)
    assert office.post("/api/v1/sign-out").status_code == 204
    phone.address = "198.51.100.21"
    assert phone.is_signed_in()
    loads = []
    visitor.page.on("framenavigated", lambda frame: loads.append(frame.url))
    visitor.button("Refresh").click()
    expect(visitor.rows()).to_have_count(2)
    expect(visitor.row("198.51.100.21")).to_have_count(1)
    expect(visitor.status()).to_contain_text("1 gone")
    assert loads == []


@shows("Refreshing the List", TEXT["Refreshing the List"][1])
def test_39(ada: Person, visit: Visit) -> None:
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(1)
    ada.device(SAFARI_IPHONE, "203.0.113.101")
    visitor.button("Refresh").click()
    expect(visitor.row("203.0.113.101")).to_contain_text("Safari 17 on iOS")
    expect(visitor.status()).to_contain_text("1 new")


# -- Tips for Managing Sessions


@shows("Tips for Managing Sessions", TEXT["Tips for Managing Sessions"][0])
def test_40(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    expect(visitor.rows()).to_have_count(2)
    for n in range(3):
        ada.device(CURL, f"192.0.2.{n + 1}")
        visitor.button("Refresh").click()
        expect(visitor.rows()).to_have_count(3 + n)
        # What is new stands directly below one's own.
        expect(visitor.rows().nth(1)).to_contain_text(f"192.0.2.{n + 1}")


@shows("Tips for Managing Sessions", TEXT["Tips for Managing Sessions"][1])
def test_41(ada: Person, visit: Visit, phone) -> None:
    upgraded = ada.device(SAFARI_IPHONE, PHONE)
    visitor = visit(ada)
    old = visitor.row("Chrome 131 on Android")
    visitor.terminate(old).click()
    confirm(visitor, "Terminate")
    expect(old).to_have_count(0)
    assert not phone.is_signed_in()
    assert upgraded.is_signed_in()


@shows("Tips for Managing Sessions", TEXT["Tips for Managing Sessions"][2])
def test_42(ada: Person, visit: Visit, phone, office) -> None:
    phone.address, phone.user_agent = "192.0.2.66", CURL
    assert phone.is_signed_in()
    visitor = visit(ada)
    # A session that was carried off shows the address and the program that use it now.
    row = visitor.row("192.0.2.66")
    expect(row).to_contain_text("curl")
    expect(row).not_to_contain_text("Chrome 131 on Android")
    expect(visitor.row(PHONE)).to_have_count(0)


@shows("Tips for Managing Sessions", TEXT["Tips for Managing Sessions"][3])
def test_43(brief: Lastseen, visit: Visit) -> None:
    ada = person(brief)
    ada.device(address=PHONE)
    visitor = visit(ada, remember=True)
    row = visitor.row(PHONE)
    expect(row).to_contain_text("Expired")
    visitor.remove(row).click()
    # It asks nothing: there is nothing left to end.
    expect(row).to_have_count(0)
    expect(visitor.dialog()).to_be_hidden()
    assert len(visitor.device().sessions()) == 1


# -- Security Best Practices


@shows("Security Best Practices", TEXT["Security Best Practices"][0])
def test_44(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    thief = visit(ada, device=phone)
    expect(thief.rows()).to_have_count(3)
    # The thief's browser is what its row shows by now.
    row = visitor.rows().filter(has=visitor.page.locator(f"[value='{phone.id}']"))
    visitor.terminate(row).click(modifiers=["Control"])
    expect(row).to_have_count(0)
    expect(visitor.dialog()).to_be_hidden()
    # Whatever is pressed there now leads to sign-in.
    thief.button("Refresh").click()
    thief.is_led_to_sign_in()


@shows("Security Best Practices", TEXT["Security Best Practices"][1])
def test_45(ada: Person, visit: Visit, phone) -> None:
    visitor = visit(ada)
    device = visitor.device()
    visitor.button("Sign out").click()
    visitor.is_led_to_sign_in()
    assert not device.is_signed_in()
    assert phone.listed() == [phone.id]


@shows("Security Best Practices", TEXT["Security Best Practices"][2])
def test_46(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada).open("/password")
    visitor.page.get_by_label("Current password", exact=True).fill(ada.password)
    visitor.page.get_by_label("New password", exact=True).fill("a wholly different sentence")
    visitor.button("Change password").click()
    expect(visitor.page.get_by_text(re.compile("password.*changed|changed.*password", re.I))).to_be_visible()
    visitor.open("/sessions")
    expect(visitor.rows()).to_have_count(1)
    assert not phone.is_signed_in() and not office.is_signed_in()
    assert visitor.device().is_signed_in()


@shows("Security Best Practices", TEXT["Security Best Practices"][3])
def test_47(ada: Person, visit: Visit, phone, office) -> None:
    visitor = visit(ada)
    visitor.terminate(visitor.row(PHONE)).click()
    confirm(visitor, "Terminate")
    expect(visitor.row(PHONE)).to_have_count(0)
    # It stays gone, here and there.
    visitor.page.reload()
    expect(visitor.row(OFFICE)).to_have_count(1)
    expect(visitor.row(PHONE)).to_have_count(0)
    for _ in range(3):
        assert not phone.is_signed_in()
