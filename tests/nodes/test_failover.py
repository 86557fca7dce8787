"""The database fails over to a standby: the nodes follow, and believe nothing that they knew before."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from harness.history import Answer
from harness.nodes import Nodes, accepted
from harness.people import Device
from harness.postgres import Cluster, Database, Standby
from harness.program import eventually


@pytest.fixture
def primary(own_cluster: Callable[..., Cluster]) -> Cluster:
    return own_cluster()


@pytest.fixture
def standby(primary: Cluster) -> Iterator[Standby]:
    follower = Standby(primary)
    yield follower
    follower.close()


def test_nodes_forget_what_they_knew_where_a_standby_has_taken_over(
    primary: Cluster, standby: Standby, over: Callable[[Cluster], Nodes]
) -> None:
    nodes = over(primary)
    both = [nodes.start(linked=True) for _ in range(2)]
    ada = nodes.person()
    stays, gone, unheard = ada.device(), ada.device(), ada.device()
    for node in both:
        for device in (stays, gone, unheard):
            assert accepted(node, str(device.token)) is Answer.YES
    assert gone.post("/api/v1/sign-out").status_code == 204
    moved = Database(standby, nodes.database.name)
    ended = "SELECT count(*) FROM session WHERE ended_at IS NOT NULL"
    eventually(lambda: moved.ask(ended) == "1", "the standby has followed")

    primary.stop(signal.SIGQUIT)
    standby.promote()
    # What no node is ever told of: no trigger runs, so no change is noted. Only a memory that forgets all obeys.
    moved.ask(
        """
        SET session_replication_role TO replica;
        UPDATE session SET ended_at = created_at, left_list_at = created_at, ended_cause = 'command'
        WHERE created_at = (SELECT max(created_at) FROM session)
        """
    )
    for node in both:
        for link in node.links():
            link.target = standby.port
            link.sever()

    leased = "SELECT count(*) FROM node WHERE timeline = 2 AND renewals > 1"
    eventually(lambda: moved.ask(leased) == "2", "both hold leases of the new primary")
    for node in both:
        assert accepted(node, str(unheard.token)) is Answer.NO
        assert accepted(node, str(gone.token)) is Answer.NO
        assert accepted(node, str(stays.token)) is Answer.YES
    # And it all goes on: signing in, and ends that the other one follows.
    late = Device(both[1]).sign_in(ada.name)
    assert accepted(both[0], str(late.token)) is Answer.YES
    assert late.post("/api/v1/sign-out").status_code == 204
    for node in both:
        assert accepted(node, str(late.token)) is Answer.NO
