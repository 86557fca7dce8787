"""Other programs' accounts: by key, by the words of OAuth, and by a link into the pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from harness import answers
from harness.applications import Application, accepts, application
from harness.people import CHROME_LINUX, FIREFOX_WINDOWS, Person, cookies
from harness.program import Lastseen, client

# Ids that could be taken for something else. Not `..`: clients take it, encoded or not, for the way up.
IDS = ["ada", "Ada", "a/b", "a%2Fb", "...", "é", "e\u0301", "a\0b", "x" * 128, "😀" * 32, "a b+c&d=e?f#g"]


@pytest.fixture
def shop(server: Lastseen) -> Application:
    return application(server, "shop")


@pytest.fixture
def forum(server: Lastseen) -> Application:
    return application(server, "forum")


# -- the commands


def test_neither_key_nor_token_nor_link_stands_anywhere(start: Callable[..., Lastseen]) -> None:
    server = start("--log-level", "debug")
    shop = application(server)
    listed = server.run("application", "list").done()
    assert shop.name in listed and "lsa_" not in listed
    begun = shop.begin("ada")
    shop.introspect(begun.token)
    used, unused = begun.link()["url"], begun.link()["url"]
    cookie = {"Cookie": f"lastseen={begun.token}"}
    assert press(used, **{**cookie, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    token = cookies(press(used))["lastseen"].value
    assert press(used).status_code == 404
    shop.request("GET", shop.sessions("ada"), headers={"Authorization": f"Bearer {shop.key}x"})
    shop.revoke(begun.token)
    server.stop()
    secrets = [shop.key, begun.token, token, *(url.rpartition("/")[2] for url in (used, unused))]
    for path in server.directory.iterdir():
        content = path.read_bytes()
        for secret in secrets:
            # The part behind the name: the name itself may be written down.
            assert secret[27:].encode() not in content, (path.name, secret[:4])


def test_names_are_unique_and_unknown_ones_are_refused(server: Lastseen, shop: Application) -> None:
    assert "already" in server.run("application", "add", shop.name.upper()).refused()
    assert "nobody" in server.run("application", "remove", "nobody").refused()
    server.run("application", "add").refused(2)
    server.run("application", "add", "a\nb").refused()
    # What was refused prints no key.
    assert server.run("application", "add", shop.name).output == ""


def test_a_removed_application_is_refused_from_its_next_request_on_with_all_its_sessions(
    server: Lastseen, shop: Application, forum: Application, ada: Person
) -> None:
    begun = [shop.begin(account) for account in IDS]
    other, built_in = forum.begin("ada"), ada.device()
    outcome = server.run("application", "remove", shop.name).done()
    assert f"{len(IDS)} sessions terminated" in outcome
    answers.problem(shop.request("GET", shop.sessions("ada")), "not_signed_in")
    assert not any(session.is_accepted() for session in begun)
    assert other.is_accepted() and built_in.is_signed_in()
    assert shop.name not in server.run("application", "list").done()


def test_applications_are_added_and_removed_while_no_server_runs(start: Callable[..., Lastseen]) -> None:
    server = start()
    kept, gone = application(server), application(server)
    ended = gone.begin("ada")
    server.stop()
    outside = server.run("application", "add", "outside").done().strip()
    assert "1 session terminated" in server.run("application", "remove", gone.name).done()
    server.start()
    assert not ended.is_accepted()
    assert kept.begin("ada").is_accepted()
    assert Application(server, "outside", outside).begin("ada").is_accepted()
    answers.problem(gone.request("GET", gone.sessions("ada")), "not_signed_in")


def test_no_session_that_is_created_during_a_removal_is_accepted_after_it(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    for _ in range(3):
        shop = application(server)
        tokens: list[str] = []

        def work(number: int, shop: Application = shop, tokens: list[str] = tokens) -> None:
            while True:
                response = shop.request("POST", shop.sessions(f"ada-{number}"), json={})
                if response.status_code != 201:
                    answers.problem(response, "not_signed_in")
                    return
                tokens.append(response.json()["token"])

        with ThreadPoolExecutor(8) as pool:
            working = [pool.submit(work, number) for number in range(8)]
            while len(tokens) < 50:
                assert not any(future.done() for future in working)
            server.run("application", "remove", shop.name).done()
            for future in working:
                future.result()
        assert not any(accepts(server, token) for token in tokens)


# -- sessions


def test_a_session_has_what_the_application_tells_and_nothing_of_its_own_connection(
    shop: Application,
) -> None:
    begun = shop.begin(
        "42",
        name="Ada",
        user_agent=CHROME_LINUX,
        client_hints={"Sec-CH-UA-Platform": '"Windows"', "sec-ch-ua-platform-version": '"15.0.0"'},
        ip_address="203.0.113.7",
        remember=True,
    )
    assert begun.session["account"] == {"id": "42", "name": "Ada"}
    assert begun.session["operating_system"] == {"name": "Windows", "version": "11"}
    assert begun.session["ip_address"] == "203.0.113.7"
    assert begun.session["remembered"] is True
    plain = shop.begin("42")
    assert plain.session["account"] == {"id": "42", "name": "Ada"}
    assert plain.session["ip_address"] is None
    assert plain.session["user_agent"] == "Unknown device"
    assert shop.begin("43").session["account"] == {"id": "43", "name": "43"}


def test_an_account_id_is_kept_to_the_byte_through_the_real_listener(shop: Application) -> None:
    begun = {account: shop.begin(account) for account in IDS}
    for account, session in begun.items():
        assert session.session["account"]["id"] == account  # type: ignore[index]
        assert [listed["id"] for listed in shop.listed(account)] == [session.id]
        assert shop.introspect(session.token)["sub"] == account


def test_applications_and_built_in_accounts_know_nothing_of_each_other(
    shop: Application, forum: Application, ada: Person
) -> None:
    device = ada.device()
    built_in = str(device.session["account"]["id"])  # type: ignore[index]
    for account in [*IDS, built_in]:
        own, foreign = shop.begin(account), forum.begin(account)
        assert [session["id"] for session in shop.listed(account)] == [own.id]
        for id in (foreign.id, device.id):
            path = shop.sessions(account, f"/{id}")
            answers.problem(shop.request("DELETE", path), "not_found")
            answers.problem(shop.request("POST", f"{path}/link"), "not_found")
            terminate = shop.sessions(account, "/terminate")
            answers.problem(shop.request("POST", terminate, json={"ids": [own.id, id]}), "not_found")
            others = shop.sessions(account, "/terminate-others")
            answers.problem(shop.request("POST", others, json={"keep": id}), "not_found")
        for token in (foreign.token, str(device.token)):
            visitor = {"ip_address": "198.51.100.9", "user_agent": FIREFOX_WINDOWS}
            assert shop.introspect(token, **visitor) == {"active": False}
            assert shop.revoke(token).status_code == 200
        assert own.is_accepted() and foreign.is_accepted() and device.is_signed_in()
        (listed,) = forum.listed(account)
        # `is_accepted` was a use, the introspection was none.
        assert listed["ip_address"] != "198.51.100.9"
    ids = {session["id"] for session in device.get("/api/v1/sessions").json()["sessions"]}
    assert ids == {device.id}


def test_ending_all_of_an_account_ends_what_there_is_and_nothing_else(shop: Application) -> None:
    keep, *others = [shop.begin("ada") for _ in range(3)]
    bob = shop.begin("bob")
    path = shop.sessions("ada", "/terminate-others")
    answers.problem(shop.request("POST", path, json={}), "invalid_request")
    assert shop.request("POST", path, json={"keep": keep.id}).json() == {"terminated": 2}
    assert keep.is_accepted() and not any(other.is_accepted() for other in others)
    assert shop.request("POST", path, json={"keep": None}).json() == {"terminated": 1}
    assert not keep.is_accepted() and bob.is_accepted()
    assert shop.listed("nobody") == []


def test_neither_cookie_nor_session_token_nor_a_mangled_key_is_a_key(
    shop: Application, ada: Person
) -> None:
    device = ada.device()
    path = shop.sessions("ada")
    with client(shop.server.url) as plain:
        for headers in (
            {},
            {"Cookie": f"lastseen={device.token}"},
            {"Cookie": f"lastseen={shop.key}"},
            {"Authorization": f"Bearer {device.token}"},
            {"Authorization": f"Bearer {shop.key[:-1]}"},
            {"Authorization": f"Bearer {shop.key}x"},
        ):
            answers.problem(plain.get(path, headers=headers), "not_signed_in")
    assert not accepts(shop.server, shop.key)


# -- the words of OAuth


def test_introspection_says_whose_an_active_token_is_and_counts_as_a_use(shop: Application) -> None:
    begun = shop.begin("42", name="Ada")
    told = shop.introspect(begun.token, ip_address="2001:db8::7", user_agent=FIREFOX_WINDOWS)
    (listed,) = shop.listed("42")
    expires = answers.instant(listed["expires_at"])
    created = answers.instant(listed["created_at"])
    assert told == {
        "active": True,
        "sub": "42",
        "username": "Ada",
        "sid": begun.id,
        "iat": int(created.timestamp()),
        "exp": int(expires.timestamp()),
    }
    assert listed["ip_address"] == "2001:db8::7"
    assert listed["user_agent"] == "Firefox 132 on Windows"
    assert answers.instant(listed["last_updated"]) > created
    response = shop.request("POST", "/api/v1/introspect", data={"token": begun.token})
    assert response.headers["content-type"].split(";")[0] == "application/json"
    answers.assert_not_stored(response)
    answers.assert_safe_headers(response)
    shop.request("DELETE", begun.path)
    assert shop.introspect(begun.token) == {"active": False}


def test_revocation_ends_the_session_and_its_refusals_are_those_of_oauth(shop: Application) -> None:
    begun = shop.begin("ada")
    for token in ("nonsense", begun.token, begun.token):
        response = shop.revoke(token)
        assert response.status_code == 200 and response.content == b""
    assert not begun.is_accepted() and shop.listed("ada") == []
    missing = shop.request("POST", "/api/v1/revoke")
    assert missing.status_code == 400 and missing.json()["error"] == "invalid_request"
    shop.key = "lsa_nonsense"
    refused = shop.revoke(begun.token)
    assert refused.status_code == 401 and refused.json()["error"] == "invalid_client"
    assert refused.headers["www-authenticate"].startswith("Bearer")
    for response in (missing, refused):
        assert response.headers["content-type"].split(";")[0] == "application/json"
        answers.assert_not_stored(response)


# -- links


def press(url: str, **headers: str):
    with client(url) as browser:
        return browser.post(url, headers={"Sec-Fetch-Site": "same-origin", **headers})


def test_a_link_signs_the_session_in_once_however_many_press_at_once(shop: Application) -> None:
    begun = shop.begin("ada", name="Ada")
    link = begun.link()
    left = answers.instant(link["expires_at"]) - datetime.now(UTC)
    assert 50 < left.total_seconds() <= 60
    with client(shop.server.url) as scanner:
        for method in ("GET", "HEAD", "GET"):
            opened = scanner.request(method, link["url"], headers={"Sec-Fetch-Site": "cross-site"})
            assert opened.status_code == 200
            assert not cookies(opened)
            answers.assert_not_stored(opened)
            answers.assert_safe_headers(opened)
    assert opened.text.count("<button") == 1
    assert "Ada" in opened.text and shop.name in opened.text
    assert press(link["url"], **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    with ThreadPoolExecutor(50) as pool:
        pressed = list(pool.map(lambda _: press(link["url"]), range(50)))
    (good,) = [response for response in pressed if response.status_code == 303]
    assert good.headers["location"] == "/sessions"
    for late in pressed:
        if late is not good:
            assert late.status_code == 404
            assert "not good any more" in late.text and not cookies(late)
    token = cookies(good)["lastseen"].value
    assert token != begun.token
    assert accepts(shop.server, token) and begun.is_accepted()
    with client(shop.server.url) as browser:
        page = browser.get("/sessions", headers={"Cookie": f"lastseen={token}"})
    assert re.search(f"Ada</bdi> · <bdi>{shop.name}</bdi>", page.text)
    shop.request("DELETE", begun.path)
    assert not accepts(shop.server, token)


def test_a_link_that_was_given_out_survives_a_kill_and_a_used_one_does_not_come_back(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    shop = application(server)
    begun = shop.begin("ada")
    used, fresh = begun.link()["url"], begun.link()["url"]
    token = cookies(press(used))["lastseen"].value
    server.kill()
    before = server.url
    server.start()

    def moved(url: str) -> str:
        return url.replace(before, server.url)

    assert accepts(server, token) and begun.is_accepted()
    assert press(moved(used)).status_code == 404
    assert press(moved(fresh)).status_code == 303
    # That gave the pages another token.
    assert not accepts(server, token)


def test_a_link_dies_with_its_session_and_with_its_application(
    server: Lastseen, shop: Application
) -> None:
    ended, orphaned = shop.begin("ada"), shop.begin("bob")
    links = [ended.link()["url"], orphaned.link()["url"]]
    shop.request("DELETE", ended.path)
    server.run("application", "remove", shop.name).done()
    for url in links:
        assert press(url).status_code == 404


def test_from_the_pages_a_way_leads_back_to_a_host_that_was_named(start: Callable[..., Lastseen]) -> None:
    server = start("--return-host", "shop.example")
    shop = application(server)
    for back, leads in (
        ("https://shop.example/account?tab=2", True),
        ("https://elsewhere.example/", False),
    ):
        url = shop.begin("ada").link()["url"]
        with client(server.url) as browser:
            opened = browser.get(url, params={"return_to": back})
            assert (back in opened.text) is leads
            pressed = browser.post(url, data={"return_to": back})
            browser.cookies.clear()
            cookie = {"Cookie": f"lastseen={cookies(pressed)['lastseen'].value}"}
            for _ in range(2):
                page = browser.get("/sessions", headers=cookie)
                assert (f'href="{back}"' in page.text) is leads
                assert ("Back to" in page.text) is leads
            assert 'href="/password"' not in page.text
            assert browser.get("/password", headers=cookie).headers["location"] == "/sessions"


# -- the description


@pytest.fixture(scope="module")
def keyed_schema(tmp_path_factory: pytest.TempPathFactory):
    server = Lastseen(tmp_path_factory.mktemp("keyed"), "--max-sessions-per-account", "0").start()
    shop = application(server)
    loaded = schemathesis.openapi.from_url(f"{server.url}/api/v1/openapi.json")

    @loaded.auth(refresh_interval=None)
    class Keyed:
        def get(self, case, context) -> str:
            return shop.key

        def set(self, case, data, context) -> None:
            case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data}"}

    yield loaded
    server.close()


by_key = schemathesis.pytest.from_fixture("keyed_schema")


@by_key.include(tag="applications").parametrize()
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_answer_to_an_application_is_one_that_the_description_names(case) -> None:
    case.call_and_validate()
