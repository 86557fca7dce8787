"""Whose address it is: who may say so, and what they say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.people import Device, Person, person
from harness.program import Lastseen

VISITOR = "203.0.113.7"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory):
    """A server behind two rows of proxies: this machine, and the network 10.0.0.0/8."""
    server = Lastseen(
        tmp_path_factory.mktemp("behind"),
        "--trusted-proxy",
        "127.0.0.1/32",
        "--trusted-proxy",
        "10.0.0.0/8",
        "--trusted-proxy",
        "2001:db8:aaaa::/48",
    ).start()
    yield server
    server.close()


@pytest.fixture(scope="module")
def grace(behind: Lastseen) -> Person:
    return person(behind, "grace")


@pytest.fixture(scope="module")
def device(grace: Person) -> Device:
    return grace.device()


def seen(device: Device, headers: list[tuple[str, str]]) -> object:
    with device.server.client() as client:
        response = client.get(
            "/api/v1/session",
            headers=[("Authorization", f"Bearer {device.token}"), *headers],
        )
    assert response.status_code == 200
    return response.json()["ip_address"]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("203.0.113.7", VISITOR),
        ("203.0.113.7 , 10.1.2.3", VISITOR),
        ("10.1.2.3 ,\t203.0.113.7\t,10.1.2.3", VISITOR),
        ("203.0.113.7:5555", VISITOR),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1"),
        # Through one and through several of our own proxies.
        ("203.0.113.7, 10.1.2.3", VISITOR),
        ("203.0.113.7,10.1.2.3,10.9.9.9,127.0.0.1", VISITOR),
        ("203.0.113.7, 2001:db8:aaaa::5", VISITOR),
        ("203.0.113.7, 10.1.2.3:8080", VISITOR),
        # What the visitor himself wrote stands on the left and counts for nothing.
        ("6.6.6.6, 203.0.113.7", VISITOR),
        ("10.6.6.6, 203.0.113.7", VISITOR),
        ("garbage, 203.0.113.7", VISITOR),
        ("<script>, , 203.0.113.7, 10.1.2.3", VISITOR),
        # Where a hop cannot be read, the peer.
        ("garbage", "127.0.0.1"),
        ("203.0.113.7, garbage", "127.0.0.1"),
        ("203.0.113.7, garbage, 10.1.2.3", "127.0.0.1"),
        ("203.0.113.7, unknown", "127.0.0.1"),
        ("203.0.113.7, 256.1.1.1", "127.0.0.1"),
        ("203.0.113.7, 1.1.1", "127.0.0.1"),
        ("203.0.113.7, [2001:db8::1", "127.0.0.1"),
        ("203.0.113.7, 203.0.113.8:99999", "127.0.0.1"),
    ],
)
def test_x_forwarded_for_is_read_from_the_right(device: Device, said: str, expected: str) -> None:
    assert seen(device, [("X-Forwarded-For", said)]) == expected


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("for=203.0.113.7", VISITOR),
        ("For=203.0.113.7;proto=https;by=10.0.0.1", VISITOR),
        ('for="203.0.113.7:5555"', VISITOR),
        ('for="[2001:db8::1]"', "2001:db8::1"),
        ('for="[2001:db8::1]:443";host=x', "2001:db8::1"),
        ("for=203.0.113.7, for=10.1.2.3", VISITOR),
        ("for=6.6.6.6, for=203.0.113.7, for=10.1.2.3", VISITOR),
        ('for="6.6.6.6, for=7.7.7.7", for=203.0.113.7', VISITOR),
        ("for=unknown", "127.0.0.1"),
        ("for=_hidden", "127.0.0.1"),
        ("for=203.0.113.7, for=_hidden", "127.0.0.1"),
        ("for=203.0.113.7, proto=https", "127.0.0.1"),
        ('for=203.0.113.7, for="203.0.113.8', "127.0.0.1"),
    ],
)
def test_forwarded_is_read_from_the_right(device: Device, said: str, expected: str) -> None:
    assert seen(device, [("Forwarded", said)]) == expected


def test_where_both_are_sent_forwarded_wins(device: Device) -> None:
    both = [("X-Forwarded-For", "198.51.100.9"), ("Forwarded", f"for={VISITOR}")]
    assert seen(device, both) == VISITOR
    assert seen(device, both[::-1]) == VISITOR


def test_a_header_in_several_lines_is_one_list(device: Device) -> None:
    lines = [
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-For", VISITOR),
        ("X-Forwarded-For", "10.1.2.3"),
    ]
    assert seen(device, lines) == VISITOR
    lines = [("Forwarded", "for=6.6.6.6"), ("Forwarded", f"for={VISITOR}, for=10.1.2.3")]
    assert seen(device, lines) == VISITOR


def test_ten_thousand_hops_do_no_harm(device: Device) -> None:
    assert seen(device, [("X-Forwarded-For", "6.6.6.6," * 1_000 + VISITOR)]) == VISITOR


@pytest.mark.parametrize("trusted", [(), ("--trusted-proxy", "10.0.0.0/8")], ids=["nobody", "others"])
def test_who_is_not_trusted_says_nothing(
    tmp_path, request: pytest.FixtureRequest, trusted: tuple[str, ...]
) -> None:
    server = Lastseen(tmp_path, *trusted).start()
    request.addfinalizer(server.close)
    ada = person(server)
    device = ada.device(address=VISITOR)
    assert device.session["ip_address"] == "127.0.0.1"
    for name, value in (
        ("X-Forwarded-For", VISITOR),
        ("Forwarded", f"for={VISITOR}"),
        ("X-Real-IP", VISITOR),
        ("True-Client-IP", VISITOR),
        ("CF-Connecting-IP", VISITOR),
        ("X-Client-IP", VISITOR),
    ):
        assert seen(device, [(name, value)]) == "127.0.0.1"


def test_other_headers_with_addresses_count_for_nothing_even_from_a_trusted_proxy(
    device: Device,
) -> None:
    for name in ("X-Real-IP", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP"):
        assert seen(device, [(name, VISITOR)]) == "127.0.0.1"


def test_address_and_device_are_those_of_the_last_use(ada: Person) -> None:
    from harness.people import FIREFOX_WINDOWS

    reader, moving = ada.device(), ada.device(address=VISITOR)
    moving.address, moving.user_agent = "198.51.100.4", FIREFOX_WINDOWS
    assert moving.is_signed_in()
    found = next(s for s in reader.sessions() if s["id"] == moving.id)
    assert found["ip_address"] == "198.51.100.4"
    assert found["user_agent"] == "Firefox 132 on Windows"


def test_a_use_that_brings_no_user_agent_leaves_it_as_it_was(ada: Person) -> None:
    device = ada.device()
    device.user_agent = None
    found = device.get("/api/v1/session").json()
    assert found["user_agent"] == "Chrome 120 on Linux"


def test_a_shared_proxy_is_not_taken_for_all_its_visitors(start: Callable[..., Lastseen]) -> None:
    """The limit on failures looks at the visitor, not at the proxy before him."""
    server = start()
    ada = person(server)
    for n in range(12):
        Device(server, address="198.51.100.66").try_sign_in(ada.name, f"guess {n}")
    assert Device(server, address="198.51.100.66").try_sign_in(ada.name, "x").status_code == 429
    assert ada.device(address=VISITOR).is_signed_in()
