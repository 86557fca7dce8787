"""Signing in, the way back, a new password, the first account: the pages around the list."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from harness.browser import Visitor
from harness.people import Device, Person
from harness.program import Lastseen

Visit = Callable[..., Visitor]

NEW = "a wholly different sentence"


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_after_signing_in_one_is_back_where_one_wanted_to_go(
    ada: Person, visit: Visit, script: bool
) -> None:
    visitor = visit(ada, signed_in=False, java_script_enabled=script).open("/password")
    visitor.is_led_to_sign_in()
    visitor.sign_in()
    expect(visitor.page).to_have_url(visitor.url + "/password")
    visitor = visit(ada, signed_in=False, java_script_enabled=script).open("/sessions?shown=100")
    visitor.is_led_to_sign_in()
    visitor.sign_in()
    expect(visitor.page).to_have_url(re.compile(r"/sessions(\?shown=100)?$"))


def way_back_parameter(server: Lastseen) -> str:
    location = Device(server).get("/password").headers["location"]
    match = re.fullmatch(r"/sign-in\?([a-z_]+)=(.*password.*)", location)
    assert match, location
    return match[1]


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/%2f/evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "http:evil.example",
        "/..//evil.example",
        "/./\\evil.example",
        "https://evil.example\\@127.0.0.1/",
        "@evil.example",
        ".evil.example",
        " //evil.example",
        "/sign-out\r\nSet-Cookie: x=y",
        "",
    ],
    ids=ascii,
)
def test_the_way_back_is_a_path_of_this_server_only(
    ada: Person, visit: Visit, target: str
) -> None:
    from urllib.parse import quote

    visitor = visit(ada, signed_in=False)
    visitor.open(f"/sign-in?{way_back_parameter(ada.server)}={quote(target, safe='')}").sign_in()
    expect(visitor.page).not_to_have_url(re.compile(r"/sign-in"))
    assert visitor.page.url.startswith(visitor.url + "/"), visitor.page.url
    assert "evil.example" not in visitor.page.url.split("/", 3)[2]
    assert visitor.device().is_signed_in()
    assert {c["name"] for c in visitor.context.cookies()} <= {"lastseen"} | {
        c["name"] for c in visitor.context.cookies() if c["name"].startswith("lastseen")
    }


def test_a_wrong_password_is_said_and_the_name_stays(ada: Person, visit: Visit) -> None:
    visitor = visit(ada, signed_in=False).open("/sign-in").sign_in(password="not the password")
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    expect(visitor.page.get_by_label("User name", exact=True)).to_have_value(ada.name)
    expect(visitor.page.get_by_label("Password", exact=True)).to_have_value("")
    visitor.page.get_by_label("Password", exact=True).fill(ada.password)
    visitor.button("Sign in").click()
    expect(visitor.heading()).to_have_text("Sessions")


def test_password_managers_find_their_fields(ada: Person, visit: Visit) -> None:
    visitor = visit(ada, signed_in=False).open("/sign-in")
    name = visitor.page.get_by_label("User name", exact=True)
    password = visitor.page.get_by_label("Password", exact=True)
    expect(name).to_have_attribute("autocomplete", "username")
    expect(password).to_have_attribute("autocomplete", "current-password")
    expect(password).to_have_attribute("type", "password")
    visitor.sign_in()
    visitor.open("/password")
    current = visitor.page.get_by_label("Current password", exact=True)
    new = visitor.page.get_by_label("New password", exact=True)
    expect(current).to_have_attribute("autocomplete", "current-password")
    expect(new).to_have_attribute("autocomplete", "new-password")
    # A password is pasted like any other text.
    current.focus()
    pasted = current.evaluate(
        "node => node.dispatchEvent(new ClipboardEvent('paste', {bubbles: true, cancelable: true}))"
    )
    assert pasted


def test_remember_this_device_makes_the_cookie_last(ada: Person, visit: Visit) -> None:
    for remember in (True, False):
        visitor = visit(ada, signed_in=False).open("/sign-in").sign_in(remember=remember)
        expect(visitor.heading()).to_have_text("Sessions")
        (cookie,) = [c for c in visitor.context.cookies() if c["name"] == "lastseen"]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Lax" and cookie["path"] == "/"
        assert (cookie["expires"] > 0) is remember
        if remember:
            expect(visitor.current()).to_contain_text("Remembered")


def test_the_same_browser_signing_in_again_leaves_one_row(ada: Person, visit: Visit) -> None:
    visitor = visit(ada, signed_in=False).open("/sign-in").sign_in()
    expect(visitor.rows()).to_have_count(1)
    visitor.open("/sign-in")
    if visitor.button("Sign in").count():
        visitor.sign_in()
    expect(visitor.heading()).to_have_text("Sessions")
    expect(visitor.rows()).to_have_count(1)


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_new_password_ends_the_others_and_keeps_this_browser(
    ada: Person, visit: Visit, script: bool
) -> None:
    other = ada.device()
    visitor = visit(ada, java_script_enabled=script)
    old = visitor.device()
    visitor.page.get_by_role("link", name="Password").click()
    visitor.page.get_by_label("Current password", exact=True).fill(ada.password)
    visitor.page.get_by_label("New password", exact=True).fill(NEW)
    visitor.button("Change password").click()
    expect(visitor.page.get_by_text(re.compile("changed", re.I)).first).to_be_visible()
    device = visitor.device()
    assert device.token != old.token
    assert device.get("/api/v1/session").json()["id"] == visitor.id
    assert not old.is_signed_in() and not other.is_signed_in()
    answer = Device(ada.server, address="198.51.100.50").try_sign_in(ada.name, NEW)
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("current", "new"),
    [("not the password", NEW), ("RIGHT", "short"), ("RIGHT", "password"), ("RIGHT", "x" * 129)],
)
def test_a_new_password_that_is_refused_is_said_and_changes_nothing(
    ada: Person, visit: Visit, current: str, new: str
) -> None:
    other = ada.device()
    visitor = visit(ada).open("/password")
    current = ada.password if current == "RIGHT" else current
    visitor.page.get_by_label("Current password", exact=True).fill(current)
    field = visitor.page.get_by_label("New password", exact=True)
    # The browser itself would not let some of them through; the server has to say no as well.
    field.evaluate("node => { node.removeAttribute('minlength'); node.removeAttribute('maxlength'); }")
    field.fill(new)
    visitor.button("Change password").click()
    expect(visitor.page.get_by_role("alert")).to_be_visible()
    expect(visitor.page.get_by_label("New password", exact=True)).to_have_value("")
    assert f'value="{new}"' not in visitor.page.content()
    assert visitor.device().is_signed_in() and other.is_signed_in()
    assert ada.device().is_signed_in()


def test_too_many_tries_are_said_with_the_time_to_wait(ada: Person, visit: Visit) -> None:
    address = {"X-Forwarded-For": "198.51.100.51"}
    for n in range(10):
        Device(ada.server, address="198.51.100.51").try_sign_in(ada.name, f"wrong {n}")
    visitor = visit(ada, signed_in=False, extra_http_headers=address).open("/sign-in").sign_in()
    expect(visitor.page.get_by_role("alert")).to_contain_text(re.compile(r"\d+ (s|min|seconds|minutes)\b"))


def test_the_first_account_is_made_by_the_link(start: Callable[..., Lastseen], visit: Visit) -> None:
    server = start()
    link = server.line(1).removeprefix("set-up: ")
    somebody = Person(server, "ada", "a long first sentence")
    for script in (False, True):
        visitor = visit(somebody, signed_in=False, java_script_enabled=script)
        visitor.page.goto(link)
        expect(visitor.page.get_by_label("User name", exact=True)).to_be_visible()
        visitor.context.close()
    visitor = visit(somebody, signed_in=False)
    visitor.page.goto(link)
    visitor.page.get_by_label("User name", exact=True).fill("ada")
    visitor.page.get_by_label("Password", exact=True).fill("a long first sentence")
    visitor.page.get_by_role("main").get_by_role("button").first.click()
    visitor.page.wait_for_load_state()
    if not visitor.page.url.endswith("/sessions"):
        visitor.open("/sign-in").sign_in()
    expect(visitor.heading()).to_have_text("Sessions")
    assert somebody.device().is_signed_in()


def test_the_name_in_the_head_is_the_accounts(ada: Person, visit: Visit) -> None:
    visitor = visit(ada)
    expect(visitor.page.get_by_role("navigation", name="Account")).to_contain_text(ada.name)
