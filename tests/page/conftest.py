"""Browsers for the tests of the pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, expect

from harness.browser import Visitor, launch, let_go
from harness.people import Device, Person

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = launch(playwright)
    yield browser
    let_go(browser)


class Complaints:
    """What a page said went wrong; a test that expects some of it takes it from here."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.found.append(f"error: {error}"))
        page.on("console", self._console)

    def _console(self, message) -> None:
        # A refused or failed request is said here by the browser itself; tests look at those elsewhere.
        if message.type == "error" and not re.match("Failed to load resource", message.text):
            self.found.append(f"console: {message.text}")


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens browsers for one test: `visit(ada)` is signed in and looks at the list.

    Without `signed_in` it looks at nothing yet. Everything else is an option of the browser, such as
    `java_script_enabled`, `timezone_id`, `color_scheme` or `viewport`.
    """
    contexts = []
    complaints = Complaints()

    def visit(
        person: Person,
        signed_in: bool = True,
        remember: bool = False,
        clock: bool = False,
        device: Device | None = None,
        **options: object,
    ) -> Visitor:
        settings: dict[str, object] = {"locale": "en-GB", "timezone_id": "Europe/Berlin"}
        settings.update(options)
        context = chromium.new_context(**settings)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        complaints.watch(page)
        visitor = Visitor(person, context, page)
        if clock:
            page.clock.install()
        if signed_in:
            visitor.carry(device or person.device(browser=True, remember=remember))
            visitor.open()
        return visitor

    yield visit
    for context in contexts:
        let_go(context)
    assert not complaints.found, complaints.found


