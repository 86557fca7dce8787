"""Each documented set-up that can be run here, and a browser that finds its names on this machine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Playwright

from harness.browser import CHROMIUM, FLAGS, let_go
from harness.proxies import Caddy, Guarded, Nginx


@pytest.fixture(scope="package", params=[Nginx, Caddy], ids=["nginx", "Caddy"])
def guarded(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Guarded]:
    """The service behind each proxy in turn."""
    running = Guarded(tmp_path_factory.mktemp(request.param.__name__), request.param)
    yield running
    running.close()


@pytest.fixture(scope="package")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    names = "--host-resolver-rules=MAP *.example.org 127.0.0.1"
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, names])
    yield browser
    let_go(browser)
