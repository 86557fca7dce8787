"""Nodes are replaced one after the other behind a proxy that asks for their health: nobody notices."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.history import Answer
from harness.nodes import LEASE, Node, Nodes, Traffic, accepted
from harness.program import eventually, free_port

_CONFIGURATION = """
defaults
    mode http
    timeout connect 2s
    timeout client 30s
    timeout server 30s
    option redispatch
    retries 3

frontend visitors
    bind 127.0.0.1:{port}
    default_backend nodes

backend nodes
    option httpchk GET /readyz
    http-check expect status 200
    default-server check inter 200ms fall 1 rise 1
{servers}
"""


@pytest.fixture
def proxied(nodes: Nodes, tmp_path: Path) -> Iterator[SimpleNamespace]:
    """Three nodes behind HAProxy."""
    for _ in range(3):
        nodes.start("--drain", "1s", listen=f"127.0.0.1:{free_port()}")
    port = free_port()
    servers = "\n".join(
        f"    server node-{number} 127.0.0.1:{node.port}" for number, node in enumerate(nodes.all)
    )
    configuration = tmp_path / "haproxy.cfg"
    configuration.write_text(_CONFIGURATION.format(port=port, servers=servers))
    with (tmp_path / "haproxy.log").open("wb") as log:
        proxy = subprocess.Popen(
            ["/usr/sbin/haproxy", "-db", "-f", str(configuration)], stdout=log, stderr=log
        )
    front = SimpleNamespace(port=port, url=f"http://127.0.0.1:{port}")
    token = str(nodes.person().device().token)
    eventually(lambda: accepted(front, token) is Answer.YES, "the proxy leads to a node")
    yield front
    proxy.terminate()
    proxy.wait()


def is_ready(node: Node) -> bool:
    with node.client() as client:
        return client.get("/readyz").status_code == 200


def test_a_rolling_update_fails_no_request_and_loses_no_session(
    nodes: Nodes, proxied: SimpleNamespace
) -> None:
    with Traffic([proxied], nodes.application()) as traffic:
        traffic.last(LEASE)
        for node in nodes.all:
            assert node.stop() == 0
            node.start()
            eventually(lambda node=node: is_ready(node), "the new one is ready")
            # The proxy looks five times a second.
            traffic.last(LEASE)
    counts = traffic.judge().counts()
    assert {answer for _, answer in counts} == {"yes", "no"}, counts
    assert counts["validate", "yes"] > 500, counts


def test_a_node_that_is_removed_takes_nothing_with_it(nodes: Nodes, proxied: SimpleNamespace) -> None:
    with Traffic([proxied], nodes.application()) as traffic:
        traffic.last(LEASE)
        assert nodes.all[0].stop() == 0
        traffic.last(2 * LEASE)
    counts = traffic.judge().counts()
    assert {answer for _, answer in counts} == {"yes", "no"}, counts
    left = nodes.all[1].run("nodes", "--json").json()
    assert len(left) == 2, left
