"""A PostgreSQL for all tests of one process, and nodes over databases of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.nodes import Nodes
from harness.postgres import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL that no test stops, freezes or fills."""
    shared = Cluster()
    yield shared
    shared.close()


@pytest.fixture
def own_cluster() -> Iterator[Callable[..., Cluster]]:
    """Makes a PostgreSQL for one test, which may do with it what it likes."""
    made: list[Cluster] = []

    def make(*settings: str, **options: object) -> Cluster:
        made.append(Cluster(*settings, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.fixture
def over(tmp_path: Path, own_cluster: object) -> Iterator[Callable[[Cluster], Nodes]]:
    """Nodes over a new database of a cluster; they are ended before any cluster is."""
    made: list[Nodes] = []

    def over(cluster: Cluster) -> Nodes:
        directory = tmp_path / f"nodes-{len(made)}"
        directory.mkdir()
        made.append(Nodes(directory, cluster))
        return made[-1]

    yield over
    for nodes in made:
        nodes.close()


@pytest.fixture
def nodes(over: Callable[[Cluster], Nodes], cluster: Cluster) -> Nodes:
    """Nodes over a database of their own; none has been started yet."""
    return over(cluster)
