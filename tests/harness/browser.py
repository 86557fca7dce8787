"""A person at a real browser."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from dataclasses import dataclass

from playwright.sync_api import Browser, BrowserContext, Locator, Page, Playwright, expect

from harness.people import Device, Person
from harness.program import PATIENCE

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

TERMINATE = re.compile(r"^Terminate\b(?! All| \d+ Session| selected)")
DISCONNECT = re.compile(r"^Disconnect\b")
REMOVE = re.compile(r"^Remove\b")


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


def let_go(what: Browser | BrowserContext) -> None:
    """Closes it. Now and then Chromium never says that it has: then it goes with the browser's process."""
    # Only the asynchronous half of Playwright can be told how long to wait.
    with suppress(asyncio.TimeoutError):
        what._sync(asyncio.wait_for(what._impl_obj.close(reason=None), PATIENCE))


@dataclass
class Visitor:
    """Somebody who looks at the pages: one browser profile with one tab."""

    person: Person
    context: BrowserContext
    page: Page
    #: The session that this browser is signed in with, where the test made it.
    id: str = ""

    @property
    def url(self) -> str:
        return self.person.server.url

    # -- getting there

    def carry(self, device: Device) -> None:
        """Gives the browser the session of `device`, as if it had signed in itself."""
        self.id = device.id
        self.context.add_cookies(
            [
                {
                    "name": "lastseen",
                    "value": str(device.token),
                    "url": self.url,
                    "httpOnly": True,
                    "sameSite": "Lax",
                }
            ]
        )

    def open(self, path: str = "/sessions") -> Visitor:
        self.page.goto(self.url + path)
        return self

    def sign_in(self, remember: bool = False, password: str | None = None) -> Visitor:
        """Signs in by the page that is open."""
        self.page.get_by_label("User name", exact=True).fill(self.person.name)
        self.page.get_by_label("Password", exact=True).fill(password or self.person.password)
        if remember:
            self.page.get_by_label("Remember this device", exact=True).check()
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        return self

    # -- what is on the page

    def heading(self) -> Locator:
        return self.page.get_by_role("heading", level=1)

    def rows(self) -> Locator:
        """One row for each session that is shown."""
        return self.page.get_by_role("row").filter(
            has=self.page.get_by_role("button", name=re.compile("^(Terminate|Disconnect|Remove)"))
        )

    def row(self, text: str) -> Locator:
        """The one row with that text in it, such as an address."""
        return self.rows().filter(has_text=text)

    def current(self) -> Locator:
        return self.rows().filter(has=self.page.get_by_role("button", name=DISCONNECT))

    def button(self, name: str | re.Pattern[str]) -> Locator:
        return self.page.get_by_role("button", name=name, exact=isinstance(name, str))

    def terminate(self, row: Locator) -> Locator:
        return row.get_by_role("button", name=TERMINATE)

    def disconnect(self, row: Locator) -> Locator:
        return row.get_by_role("button", name=DISCONNECT)

    def remove(self, row: Locator) -> Locator:
        return row.get_by_role("button", name=REMOVE)

    def tick(self, row: Locator) -> Locator:
        return row.get_by_role("checkbox")

    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def status(self) -> Locator:
        return self.page.get_by_role("status")

    def cell(self, row: Locator, column: str) -> Locator:
        """The cell of a row under that head."""
        heads = [text.strip() for text in self.page.locator("thead th, thead td").all_inner_texts()]
        lowered = [text.lower() for text in heads]
        assert column.lower() in lowered, heads
        return row.locator("th, td").nth(lowered.index(column.lower()))

    # -- what is true afterwards

    def is_led_to_sign_in(self) -> None:
        self.page.wait_for_url(re.compile(r"/sign-in(\?.*)?$"))
        expect(self.button("Sign in")).to_be_visible()

    def device(self) -> Device:
        """The browser's session, used as a program would."""
        found = [c for c in self.context.cookies(self.url) if c["name"] == "lastseen"]
        assert len(found) == 1, found
        return Device(self.person.server, token=found[0]["value"])


