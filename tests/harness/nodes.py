"""Several nodes over one database, and what can happen to each."""

from __future__ import annotations

import http.client
import itertools
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import quote

from harness.history import Answer, History, Kind, now
from harness.link import Link
from harness.people import PASSWORD, Person, fresh_name
from harness.postgres import Cluster, Database
from harness.program import PATIENCE, Lastseen, Outcome, run

#: The lease of the tests, in seconds: the default.
LEASE = 1.0

#: The longest that a termination may take because of a node that is gone: one lease, its margin, and a busy machine.
ONE_LEASE_AT_MOST = 4 * LEASE

#: What is asked of a database that is out of reach is answered within this, in seconds.
SAID_TO_BE_UNAVAILABLE_WITHIN = 5.0


class Node(Lastseen):
    """One node. Its links to the database are its own: one that statements take, one for notifications."""

    def __init__(
        self, directory: Path, database: Database, *arguments: str, linked: bool = False, **options: object
    ) -> None:
        self.statements = Link(database.cluster.port) if linked else None
        self.notifications = Link(database.cluster.port) if linked else None
        urls = ["--database", database.url(self.statements.port if self.statements else None)]
        if self.notifications:
            urls += ["--database-direct", database.url(self.notifications.port)]
        super().__init__(directory, *urls, *arguments, use_database=False, **options)  # type: ignore[arg-type]
        self.shared = database

    def run(self, *arguments: str, **options: object) -> Outcome:
        """Runs a command over the same database, from a machine that nothing is wrong with."""
        return run(
            "--database", self.shared.url(), *arguments, directory=self.directory, **options  # type: ignore[arg-type]
        )

    def links(self) -> list[Link]:
        return [link for link in (self.statements, self.notifications) if link is not None]

    def close(self) -> None:
        for link in self.links():
            link.mend()
        super().close()
        for link in self.links():
            link.close()


class Nodes:
    """The nodes of one database, and clients that come to any of them."""

    def __init__(self, directory: Path, cluster: Cluster) -> None:
        self.directory = directory
        self.database = cluster.database()
        self.all: list[Node] = []
        self._numbers = itertools.count()

    def start(self, *arguments: str, **options: object) -> Node:
        """Another node, in a directory of its own."""
        directory = self.directory / f"node-{next(self._numbers)}"
        directory.mkdir()
        node = Node(directory, self.database, *arguments, **options)  # type: ignore[arg-type]
        self.all.append(node)
        node.start()
        return node

    def close(self) -> None:
        for node in self.all:
            node.close()

    def person(self, stem: str = "ada") -> Person:
        """Somebody with a new account; signs in at the first node unless told."""
        somebody = Person(self.all[0], fresh_name(stem))
        self.all[0].add_account(somebody.name, PASSWORD)
        return somebody

    def application(self) -> Application:
        """A program that begins and ends sessions at any node."""
        name = fresh_name("shop")
        key = self.all[0].run("application", "add", name).done().strip()
        return Application(name, key)


@dataclass(frozen=True)
class Application:
    """An application, known by its key at every node."""

    name: str
    key: str


class Reachable(Protocol):
    """A node, or what stands in front of some."""

    port: int


Result = TypeVar("Result")


def accepted(node: Reachable, token: str, within: float = PATIENCE) -> Answer:
    """What a node makes of a token, asked over a new connection."""
    connection = http.client.HTTPConnection("127.0.0.1", node.port, timeout=within)
    try:
        connection.request("GET", "/api/v1/session", headers={"Authorization": f"Bearer {token}"})
        return verdict(connection.getresponse().status)
    except (OSError, http.client.HTTPException):
        return Answer.NONE
    finally:
        connection.close()


def verdict(status: int) -> Answer:
    """What the status of a validation says."""
    return {200: Answer.YES, 401: Answer.NO}.get(status, Answer.UNAVAILABLE)


@dataclass(frozen=True)
class Begun:
    """A session that an application began."""

    id: str
    token: str
    account: str


@dataclass(frozen=True)
class Seen:
    """What became of a request: where it went, when it began and ended, and what came back, if anything did."""

    node: int
    began: float
    ended: float
    status: int | None
    body: bytes


class Visitor:
    """A client that keeps a connection to each node, and notes what it sees."""

    def __init__(
        self,
        nodes: Sequence[Reachable],
        key: str,
        account: str,
        seed: object = 0,
        history: History | None = None,
    ) -> None:
        self.nodes = nodes
        self.key = key
        self.account = account
        self.dice = random.Random(f"{seed}")
        self.history = history or History()
        self.connections: dict[int, http.client.HTTPConnection] = {}

    def begin(self) -> Begun | None:
        """Begins a session at some node; `None` where nobody says that there is one."""
        path = f"/api/v1/accounts/{quote(self.account, safe='')}/sessions"
        seen = self.ask("POST", path, self.key, b"{}")
        if seen.status == 201:
            told = json.loads(seen.body)
            begun = Begun(told["session"]["id"], told["token"], self.account)
            self.history.note(Kind.BEGIN, begun.id, seen.node, seen.began, seen.ended, Answer.YES)
            return begun
        assert seen.status in (None, 503), seen
        answer = Answer.NONE if seen.status is None else Answer.UNAVAILABLE
        self.history.note(Kind.BEGIN, "", seen.node, seen.began, seen.ended, answer)
        return None

    def validate(self, session: Begun, at: int | None = None) -> Answer:
        """Asks some node, or the one with that number, for the session."""
        seen = self.ask("GET", "/api/v1/session", session.token, at=at)
        assert seen.status in (None, 200, 401, 503), seen
        answer = Answer.NONE if seen.status is None else verdict(seen.status)
        self.history.note(Kind.VALIDATE, session.id, seen.node, seen.began, seen.ended, answer)
        return answer

    def terminate(self, session: Begun) -> Answer:
        """Terminates the session at some node."""
        path = f"/api/v1/accounts/{quote(session.account, safe='')}/sessions/{session.id}"
        seen = self.ask("DELETE", path, self.key)
        assert seen.status in (None, 204, 503), seen
        answer = {204: Answer.YES, None: Answer.NONE}.get(seen.status, Answer.UNAVAILABLE)
        self.history.note(Kind.TERMINATE, session.id, seen.node, seen.began, seen.ended, answer)
        return answer

    def ask(
        self, method: str, path: str, secret: str, body: bytes | None = None, at: int | None = None
    ) -> Seen:
        """Sends one request, once."""
        number = self.dice.randrange(len(self.nodes)) if at is None else at
        port = self.nodes[number].port
        headers = {"Authorization": f"Bearer {secret}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        began = now()
        try:
            connection = self.connections.get(number)
            if connection is None or connection.port != port:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
                self.connections[number] = connection
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answered = response.read()
            return Seen(number, began, now(), response.status, answered)
        except (OSError, http.client.HTTPException):
            with suppress(KeyError):
                self.connections.pop(number).close()
            seen = Seen(number, began, now(), None, b"")
            # A node that is down refuses at once; nobody gains from asking it a thousand times a second.
            time.sleep(0.02)
            return seen


class Traffic:
    """Clients that begin, validate and terminate sessions at any node, as if there were no tomorrow."""

    def __init__(
        self,
        nodes: Sequence[Reachable],
        application: Application,
        clients: int = 6,
        seed: int = 0,
        accounts: str = "account",
    ) -> None:
        self.history = History()
        self.failures: list[BaseException] = []
        self._stop = threading.Event()
        self._active: list[Begun] = []
        self._ended: list[Begun] = []
        self._lock = threading.Lock()
        visitors = [
            Visitor(nodes, application.key, f"{accounts}-{number}", f"{seed}-{number}", self.history)
            for number in range(clients)
        ]
        self._clients = [
            threading.Thread(target=self._live, args=(visitor,), daemon=True) for visitor in visitors
        ]

    def __enter__(self) -> Traffic:
        for thread in self._clients:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._clients:
            thread.join(PATIENCE)

    def last(self, seconds: float) -> None:
        """Lets it go on for a while: the length of a disturbance, not something that is waited for."""
        self._stop.wait(seconds)

    def left(self) -> list[Begun]:
        """The sessions whose beginning was answered, and that nobody has begun to terminate."""
        with self._lock:
            return list(self._active)

    def ended(self) -> list[Begun]:
        """The sessions whose termination was answered."""
        answered = {
            one.session
            for one in self.history.operations()
            if one.kind is Kind.TERMINATE and one.answer is Answer.YES
        }
        with self._lock:
            return [one for one in self._ended if one.id in answered]

    def judge(self) -> History:
        """What was seen; fails where any of it breaks the promise."""
        assert not self.failures, self.failures
        violations = self.history.violations()
        assert not violations, violations[:3]
        return self.history

    def _live(self, visitor: Visitor) -> None:
        try:
            while not self._stop.is_set():
                self._act(visitor)
        except BaseException as failure:  # noqa: BLE001
            self.failures.append(failure)

    def _act(self, visitor: Visitor) -> None:
        roll = visitor.dice.random()
        with self._lock:
            active = visitor.dice.choice(self._active) if self._active else None
            ended = visitor.dice.choice(self._ended[-50:]) if self._ended else None
            are_enough = len(self._active) > 200
            if active is not None and 0.06 <= roll < 0.12:
                # Nobody else terminates it too.
                self._active.remove(active)
        if active is None or (roll < 0.06 and not are_enough):
            if begun := visitor.begin():
                with self._lock:
                    self._active.append(begun)
        elif 0.06 <= roll < 0.12:
            visitor.terminate(active)
            with self._lock:
                self._ended.append(active)
        else:
            visitor.validate(ended if ended is not None and roll < 0.4 else active)


def together(crowd: Sequence[Visitor], act: Callable[[Visitor], Result]) -> list[Result]:
    """What came of it when all of them did it at once."""
    with ThreadPoolExecutor(len(crowd)) as threads:
        return list(threads.map(act, crowd))


def timed(act: Callable[[], object]) -> float:
    """How long something took, in seconds."""
    began = now()
    act()
    return now() - began
