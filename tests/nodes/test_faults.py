"""Things go wrong under traffic. No node ever accepts what was terminated, and all of it mends itself."""

from __future__ import annotations

import http.client
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.disturbances import DISTURBANCES, Disturbance, FullDisk, World, recover
from harness.history import Answer, Kind
from harness.nodes import (
    LEASE,
    ONE_LEASE_AT_MOST,
    SAID_TO_BE_UNAVAILABLE_WITHIN,
    Nodes,
    Traffic,
    accepted,
    timed,
)
from harness.places import Clock
from harness.postgres import Cluster

#: What a busy machine may add to any answer, in seconds.
BUSY = 2.0


@pytest.fixture
def world(
    own_cluster: Callable[..., Cluster], over: Callable[[Cluster], Nodes], tmp_path: Path
) -> World:
    """Three nodes and a PostgreSQL that may be mistreated."""
    cluster = own_cluster()
    return World(cluster, over(cluster), Clock(tmp_path))


@pytest.mark.parametrize("disturbance", DISTURBANCES, ids=str)
def test_no_node_accepts_what_was_terminated_while(world: World, disturbance: Disturbance) -> None:
    shop = world.nodes.application()
    somebody = world.nodes.person().device()
    with Traffic(world.everyone, shop) as traffic:
        traffic.last(LEASE)
        disturbance.begin(world)
        traffic.last(disturbance.lasts)
        disturbance.end(world)
        recover(world, str(somebody.token))
        traffic.last(2 * LEASE)
    history = traffic.judge()

    counts = history.counts()
    assert counts["terminate", "yes"] > 10 and counts["validate", "yes"] > 100, counts
    assert counts["validate", "no"] > 20, counts
    if not disturbance.without_database:
        assert history.slowest(Kind.TERMINATE) < ONE_LEASE_AT_MOST, counts
    for kind in Kind:
        slowest = history.slowest(kind, Answer.UNAVAILABLE)
        assert slowest < SAID_TO_BE_UNAVAILABLE_WITHIN + BUSY, (kind, slowest, counts)


def test_a_dead_node_costs_one_lease_once(world: World) -> None:
    ada = world.nodes.person()
    devices = [ada.device() for _ in range(3)]
    for node in world.everyone:
        for device in devices:
            assert accepted(node, str(device.token)) is Answer.YES
    world.victim.kill()
    # Whoever stays is told to wait once, and never again for the same node.
    took = [timed(lambda device=device: device.post("/api/v1/sign-out")) for device in devices]
    assert took[0] < ONE_LEASE_AT_MOST
    assert max(took[1:]) < LEASE / 2, took


def test_a_request_that_waits_in_a_frozen_node_is_not_accepted_afterwards(world: World) -> None:
    device = world.nodes.person().device()
    token = str(device.token)
    for node in world.everyone:
        assert accepted(node, token) is Answer.YES
    world.victim.signal(signal.SIGSTOP)
    assert device.post("/api/v1/sign-out").status_code == 204
    waiting = http.client.HTTPConnection("127.0.0.1", world.victim.port, timeout=30)
    waiting.request("GET", "/api/v1/session", headers={"Authorization": f"Bearer {token}"})
    world.victim.signal(signal.SIGCONT)
    assert waiting.getresponse().status in (401, 503)
    waiting.close()
    for node in world.everyone:
        assert accepted(node, token) is not Answer.YES


def test_a_full_database_loses_nothing_and_accepts_nothing_wrong(
    own_cluster: Callable[..., Cluster], over: Callable[[Cluster], Nodes], tmp_path: Path
) -> None:
    disk = FullDisk(megabytes=160)
    try:
        cluster = own_cluster("max_wal_size=32MB", "min_wal_size=32MB", within=disk.directory)
        world = World(cluster, over(cluster), Clock(tmp_path))
        shop = world.nodes.application()
        somebody = world.nodes.person().device()
        with Traffic(world.everyone, shop) as traffic:
            traffic.last(LEASE)
            disk.fill()
            traffic.last(4 * LEASE)
            disk.relieve()
            # Out of space for its log PostgreSQL ends; somebody starts it again.
            if cluster.process is not None and cluster.process.poll() is not None:
                cluster.start()
            recover(world, str(somebody.token))
            traffic.last(2 * LEASE)
        traffic.judge()
    finally:
        disk.close()
