"""The small services of docs/quickstart, run as their page says, in every language that this machine has."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from harness.people import CHROME_LINUX, FIREFOX_WINDOWS
from harness.program import PATIENCE, Lastseen, clean_environment, client, eventually

QUICKSTARTS = Path(__file__).parents[2] / "docs/quickstart"
LOCK = Path(__file__).with_name("node-express.lock.json")


@dataclass(frozen=True)
class Recipe:
    """A quickstart: what one types to run it, and where it says which port it has."""

    folder: str
    file: str
    command: tuple[str, ...]


RECIPES = [
    Recipe(
        "python-fastapi", "app.py", (sys.executable, "-m", "uvicorn", "app:app", "--port", "0")
    ),
    Recipe("node-express", "app.js", ("node", "app.js")),
    Recipe("php", "index.php", ("php", "-S", "127.0.0.1:0", "index.php")),
]


def browser(url: str, user_agent: str) -> httpx.Client:
    """Somebody's browser, with its cookies."""
    made = client(url)
    made.headers["User-Agent"] = user_agent
    return made


class Service:
    """One of the services, running in a copy of its folder."""

    def __init__(self, recipe: Recipe, directory: Path, lastseen: Lastseen, key: str) -> None:
        self.output = ""
        self.process = subprocess.Popen(
            recipe.command,
            cwd=directory,
            env=clean_environment({"SESSIONS": lastseen.url, "APPLICATION_KEY": key, "PORT": "0"}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        threading.Thread(target=self._read, daemon=True).start()
        port = eventually(self._port, f"the port of the service: {self.output}")
        self.url = f"http://127.0.0.1:{port}"

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as stream:
            for line in stream:
                self.output += line

    def _port(self) -> str | None:
        assert self.process.poll() is None, self.output
        # uvicorn and php name an address, node prints what its own function answers.
        found = re.search(r"http://127\.0\.0\.1:(\d+)|port: (\d+)", self.output)
        return (found[1] or found[2]) if found else None

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def browser(self, user_agent: str = CHROME_LINUX) -> httpx.Client:
        return browser(self.url, user_agent)

    def sign_in(self, user_agent: str = CHROME_LINUX) -> httpx.Client:
        visitor = self.browser(user_agent)
        answer = visitor.post("/sign-in", data={"name": "ada", "password": "correct-horse-battery"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
        assert "Hello ada!" in visitor.get("/").text
        return visitor


def prepared(recipe: Recipe, directory: Path) -> None:
    # What somebody installed there to try it is not part of it.
    installed = shutil.ignore_patterns(".venv", "node_modules", "package-lock.json", "__pycache__")
    shutil.copytree(QUICKSTARTS / recipe.folder, directory, ignore=installed)
    if recipe.folder == "node-express":
        # The lock is the tests' own: whoever starts something new wants what is current.
        shutil.copy(LOCK, directory / "package-lock.json")
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
            cwd=directory,
            check=True,
            capture_output=True,
            timeout=150,
        )


@pytest.fixture(scope="module", params=RECIPES, ids=lambda recipe: recipe.folder)
def folder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recipe, Path]:
    directory = tmp_path_factory.mktemp("quickstart") / request.param.folder
    prepared(request.param, directory)
    return request.param, directory


@pytest.fixture
def lastseen(start: Callable[..., Lastseen]) -> Lastseen:
    return start()


@pytest.fixture
def service(folder: tuple[Recipe, Path], lastseen: Lastseen) -> Iterator[Service]:
    key = lastseen.run("application", "add", "shop").done().strip()
    running = Service(*folder, lastseen, key)
    yield running
    running.close()


def test_it_is_under_60_lines(folder: tuple[Recipe, Path]) -> None:
    recipe, directory = folder
    assert len((directory / recipe.file).read_text().splitlines()) < 60


def test_a_person_signs_in_there_and_manages_sessions_here(
    service: Service, lastseen: Lastseen
) -> None:
    nobody = service.browser()
    assert "Hello" not in nobody.get("/").text
    assert nobody.get("/devices").headers.get("location", "/") == "/"
    for name in ("ada", "bob", "__proto__", ""):
        wrong = nobody.post("/sign-in", data={"name": name, "password": "wrong"})
        assert wrong.status_code in (401, 422), name
    assert "Hello" not in nobody.get("/").text

    laptop, phone = service.sign_in(CHROME_LINUX), service.sign_in(FIREFOX_WINDOWS)
    led = laptop.get("/devices")
    assert led.status_code == 303
    link = led.headers["location"]
    assert link.startswith(lastseen.url)

    # The person opens the link and presses its one button.
    page = browser(lastseen.url, CHROME_LINUX)
    opened = page.get(urlsplit(link).path)
    assert opened.status_code == 200 and "shop" in opened.text
    entered = page.post(urlsplit(link).path, headers={"Sec-Fetch-Site": "same-origin"})
    assert entered.status_code == 303
    sessions = page.get("/api/v1/sessions").json()["sessions"]
    assert {session["user_agent"] for session in sessions} == {
        "Chrome 120 on Linux",
        "Firefox 132 on Windows",
    }
    assert {session["ip_address"] for session in sessions} == {"127.0.0.1"}
    assert "Firefox 132 on Windows" in page.get("/sessions").text

    # What is ended there is refused here, at once.
    [other] = [session for session in sessions if not session["current"]]
    ended = page.delete(
        f"/api/v1/sessions/{other['id']}", headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert ended.status_code == 204
    assert "Hello" not in phone.get("/").text
    assert "Hello ada!" in laptop.get("/").text


def test_with_lastseen_away_nobody_is_signed_in(service: Service, lastseen: Lastseen) -> None:
    laptop = service.sign_in()
    lastseen.stop()
    answer = laptop.get("/")
    assert answer.status_code == 503 and "Hello" not in answer.text


def test_a_key_that_was_removed_signs_nobody_in(service: Service, lastseen: Lastseen) -> None:
    laptop = service.sign_in()
    lastseen.run("application", "remove", "shop").done()
    answer = laptop.get("/")
    assert answer.status_code == 503 and "Hello" not in answer.text
