#!/usr/bin/env python3
"""Ten minutes at full load: does the server grow beyond the sessions that it made?

    target/python/bin/python tests/soak.py --binary target/release/lastseen --seconds 600

Some devices ask for their session as fast as they get answers, over connections that stay open; others
sign in, look at their list, and end sessions, over connections of their own. Every few seconds one line
says what the process holds: resident memory, file descriptors, threads, and how much was answered. At
the end, with all of them gone, the last lines compare the second half with the first.

It is no test of `cargo xtask test`: it takes as long as it is told.
"""

from __future__ import annotations

import argparse
import multiprocessing
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from harness import program  # noqa: E402
from harness.people import Device, Person, person  # noqa: E402

#: Requests that are under way on each connection of a reader.
PIPELINE = 16
STATUS_LINE = b"HTTP/1.1 "


def read_session(port: int, token: str, seconds: float, counts: multiprocessing.Queue) -> None:
    """Asks for one session again and again until the time is up."""
    request = (
        f"GET /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        f"Authorization: Bearer {token}\r\nUser-Agent: soak\r\n\r\n"
    ).encode()
    answered = 0
    end = time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", port)) as connection:
        received = b""
        while time.monotonic() < end:
            connection.sendall(request * PIPELINE)
            missing = PIPELINE
            while missing:
                chunk = connection.recv(262_144)
                if not chunk:
                    raise SystemExit("the server closed a connection")
                received += chunk
                parts = received.split(STATUS_LINE)
                for begun in parts[1:]:
                    if not begun.startswith(b"200"[: len(begun)]):
                        raise SystemExit(received.decode(errors="replace"))
                missing -= len(parts) - 1
                # What could be the beginning of the next status line.
                received = parts[-1][-len(STATUS_LINE) + 1 :]
            answered += PIPELINE
    counts.put(("read", answered))


def live(server: program.Lastseen, owner: Person, end: float, counts: dict[str, int]) -> None:
    """Signs in and ends what it made, as people with several devices do, until the time is up."""
    keeper = Device(server).sign_in(owner.name, owner.password)
    while time.monotonic() < end:
        devices = []
        for n in range(5):
            device = Device(server, f"curl/8.{n}.0")
            response = device.try_sign_in(owner.name, owner.password)
            if response.status_code in (429, 503):
                # More people at once than the machine can hash passwords for.
                counts["busy"] += 1
                time.sleep(0.05)
            else:
                assert response.status_code == 201, response.text
                device.token = response.json()["token"]
                device.session = response.json()["session"]
                devices.append(device)
        for device in devices:
            assert device.is_signed_in()
            assert keeper.get("/api/v1/sessions").status_code == 200
        if devices:
            ids = [device.id for device in devices[1:]] or [devices[0].id]
            assert keeper.post("/api/v1/sessions/terminate", json={"ids": ids}).status_code == 200
            assert keeper.post("/api/v1/sessions/terminate-others").status_code == 200
        for device in devices:
            assert not device.is_signed_in()
            device.client.close()
        counts["signed in"] += len(devices)
    keeper.client.close()


def figures(pid: int) -> dict[str, int]:
    """What the process holds, from /proc."""
    status = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    return {
        "resident_kb": int(status["VmRSS"].split()[0]),
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": int(status["Threads"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--readers", type=int, default=2, help="connections that only read")
    parser.add_argument("--people", type=int, default=4, help="people who sign in and end sessions")
    parser.add_argument("--every", type=float, default=10, help="seconds between two lines")
    arguments = parser.parse_args()
    program.BINARY = arguments.binary.absolute()

    with tempfile.TemporaryDirectory() as folder:
        server = program.Lastseen(Path(folder), "--log-level", "warn").start()
        try:
            soak(server, arguments)
        finally:
            server.close()


def soak(server: program.Lastseen, arguments: argparse.Namespace) -> None:
    people = [person(server, "soak") for _ in range(arguments.people)]
    # Readers belong to somebody who ends nobody's sessions.
    watcher = person(server, "watcher")
    tokens = [str(watcher.device().token) for _ in range(arguments.readers)]

    queue: multiprocessing.Queue = multiprocessing.Queue()
    begun = time.monotonic()
    end = begun + arguments.seconds
    readers = [
        multiprocessing.Process(
            target=read_session, args=(server.port, token, arguments.seconds, queue)
        )
        for token in tokens
    ]
    for process in readers:
        process.start()
    counts = {"signed in": 0, "busy": 0}
    failures: list[BaseException] = []

    def guarded(owner: Person) -> None:
        try:
            live(server, owner, end, counts)
        except BaseException as failure:  # noqa: BLE001
            failures.append(failure)

    living = [threading.Thread(target=guarded, args=(owner,)) for owner in people]
    for thread in living:
        thread.start()

    lines = []
    print("seconds resident_kb descriptors threads signed_in")
    while time.monotonic() < end and not failures:
        time.sleep(min(arguments.every, max(0.1, end - time.monotonic())))
        held = figures(server.pid)
        lines.append(held)
        print(
            f"{time.monotonic() - begun:7.0f} {held['resident_kb']:11} {held['descriptors']:11}"
            f" {held['threads']:7} {counts['signed in']:9}",
            flush=True,
        )
    for thread in living:
        thread.join()
    for process in readers:
        process.join()
        assert process.exitcode == 0, "a reader failed"
    if failures:
        raise failures[0]

    answered = sum(queue.get()[1] for _ in readers)
    rest = figures(server.pid)
    half = len(lines) // 2
    print(f"answered: {answered} reads ({answered / arguments.seconds:.0f}/s)")
    print(f"signed in: {counts['signed in']}, told to come back: {counts['busy']}")
    print(f"at rest afterwards: {rest}")
    if half:
        for name in ("resident_kb", "descriptors", "threads"):
            # The first tenth is warming up.
            early = [line[name] for line in lines[len(lines) // 10 : half]] or [lines[0][name]]
            late = [line[name] for line in lines[half:]]
            print(
                f"{name}: most in the first half {max(early)}, in the second {max(late)}"
                f" (mean {sum(early) / len(early):.0f}, {sum(late) / len(late):.0f})"
            )


if __name__ == "__main__":
    main()
