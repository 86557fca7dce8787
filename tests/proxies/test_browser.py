"""A person at a real browser in front of a guarded service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from harness.answers import content_security_policy
from harness.browser import let_go
from harness.proxies import COOKIE, PAGE, SESSIONS, WIKI, Guarded

QUERY = "?x=1&y=%26%3D+%20&next=https://elsewhere.example/?a=b&x=2&%C3%A9="


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a fresh browser's first page."""
    contexts = []

    def open_page(**options: object) -> Page:
        contexts.append(chromium.new_context(ignore_https_errors=True, **options))  # type: ignore[arg-type]
        return contexts[-1].new_page()

    yield open_page
    for context in contexts:
        let_go(context)


def sign_in(guarded: Guarded, page: Page, password: str | None = None) -> None:
    page.get_by_label("User name", exact=True).fill(guarded.ada.name)
    page.get_by_label("Password", exact=True).fill(password or guarded.ada.password)
    page.get_by_role("button", name="Sign in", exact=True).click()


@pytest.mark.parametrize("java_script", [True, False], ids=["with JavaScript", "without"])
def test_after_sign_in_the_visitor_is_back_where_he_came_from_with_the_query_intact(
    guarded: Guarded, open_page: Callable[..., Page], java_script: bool
) -> None:
    page = open_page(java_script_enabled=java_script)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    address = f"{guarded.wiki_url}/page{QUERY}"
    page.goto(address)
    expect(page).to_have_url(f"{guarded.sessions_url}/sign-in?return_to={quote(address, safe='*-._').replace('%20', '+')}")
    # A mistake on the way does not lose it.
    sign_in(guarded, page, "wrong wrong wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    sign_in(guarded, page)
    expect(page).to_have_url(address)
    expect(page.get_by_role("heading", name="Wiki")).to_be_visible()
    seen = next(seen for seen in reversed(guarded.service.seen) if seen.path.startswith("/page"))
    assert seen.path == f"/page{QUERY}"
    assert seen.all("Remote-User") == [guarded.ada.name]
    assert not [text for text in complaints if "Content Security Policy" in text], complaints


def test_a_session_that_is_terminated_while_the_page_is_open_ends_at_its_next_request(
    guarded: Guarded, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(f"{guarded.wiki_url}/page?tab=2")
    sign_in(guarded, page)
    expect(page.get_by_role("heading", name="Wiki")).to_be_visible()
    asked = "() => fetch('/data').then(response => response.status)"
    assert page.evaluate(asked) == 200
    other = guarded.sign_in()
    assert other.post("/api/v1/sessions/terminate-others").status_code == 200
    with guarded.unreached():
        # A script is told, and a page is led to sign-in, and back.
        assert page.evaluate(asked) == 401
        page.reload()
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    sign_in(guarded, page)
    expect(page).to_have_url(f"{guarded.wiki_url}/page?tab=2")


def test_signing_out_on_the_sessions_page_signs_out_of_the_service(
    guarded: Guarded, open_page: Callable[..., Page]
) -> None:
    page = open_page()
    page.goto(f"{guarded.wiki_url}/page")
    sign_in(guarded, page)
    expect(page.get_by_role("heading", name="Wiki")).to_be_visible()
    page.goto(f"{guarded.sessions_url}/sessions")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert COOKIE not in [cookie["name"] for cookie in page.context.cookies()]
    with guarded.unreached():
        page.goto(f"{guarded.wiki_url}/page")
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


@pytest.mark.parametrize(
    "return_to",
    [
        "https://elsewhere.example/",
        "//elsewhere.example/",
        "/\\elsewhere.example/",
        "https:elsewhere.example",
        "https://{wiki}@elsewhere.example/",
        "https://{wiki}.elsewhere.example/",
        "https://elsewhere.example\\@{wiki}/",
        "https://elsewhere.example\t.{wiki}/",
        "http://{wiki}/",
        "https://" + WIKI + "/",
        "javascript://{wiki}/%0aalert(1)",
    ],
)
def test_nobody_is_led_elsewhere_after_sign_in(
    guarded: Guarded, open_page: Callable[..., Page], return_to: str
) -> None:
    return_to = return_to.replace("{wiki}", f"{WIKI}:{guarded.port}")
    page = open_page()
    page.goto(f"{guarded.sessions_url}/sign-in?return_to={quote(return_to, safe='')}")
    sign_in(guarded, page)
    expect(page).to_have_url(f"{guarded.sessions_url}/sessions")


def test_the_sign_in_form_may_lead_to_the_named_hosts_and_to_no_other(guarded: Guarded) -> None:
    expected = ["'self'", guarded.wiki_url]
    for answer in (
        guarded.ask("/sign-in", host=SESSIONS, headers=PAGE),
        guarded.ask("/sign-in?return_to=https://elsewhere.example", host=SESSIONS, headers=PAGE),
        guarded.ask(
            "/sign-in",
            host=SESSIONS,
            method="POST",
            headers=PAGE,
            data={"username": "nobody", "password": "wrong", "return_to": guarded.wiki_url},
        ),
    ):
        assert content_security_policy(answer)["form-action"] == expected
    signed_in = guarded.sign_in()
    for path in ("/sessions", "/password"):
        answer = guarded.ask(path, host=SESSIONS, token=signed_in.token, headers=PAGE)
        assert content_security_policy(answer)["form-action"] == ["'self'"]
