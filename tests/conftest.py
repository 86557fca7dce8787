"""Servers and people for the tests. Each test that changes a setting starts a server of its own."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Playwright, sync_playwright

from harness.people import Person, person
from harness.program import BINARY, Lastseen

#: The test itself is the proxy, so that it can come from any address.
TRUST_US = ("--trusted-proxy", "127.0.0.1/32")


def pytest_sessionstart(session: pytest.Session) -> None:
    # Some tests hold a thousand connections.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if not session.config.option.collectonly and not BINARY.is_file():
        raise pytest.UsageError(f"{BINARY} is not built: cargo build --package lastseen-server")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A test that was left out looks too much like one that passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is not None and reporter.stats.get("skipped") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lastseen]:
    """A server with default settings behind a trusted proxy, shared by all who change nothing in it."""
    shared = Lastseen(tmp_path_factory.mktemp("shared"), *TRUST_US).start()
    yield shared
    shared.close()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """What drives the browsers: one for each process, since a second beside it is refused."""
    with sync_playwright() as driver:
        yield driver


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Lastseen]]:
    """Starts servers for one test, each in a directory of its own unless told."""
    started: list[Lastseen] = []

    def start(*arguments: str, directory: Path | None = None, **options: object) -> Lastseen:
        if directory is None:
            directory = tmp_path / f"server-{len(started)}"
            directory.mkdir()
        running = Lastseen(directory, *TRUST_US, *arguments, **options)  # type: ignore[arg-type]
        started.append(running)
        return running.start()

    yield start
    for running in started:
        running.close()


@pytest.fixture
def ada(server: Lastseen) -> Person:
    """Somebody with a new account on the shared server."""
    return person(server, "ada")


@pytest.fixture
def bob(server: Lastseen) -> Person:
    """Somebody else."""
    return person(server, "bob")


def pytest_pycollect_makeitem(
    collector: pytest.Module | pytest.Class, name: str, obj: object
) -> pytest.Function | None:
    """A test that shows a sentence has that sentence as its name."""
    sentence = getattr(obj, "sentence", None)
    if sentence is None:
        return None
    return pytest.Function.from_parent(collector, name=sentence, callobj=obj)
