"""Narrow and wide, light and dark, and what the rules of accessibility say of every page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
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
from harness.program import Lastseen

Visit = Callable[..., Visitor]

AGENTS = [CHROME_LINUX, FIREFOX_WINDOWS, SAFARI_MAC, EDGE_WINDOWS, CHROME_ANDROID, SAFARI_IPHONE, CURL, None]
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def brief(tmp_path_factory: pytest.TempPathFactory):
    server = Lastseen(
        tmp_path_factory.mktemp("looks"), "--trusted-proxy", "127.0.0.1/32", "--idle-timeout", "1s"
    ).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def grace(brief: Lastseen) -> Person:
    """Somebody with a session of every kind: remembered, expired, alike, unknown, with a long address."""
    grace = person(brief, "grace-with-a-rather-long-name-that-has-to-go-somewhere")
    for n, agent in enumerate(AGENTS):
        grace.device(agent, f"2001:db8:1234:5678:9abc:def0:1234:{n + 1:x}", remember=n % 2 == 0)
    for _ in range(3):
        grace.device(CHROME_LINUX, "203.0.113.7", remember=True)
    return grace


def assert_accessible(visitor: Visitor) -> None:
    # What is fading in has colours of its own for a moment.
    visitor.page.evaluate(
        "Promise.all(document.getAnimations().map(animation => animation.finished.catch(() => {})))"
    )
    options = {
        "runOnly": {"type": "tag", "values": WCAG},
        # The head above the tick boxes has its name for those who do not see it.
        "rules": {"empty-table-header": {"enabled": False}},
    }
    results = Axe().run(visitor.page, options=options).response
    found = [
        (violation["id"], violation["help"], [node["target"] for node in violation["nodes"]][:3])
        for violation in results["violations"]
    ]
    assert not found, found
    assert len(results["passes"]) > 5


def assert_no_sideways_scrolling(visitor: Visitor) -> None:
    widths = visitor.page.evaluate(
        "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert widths[0] <= widths[1], widths


def states(visitor: Visitor) -> dict[str, Callable[[], object]]:
    """Every page and every question, each reached from the one before."""

    def asked(press: Callable[[], object]) -> None:
        press()
        expect(visitor.dialog()).to_be_visible()

    def cancel() -> None:
        visitor.page.keyboard.press("Escape")
        expect(visitor.dialog()).to_be_hidden()

    terminable = visitor.rows().filter(
        has=visitor.page.get_by_role("button", name="Terminate", exact=True)
    )
    return {
        "the list": lambda: expect(visitor.rows().first).to_be_visible(),
        "exact times": lambda: visitor.page.get_by_role("switch", name="Exact times").check(),
        "one": lambda: asked(visitor.terminate(terminable.first).click),
        "current": lambda: (cancel(), asked(visitor.disconnect(visitor.current()).click)),
        "ticked": lambda: (cancel(), visitor.tick(terminable.first).check()),
        "several": lambda: asked(visitor.button("Terminate 1 Session").click),
        "all": lambda: (cancel(), asked(visitor.button("Terminate All").click)),
        "refreshed": lambda: (cancel(), visitor.button("Refresh").click(),
                              expect(visitor.status()).to_contain_text("Up to date")),
        "offline": lambda: (visitor.context.set_offline(True),
                            expect(visitor.page.get_by_text("You are offline").first).to_be_visible()),
        "password": lambda: (visitor.context.set_offline(False), visitor.open("/password")),
        "password refused": lambda: (
            visitor.page.get_by_label("Current password", exact=True).fill("wrong password"),
            visitor.page.get_by_label("New password", exact=True).fill("a new long sentence"),
            visitor.button("Change password").click(),
            visitor.page.wait_for_load_state(),
        ),
        "signed out": lambda: (visitor.open("/sessions"), visitor.button("Sign out").click(),
                               visitor.is_led_to_sign_in()),
        "sign-in refused": lambda: (
            visitor.sign_in(password="not the password"),
            expect(visitor.page.get_by_role("alert")).to_be_visible(),
        ),
        "no such page": lambda: visitor.open("/nowhere"),
    }


SCHEMES = ["light", "dark"]
WIDTHS = [1280, 320]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_page_and_question_meets_wcag_and_fits(
    grace: Person, visit: Visit, scheme: str, width: int
) -> None:
    visitor = visit(
        grace, remember=True, color_scheme=scheme, viewport={"width": width, "height": 800}
    )
    for name, go in states(visitor).items():
        go()
        if name == "no such page" and visitor.page.locator("main").count() == 0:
            # A problem document that the browser shows as it is.
            continue
        try:
            assert_accessible(visitor)
            assert_no_sideways_scrolling(visitor)
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_pages_without_a_script_meet_wcag_and_fit(
    grace: Person, visit: Visit, scheme: str, width: int, chromium
) -> None:
    """The checker is itself a script; the pages are asked for without theirs."""
    visitor = visit(
        grace,
        signed_in=False,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
        bypass_csp=True,
    )
    visitor.page.route("**/*.js*", lambda route: route.abort())
    visitor.carry(grace.device(browser=True, remember=True))
    visitor.open()
    assert_accessible(visitor)
    assert_no_sideways_scrolling(visitor)
    first = visitor.rows().filter(
        has=visitor.page.get_by_role("button", name="Terminate", exact=True)
    ).first
    for press in (
        lambda: visitor.terminate(first).click(),
        lambda: visitor.disconnect(visitor.current()).click(),
        lambda: (visitor.tick(first).check(), visitor.button("Terminate selected sessions").click()),
        lambda: visitor.button("Terminate All").click(),
    ):
        press()
        expect(visitor.heading()).to_contain_text("?")
        assert_accessible(visitor)
        assert_no_sideways_scrolling(visitor)
        visitor.page.get_by_role("link", name="Cancel").click()
        expect(visitor.heading()).to_have_text("Sessions")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_for_the_first_account_meets_wcag_and_fits(
    start: Callable[..., Lastseen], visit: Visit, scheme: str, width: int
) -> None:
    server = start()
    link = server.line(1).removeprefix("set-up: ")
    visitor = visit(
        Person(server, "ada"),
        signed_in=False,
        color_scheme=scheme,
        viewport={"width": width, "height": 800},
    )
    visitor.page.goto(link)
    expect(visitor.page.get_by_label("User name", exact=True)).to_be_visible()
    assert_accessible(visitor)
    assert_no_sideways_scrolling(visitor)


def test_nothing_is_dropped_on_a_phone(grace: Person, visit: Visit) -> None:
    visitor = visit(grace, remember=True, viewport={"width": 320, "height": 640}, has_touch=True)
    row = visitor.row("2001:db8:1234:5678:9abc:def0:1234:1")
    for text in ("Chrome 120 on Linux", "2001:db8:1234:5678:9abc:def0:1234:1", "min left"):
        expect(row.get_by_text(text).first).to_be_visible()
    for time in row.locator("time").all():
        expect(time).to_be_visible()
    action = visitor.terminate(row)
    expect(action).to_be_visible()
    box = action.bounding_box()
    assert box and box["height"] >= 44, box
    expect(visitor.tick(row)).to_be_visible()
    for name in ("Refresh", "Terminate All"):
        expect(visitor.button(name)).to_be_visible()


@pytest.mark.parametrize("width", WIDTHS)
def test_it_is_still_a_table_for_a_screen_reader(grace: Person, visit: Visit, width: int) -> None:
    visitor = visit(grace, remember=True, viewport={"width": width, "height": 800})
    table = visitor.page.get_by_role("table", name="Your sessions")
    expect(table).to_be_visible()
    expect(table.get_by_role("columnheader", include_hidden=True)).to_have_count(9)
    assert table.get_by_role("rowheader").count() >= visitor.rows().count()


def test_dark_is_dark_and_light_is_light(grace: Person, visit: Visit) -> None:
    lightness = {}
    for scheme in SCHEMES:
        visitor = visit(grace, remember=True, color_scheme=scheme)
        colour = visitor.page.evaluate(
            """() => {
                const canvas = document.createElement('canvas').getContext('2d');
                for (const node of [document.body, document.documentElement]) {
                    const colour = getComputedStyle(node).backgroundColor;
                    if (colour === 'rgba(0, 0, 0, 0)') continue;
                    canvas.fillStyle = colour;
                    canvas.fillRect(0, 0, 1, 1);
                    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
                }
                return null;
            }"""
        )
        assert colour, "a page says its own background"
        lightness[scheme] = sum(colour) / 3
    assert lightness["dark"] < 80 and lightness["light"] > 200, lightness


def test_text_can_grow_to_twice_its_size(grace: Person, visit: Visit) -> None:
    visitor = visit(grace, remember=True, viewport={"width": 640, "height": 800})
    visitor.page.evaluate("document.documentElement.style.fontSize = '200%'")
    assert_no_sideways_scrolling(visitor)


def test_it_prints(grace: Person, visit: Visit) -> None:
    visitor = visit(grace, remember=True)
    visitor.page.emulate_media(media="print")
    expect(visitor.page.get_by_role("table", name="Your sessions")).to_be_visible()
