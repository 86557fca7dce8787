"""SIGKILL in the middle of everything: what was answered holds."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest

from harness.people import Device, Person, person
from harness.program import Lastseen, eventually

WORKERS = 8
ROUNDS = 6


@dataclass
class Ledger:
    """What was asked for and what was answered, of one account."""

    person: Person
    signed_in: dict[str, str] = field(default_factory=dict)
    asked_to_end: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    #: The sessions that end the others; nobody ends them while they are at it.
    enders: set[str] = field(default_factory=set)
    #: How many answers came, over all rounds.
    answered: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


def work(ledger: Ledger, seed: int, stop: threading.Event) -> None:
    """Signs in and ends sessions until the server is gone."""
    randomness = random.Random(seed)
    # All from one address, as behind one router: none of these sign-ins is a failure, over any kill.
    address = "198.51.100.1"
    try:
        ender = Device(ledger.person.server, address=address)
        ender.sign_in(ledger.person.name, ledger.person.password)
        with ledger.lock:
            ledger.signed_in[ender.id] = str(ender.token)
            ledger.enders.add(ender.id)
        while not stop.is_set():
            with ledger.lock:
                victims = sorted(set(ledger.signed_in) - ledger.asked_to_end - ledger.enders)
            if randomness.random() < 0.4 or len(victims) < WORKERS:
                device = Device(ledger.person.server, address=address)
                response = device.try_sign_in(ledger.person.name, ledger.person.password)
                assert response.status_code == 201, response.text
                body = response.json()
                with ledger.lock:
                    ledger.signed_in[body["session"]["id"]] = body["token"]
            else:
                chosen = randomness.sample(victims, min(len(victims), randomness.randint(1, 3)))
                with ledger.lock:
                    ledger.asked_to_end.update(chosen)
                if len(chosen) == 1:
                    response = ender.delete(f"/api/v1/sessions/{chosen[0]}")
                    assert response.status_code == 204, response.text
                else:
                    path = "/api/v1/sessions/terminate"
                    response = ender.post(path, json={"ids": chosen})
                    assert response.status_code == 200, response.text
                with ledger.lock:
                    ledger.ended.update(chosen)
            with ledger.lock:
                ledger.answered += 1
    except httpx.TransportError:
        assert stop.is_set(), "the server went away before it was killed"


def test_nothing_that_was_answered_is_lost_over_many_kills(start: Callable[..., Lastseen]) -> None:
    server = start("--max-sessions-per-account", "0")
    ledger = Ledger(person(server))
    for round_number in range(ROUNDS):
        stop = threading.Event()
        # Those of the last round are as mortal as any other session now.
        ledger.enders.clear()
        with ThreadPoolExecutor(WORKERS) as pool:
            working = [
                pool.submit(work, ledger, round_number * WORKERS + n, stop) for n in range(WORKERS)
            ]
            # A different moment each time, somewhere in the middle of the work.
            enough = ledger.answered + random.Random(round_number).randint(25, 75)
            eventually(
                lambda enough=enough: ledger.answered >= enough
                or any(worker.done() for worker in working),  # noqa: B023
                "answers come",
                within=90,
            )
            stop.set()
            server.kill()
            for worker in working:
                worker.result()
        server.start()
        with sqlite3.connect(
            f"file:{server.directory / 'lastseen.db'}?mode=ro", uri=True
        ) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.close()

        kept = [id for id in ledger.signed_in if id not in ledger.asked_to_end]
        for id in kept:
            assert Device(server, token=ledger.signed_in[id]).is_signed_in(), (round_number, id)
        for id in ledger.ended:
            assert not Device(server, token=ledger.signed_in[id]).is_signed_in(), (round_number, id)
        listed = set(Device(server, token=ledger.signed_in[kept[0]]).listed())
        assert listed >= set(kept)
        assert not listed & ledger.ended
    assert len(ledger.ended) > ROUNDS


def test_right_passwords_that_a_kill_breaks_off_are_no_failures(
    start: Callable[..., Lastseen],
) -> None:
    server = start()
    ada = person(server)
    address = "198.51.100.20"

    def sign_in(sent: threading.Barrier) -> None:
        device = Device(server, address=address)
        sent.wait()
        with contextlib.suppress(httpx.TransportError):
            assert device.try_sign_in(ada.name, ada.password).status_code == 201

    for _ in range(4):
        # Ten are let in at once, and as many wait for them when the kill comes.
        sent = threading.Barrier(21)
        with ThreadPoolExecutor(20) as pool:
            signing_in = [pool.submit(sign_in, sent) for _ in range(20)]
            sent.wait()
            eventually(
                lambda signing_in=signing_in: any(one.done() for one in signing_in),
                "one is signed in",
            )
            server.kill()
            for one in signing_in:
                one.result()
        server.start()
        assert ada.device(address=address).is_signed_in()
    statuses = [
        Device(server, address=address).try_sign_in(ada.name, f"wrong {n}").status_code
        for n in range(11)
    ]
    assert statuses == [401] * 10 + [429]


@pytest.mark.parametrize("command", ["disable", "password", "remove"])
def test_what_a_command_did_holds_over_a_kill(
    start: Callable[..., Lastseen], command: str
) -> None:
    server = start()
    ada, bob = person(server), person(server, "bob")
    device, bystander = ada.device(), bob.device()
    more = ["--password-stdin"] if command == "password" else []
    server.run("account", command, ada.name, *more, stdin="a different long one").done()
    server.kill()
    server.start()
    assert not device.is_signed_in()
    refused = Device(server).try_sign_in(ada.name, ada.password)
    assert refused.status_code == 401
    assert bystander.is_signed_in()


def test_a_new_password_and_its_new_token_hold_over_a_kill(start: Callable[..., Lastseen]) -> None:
    server = start()
    ada = person(server)
    device, other = ada.device(), ada.device()
    old = device.token
    changed = {"current_password": ada.password, "new_password": "a different long one"}
    response = device.post("/api/v1/password", json=changed)
    assert response.status_code == 200
    server.kill()
    server.start()
    assert Device(server, token=response.json()["token"]).is_signed_in()
    assert not Device(server, token=old).is_signed_in()
    assert not other.is_signed_in()
    assert Person(server, ada.name, "a different long one").device().is_signed_in()
