"""From an application to the sessions page and back, in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from harness.applications import Application, accepts, application
from harness.browser import Visitor
from harness.people import CHROME_ANDROID, Person
from harness.program import Lastseen

Visit = Callable[..., Visitor]
BACK = "https://shop.example/account?tab=2"


def visitor_of(shop: Application, visit: Visit, **options: object) -> Visitor:
    """Somebody with a browser who is not signed in here."""
    return visit(Person(shop.server, "nobody"), signed_in=False, **options)


def assert_nothing_found(visitor: Visitor) -> None:
    # A column of tick boxes has no head; that is decided in the tests of the list.
    options = {"rules": {"empty-table-header": {"enabled": False}}}
    results = Axe().run(visitor.page, options=options).response
    assert not [(found["id"], found["help"]) for found in results["violations"]]


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_link_leads_to_the_list_and_the_list_leads_back(
    start: Callable[..., Lastseen], visit: Visit, script: bool
) -> None:
    shop = application(start("--return-host", "shop.example"))
    begun = shop.begin("42", name="Ada", ip_address="203.0.113.7")
    phone = shop.begin("42", user_agent=CHROME_ANDROID, ip_address="203.0.113.8")
    visitor = visitor_of(shop, visit, java_script_enabled=script)
    url = begun.link()["url"] + "?return_to=" + BACK.replace("?", "%3F")
    visitor.page.goto(url)
    main = visitor.page.get_by_role("main")
    expect(main).to_contain_text(shop.name)
    expect(main).to_contain_text("Ada")
    visitor.page.reload()
    main.get_by_role("button").click()
    visitor.page.wait_for_url(re.compile(r"/sessions$"))
    account = visitor.page.get_by_role("navigation", name="Account")
    expect(account).to_contain_text(f"Ada · {shop.name}")
    way_back = account.get_by_role("link", name=f"Back to {shop.name}")
    expect(way_back).to_have_attribute("href", BACK)
    expect(account.get_by_role("link", name="Password")).to_have_count(0)
    expect(visitor.rows()).to_have_count(2)
    # It is a session like any other: what is ended here is refused at the application.
    visitor.terminate(visitor.row("203.0.113.8")).click()
    if script:
        visitor.dialog().get_by_role("button", name="Terminate").click()
        expect(visitor.rows()).to_have_count(1)
    else:
        visitor.page.get_by_role("button", name="Terminate").click()
    expect(visitor.status()).to_contain_text("erminated")
    assert shop.introspect(phone.token) == {"active": False}
    assert begun.is_accepted()
    expect(way_back).to_have_attribute("href", BACK)
    # A second press of the same button, from the history.
    visitor.page.goto(url)
    expect(visitor.page.get_by_role("main")).to_contain_text("not good any more")
    expect(visitor.page.get_by_role("link", name="Go back")).to_have_attribute("href", BACK)


def test_signing_out_on_the_page_signs_out_at_the_application(
    start: Callable[..., Lastseen], visit: Visit
) -> None:
    shop = application(start())
    begun = shop.begin("42", name="Ada")
    visitor = visitor_of(shop, visit)
    visitor.page.goto(begun.link()["url"])
    visitor.page.get_by_role("main").get_by_role("button").click()
    visitor.page.wait_for_url(re.compile(r"/sessions$"))
    visitor.button("Sign out").click()
    visitor.is_led_to_sign_in()
    assert not accepts(shop.server, begun.token)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_around_a_link_are_accessible_and_fit_a_phone(
    start: Callable[..., Lastseen], visit: Visit, scheme: str
) -> None:
    shop = application(start("--return-host", "shop.example"))
    begun = shop.begin("a long id without a space".replace(" ", "-") * 5, name="Ada " * 32)
    viewport = {"width": 320, "height": 640}
    visitor = visitor_of(shop, visit, color_scheme=scheme, viewport=viewport)
    url = begun.link()["url"] + "?return_to=" + BACK.replace("?", "%3F")
    for page in ("link", "list", "dead link"):
        if page == "list":
            visitor.page.get_by_role("main").get_by_role("button").click()
            visitor.page.wait_for_url(re.compile(r"/sessions$"))
        else:
            visitor.page.goto(url)
        assert_nothing_found(visitor)
        widths = visitor.page.evaluate(
            "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert widths[0] <= widths[1], (page, widths)
